package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kept is the Cookie header that a jar makes for a URL.
func kept(t *testing.T, j *jar, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	var pairs []string
	for _, k := range j.matching(u, time.Now()) {
		pairs = append(pairs, k.name+"="+k.value)
	}
	return strings.Join(pairs, "; ")
}

func TestCookieValuesComeBackByteForByte(t *testing.T) {
	for line, want := range map[string]string{
		`sso="a b,c"; Path=/`:             `sso="a b,c"`,
		`cart={"id":1,"items":["a","b"]}`: `cart={"id":1,"items":["a","b"]}`,
		"  name =  spaced out  ;Secure":   "name=spaced out",
		`back=a\b`:                        `back=a\b`,
		"umlaut=grün":                     "umlaut=grün",
		"a=b=c==":                         "a=b=c==",
		"empty=":                          "empty=",
		"we ird=x":                        "we ird=x",
		"a=1; Domain=shop.test":           "a=1",
		"a=1; Domain=.SHOP.test":          "a=1",
		"a=1; Domain=test":                "a=1",
		"a=1; Domain=other.test":          "",
		"a=1; Domain=deep.www.shop.test":  "",
		"a=1; Path=/other":                "",
		"a=1; Path=/ca":                   "",
		"a=1; Path=/cart":                 "a=1",
		"a=1; Path=/cart/":                "a=1",
		"a=1; Path=relative":              "a=1",
		"a=1; Max-Age=0":                  "",
		"a=1; Max-Age=-5; Expires=Fri, 01 Jan 2100 00:00:00 GMT": "",
		"a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT": "a=1",
		"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60": "a=1",
		"a=1; Max-Age=99999999999999999999":                      "a=1",
		"a=1; Max-Age=soon":                                      "a=1",
		"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT":             "",
		"a=1; Expires=Thursday, 01-Jan-70 00:00:00 GMT":          "",
		"a=1; expires = Thu Jan  1 00:00:00 1970":                "",
		"a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT":             "a=1",
		"a=1; Expires=never":                                     "a=1",
		"no pair at all":                                         "",
		"=nameless":                                              "",
		"a=" + strings.Repeat("x", maxCookieSize):                "",
		"a=\x01": "",
	} {
		var j jar
		from, err := url.Parse("https://www.shop.test/cart/add")
		require.NoError(t, err)
		j.take(from, line, time.Now())
		assert.Equal(t, want, kept(t, &j, "https://www.shop.test/cart/items"), "%q", line)
	}
}

func TestCookiesGoWhereTheyBelong(t *testing.T) {
	for _, c := range []struct{ line, from, to, want string }{
		{"a=1", "http://shop.test/", "http://www.shop.test/", ""},
		{"a=1; Domain=shop.test", "http://shop.test/", "http://www.shop.test/", "a=1"},
		{"a=1; Domain=shop.test", "http://www.shop.test/", "http://notshop.test/", ""},
		{"a=1; Secure", "https://shop.test/", "http://shop.test/", ""},
		{"a=1; Secure", "https://shop.test/", "https://shop.test/", "a=1"},
		{"a=1; Secure", "http://localhost:8000/", "http://localhost:8000/", "a=1"},
		{"a=1; Secure", "http://127.0.0.1:8000/", "http://127.0.0.1:8000/", "a=1"},
		{"a=1; Domain=127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", "a=1"},
		{"a=1; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", ""},
		{"a=1", "http://shop.test/a/b", "http://shop.test/a", "a=1"},
		{"a=1", "http://shop.test/a/b/", "http://shop.test/a/b/c", "a=1"},
		{"a=1", "http://shop.test/a/b/", "http://shop.test/a/bc", ""},
		{"a=1", "http://shop.test", "http://shop.test/x", "a=1"},
	} {
		var j jar
		from, err := url.Parse(c.from)
		require.NoError(t, err)
		j.take(from, c.line, time.Now())
		assert.Equal(t, c.want, kept(t, &j, c.to), "%v", c)
	}
	var j jar
	from := &url.URL{Scheme: "http", Host: "shop.test", Path: "/"}
	for _, line := range []string{"a=1", "b=2; Path=/deep", "c=3; Path=/deep", "a=4", "d=5"} {
		j.take(from, line, time.Now())
	}
	assert.Equal(t, "b=2; c=3; a=4; d=5", kept(t, &j, "http://shop.test/deep/x"), "longer paths first, then the older")
	j.take(from, "a=; Max-Age=0", time.Now())
	assert.Equal(t, "d=5", kept(t, &j, "http://shop.test/"))
}

