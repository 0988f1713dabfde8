package secrets

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Redacted stands in the place of a secret that is known by its name.
const Redacted = "REDACTED"

// RedactHeader returns a copy of a header without the values of secrets.
func RedactHeader(h http.Header) http.Header {
	secret := regexp.MustCompile(`(?i)` + Words)
	h = h.Clone()
	for name, values := range h {
		if secret.MatchString(name) {
			for i := range values {
				values[i] = Redacted
			}
		}
	}
	return h
}

// RedactBody hides the values of secrets in JSON, and in a form if the body is one.
func RedactBody(body string, form bool) string {
	if body == "" {
		return ""
	}
	inJSON := regexp.MustCompile(`(?i)("[^"]*(?:` + Words + `)[^"]*"\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s,}\]"\[{]+)`)
	body = inJSON.ReplaceAllString(body, `${1}"`+Redacted+`"`)
	if form {
		inForm := regexp.MustCompile(`(?i)((?:^|&)[^=&\s]*(?:` + Words + `)[^=&\s]*=)[^&]*`)
		body = inForm.ReplaceAllString(body, "${1}"+Redacted)
	}
	return body
}

// RedactURL hides the values of secrets in a query. It leaves everything else of the URL
// as it was sent.
func RedactURL(text string) string {
	before, query, ok := strings.Cut(text, "?")
	if !ok {
		return text
	}
	secret := regexp.MustCompile(`(?i)` + Words)
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, ok := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && ok && secret.MatchString(plain) {
			pairs[i] = name + "=" + Redacted
		}
	}
	return before + "?" + strings.Join(pairs, "&")
}

// HidePassword hides the password in a URL. It leaves everything else as it is written.
func HidePassword(text string) string {
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
	return scheme + "//" + user + ":" + Redacted + rest[at:]
}
