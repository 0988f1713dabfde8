package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/opbeans/loadgen/internal/wire"
)

// errH2 marks what a server of HTTP/2 should not have done.
var errH2 = errors.New("bad HTTP/2")

// h2 speaks HTTP/2 for one VU, through net/http.
type h2 struct {
	c         *client
	transport *http.Transport
	target    atomic.Pointer[target] // for connections that the transport opens

	origins            []origin // that have negotiated HTTP/2
	sent, received     atomic.Int64
	sentAt, receivedAt int64 // where the newest measurement began

	mu    sync.Mutex
	ready map[string]net.Conn // negotiated, not yet taken by the transport; by address
}

// speaksH2 tells whether requests to a site go over HTTP/2.
func (c *client) speaksH2(s *site) bool {
	return (s.http == "2" && !s.https) || (c.h2 != nil && c.h2.has(s.origin))
}

func (h *h2) has(o origin) bool {
	for i := range h.origins {
		if h.origins[i] == o {
			return true
		}
	}
	return false
}

// useH2 returns the VU's HTTP/2 client.
func (c *client) useH2(t *target) *h2 {
	if c.h2 == nil {
		h := &h2{c: c, ready: map[string]net.Conn{}}
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		if t.http == "2" {
			protocols.SetUnencryptedHTTP2(true)
		} else {
			protocols.SetHTTP1(true) // a server may change its mind
		}
		h.transport = &http.Transport{
			Protocols:              protocols,
			DialContext:            h.dial,
			DialTLSContext:         h.dialTLS,
			DisableCompression:     true,
			ExpectContinueTimeout:  continueWait,
			MaxResponseHeaderBytes: wire.MaxHead,
			MaxIdleConns:           maxIdle,
		}
		c.h2 = h
	}
	c.h2.target.Store(t)
	return c.h2
}

// stash leaves a connection that has negotiated HTTP/2 to the transport.
func (h *h2) stash(o origin, nc net.Conn) {
	if !h.has(o) {
		h.origins = append(h.origins, o)
		if len(h.origins) > maxSites {
			h.origins = h.origins[1:]
		}
	}
	h.counts(nc)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready[o.addr] = nc
}

func (h *h2) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	t := h.target.Load()
	raw, _, err := h.c.dial(ctx, t, origin{http: t.http, addr: addr}, "", time.Now().Add(t.connectTimeout))
	if err != nil {
		return nil, err
	}
	h.counts(raw)
	return raw, nil
}

func (h *h2) dialTLS(ctx context.Context, _, addr string) (net.Conn, error) {
	h.mu.Lock()
	nc := h.ready[addr]
	delete(h.ready, addr)
	h.mu.Unlock()
	if nc != nil {
		return nc, nil
	}
	t := h.target.Load()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	_, secure, err := h.c.dial(ctx, t, origin{https: true, http: t.http, addr: addr}, host, time.Now().Add(t.connectTimeout))
	if err != nil {
		return nil, err
	}
	h.counts(secure)
	return secure, nil
}

// close ends all connections.
func (h *h2) close() {
	h.mu.Lock()
	for _, nc := range h.ready {
		_ = nc.(*tls.Conn).NetConn().Close()
	}
	clear(h.ready)
	h.mu.Unlock()
	h.transport.CloseIdleConnections()
}

// traffic is how many bytes have gone over the connections, both ways, since it was
// last asked for. What belongs to the connection counts for whichever request is
// measured next, so that the sums are right.
func (h *h2) traffic() (sent, received int64) {
	s, r := h.sent.Load(), h.received.Load()
	sent, received = s-h.sentAt, r-h.receivedAt
	h.sentAt, h.receivedAt = s, r
	return sent, received
}

// sendH2 is send over HTTP/2.
func (x *exchange) sendH2() error {
	h := x.c.useH2(x.t)
	ctx, cancel := context.WithCancelCause(x.ctx)
	ctx, cancelTotal := context.WithDeadline(ctx, x.total)
	x.cancel = func(err error) { cancel(err); cancelTotal() }
	x.h2, x.h2Body = http.Header{}, http.NoBody
	if limit := x.t.headerTimeout; limit > 0 {
		defer time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) }).Stop()
	}
	var ready atomic.Pointer[time.Time]
	req, err := x.h2Request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			now := time.Now()
			ready.Store(&now)
		},
	}))
	if err != nil {
		return err
	}
	resp, err := h.transport.RoundTrip(req) //nolint:bodyclose // h2Body closes it
	if start := ready.Load(); start != nil {
		x.m.start = *start
	}
	x.m.header = time.Now()
	if err != nil {
		return x.h2Error(ctx, err)
	}
	x.m.status, x.reply.status = resp.StatusCode, resp.StatusCode
	x.h2 = resp.Header
	x.h2Body = &h2Body{x: x, ctx: ctx, body: resp.Body, left: x.t.maxBody}
	return nil
}

// h2Request makes a request of what was rendered, so that both protocols send the
// same.
func (x *exchange) h2Request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, x.method, x.url(), nil)
	if err != nil {
		return nil, &requestError{x.method, x.where(), err.Error()}
	}
	switch {
	case x.source != nil:
		req.Body, req.ContentLength = io.NopCloser(x.source), x.sourceLen
	case len(x.body) > 0:
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(x.body)), int64(len(x.body))
		body := x.body
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	_, lines, _ := bytes.Cut(x.out, []byte("\r\n"))
	for line := range bytes.Lines(lines) {
		name, value, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\r\n")), []byte(": "))
		switch string(name) {
		case "Host":
			req.Host = string(value)
		case "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Proxy-Connection":
		default:
			if ok {
				req.Header[string(name)] = append(req.Header[string(name)], string(value))
			}
		}
	}
	return req, nil
}

// h2Error tells apart what a server may do to a connection from what it may not.
func (x *exchange) h2Error(ctx context.Context, err error) error {
	var known *Error
	var network net.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return err
	}
	for _, reset := range []string{"GOAWAY", "stream error", "connection lost", "force closed", "broken pipe", "reset by peer"} {
		if strings.Contains(err.Error(), reset) {
			return err
		}
	}
	return errors.Join(errH2, err)
}

// h2Body is the body of a response, up to the largest that may be.
type h2Body struct {
	x    *exchange
	ctx  context.Context
	body io.ReadCloser
	left int64
}

func (b *h2Body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, wire.TooLarge(b.x.t.maxBody)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.x.h2Error(b.ctx, err)
	}
	return n, err
}

func (b *h2Body) Close() error { return b.body.Close() }

// tracked is a connection that HTTP/2 may take over, and then closes by itself.
type tracked struct {
	net.Conn
	c *client
	h atomic.Pointer[h2] // to count for
}

// Read counts what is read for HTTP/2.
func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if h := t.h.Load(); h != nil {
		h.received.Add(int64(n))
	}
	return n, err
}

// Write counts what is written for HTTP/2.
func (t *tracked) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if h := t.h.Load(); h != nil {
		h.sent.Add(int64(n))
	}
	return n, err
}

// Close closes the connection, and makes the client forget it.
func (t *tracked) Close() error {
	t.c.forget(t)
	return t.Conn.Close()
}

// SyscallConn lets [wire.Alive] see the socket.
func (t *tracked) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := t.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// counts makes the traffic of a connection count for h.
func (h *h2) counts(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	if t, ok := nc.(*tracked); ok {
		t.h.Store(h)
	}
}
