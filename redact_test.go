package loadgen

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedactedConfig(t *testing.T) {
	c := JobConfig{
		BaseURL: "http://user:pw@shop", Client: ClientConfig{Proxy: "http://u:secret@proxy:3128"},
		Headers:   map[string]string{"Authorization": "Bearer x", "cookie": "a=b", "X-Api-Key": "k", "Accept": "text/html"},
		Variables: map[string]string{"API_TOKEN": "t", "PASSWORD": "p", "X-Pwd": "w", "BUYERS": "3"},
		Trace:     TraceConfig{State: "es=s:1,x@token=t", Baggage: "tenant=7, api-key=k;ttl=5"},
	}
	shown := c.Redacted()
	assert.Equal(t, map[string]string{"Authorization": "REDACTED", "cookie": "REDACTED", "X-Api-Key": "REDACTED", "Accept": "text/html"}, shown.Headers)
	assert.Equal(t, "Bearer x", c.Headers["Authorization"], "the original stays")
	assert.Equal(t, map[string]string{"API_TOKEN": "REDACTED", "PASSWORD": "REDACTED", "X-Pwd": "REDACTED", "BUYERS": "3"}, shown.Variables)
	assert.Equal(t, TraceConfig{State: "es=s:1,x@token=REDACTED", Baggage: "tenant=7, api-key=REDACTED"}, shown.Trace)

	back := shown.clone()
	back.Workers = 7
	back.KeepSecrets(&c)
	assert.Equal(t, "http://user:pw@shop", back.BaseURL)
	assert.Equal(t, "http://u:secret@proxy:3128", back.Client.Proxy)
	assert.Equal(t, c.Headers, back.Headers)
	assert.Equal(t, c.Variables, back.Variables)
	assert.Equal(t, c.Trace, back.Trace)
	back = shown.clone()
	back.BaseURL, back.Headers["Cookie"] = "http://user:REDACTED@elsewhere", "REDACTED"
	back.KeepSecrets(&c)
	assert.Equal(t, "http://user:REDACTED@elsewhere", back.BaseURL, "a secret is not sent to another host")
	assert.Equal(t, "REDACTED", back.Headers["Cookie"])
}
