// Package origins holds the rules of which web pages may use a service from a
// browser: those of the service's own address, and those of origins on a list.
// Programs that are not browsers name no origin and always may.
package origins

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// List is the origins whose pages may use a service. It does not change, and is safe
// for concurrent use. The zero List allows none.
type List struct{ patterns []pattern }

// pattern matches origins.
type pattern struct {
	any          bool // whatever the rest says
	scheme, host string
	port         string // "*" for any or none
}

// Parse reads patterns: an origin such as "http://example.com:9000", the same with a
// port of * for any port or none, or * for any origin. What is none of these matches
// nothing.
func Parse(patterns ...string) List {
	var l List
	for _, text := range patterns {
		if text == "*" {
			l.patterns = append(l.patterns, pattern{any: true})
			continue
		}
		text, anyPort := strings.CutSuffix(strings.TrimSuffix(text, "/"), ":*")
		u, ok := parse(text)
		if !ok {
			continue
		}
		p := pattern{scheme: u.Scheme, host: u.Hostname(), port: u.Port()}
		if anyPort {
			p.port = "*"
		}
		l.patterns = append(l.patterns, p)
	}
	return l
}

// Local is the list of who has nothing configured: this machine by its usual names,
// on any port.
func Local() List {
	return Parse(
		"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*",
		"https://localhost:*", "https://127.0.0.1:*", "https://[::1]:*",
	)
}

// Allows tells whether a header Origin names an origin of the list.
func (l List) Allows(header string) bool {
	if header == "" || strings.ContainsAny(header, " ,") {
		return false
	}
	u, ok := parse(header)
	return slices.ContainsFunc(l.patterns, func(p pattern) bool { return p.any || ok && p.matches(u) })
}

func (p pattern) matches(u *url.URL) bool {
	return p.scheme == u.Scheme && p.host == u.Hostname() && (p.port == "*" || p.port == u.Port())
}

// Mark tells a browser by the header of an answer that the page which asked may read
// it, if it may. A cache must not show the answer to pages of other origins, whatever
// this one is.
func (l List) Mark(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if from := r.Header.Get("Origin"); l.Allows(from) {
		h.Set("Access-Control-Allow-Origin", from)
	}
}

// Foreign tells whether a browser sent a request for a page of another site that is
// not on the list. A browser sends simple requests without asking first, some of them
// without the header Origin; these it marks as coming from another site, or from
// another origin of the same site.
func (l List) Foreign(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "cross-site":
			return true
		case "same-site": // of another port or a sister domain: where from tells the referrer, if anything
			from = origin(r.Header.Get("Referer"))
		case "": // over plain HTTP, off loopback, browsers say no more than the referrer
			if r.Header.Get("Referer") == "" {
				return false
			}
			from = origin(r.Header.Get("Referer"))
		default:
			return false
		}
	}
	u, ok := parse(from)
	own := ok && strings.EqualFold(u.Host, r.Host)
	return !own && !l.Allows(from)
}

// parse reads an origin, which is a scheme and a host with or without a port.
func parse(text string) (*url.URL, bool) {
	u, err := url.Parse(strings.ToLower(text))
	return u, err == nil && u.Scheme != "" && u.Host != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}

// origin is the origin of a URL, or "".
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
