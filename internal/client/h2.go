package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/wire"
)

// errH2 marks what a server of HTTP/2 should not have done.
var errH2 = errors.New("bad HTTP/2")

// h2 speaks HTTP/2 through net/http: for one VU, or for all of a job if they share
// connections. It is safe for concurrent use.
type h2 struct {
	links
	transport *http.Transport
	shared    bool
	first     *Target                // that it was made for
	target    atomic.Pointer[Target] // for connections that the transport opens
	sessions  tls.ClientSessionCache

	sent, received atomic.Int64 // bytes that no measurement has counted yet

	state   sync.Mutex
	origins []origin              // that have negotiated HTTP/2
	ready   map[string]net.Conn   // negotiated, not yet taken by the transport; by address
	remotes map[string]netip.Addr // of the latest connection to an address
	flying  int                   // requests under way
	retired bool
}

// speaksH2 tells whether requests to a site go over HTTP/2.
func (c *Client) speaksH2(s *site) bool {
	if s.http == "2" && (!s.https || c.shares) {
		return true
	}
	return c.h2 != nil && c.h2.has(s.origin)
}

func (h *h2) has(o origin) bool {
	h.state.Lock()
	defer h.state.Unlock()
	return slices.Contains(h.origins, o)
}

// useH2 returns the VU's HTTP/2 client, which may be that of the job.
func (c *Client) useH2(t *Target) *h2 {
	if c.h2 == nil && c.shares {
		c.h2 = c.pool.useHTTP2(t)
	}
	if c.h2 == nil {
		c.h2 = newH2(c.job, t, c.resumes(t, true))
	}
	c.h2.target.Store(t)
	return c.h2
}

func newH2(job context.Context, t *Target, sessions tls.ClientSessionCache) *h2 {
	h := &h2{links: links{job: job}, first: t, sessions: sessions, ready: map[string]net.Conn{}, remotes: map[string]netip.Addr{}}
	h.target.Store(t)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	if t.http == "2" {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true) // a server may change its mind
	}
	h.transport = &http.Transport{
		Protocols:              protocols,
		DialContext:            h.dialPlain,
		DialTLSContext:         h.dialTLS,
		DisableCompression:     true,
		DisableKeepAlives:      t.close,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: wire.MaxHead,
		MaxIdleConns:           maxIdle,
	}
	return h
}

// suits tells whether connections that were opened for another target can be used for t.
func (h *h2) suits(t *Target) bool { return h.first.alike(t) }

// abandoned tells whether h is of no use any more when t takes the place of a target.
func (h *h2) abandoned(old, t *Target) bool {
	return !h.suits(t) || (old.site.origin != t.site.origin && (t.http == "2" || h.has(old.site.origin)))
}

// stash leaves a connection that has negotiated HTTP/2 to the transport, unless that
// has one.
func (h *h2) stash(o origin, nc *tls.Conn) {
	raw := nc.NetConn()
	if !h.adopt(raw) {
		return
	}
	h.counts(nc)
	h.state.Lock()
	defer h.state.Unlock()
	if h.ready[o.addr] != nil || slices.Contains(h.origins, o) {
		_ = raw.Close()
		return
	}
	h.origins = append(h.origins, o)
	if len(h.origins) > maxSites {
		h.origins = h.origins[1:]
	}
	h.ready[o.addr] = nc
	h.leads(h.target.Load(), o, raw)
}

// leads takes note of where a connection to an origin leads; h.state is locked.
func (h *h2) leads(t *Target, o origin, raw net.Conn) {
	if len(h.remotes) >= maxSites {
		clear(h.remotes)
	}
	delete(h.remotes, o.addr)
	if !t.route.proxied(o) {
		h.remotes[o.addr] = remoteAddr(raw)
	}
}

// remote is where requests to an address go, as far as that is known.
func (h *h2) remote(addr string) netip.Addr {
	h.state.Lock()
	defer h.state.Unlock()
	return h.remotes[addr]
}

func (h *h2) dialPlain(ctx context.Context, _, addr string) (net.Conn, error) {
	t := h.target.Load()
	o := t.origin(false, addr)
	raw, _, err := h.dial(ctx, t, o, "", time.Now().Add(t.connectTimeout), nil)
	if err != nil {
		return nil, err
	}
	h.counts(raw)
	h.state.Lock()
	h.leads(t, o, raw)
	h.state.Unlock()
	return raw, nil
}

