package client

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// maxCookies is how many cookies a VU sends to one URL at most: as many as browsers
// keep for a site. Beyond them, new ones are not taken.
const maxCookies = 180

// keepCookies takes the cookies that a response sets.
func (c *Client) keepCookies(x *exchange) {
	// Asking for the values allocates; most responses set none.
	if x.jarless || (x.h2 == nil && len(x.in.Header.Peek("Set-Cookie")) == 0) {
		return
	}
	var cookies []*http.Cookie
	for line := range x.reply.setCookies() {
		if cookie, err := http.ParseSetCookie(string(line)); err == nil {
			cookies = append(cookies, cookie)
		}
	}
	if cookies != nil {
		(*lazyJar)(c).SetCookies(x.cookieURL(), cookies)
	}
}

// appendJar appends the cookies that a request takes along to those that it has.
func (x *exchange) appendJar(cookie []byte) []byte {
	if x.c.jar == nil || x.jarless {
		return cookie
	}
	for _, k := range x.c.jar.Cookies(x.cookieURL()) {
		if len(cookie) > 0 {
			cookie = append(cookie, "; "...)
		}
		cookie = append(append(append(cookie, k.Name...), '='), k.Value...)
	}
	return cookie
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
	return findCookie(c.jar.Cookies(u), name)
}

// Cookie returns a cookie as the VU would send it back, or as the response sets it.
func (r *Reply) Cookie(name string) (string, bool) {
	if jar := r.x.c.jar; jar != nil && !r.x.jarless {
		if v, ok := findCookie(jar.Cookies(r.x.cookieURL()), name); ok {
			return v, true
		}
	}
	for line := range r.setCookies() {
		if k, err := http.ParseSetCookie(string(line)); err == nil && k.Name == name && k.MaxAge >= 0 {
			return k.Value, true
		}
	}
	return "", false
}

func findCookie(cookies []*http.Cookie, name string) (string, bool) {
	for _, k := range cookies {
		if k.Name == name {
			return k.Value, true
		}
	}
	return "", false
}

// lazyJar is the VU's cookie jar, which exists only once there are cookies.
type lazyJar Client

// Cookies implements [http.CookieJar].
func (j *lazyJar) Cookies(u *url.URL) []*http.Cookie {
	if j.jar == nil {
		return nil
	}
	return j.jar.Cookies(u)
}

// SetCookies implements [http.CookieJar].
func (j *lazyJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	if j.jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return // cannot be: no options
		}
		j.jar = jar
	}
	have := j.jar.Cookies(u)
	if len(have)+len(cookies) > maxCookies {
		known := make(map[string]bool, len(have))
		for _, k := range have {
			known[k.Name] = true
		}
		room := maxCookies - len(have)
		kept := cookies[:0:0]
		for _, k := range cookies {
			if !known[k.Name] {
				if room <= 0 {
					continue
				}
				room--
			}
			kept = append(kept, k)
		}
		cookies = kept
	}
	j.jar.SetCookies(u, cookies)
}
