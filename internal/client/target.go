package client

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/internal/wire"
)

// What requests carry unless the job or the request says otherwise: what aiohttp
// sent for the Python service, except for the name, so that targets see no other
// traffic than before.
const (
	defaultUserAgent      = "loadgen"
	defaultAccept         = "*/*"
	defaultAcceptEncoding = "gzip, deflate"
)

// Target is what a plan's requests have in common. It does not change.
type Target struct {
	env      *Network
	base     *url.URL
	site     *site
	basePath string // escaped; "" or with a leading slash
	fields   []targetField
	tail     []byte // of a request without anything of its own: from the version on

	trace          *tracing // nil: requests are not traced
	http           string   // as in ClientConfig.HTTP
	route          *route
	tls            *tls.Config
	connectTimeout time.Duration
	headerTimeout  time.Duration
	timeout        time.Duration
	maxBody        int64
	close          bool // each connection ends with its first response
	shared         bool // connections are those of the job, not of a VU
}

// targetField is a header field of every request, ready to be sent.
type targetField struct {
	name string
	line string
}

// origin is what a connection leads to.
type origin struct {
	https bool
	http  string // as in ClientConfig.HTTP
	addr  string // host and port
	reach string // how to get there: empty, unless the job says something about it
}

// site is where requests can go.
type site struct {
	origin
	key       string       // scheme and authority as they were written
	authority string       // as in a Host header: without a default port
	name      string       // the host alone, without brackets
	auth      string       // value of Authorization for user and password in the URL
	forward   *forwarding  // nil unless a proxy forwards requests
	hasty     atomic.Int32 // above 0: it was seen to close connections without a word
}

func (s *site) scheme() string {
	if s.https {
		return "https"
	}
	return "http"
}

// NewTarget prepares what requests to a base URL have in common. cfg is valid; what it
// says may still be at fault here.
func NewTarget(cfg *Config, base *url.URL, env *Network) (*Target, fault.List) {
	route, f := newRoute(cfg, env)
	t := &Target{
		env:            env,
		base:           base,
		route:          route,
		trace:          newTracing(&cfg.Trace),
		tls:            route.tls.Clone(),
		shared:         cfg.Reuse == reuseShared,
		basePath:       base.EscapedPath(),
		http:           cfg.HTTP,
		connectTimeout: cfg.ConnectTimeout,
		headerTimeout:  cfg.HeaderTimeout,
		timeout:        cfg.Timeout,
		maxBody:        cfg.MaxBody,
	}
	switch cfg.HTTP {
	case "":
		t.tls.NextProtos = []string{"h2", "http/1.1"}
	case "1.1":
		t.tls.NextProtos = []string{"http/1.1"}
	case "2":
		t.tls.NextProtos = []string{"h2"}
	}
	var err error
	if t.site, err = t.newSite(base); err != nil {
		f.Add("url", "%v", err) // a host that is no name, for instance
		return nil, f
	}
	f = append(f, route.refused(cfg, t.site.origin)...)
	if err = t.renderCommon(cfg.Headers, cfg.Reuse == reuseNone); err != nil {
		f.Add("headers", "%v", err)
	}
	return t, f
}

// newSite is where a URL leads, and how.
func (t *Target) newSite(u *url.URL) (*site, error) {
	s, err := newSite(u, t.http)
	if err != nil {
		return nil, err
	}
	s.reach = t.route.reach(s.https, s.addr)
	if t.route.forwards(s.origin) {
		s.forward = t.route.proxy.forwarding(s)
	}
	return s, nil
}

// origin is that of an address, as a site has it.
func (t *Target) origin(https bool, addr string) origin {
	return origin{https: https, http: t.http, addr: addr, reach: t.route.reach(https, addr)}
}

// serves tells whether a connection that was opened for another target serves this one
// as well.
func (t *Target) serves(o origin) bool { return o == t.origin(o.https, o.addr) }

// alike tells whether connections to any origin are made in the same way for both.
func (t *Target) alike(o *Target) bool {
	return t.http == o.http && t.close == o.close && t.route.same(o.route)
}

// abandons tells whether connections to an origin are of no use any more when t takes
// the place of a target.
func (t *Target) abandons(old *Target, o origin) bool {
	return !t.serves(o) || (o == old.site.origin && o != t.site.origin)
}

