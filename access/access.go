// Package access decides who may use an [http.Handler]: whoever knows the token, by
// a bearer header or, in a browser, by a cookie after a login form; and only under a
// name that the server goes by, so that a page of another site cannot reach it by
// pointing a name of its own at the server's address (DNS rebinding).
//
//	gate, err := access.New(handler, access.WithToken(os.Getenv("LOADGEN_TOKEN")), access.WithHosts("load.example.com"))
//	http.Serve(listener, gate)
//
// It does not look at what a request does: which pages may cause changes is for the
// handlers behind it. It only lets pages of other origins read its refusals.
package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/loglimit"
	"github.com/opbeans/loadgen/internal/origins"
)

// DefaultLoginPath is where the login form is sent to, unless [WithLoginPath] says
// otherwise.
const DefaultLoginPath = "/login"

// The codes of refusals, as the answer's body {"error":{"code":…,"message":…}} has
// them.
const (
	CodeUnauthorized = "unauthorized"       // 401: no token, or a wrong one
	CodeHost         = "host_not_allowed"   // 403: the header Host has a name that the server does not go by
	CodeOrigin       = "origin_not_allowed" // 403: a page of another site wants to log in
)

// Gate is an [http.Handler] that lets requests through to another one. It is safe for
// concurrent use.
type Gate struct {
	next    http.Handler
	key     *key // nil: everybody may
	hosts   []string
	own     *ownNames // nil: names are not looked up
	public  []string
	login   string
	origins origins.List // whose pages may read refusals
	log     *slog.Logger
	refused loglimit.Limit
}

// Option configures a [Gate].
type Option func(*Gate) error

// WithToken makes the token the condition for all but public paths. It is of visible
// ASCII characters; an empty one asks for nothing.
func WithToken(token string) Option {
	return func(g *Gate) error {
		if token == "" {
			return nil
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return errors.New("the token must be of visible ASCII characters, without spaces")
		}
		g.key = newKey(token)
		return nil
	}
}

// WithHosts adds names that the server goes by, for instance "load.example.com"; "*"
// stands for any name. IP addresses, localhost and names below it always count.
func WithHosts(names ...string) Option {
	return func(g *Gate) error {
		for _, name := range names {
			name = canonical(name)
			if name != "*" && (name == "" || strings.ContainsAny(name, "/:* ,@")) {
				return fmt.Errorf("%q must be the name of a host, without a port, or *", name)
			}
			g.hosts = append(g.hosts, name)
		}
		return nil
	}
}

// WithPublic adds paths that need no token, for instance one that tells whether the
// server is well.
func WithPublic(paths ...string) Option {
	return func(g *Gate) error {
		g.public = append(g.public, paths...)
		return nil
	}
}

// WithLoginPath sets where the login form is sent to, which a gate under a prefix
// needs. Default: [DefaultLoginPath].
func WithLoginPath(path string) Option {
	return func(g *Gate) error {
		g.login = path
		return nil
	}
}

// WithOrigins sets the origins whose pages may read in a browser why they were refused,
// for instance "http://example.com:9000": those that may use the handler behind the
// gate. A port of * stands for any port or none, and the origin * for any origin.
// Without this option these are localhost, 127.0.0.1 and [::1] on any port.
func WithOrigins(patterns ...string) Option {
	return func(g *Gate) error {
		g.origins = origins.Parse(patterns...)
		return nil
	}
}

// WithLogger logs refusals, at most one in ten seconds. Default: none is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(g *Gate) error {
		g.log = logger
		return nil
	}
}

// New returns a gate before a handler. The error says which option cannot be.
func New(next http.Handler, opts ...Option) (*Gate, error) {
	g := &Gate{next: next, login: DefaultLoginPath, origins: origins.Local(), log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		if err := opt(g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// ServeHTTP lets a request through or refuses it.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.serves(r.Context(), r.Host):
		g.note(r, CodeHost)
		g.refuse(w, r, http.StatusForbidden, CodeHost, fmt.Sprintf(
			"the server does not go by the name %.100q; it can be told to (-allow-host, LOADGEN_ALLOW_HOST)", r.Host))
	case g.key == nil:
		g.next.ServeHTTP(w, r)
	case r.URL.Path == g.login:
		g.serveLogin(w, r)
	case r.Method == http.MethodOptions, slices.Contains(g.public, r.URL.Path), g.knows(r):
		// A browser asks with OPTIONS before it sends a token; there is nothing in it.
		g.next.ServeHTTP(w, r)
	case wantsPage(r):
		w.Header().Set("WWW-Authenticate", challenge)
		g.form(w, http.StatusUnauthorized, r.URL.RequestURI(), "")
	default:
		g.note(r, CodeUnauthorized)
		w.Header().Set("WWW-Authenticate", challenge)
		g.refuse(w, r, http.StatusUnauthorized, CodeUnauthorized, `a token is needed, as a header "Authorization: Bearer TOKEN"; a browser gets one by the form at `+g.login)
	}
}

// maxSessions is how many cookies of the name of the login are tried.
const maxSessions = 20

const challenge = `Bearer realm="loadgen"`

// serves tells whether a Host header has a name of the server. Requests without one
// are not of a browser.
func (g *Gate) serves(ctx context.Context, host string) bool {
	if host == "" {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = canonical(host)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(g.hosts, func(name string) bool { return name == "*" || name == host }) ||
		g.own != nil && g.own.has(ctx, host)
}

func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// knows tells whether the sender has shown that it knows the token. The cookie counts
// only for pages of the server's own: one of another port of the same machine, to
// which a browser sends it as well, needs the token.
func (g *Gate) knows(r *http.Request) bool {
	if given, ok := bearer(r); ok {
		return g.key.isToken(given)
	}
	// A page of another port of the host can set a cookie of this name, too, but not a valid one.
	for i, c := range r.CookiesNamed(g.key.cookie) {
		if i < maxSessions && ownPage(r) && g.key.isSession(c.Value, time.Now()) {
			return true
		}
	}
	return false
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// ownPage tells whether a request is of no page of another origin. Browsers leave the
// header Origin out where a page only has something shown, such as an image.
func ownPage(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site != "cross-site" && site != "same-site"
	}
	u, err := url.Parse(from)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// wantsPage tells whether a person looks at the answer.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// refuse answers in the form that the API's refusals have.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	h := w.Header()
	g.origins.Mark(h, r)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]detail{"error": {code, message}}) // the client may be gone
}

// note logs a refusal.
func (g *Gate) note(r *http.Request, code string) {
	if skipped, ok := g.refused.Pass(); ok {
		g.log.Warn("a request was refused", "code", code, "from", r.RemoteAddr, "host", fmt.Sprintf("%.100q", r.Host), "not_logged", skipped)
	}
}
