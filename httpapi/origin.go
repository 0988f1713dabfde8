package httpapi

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

// parseOrigin reads a pattern of [WithOrigins]. What is no origin matches none.
func parseOrigin(pattern string) origin {
	if pattern == "*" {
		return origin{any: true}
	}
	scheme, rest, _ := strings.Cut(strings.ToLower(strings.TrimSuffix(pattern, "/")), "://")
	host, anyPort := strings.CutSuffix(rest, ":*")
	o := origin{scheme: scheme, host: host, port: "*"}
	if !anyPort {
		u := url.URL{Host: rest}
		o.host, o.port = bracketed(u.Hostname()), u.Port()
	}
	return o
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func (o origin) allows(u *url.URL) bool {
	return o.any || o.scheme == u.Scheme && o.host == bracketed(strings.ToLower(u.Hostname())) &&
		(o.port == "*" || o.port == u.Port())
}

// allows tells whether pages of an origin may use the API.
func (a *API) allows(header string) bool {
	if header == "" || strings.ContainsAny(header, " ,") {
		return false
	}
	if slices.ContainsFunc(a.origins, func(o origin) bool { return o.any }) {
		return true
	}
	u, err := url.Parse(header)
	return err == nil && u.Host != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == "" &&
		slices.ContainsFunc(a.origins, func(o origin) bool { return o.allows(u) })
}

// allowOrigin tells a browser that the page may read the answer, if it may. A cache
// must not show the answer to pages of other origins, whatever this one is.
func (a *API) allowOrigin(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if from := r.Header.Get("Origin"); a.allows(from) {
		h.Set("Access-Control-Allow-Origin", from)
	}
}

// options answers OPTIONS; the router has found out what the path allows. A browser
// asks so before it lets a page post JSON.
func (a *API) options(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.allows(r.Header.Get("Origin")) && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", h.Get("Allow"))
		if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
			h.Set("Access-Control-Allow-Headers", names)
		}
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusOK)
}

// foreign tells whether a browser sent the request for a page of another site. A
// browser sends simple requests without asking first, and the API takes a body of
// any content type, so that any page on the web could steer a loadgen on the
// reader's machine. Programs that are not browsers send neither header.
func (a *API) foreign(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		return r.Header.Get("Sec-Fetch-Site") == "cross-site"
	}
	u, err := url.Parse(from)
	own := err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
	return !own && !a.allows(from)
}
