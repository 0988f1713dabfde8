package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/textkit"
)

// maxProxyHead bounds a proxy's answer to CONNECT.
const maxProxyHead = 64 << 10

// proxyServer is what stands between a job and its targets.
type proxyServer struct {
	socks bool
	names bool // SOCKS: the proxy looks names up
	https bool // TLS to the proxy itself
	addr  string
	name  string      // its host
	basic string      // value of Proxy-Authorization, or ""
	user  *proxy.Auth // of SOCKS, or nil
}

var errProxy = errors.New("must be an http, https, socks5 or socks5h URL of a host, for instance http://user:password@proxy:3128")

// parseProxy reads the URL of a proxy. Its error does not repeat the URL, which may
// have a password in it.
func parseProxy(s string) (*proxyServer, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errProxy
	}
	p := &proxyServer{name: strings.ToLower(u.Hostname())}
	port := u.Port()
	standard := ""
	switch u.Scheme {
	case "http":
		standard = "80"
	case "https":
		p.https, standard = true, "443"
	case "socks5":
		p.socks, standard = true, "1080"
	case "socks5h":
		p.socks, p.names, standard = true, true, "1080"
	default:
		return nil, errProxy
	}
	if port == "" {
		port = standard
	}
	if err := textkit.CheckPort(port); err != nil {
		return nil, err
	}
	if !textkit.IsHost(p.name) {
		return nil, fmt.Errorf("must have a valid host, not %q", p.name)
	}
	p.addr = net.JoinHostPort(p.name, port)
	if u.User == nil {
		return p, nil
	}
	name := u.User.Username()
	password, _ := u.User.Password()
	if !p.socks {
		p.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
		return p, nil
	}
	const most = 255 // of RFC 1929
	if name == "" || len(name) > most || password == "" || len(password) > most {
		return nil, fmt.Errorf("must have a user and a password of 1 to %d bytes each, as SOCKS has them, or neither", most)
	}
	p.user = &proxy.Auth{User: name, Password: password}
	return p, nil
}

// dial opens a connection to an origin through the proxy; to one that the proxy
// forwards requests to, a connection to the proxy.
func (p *proxyServer) dial(ctx context.Context, r *route, o origin) (net.Conn, error) {
	if rules := r.env.Targets; rules != nil && p.looksUp(r) {
		host, port, err := net.SplitHostPort(o.addr)
		if err != nil {
			return nil, err
		}
		if err := rules.CheckName(host, port); err != nil {
			return nil, err
		}
	}
	if p.socks {
		return p.dialSOCKS(ctx, r, o.addr)
	}
	nc, err := r.direct(ctx, p.addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if p.https {
		config := r.tls.Clone()
		config.ServerName, config.NextProtos = p.name, nil
		config.Certificates, config.GetClientCertificate = nil, nil // are for targets
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, &failure.Error{Class: failure.TLS, Err: fmt.Errorf("proxy: %w", err)}
		}
		nc = secure
	}
	if r.forwards(o) {
		return nc, nil
	}
	if err := p.tunnel(ctx, nc, o.addr); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// looksUp tells whether the proxy looks names up, instead of this side.
func (p *proxyServer) looksUp(r *route) bool { return !p.socks || p.names || r.env.Dial != nil }

// dialSOCKS asks a SOCKS proxy for a connection to an address.
func (p *proxyServer) dialSOCKS(ctx context.Context, r *route, addr string) (net.Conn, error) {
	if !p.looksUp(r) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		addrs, err := r.env.Resolver.addresses(ctx, host, r.ttl)
		if err != nil {
			return nil, err
		}
		if addrs, err = r.allowed(host, port, addrs); err != nil {
			return nil, err
		}
		addr = net.JoinHostPort(addrs[0].WithZone("").String(), port)
	}
	var way forwarder
	way.direct = r.direct
	d, err := proxy.SOCKS5("tcp", p.addr, p.user, &way)
	if err != nil {
		return nil, err
	}
	if _, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return way.opened, nil // what the dialer returns adds nothing, and hides the socket
}

// forwarder makes the connection to a SOCKS proxy, and remembers it.
type forwarder struct {
	direct func(ctx context.Context, addr string) (net.Conn, error)
	opened net.Conn
}

// Dial implements [proxy.Dialer]. It is not called.
func (f *forwarder) Dial(_, addr string) (net.Conn, error) {
	return f.DialContext(context.Background(), "", addr)
}

// DialContext implements [proxy.ContextDialer].
func (f *forwarder) DialContext(ctx context.Context, _, addr string) (nc net.Conn, err error) {
	f.opened, err = f.direct(ctx, addr)
	return f.opened, err
}

// tunnel makes a connection to the proxy one to an address.
func (p *proxyServer) tunnel(ctx context.Context, nc net.Conn, addr string) error {
	if until, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(until); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err := p.connect(nc, addr)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}

// connect sends CONNECT and reads the answer.
func (p *proxyServer) connect(nc net.Conn, addr string) error {
	head := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: " + defaultUserAgent + "\r\n"
	if p.basic != "" {
		head += "Proxy-Authorization: " + p.basic + "\r\n"
	}
	if _, err := io.WriteString(nc, head+"\r\n"); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	br := bufio.NewReader(io.LimitReader(nc, maxProxyHead))
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // is for the connection
	if err != nil {
		return fmt.Errorf("no answer of the proxy to CONNECT: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the proxy refuses to connect to %s: %s", addr, resp.Status)
	}
	if br.Buffered() > 0 {
		return fmt.Errorf("the proxy has sent something of its own on the connection to %s", addr)
	}
	return nil
}

// forwarding is what requests need that a proxy is to forward.
type forwarding struct {
	before string // scheme and authority, for before the path
	auth   string // a header line, or ""
}

func (p *proxyServer) forwarding(s *site) *forwarding {
	f := &forwarding{before: "http://" + s.authority}
	if p.basic != "" {
		f.auth = "Proxy-Authorization: " + p.basic + "\r\n"
	}
	return f
}
