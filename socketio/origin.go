package socketio

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origin is a pattern of origins.
type origin struct {
	any          bool // whatever the rest says
	scheme, host string
	port         string // "*" for any or none
}

func defaultOrigins() []string {
	var patterns []string
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		patterns = append(patterns, "http://"+host+":*", "https://"+host+":*")
	}
	return patterns
}

// parseOrigins reads the patterns of [WithOrigins]. What is no origin matches none.
func parseOrigins(patterns []string) []origin {
	var out []origin
	for _, pattern := range patterns {
		if pattern == "*" {
			out = append(out, origin{any: true})
			continue
		}
		text, anyPort := strings.CutSuffix(strings.TrimSuffix(strings.ToLower(pattern), "/"), ":*")
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			continue
		}
		o := origin{scheme: u.Scheme, host: u.Hostname(), port: u.Port()}
		if anyPort {
			o.port = "*"
		}
		out = append(out, o)
	}
	return out
}

func (o origin) matches(u *url.URL) bool {
	return o.any || o.scheme == u.Scheme && o.host == u.Hostname() && (o.port == "*" || o.port == u.Port())
}

// allows tells whether who sent a request may connect: a program that is not a
// browser, a page of the server's own address, or one of an allowed origin. A page
// may send simple requests without asking, also some without the header Origin;
// these a browser marks as coming from another site.
func (o *options) allows(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site"
	}
	if slices.ContainsFunc(o.origins, func(p origin) bool { return p.any }) {
		return true
	}
	u, err := url.Parse(strings.ToLower(from))
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) ||
		slices.ContainsFunc(o.origins, func(p origin) bool { return p.matches(u) })
}
