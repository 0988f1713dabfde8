package secrets_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/internal/secrets"
)

func TestNamed(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "X-Auth", "AUTH_HEADER", "oauth2", "BASIC_AUTH", "Cookie", "Set-Cookie", "X-Credential",
		"aws_credentials", "PASSWORD", "db.passwd", "PASSPHRASE", "client_secret", "API_TOKEN", "tokens", "X-Signature", "sessionid",
		"key", "X-Private-Key", "privateKey", "API_KEY", "apikey", "AccessKey", "encryption-key",
	} {
		assert.True(t, secrets.Named(name), name)
	}
	for _, name := range []string{"author", "X-Author", "monkey", "keyboard", "KEYS", "id", "customer_id", "Content-Type", ""} {
		assert.False(t, secrets.Named(name), name)
	}
}

func TestHidePassword(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"http://shop:8000/base":            "http://shop:8000/base",
		"http://user@shop":                 "http://user@shop",
		"http://user:pw@shop":              "http://user:REDACTED@shop",
		"http://user:@shop/":               "http://user:REDACTED@shop/",
		"http://:pw@shop":                  "http://:REDACTED@shop",
		"https://u:p%40:w@[::1]:8/a@b/c:d": "https://u:REDACTED@[::1]:8/a@b/c:d",
		"socks5h://user:p@ss@proxy:1080":   "socks5h://user:REDACTED@proxy:1080",
		"::":                               "::",
	} {
		assert.Equal(t, want, secrets.HidePassword(text))
	}
}