func (h *h2) dialTLS(ctx context.Context, _, addr string) (net.Conn, error) {
	h.state.Lock()
	nc := h.ready[addr]
	delete(h.ready, addr)
	h.state.Unlock()
	if nc != nil {
		return nc, nil
	}
	t := h.target.Load()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	o := t.origin(true, addr)
	_, secure, err := h.dial(ctx, t, o, host, time.Now().Add(t.connectTimeout), h.sessions)
	if err != nil {
		return nil, err
	}
	h.counts(secure)
	h.state.Lock()
	h.leads(t, o, secure.NetConn())
	h.state.Unlock()
	return secure, nil
}

// enter counts a request, unless h has retired.
func (h *h2) enter() bool {
	h.state.Lock()
	defer h.state.Unlock()
	if h.retired {
		return false
	}
	h.flying++
	return true
}

// exit is the end of a request.
func (h *h2) exit() {
	h.state.Lock()
	h.flying--
	last := h.retired && h.flying == 0
	h.state.Unlock()
	if last {
		h.close()
	}
}

// retire closes h when the requests that are under way are done.
func (h *h2) retire() {
	h.state.Lock()
	h.retired = true
	last := h.flying == 0
	h.state.Unlock()
	if last {
		h.close()
	}
}

// close ends all connections.
func (h *h2) close() {
	h.interrupt()
	h.transport.CloseIdleConnections()
}

// traffic is how many bytes have gone over the connections, both ways, since it was
// last asked for. What belongs to the connection counts for whichever request is
// measured next, so that the sums are right.
func (h *h2) traffic() (sent, received int64) { return h.sent.Swap(0), h.received.Swap(0) }

// sendH2 is send over HTTP/2.
func (x *exchange) sendH2(ctx context.Context) error {
	h := x.c.useH2(x.t)
	for !h.enter() {
		x.c.h2 = nil // an update has retired it
		h = x.c.useH2(x.t)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, cancelTotal := context.WithDeadline(ctx, x.total)
	call := &cancellation{cancelTotal}
	owner := x.c // x may be another's by the time of a late call
	x.cancel = func(err error) { owner.forget(call); cancel(err); cancelTotal() }
	x.via, x.h2, x.h2Body = h, http.Header{}, http.NoBody
	if !x.c.adopt(call) {
		return interrupted()
	}
	if limit := x.t.headerTimeout; limit > 0 {
		defer time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) }).Stop()
	}
	type ready struct {
		at   time.Time
		conn net.Conn
	}
	var got atomic.Pointer[ready]
	req, err := x.h2Request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { got.Store(&ready{time.Now(), info.Conn}) },
	}))
	if err != nil {
		return err
	}
	resp, err := h.transport.RoundTrip(req) //nolint:bodyclose // h2Body closes it
	on := got.Load()
	if on != nil {
		x.m.Start = on.at
	}
	x.m.Header = time.Now()
	if err != nil {
		if err = x.h2Error(ctx, err); on != nil {
			err = lastWord(on.conn, err)
		}
		return err
	}
	x.m.Status, x.reply.Status = resp.StatusCode, resp.StatusCode
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
	req.Header["User-Agent"] = nil // none but that of the request
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

// h2Error tells apart what a server may do to a connection from what it may not. An
// error of a stream is of the latter kind unless the server has sent it.
func (x *exchange) h2Error(ctx context.Context, err error) error {
	var known *failure.Error
	var network net.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return err
	}
	for _, reset := range []string{"GOAWAY", "received from peer", "connection lost", "could not be established", "force closed", "broken pipe", "reset by peer"} {
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

// Write counts what is written for HTTP/2, and lets its reader find out that the server
// has closed the connection: net/http reads no more once it could not write, and the
// last that a server has sent may say why.
func (t *tracked) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if h := t.h.Load(); h != nil {
		h.sent.Add(int64(n))
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			return len(p), nil
		}
	}
	return n, err
}

// Close closes the connection, and makes HTTP/2 forget it.
func (t *tracked) Close() error {
	if h := t.h.Load(); h != nil {
		h.forget(t)
	}
	return t.Conn.Close()
}

// SyscallConn lets [wire.Probe] see the socket.
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
