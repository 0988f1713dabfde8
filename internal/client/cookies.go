package client

import (
	"bytes"
	"net/url"
	"strings"
	"time"
)

// keepCookies takes the cookies that a response sets.
func (c *Client) keepCookies(x *exchange) {
	// Asking for the values allocates; most responses set none.
	if x.h2 == nil && len(x.in.Header.Peek("Set-Cookie")) == 0 {
		return
	}
	var from *url.URL
	for line := range x.reply.setCookies() {
		if from == nil {
			from = x.cookieURL()
		}
		(*lazyJar)(c).take(from, string(line))
	}
}

// appendJar appends the cookies that a request takes along to those that it has.
func (x *exchange) appendJar(cookie []byte) []byte {
	if x.c.jar == nil {
		return cookie
	}
	for _, k := range x.c.jar.matching(x.cookieURL(), time.Now()) {
		if len(cookie) > 0 {
			cookie = append(cookie, "; "...)
		}
		cookie = append(append(append(cookie, k.name...), '='), k.value...)
	}
	return cookie
}

// withoutJar takes those cookies out of a Cookie header that the jar has for the request:
// http.Client puts them there, and spoils what it takes for badly quoted.
func (x *exchange) withoutJar(line []byte) []byte {
	if x.c.jar == nil {
		return line
	}
	have := x.c.jar.matching(x.cookieURL(), time.Now())
	var kept []byte
pairs:
	for pair := range bytes.SplitSeq(line, []byte("; ")) {
		name, _, _ := bytes.Cut(pair, []byte("="))
		for _, k := range have {
			if k.name == string(name) {
				continue pairs
			}
		}
		if kept != nil {
			kept = append(kept, "; "...)
		}
		kept = append(kept, pair...)
	}
	return kept
}

// cookieURL is the address of the hop as far as cookies are concerned.
func (x *exchange) cookieURL() *url.URL {
	escaped, _, _ := bytes.Cut(x.path(), []byte("?"))
	path, err := url.PathUnescape(string(escaped))
	if err != nil {
		path = string(escaped)
	}
	return &url.URL{Scheme: x.at.scheme(), Host: x.at.authority, Path: path}
}

// Cookie returns a cookie that the VU would send to a URL.
func (c *Client) Cookie(ref, name string) (string, bool) {
	if c.jar == nil {
		return "", false
	}
	t, _ := c.owner.Newest()
	u, err := t.base.Parse(ref)
	if err != nil {
		return "", false
	}
	if ref != "" && ref[0] == '/' { // below the base's path
		u.Path = strings.TrimSuffix(t.base.Path, "/") + u.Path
	}
	return findCookie(c.jar.matching(u, time.Now()), name)
}

// Cookie returns a cookie as the VU would send it back, or as the response sets it.
func (r *Reply) Cookie(name string) (string, bool) {
	if jar := r.x.c.jar; jar != nil {
		if v, ok := findCookie(jar.matching(r.x.cookieURL(), time.Now()), name); ok {
			return v, true
		}
	}
	now := time.Now()
	for line := range r.setCookies() {
		if k, ok := parseSetCookie(string(line), now); ok && k.name == name && (k.expires.IsZero() || k.expires.After(now)) {
			return k.value, true
		}
	}
	return "", false
}

func findCookie(cookies []*cookie, name string) (string, bool) {
	for _, k := range cookies {
		if k.name == name {
			return k.value, true
		}
	}
	return "", false
}
