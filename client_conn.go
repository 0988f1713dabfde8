package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/opbeans/loadgen/internal/wire"
)

// maxIdle is how many idle connections a VU keeps, to different hosts.
const maxIdle = 6

// conn is one connection of HTTP/1.1.
type conn struct {
	wire.Conn
	raw    net.Conn // under TLS, if there is any
	origin origin
	since  time.Time // idle since
}

// take returns an idle connection to an origin, or nil.
func (c *client) take(o origin) *conn {
	for i := len(c.idle) - 1; i >= 0; i-- {
		if cn := c.idle[i]; cn.origin == o {
			last := len(c.idle) - 1
			copy(c.idle[i:], c.idle[i+1:])
			c.idle[last] = nil
			c.idle = c.idle[:last]
			return cn
		}
	}
	return nil
}

// park keeps a connection for later requests.
func (c *client) park(cn *conn, now time.Time) {
	if cn.origin.http != c.target.http {
		c.drop(cn)
		return
	}
	cn.since = now
	if len(c.idle) == maxIdle {
		c.drop(c.idle[0])
		copy(c.idle, c.idle[1:])
		c.idle = c.idle[:maxIdle-1]
	}
	c.idle = append(c.idle, cn)
}

// drop closes a connection, without waiting for anything.
func (c *client) drop(cn *conn) {
	_ = cn.raw.Close()
	c.forget(cn.raw)
}

// adopt makes an open connection known to interrupt. It returns false, and closes
// it, if the client has ended.
func (c *client) adopt(nc net.Conn) bool {
	c.mu.Lock()
	if c.ended.Load() {
		c.mu.Unlock()
		_ = nc.Close()
		return false
	}
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[net.Conn]struct{}, 1)
	}
	c.open[nc] = struct{}{}
	return true
}

func (c *client) forget(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, nc)
}

// connect opens a connection for a request that began at a time. It returns nil if
// the server has chosen HTTP/2, and the connection waits for that.
//
// It does so on a goroutine of its own, which it waits for: connecting, and all the
// more a TLS handshake, needs a far deeper stack than requests do, and a VU's stack
// would keep the size that it once had. Over many VUs that is most of their memory.
func (x *exchange) connect(began time.Time) (cn *conn, err error) {
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
	raw, secure, err := x.c.dial(x.ctx, x.t, x.site.origin, x.site.name, until)
	if err != nil {
		return nil, err
	}
	cn := &conn{raw: raw, origin: x.site.origin}
	if secure == nil {
		cn.Init(raw, false)
		return cn, nil
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		x.c.useH2(x.t).stash(x.site.origin, secure)
		return nil, nil //nolint:nilnil // as documented
	}
	cn.Init(secure, true)
	return cn, nil
}

// dial opens a connection and secures it if the origin is one of https. It may be
// called from any goroutine, and ends with the client.
func (c *client) dial(ctx context.Context, t *target, o origin, name string, until time.Time) (net.Conn, *tls.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() //nolint:contextcheck // ends with either of the two
	raw, err := t.env.dial(ctx, "tcp", o.addr)
	if err != nil {
		return nil, nil, c.dialError(ctx, ClassDial, err)
	}
	if o.https || o.http == "2" {
		raw = &tracked{Conn: raw, c: c} // HTTP/2 closes by itself
	}
	if !c.adopt(raw) {
		return nil, nil, interrupted()
	}
	if !o.https {
		return raw, nil, nil
	}
	config := t.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = name
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		c.forget(raw)
		return nil, nil, c.dialError(ctx, ClassTLS, err)
	}
	if p := secure.ConnectionState().NegotiatedProtocol; o.http == "2" && p != "h2" {
		_ = raw.Close()
		c.forget(raw)
		return nil, nil, &Error{Class: ClassProtocol, Err: fmt.Errorf("%s does not speak HTTP/2", o.addr)}
	}
	return raw, secure, nil
}

// dialError gives the error of a connection that did not come about its class.
func (c *client) dialError(ctx context.Context, class ErrorClass, err error) error {
	switch {
	case c.over():
		return interrupted()
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case isTimeout(err) || ctx.Err() != nil:
		return &Error{Class: ClassTimeout, Err: fmt.Errorf("connecting took too long: %w", err)}
	}
	return &Error{Class: class, Err: err}
}

// over tells whether the job has ended the VU the hard way.
func (c *client) over() bool { return c.ended.Load() || c.vu.ctx.Err() != nil }
