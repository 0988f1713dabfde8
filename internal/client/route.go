package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/textkit"
)

// What ClientConfig.Reuse can be.
const (
	reuseVU     = "vu"
	reuseShared = "shared"
	reuseNone   = "none"
)

// unixPrefix marks the path of a Unix socket where an address is expected.
const unixPrefix = "unix:"

// route is the way from a job to its targets. It does not change.
type route struct {
	env   *Network
	local netip.Addr // invalid: as the system picks
	ttl   time.Duration
	to    map[string]string
	proxy *proxyServer
	tls   *tls.Config // of no protocol yet

	through string // what all connections have in common; "" by default
	trust   string // what those that are encrypted have in common besides
}

// newRoute reads what a config says about the way. The config is valid.
func newRoute(cfg *Config, env *Network) (r *route, f fault.List) {
	r = &route{env: env, ttl: cfg.DNSTTL, to: make(map[string]string, len(cfg.ConnectTo)), trust: cfg.CACerts}
	r.tls = newTLSConfig(cfg, env)
	if cfg.Insecure {
		r.trust = "insecure"
	}
	if cfg.LocalAddr != "" {
		r.local, _ = netip.ParseAddr(cfg.LocalAddr)
		r.through = r.local.String()
		if env.Dial != nil {
			f.Add("local_addr", "cannot be set, because a dialer of its own makes the connections")
		}
	}
	for from, to := range cfg.ConnectTo {
		r.to[strings.ToLower(from)] = to
		if socket, ok := strings.CutPrefix(to, unixPrefix); ok && (env.UnixSocket == nil || !env.UnixSocket(socket)) {
			f.Add("connect_to."+from, "leads to a Unix socket that jobs are not allowed to use")
		}
	}
	if cfg.Proxy != "" {
		r.proxy, _ = parseProxy(cfg.Proxy)
		r.through += " " + cfg.Proxy
	}
	return r, f
}

// reach describes how connections to an address are made. Those to the same address
// whose descriptions differ cannot stand in for one another.
func (r *route) reach(https bool, addr string) string {
	through := r.through
	if to, ok := r.to[addr]; ok {
		through = r.local.String() + " " + to
	}
	if https || (r.proxy != nil && r.proxy.https) {
		through += r.trust
	}
	return through
}

// same tells whether two routes lead everywhere in the same way.
func (r *route) same(o *route) bool {
	return r == o || (r.through == o.through && r.trust == o.trust && maps.Equal(r.to, o.to))
}

// proxied tells whether connections to an address are those to a proxy.
func (r *route) proxied(o origin) bool {
	_, direct := r.to[o.addr]
	return r.proxy != nil && !direct
}

// remoteAddr is the IP address at the other end of a connection, if it has one.
func remoteAddr(nc net.Conn) netip.Addr {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	return addr.Unmap()
}

// forwards tells whether a proxy is given requests to an address, instead of a tunnel.
func (r *route) forwards(o origin) bool {
	return r.proxied(o) && !r.proxy.socks && !o.https && o.http != "2"
}

// dial opens a connection that leads to an origin, or to the proxy that forwards to
// it. An error may be an [*Error].
func (r *route) dial(ctx context.Context, o origin) (net.Conn, error) {
	if to, ok := r.to[o.addr]; ok {
		return r.direct(ctx, to)
	}
	if r.proxy != nil {
		return r.proxy.dial(ctx, r, o)
	}
	return r.direct(ctx, o.addr)
}

// direct opens a connection to an address, past any proxy.
func (r *route) direct(ctx context.Context, addr string) (net.Conn, error) {
	network := "tcp"
	if socket, ok := strings.CutPrefix(addr, unixPrefix); ok {
		network, addr = "unix", socket
	}
	if r.env.Dial != nil {
		return r.dialOther(ctx, network, addr)
	}
	if network == "unix" {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs, err := r.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if addrs, err = r.allowed(host, port, addrs); err != nil {
		return nil, err
	}
	var d net.Dialer
	if r.env.Descriptors > 0 {
		d.Control = r.env.spare
	}
	if r.local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.local, 0))
	}
	return dialAny(ctx, &d, addrs, port)
}