func TestAJarIsBoundedAndTheOldestCookiesGo(t *testing.T) {
	var j jar
	for i := range 100_000 {
		from := &url.URL{Scheme: "http", Host: "shop.test", Path: "/"}
		j.take(from, fmt.Sprintf("c%d=x; Path=/p%d", i, i), time.Now())
	}
	require.Len(t, j.cookies, maxCookies)
	assert.Equal(t, "c99999", j.cookies[maxCookies-1].name)
	assert.Equal(t, "c99820", j.cookies[0].name)
	for i := range 100 {
		from := &url.URL{Scheme: "http", Host: fmt.Sprintf("shop%d.test", i), Path: "/"}
		for n := range maxCookies {
			j.take(from, fmt.Sprintf("c%d=x", n), time.Now())
		}
	}
	assert.Len(t, j.cookies, maxJar)
	from := &url.URL{Scheme: "http", Host: "last.test", Path: "/"}
	size := 0
	for i := range 1000 {
		j.take(from, fmt.Sprintf("c%d=%s", i, strings.Repeat("x", 4000)), time.Now())
	}
	for i := range j.cookies {
		size += j.cookies[i].size()
	}
	assert.Equal(t, size, j.bytes)
	assert.LessOrEqual(t, size, maxJarBytes)

	synctest.Test(t, func(t *testing.T) {
		var j jar
		for i := range maxCookies {
			j.take(from, fmt.Sprintf("c%d=x; Max-Age=%d", i, 100-50*(i%2)), time.Now())
		}
		time.Sleep(time.Minute)
		assert.Equal(t, maxCookies/2, strings.Count(kept(t, &j, "http://last.test/"), "="))
		j.take(from, "new=x", time.Now())
		assert.Len(t, j.cookies, maxCookies/2+1, "what has expired goes first")
	})
}

func TestCookiesOfAnHTTPClientComeBackByteForByte(t *testing.T) {
	const value = `{"a": "b, c"}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			w.Header().Add("Set-Cookie", "cart="+value+"; Path=/")
			http.Redirect(w, r, "/home", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	}))
	defer srv.Close()
	rig := newRig(t, testConfig{BaseURL: srv.URL})
	get := func(path, own string) string {
		req, err := http.NewRequestWithContext(rig.ctx, http.MethodGet, srv.URL+path, nil)
		require.NoError(t, err)
		if own != "" {
			req.Header.Set("Cookie", own)
		}
		resp, err := rig.client.HTTPClient().Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	assert.Equal(t, "cart="+value, get("/login", ""))
	assert.Equal(t, "cart="+value, get("/", ""))
	assert.Equal(t, "own=1; cart="+value, get("/", "own=1"))
	assert.Equal(t, "cart="+value, string(rig.mustDo(testRequest{URL: "/"}).Body))
}

func FuzzSetCookie(f *testing.F) {
	f.Add("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=5; Domain=shop.test; Path=/; Secure")
	f.Add(`a="x y"; expires=1-2-3 4:5:6`)
	f.Fuzz(func(t *testing.T, line string) {
		var j jar
		j.take(&url.URL{Scheme: "https", Host: "shop.test", Path: "/a/b"}, line, time.Now())
		require.LessOrEqual(t, len(j.cookies), 1)
		for _, k := range j.cookies {
			require.Contains(t, line, k.name+"")
			require.Contains(t, line, k.value)
			require.True(t, strings.HasPrefix(k.path, "/"))
			require.True(t, k.domain == "shop.test" || k.domain == "test", k.domain)
		}
	})
}
