package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/wire"
)

// maxIdle is how many idle connections a VU keeps, to different hosts.
const maxIdle = 6

// ticketWait is how long a record that came over an idle connection of TLS may take to be read.
const ticketWait = time.Millisecond

// conn is one connection of HTTP/1.1.
type conn struct {
	wire.Conn
	raw    net.Conn  // under TLS, if there is any
	secure *tls.Conn // nil without TLS
	probe  wire.Probe
	origin origin
	target *Target   // that it is known to serve
	since  time.Time // idle since
	remote netip.Addr
}

// quiet reports whether an idle connection is open and nothing has come over it. Over TLS
// there may be a record without content, such as a ticket, which is read.
func (cn *conn) quiet(now time.Time) bool {
	if cn.probe.Alive(cn.raw) {
		return true
	}
	if cn.secure == nil || cn.secure.SetReadDeadline(now.Add(ticketWait)) != nil {
		return false
	}
	var b [1]byte
	n, err := cn.secure.Read(b[:])
	return n == 0 && isTimeout(err)
}

// take returns an idle connection to an origin, or nil.
func (c *Client) take(o origin) *conn {
	if !c.shares {
		return c.idle.take(o)
	}
	cn := c.pool.take(o)
	if cn != nil && !c.adopt(cn.raw) {
		return nil // closed with the client, which the next step notices
	}
	return cn
}

// park keeps a connection for later requests.
func (c *Client) park(cn *conn, now time.Time) {
	cn.since = now
	if c.shares {
		c.forget(cn.raw)
		c.pool.put(cn)
		return
	}
	if cn.target != c.target {
		if !c.target.serves(cn.origin) {
			c.drop(cn)
			return
		}
		cn.target = c.target
	}
	if surplus := c.idle.put(cn, maxIdle); surplus != nil {
		c.drop(surplus)
	}
}

// drop closes a connection, without waiting for anything.
func (c *Client) drop(cn *conn) {
	_ = cn.raw.Close()
	c.forget(cn.raw)
}

// connect opens a connection for a request that began at a time. It returns nil if
// the server has chosen HTTP/2, and the connection waits for that.
//
// It does so on a goroutine of its own, which it waits for: connecting, and all the
// more a TLS handshake, needs a far deeper stack than requests do, and a VU's stack
// would keep the size that it once had. Over many VUs that is most of their memory.
func (x *exchange) connect(began time.Time) (cn *conn, err error) {
	if x.c.shares {
		// What others have brought about meanwhile will do.
		if x.c.h2 = x.c.pool.http2(x.t); x.c.speaksH2(x.site) {
			return nil, nil //nolint:nilnil // as documented
		}
	}
	until := began.Add(x.t.connectTimeout)
	if x.total.Before(until) {
		until = x.total
	}
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		cn, err = x.dial(until)
	}()
	if p := <-done; p != nil {
		panic(p) // a dialer's fault is the iteration's, not the process's
	}
	return cn, err
}

func (x *exchange) dial(until time.Time) (*conn, error) {
	raw, secure, err := x.c.dial(x.ctx, x.t, x.site.origin, x.site.name, until, x.c.resumes(x.t, x.site.https))
	if err != nil {
		return nil, err
	}
	cn := &conn{raw: raw, origin: x.site.origin, target: x.t}
	if !x.t.route.proxied(x.site.origin) {
		cn.remote = remoteAddr(raw)
	}
	if secure == nil {
		_, exact := raw.(*tls.Conn) // of a proxy
		cn.Init(raw, exact)
		return cn, nil
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		x.c.forget(raw)
		x.c.useH2(x.t).stash(x.site.origin, secure)
		return nil, nil //nolint:nilnil // as documented
	}
	cn.secure = secure
	cn.Init(secure, true)
	return cn, nil
}

// dial opens a connection and secures it if the origin is one of https. It may be
// called from any goroutine, and ends with the owner of the links.
func (l *links) dial( //nolint:contextcheck // what ends the job's context interrupts as well
	ctx context.Context, t *Target, o origin, name string, until time.Time, sessions tls.ClientSessionCache,
) (net.Conn, *tls.Conn, error) {
	if ctx == l.job {
		ctx = context.Background() // 10,000 at a time need not be kept account of; interrupt ends them
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	call := &cancellation{cancel}
	if !l.adopt(call) {
		return nil, nil, interrupted()
	}
	defer l.forget(call)
	raw, err := t.route.dial(ctx, o)
	if err != nil {
		return nil, nil, l.dialError(ctx, failure.Dial, err)
	}
	if o.https || o.http == "2" {
		raw = &tracked{Conn: raw} // HTTP/2 closes by itself
	}
	if !l.adopt(raw) {
		return nil, nil, interrupted()
	}
	if !o.https {
		return raw, nil, nil
	}
	config := t.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = name
	}
	config.ClientSessionCache = sessions
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		l.forget(raw)
		return nil, nil, l.dialError(ctx, failure.TLS, err)
	}
	if p := secure.ConnectionState().NegotiatedProtocol; o.http == "2" && p != "h2" {
		_ = raw.Close()
		l.forget(raw)
		return nil, nil, &failure.Error{Class: failure.Protocol, Err: fmt.Errorf("%s does not speak HTTP/2", o.addr)}
	}
	return raw, secure, nil
}

// dialError gives the error of a connection that did not come about its class.
func (l *links) dialError(ctx context.Context, class failure.Class, err error) error {
	var known *failure.Error
	switch {
	case l.over():
		return interrupted()
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case isTimeout(err) || ctx.Err() != nil:
		return &failure.Error{Class: failure.Timeout, Err: fmt.Errorf("connecting took too long: %w", err)}
	case errors.As(err, &known):
		return known
	}
	return &failure.Error{Class: class, Err: err}
}

// maxTickets is how many servers a VU remembers a TLS session with.
const maxTickets = maxIdle

// tickets are the TLS sessions that new connections can resume.
type tickets struct {
	trust string // how certificates were verified
	cache tls.ClientSessionCache
}

// resumes returns the TLS sessions of the VU, or of the job if connections are shared.
// A session is not resumed where certificates are verified in another way.
func (c *Client) resumes(t *Target, https bool) tls.ClientSessionCache {
	if !https {
		return nil
	}
	at := &c.tickets
	if c.shares {
		p := c.pool
		p.mu.Lock()
		defer p.mu.Unlock()
		at = &p.tickets
	}
	return t.resumes(at)
}

func (t *Target) resumes(at **tickets) tls.ClientSessionCache {
	if cache := t.tls.ClientSessionCache; cache != nil {
		return cache // of the Manager's own configuration
	}
	if *at == nil || (*at).trust != t.route.trust {
		*at = &tickets{trust: t.route.trust, cache: tls.NewLRUClientSessionCache(maxTickets)}
	}
	return (*at).cache
}