// renderCommon makes the header of a request that adds nothing to it.
func (t *Target) renderCommon(headers map[string]string, once bool) error {
	values := map[string]string{
		"Host":            t.site.authority,
		"User-Agent":      defaultUserAgent,
		"Accept":          defaultAccept,
		"Accept-Encoding": defaultAcceptEncoding,
	}
	names := []string{"Host", "User-Agent", "Accept", "Accept-Encoding"}
	if t.site.auth != "" {
		values["Authorization"] = t.site.auth
		names = append(names, "Authorization")
	}
	for _, name := range textkit.SortedKeys(headers) {
		canonical := http.CanonicalHeaderKey(name)
		if FramingHeader(canonical) {
			continue
		}
		if _, ok := values[canonical]; !ok {
			names = append(names, canonical)
		}
		values[canonical] = headers[name]
	}
	if once {
		if _, ok := values["Connection"]; !ok {
			names = append(names, "Connection")
		}
		values["Connection"] = "close"
	}
	t.tail = append(t.tail, versionLine...)
	for _, name := range names {
		line, err := wire.AppendField(nil, name, values[name])
		if err != nil {
			return err
		}
		t.fields = append(t.fields, targetField{name, string(line)})
		t.tail = append(t.tail, line...)
	}
	t.close = wire.HasToken(values["Connection"], "close")
	return nil
}

// FramingHeader tells whether the client alone decides about a header.
func FramingHeader(name string) bool {
	return name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer"
}

// newSite reads scheme, user, host and port of a URL.
func newSite(u *url.URL, version string) (*site, error) {
	s := &site{origin: origin{https: u.Scheme == "https", http: version}}
	if !s.https && u.Scheme != "http" {
		return nil, fmt.Errorf("URL scheme %q is neither http nor https", u.Scheme)
	}
	host := strings.ToLower(u.Hostname())
	if host == "" {
		return nil, errors.New("a URL needs a host")
	}
	if !textkit.IsASCII(host) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return nil, fmt.Errorf("host %q is not a valid name: %w", host, err)
		}
		host = ascii
	}
	if !textkit.IsHost(host) {
		return nil, fmt.Errorf("host %q is not valid", host)
	}
	port, standard := u.Port(), "80"
	if s.https {
		standard = "443"
	}
	if port == "" {
		port = standard
	}
	if err := textkit.CheckPort(port); err != nil {
		return nil, err
	}
	s.addr = net.JoinHostPort(host, port)
	s.name, _, _ = strings.Cut(host, "%") // an IPv6 zone is for this machine only
	s.authority = s.name
	if strings.Contains(s.name, ":") {
		s.authority = "[" + s.name + "]"
	}
	if port != standard {
		s.authority += ":" + port
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return s, nil
}

// maxSites is how many hosts of absolute URLs a VU remembers.
const maxSites = 8

// site returns the site of an absolute URL, given as scheme and authority.
func (c *Client) site(key []byte) (*site, error) {
	for _, s := range c.sites {
		if s.key == string(key) {
			return s, nil
		}
	}
	u, err := url.Parse(string(key))
	if err != nil {
		return nil, err
	}
	s, err := c.target.newSite(u)
	if err != nil {
		return nil, err
	}
	s.key = string(key)
	if len(c.sites) == maxSites {
		c.sites = append(c.sites[:0], c.sites[1:]...)
	}
	c.sites = append(c.sites, s)
	return s, nil
}

// splitURL splits an absolute URL into scheme with authority, and the rest. The
// first part is empty if s is relative.
func splitURL(s []byte) (site, rest []byte) {
	i := 0
	for i < len(s) && (s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') {
		i++
	}
	if i == 0 || !bytes.HasPrefix(s[i:], []byte("://")) {
		return nil, s
	}
	for i += len("://"); i < len(s); i++ {
		if s[i] == '/' || s[i] == '?' || s[i] == '#' {
			return s[:i], s[i:]
		}
	}
	return s, nil
}

// ValidHeaderValue reports whether s may stand in a header line.
func ValidHeaderValue(s string) bool { return httpguts.ValidHeaderFieldValue(s) }
