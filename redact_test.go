package loadgen

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedactedConfig(t *testing.T) {
	c := JobConfig{
		BaseURL: "http://user:pw@shop", Client: ClientConfig{Proxy: "http://u:secret@proxy:3128"},
		Headers: map[string]string{"Authorization": "Bearer x", "cookie": "a=b", "X-Api-Key": "k", "Accept": "text/html"},
	}
	shown := c.Redacted()
	assert.Equal(t, map[string]string{"Authorization": "REDACTED", "cookie": "REDACTED", "X-Api-Key": "REDACTED", "Accept": "text/html"}, shown.Headers)
	assert.Equal(t, "Bearer x", c.Headers["Authorization"], "the original stays")

	back := shown.clone()
	back.Workers = 7
	back.KeepSecrets(&c)
	assert.Equal(t, "http://user:pw@shop", back.BaseURL)
	assert.Equal(t, "http://u:secret@proxy:3128", back.Client.Proxy)
	assert.Equal(t, c.Headers, back.Headers)
	back = shown.clone()
	back.BaseURL, back.Headers["Cookie"] = "http://user:REDACTED@elsewhere", "REDACTED"
	back.KeepSecrets(&c)
	assert.Equal(t, "http://user:REDACTED@elsewhere", back.BaseURL, "a secret is not sent to another host")
	assert.Equal(t, "REDACTED", back.Headers["Cookie"])
}
