package origins_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/internal/origins"
)

func TestAllows(t *testing.T) {
	for name, test := range map[string]struct {
		list    origins.List
		allowed []string
		refused []string
	}{
		"local": {
			list: origins.Local(),
			allowed: []string{
				"http://localhost", "http://localhost:9000", "https://localhost:1", "HTTP://LOCALHOST:9000",
				"http://127.0.0.1:9000", "http://[::1]:9000", "https://[::1]",
			},
			refused: []string{
				"", "http://example.com", "http://localhost.example.com", "http://localhost:9000.example.com", "null",
				"ftp://localhost", "http://user@localhost", "http://localhost/x", "localhost:9000", "http://", "http://[::1",
				"http://localhost http://example.com", "http://localhost,http://localhost", "http://127.0.0.10", "//localhost",
			},
		},
		"some": {
			list: origins.Parse(
				"http://example.com:9000", "https://suite.test:*", "HTTPS://Example.org/", "http://[fe80::1]:*",
				"::bad::", "https://*", "localhost", "", "http://a/b",
			),
			allowed: []string{
				"http://example.com:9000", "https://suite.test", "https://suite.test:8443", "https://example.org",
				"http://[FE80::1]:7", "http://[fe80::1]",
			},
			refused: []string{
				"http://example.com", "http://example.com:9001", "https://example.com:9000", "http://suite.test",
				"https://example.org:8443", "http://localhost:9000", "https://anything.example", "http://a", "http://a/b",
			},
		},
		"any":  {list: origins.Parse("*"), allowed: []string{"http://example.com", "null"}, refused: []string{""}},
		"none": {list: origins.Parse(), refused: []string{"http://localhost:9000", "null"}},
	} {
		for _, o := range test.allowed {
			assert.True(t, test.list.Allows(o), "%s: %q", name, o)
		}
		for _, o := range test.refused {
			assert.False(t, test.list.Allows(o), "%s: %q", name, o)
		}
	}
}

func TestForeign(t *testing.T) {
	for _, test := range []struct {
		header, value string
		want          bool
	}{
		{"", "", false},
		{"Sec-Fetch-Site", "same-site", true},
		{"Sec-Fetch-Site+Referer", "same-site http://shop.test:9000/page?x=1", false},
		{"Sec-Fetch-Site+Referer", "same-site http://service.test:8000/page", false},
		{"Sec-Fetch-Site+Referer", "same-site http://service.test:9999/", true},
		{"Sec-Fetch-Site+Referer", "same-site ::", true},
		{"Sec-Fetch-Site+Referer", "cross-site http://shop.test:9000/", true},
		{"Origin", "http://shop.test:80", false},
		{"Origin", "http://friend.test", false},
		{"Origin", "http://SERVICE.test:8000", false},
		{"Origin", "http://service.test", true},
		{"Origin", "http://evil.test", true},
		{"Origin", "null", true},
		{"Sec-Fetch-Site", "cross-site", true},
		{"Sec-Fetch-Site", "same-origin", false},
		{"Sec-Fetch-Site", "none", false},
		{"Sec-Fetch-Site+Referer", "none http://evil.test/", false},
		{"Referer", "http://evil.test/page", true}, // over plain HTTP browsers may say no more
		{"Referer", "::", true},
		{"Referer", "http://friend.test/page", false},
		{"Referer", "http://service.test:8000/page", false},
		{"Referer+Origin", "http://evil.test/ http://friend.test", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://service.test:8000/", nil)
		names, values := strings.Split(test.header, "+"), strings.Fields(test.value)
		for i, value := range values {
			r.Header.Set(names[i], value)
		}
		assert.Equal(t, test.want, origins.Parse("http://shop.test:*", "http://friend.test").Foreign(r), "%s: %s", test.header, test.value)
	}
}
