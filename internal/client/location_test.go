package client

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLocationsAreResolvedAsBrowsersDo(t *testing.T) {
	const from = "http://shop.test/a/b?q=1"
	for location, want := range map[string]string{
		"/50%-off":                "http://shop.test /50%-off",
		"/100%":                   "http://shop.test /100%",
		"/a b":                    "http://shop.test /a%20b",
		"/grün?x=ü":               "http://shop.test /gr%C3%BCn?x=%C3%BC",
		"/%zz?a=%zz&b='x'":        "http://shop.test /%zz?a=%zz&b=%27x%27",
		"/a|b^c[d]":               "http://shop.test /a|b^c[d]",
		`/"quoted"<x>{y}`:         "http://shop.test /%22quoted%22%3Cx%3E%7By%7D",
		`\back\slash`:             "http://shop.test /back/slash",
		"c":                       "http://shop.test /a/c",
		"./c":                     "http://shop.test /a/c",
		"../c":                    "http://shop.test /c",
		"../../../c/./d/..":       "http://shop.test /c/",
		"/x/%2e%2E/y":             "http://shop.test /y",
		"?p=2":                    "http://shop.test /a/b?p=2",
		"?":                       "http://shop.test /a/b?",
		"":                        "http://shop.test /a/b?q=1",
		"#top":                    "http://shop.test /a/b?q=1",
		"/x#top":                  "http://shop.test /x",
		"//other.test":            "http://other.test /",
		"//other.test:81/x?y=/":   "http://other.test:81 /x?y=/",
		"https://other.test":      "https://other.test /",
		"HTTPS://other.test?x":    "https://other.test /?x",
		"https:/other.test/x":     "https://other.test /x",
		"http://u:p@other.test/x": "http://other.test /x",
		"http://[::1]:80/x":       "http://[::1]:80 /x",
		"  /trimmed \t":           "http://shop.test /trimmed",
		"/new\nline":              "http://shop.test /newline",
		"a:b":                     "not an http or https URL",
		"javascript:alert(1)":     "not an http or https URL",
		"ftp://other.test/":       "not an http or https URL",
		"http://":                 "not a valid host",
		"http://a b/":             "not a valid host",
		"/path:with/colon":        "http://shop.test /path:with/colon",
		"./a:b":                   "http://shop.test /a/a:b",
	} {
		ref, err := resolveLocation(from, location)
		got := ref.site + " " + ref.path
		if err != nil {
			got = err.Error()
		}
		assert.Equal(t, want, got, "%q", location)
	}
	ref, err := resolveLocation("http://shop.test?q", "x")
	require.NoError(t, err)
	assert.Equal(t, "/x", ref.path)
}

// What net/url resolves without an escape in doubt is resolved alike.
func FuzzLocation(f *testing.F) {
	f.Add("/a/b?c=d")
	f.Add("../x/./y?z")
	f.Add("//other.test:8080/p")
	f.Fuzz(func(t *testing.T, location string) {
		ref, err := resolveLocation("http://shop.test/a/b?q=1", location)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(ref.path, "/"), ref.path)
		require.False(t, strings.ContainsFunc(ref.path, func(r rune) bool { return r <= ' ' || r >= 0x7f }), "%q", ref.path)
		if strings.Trim(location, "abcdefghijklmnopqrstuvwxyz0123456789/?=&-_") != "" {
			return
		}
		base, err := url.Parse("http://shop.test/a/b?q=1")
		require.NoError(t, err)
		u, err := base.Parse(location)
		if err != nil || strings.Contains(location, "//") {
			return
		}
		want := u.EscapedPath()
		if u.RawQuery != "" || u.ForceQuery {
			want += "?" + u.RawQuery
		}
		require.Equal(t, want, ref.path, "%q", location)
	})
}
