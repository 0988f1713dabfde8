package loadgen

import (
	"github.com/opbeans/loadgen/internal/secrets"
)

// Redacted returns a copy of c to show: with REDACTED in the place of passwords in
// BaseURL and Proxy, and of the values of Headers whose names say that they are
// secrets, such as Authorization and Cookie.
func (c JobConfig) Redacted() JobConfig {
	c = c.clone()
	c.BaseURL, c.Client.Proxy = secrets.HidePassword(c.BaseURL), secrets.HidePassword(c.Client.Proxy)
	for name := range c.Headers {
		if secrets.Named(name) {
			c.Headers[name] = secrets.Redacted
		}
	}
	return c
}

// KeepSecrets restores the secrets of old where c has what [JobConfig.Redacted] shows
// of it: who sends back what was shown does not mean to change it. The maps of c must
// not be shared.
func (c *JobConfig) KeepSecrets(old *JobConfig) {
	if c.BaseURL == secrets.HidePassword(old.BaseURL) {
		c.BaseURL = old.BaseURL
	}
	if c.Client.Proxy == secrets.HidePassword(old.Client.Proxy) {
		c.Client.Proxy = old.Client.Proxy
	}
	for name, value := range c.Headers {
		if had, ok := old.Headers[name]; ok && value == secrets.Redacted {
			c.Headers[name] = had
		}
	}
}
