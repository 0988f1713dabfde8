package loadgen

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/opbeans/loadgen/internal/secrets"
)

// Redacted returns a copy of c to show: with REDACTED in the place of passwords in
// BaseURL and Proxy, and of the values of Headers whose names say that they are
// secrets, such as Authorization and Cookie.
func (c JobConfig) Redacted() JobConfig {
	c = c.clone()
	c.BaseURL, c.Proxy = hidePassword(c.BaseURL), hidePassword(c.Proxy)
	secret := regexp.MustCompile(`(?i)` + secrets.Words)
	for name := range c.Headers {
		if secret.MatchString(name) {
			c.Headers[name] = redaction
		}
	}
	return c
}

// KeepSecrets puts the secrets of old back where c has what [JobConfig.Redacted] shows
// of it: who sends back what was shown does not mean to change it. The maps of c must
// not be shared.
func (c *JobConfig) KeepSecrets(old *JobConfig) {
	if c.BaseURL == hidePassword(old.BaseURL) {
		c.BaseURL = old.BaseURL
	}
	if c.Proxy == hidePassword(old.Proxy) {
		c.Proxy = old.Proxy
	}
	for name, value := range c.Headers {
		if had, ok := old.Headers[name]; ok && value == redaction {
			c.Headers[name] = had
		}
	}
}

// hidePassword leaves everything else of a URL as it is written.
func hidePassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	scheme, rest, ok := strings.Cut(text, "//")
	if _, has := u.User.Password(); !has || !ok {
		return text
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@")
	user, _, _ := strings.Cut(rest[:at], ":")
	return scheme + "//" + user + ":" + redaction + rest[at:]
}