// dialOther opens a connection by the dialer of [WithDialContext], which looks names up
// as it likes: where it has led to shows only then.
func (r *route) dialOther(ctx context.Context, network, addr string) (net.Conn, error) {
	rules := r.env.Targets
	if rules == nil || network == "unix" {
		return r.env.Dial(ctx, network, addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if err := rules.CheckHost(host, port); err != nil {
		return nil, err
	}
	nc, err := r.env.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	to, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	switch {
	case err == nil:
		err = rules.Check(host, port, to.Addr())
	case rules.AllowsName(host, port):
		err = nil
	default:
		err = rules.Refused(addr)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// allowed returns those of a host's addresses that the rules for targets allow.
func (r *route) allowed(host, port string, addrs []netip.Addr) ([]netip.Addr, error) {
	rules := r.env.Targets
	if rules == nil {
		return addrs, nil
	}
	var may []netip.Addr
	var first error
	for _, a := range addrs {
		if err := rules.Check(host, port, a); err == nil {
			may = append(may, a)
		} else if first == nil {
			first = err
		}
	}
	if len(may) == 0 {
		return nil, first
	}
	return may, nil
}

// refused lists the targets of a config that the rules certainly do not allow.
func (r *route) refused(cfg *Config, o origin) (f fault.List) {
	rules := r.env.Targets
	if rules == nil {
		return nil
	}
	check := func(field, addr string, refuses func(host, port string) error) {
		if host, port, err := net.SplitHostPort(addr); err == nil && !strings.HasPrefix(addr, unixPrefix) {
			if err := refuses(strings.ToLower(host), port); err != nil {
				f.Add(field, "%w", err)
			}
		}
	}
	for _, from := range textkit.SortedKeys(cfg.ConnectTo) {
		check("connect_to."+from, cfg.ConnectTo[from], rules.CheckHost)
	}
	if r.proxy != nil {
		check("proxy", r.proxy.addr, rules.CheckHost)
	}
	switch _, led := r.to[o.addr]; {
	case led:
	case r.proxy != nil && r.proxy.looksUp(r):
		check("url", o.addr, rules.CheckName)
	default:
		check("url", o.addr, rules.CheckHost)
	}
	return f
}

// resolve returns the addresses of a host, those first that are to be tried first.
func (r *route) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := r.env.Resolver.addresses(ctx, host, r.ttl)
	if err != nil || !r.local.IsValid() {
		return addrs, err
	}
	var fit []netip.Addr
	for _, a := range addrs {
		if a.Is4() == r.local.Is4() {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("%s has no address that can be reached from %s", host, r.local)
	}
	return fit, nil
}

// dialAny tries addresses in turn, each with its share of the time that is left.
func dialAny(ctx context.Context, d *net.Dialer, addrs []netip.Addr, port string) (net.Conn, error) {
	var first error
	for i, a := range addrs {
		share, cancel := ctx, context.CancelFunc(func() {})
		if until, ok := ctx.Deadline(); ok && i < len(addrs)-1 {
			share, cancel = context.WithTimeout(ctx, time.Until(until)/time.Duration(len(addrs)-i))
		}
		nc, err := d.DialContext(share, "tcp", net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return nc, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// newTLSConfig is that of the Manager, with what a job changes about it.
func newTLSConfig(cfg *Config, env *Network) *tls.Config {
	c := env.TLS.Clone()
	if c == nil {
		c = &tls.Config{}
	}
	if cfg.Insecure {
		c.InsecureSkipVerify = true //nolint:gosec // asked for
	}
	if cfg.CACerts != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(cfg.CACerts))
	}
	return c
}
