package loadgen

import (
	"strings"

	"github.com/opbeans/loadgen/internal/secrets"
)

// Redacted returns a copy of c to show, with REDACTED in the place of secrets: passwords in
// BaseURL and Proxy, and values whose names say that they are secret, such as Authorization,
// X-Api-Key, API_TOKEN or PASSWORD, of Headers, Variables, Trace.State and Trace.Baggage.
func (c JobConfig) Redacted() JobConfig {
	c = c.clone()
	c.BaseURL, c.Client.Proxy = secrets.HidePassword(c.BaseURL), secrets.HidePassword(c.Client.Proxy)
	c.Trace.State, c.Trace.Baggage = hideMembers(c.Trace.State), hideMembers(c.Trace.Baggage)
	for _, values := range []map[string]string{c.Headers, c.Variables} {
		for name := range values {
			if secrets.Named(name) {
				values[name] = secrets.Redacted
			}
		}
	}
	return c
}

// hideMembers hides the values of secrets in a list such as "tenant=7,api-key=k;ttl=5".
func hideMembers(list string) string {
	members := strings.Split(list, ",")
	for i, member := range members {
		if key, _, ok := strings.Cut(member, "="); ok && secrets.Named(strings.TrimSpace(key)) {
			members[i] = key + "=" + secrets.Redacted
		}
	}
	return strings.Join(members, ",")
}

// KeepSecrets restores the secrets of old where c has what [JobConfig.Redacted] shows
// of it: who sends back what was shown does not mean to change it. The maps of c must
// not be shared.
func (c *JobConfig) KeepSecrets(old *JobConfig) {
	shown := old.Redacted()
	for _, text := range [][3]*string{
		{&c.BaseURL, &shown.BaseURL, &old.BaseURL},
		{&c.Client.Proxy, &shown.Client.Proxy, &old.Client.Proxy},
		{&c.Trace.State, &shown.Trace.State, &old.Trace.State},
		{&c.Trace.Baggage, &shown.Trace.Baggage, &old.Trace.Baggage},
	} {
		if *text[0] == *text[1] {
			*text[0] = *text[2]
		}
	}
	for _, values := range [][2]map[string]string{{c.Headers, old.Headers}, {c.Variables, old.Variables}} {
		for name, value := range values[0] {
			if had, ok := values[1][name]; ok && value == secrets.Redacted {
				values[0][name] = had
			}
		}
	}
}
