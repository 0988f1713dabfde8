package client

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/wire"
	"github.com/opbeans/loadgen/tracecontext"
)

const (
	continueWait = time.Second            // how long a body waits for 100 Continue
	staleAfter   = 100 * time.Microsecond // idle time after which a connection is looked at before use
	hastyWait    = 300 * time.Microsecond // until a server that closes without a word has done so
	hastyFor     = 100                    // requests that wait so after it was seen
	maxKept      = 64 << 10               // larger buffers are not kept
	largeBody    = 64 << 10               // a larger body may be answered while it is sent
)

// exchange is one request and its response under way, with the buffers this takes.
// A VU without a request has none, so that VUs at rest are small.
type exchange struct {
	c   *Client
	t   *Target
	ctx context.Context

	// The request. rest may be in a buffer of the caller, or in ref.
	method    string
	site      *site  // where the next hop goes
	at        *site  // where this hop goes
	prefix    string // the base path, if it counts
	rest      []byte
	ref       []byte
	out       []byte // head of the request
	pathFrom  int    // the path and query within out
	pathTo    int
	body      []byte
	source    io.Reader // instead of body
	sourceLen int64     // -1: unknown
	hop       int
	foreign   bool // a redirect has led to another origin
	interim   bool // the body waits for 100 Continue
	viaStd    bool // an http.Client follows redirects
	closing   bool // the connection is not to be used again
	reused    bool // the connection has carried a request before
	trace     tracecontext.Context

	// The way there.
	conn      *conn
	unwatch   func() bool
	total     time.Time // deadline of the whole request
	byContext bool      // total is the context's deadline

	// The response.
	in      *wire.Reader // nil until there is one
	headIn  int64        // bytes of the connection that had come with the head
	m       Measurement
	decoder decoder
	text    []byte // the body of reply
	reply   Reply

	// The response, if it is one of HTTP/2.
	via    *h2
	h2     http.Header
	h2Body io.ReadCloser
	cancel context.CancelCauseFunc
}

// Buffers are what requests under way need, shared by all jobs of a Manager.
type Buffers struct {
	exchanges sync.Pool // of *exchange
	wire      wire.Buffers
	strings   interned
}

// NewBuffers returns empty buffers. They may be used by many clients at once.
func NewBuffers() *Buffers { return &Buffers{strings: interned{seed: maphash.MakeSeed()}} }

func (c *Client) newExchange(t *Target) *exchange {
	x, _ := t.env.Buffers.exchanges.Get().(*exchange)
	if x == nil {
		x = &exchange{}
	}
	x.c, x.t, x.viaStd, x.source = c, t, false, nil
	x.reply.x = x
	return x
}

// release gives the buffers back, unless they have grown out of proportion.
func (x *exchange) release() {
	t := x.t
	t.env.Buffers.wire.Release(x.in)
	x.in = nil
	if cap(x.out) > maxKept || cap(x.ref) > maxKept {
		return
	}
	if cap(x.text) > maxKept {
		x.text = nil
	}
	x.c, x.t, x.ctx, x.site, x.at, x.rest, x.body, x.source = nil, nil, nil, nil, nil, nil, nil, nil
	x.h2, x.m, x.reply = nil, Measurement{}, Reply{}
	t.env.Buffers.exchanges.Put(x)
}

// exchange does the hop that was rendered: sends it and reads the response to its
// end. An error is an [*Error], and measured if that is due.
func (x *exchange) exchange(ctx context.Context, r *Call) error {
	err := x.send(ctx)
	if err == nil {
		x.c.keepCookies(x)
		err = x.readBody(r.ReadBody && !x.redirects(r))
	}
	x.finish(err)
	if err != nil {
		err = x.failed(err)
		x.measure(false, err)
		return err
	}
	return nil
}

// send sends the request, on a connection that is idle if possible, and reads the
// head of the response.
func (x *exchange) send(ctx context.Context) error {
	c := x.c
	var held error
	if x.t.env.Throttle != nil {
		held = c.held(ctx, x.t.env.Throttle)
	}
	now := time.Now()
	x.ctx, x.h2 = ctx, nil
	x.reply.Status, x.reply.Body = 0, nil
	x.m = Measurement{} // one with values in it would be made on the stack
	x.m.Method, x.m.Hop, x.m.Start, x.m.Header = x.method, x.hop, now, now
	x.total, x.byContext = now.Add(x.t.timeout), false
	if held != nil {
		return held
	}
	if ctx != c.job {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d, ok := ctx.Deadline(); ok && d.Before(x.total) {
			x.total, x.byContext = d, true
		}
	}
	if c.speaksH2(x.site) {
		return x.sendH2(ctx)
	}
	cn := x.idle(now)
	for {
		reused := cn != nil
		if !reused {
			var err error
			if cn, err = x.connect(now); err != nil {
				return err
			}
			if cn == nil {
				return x.sendH2(ctx)
			}
			now = time.Now()
		}
		x.conn, x.reused = cn, reused
		if ctx != c.job && ctx.Done() != nil {
			x.watch(cn)
		}
		err := x.roundTrip(now)
		if err != nil && reused && cn.In == 0 {
			x.site.hasty.Store(hastyFor)
		}
		if !reused || !x.stale(err) && !x.tooLate(err) {
			return err
		}
		closing := x.closing
		x.closing = true
		x.leave()
		x.closing = closing // is about the next connection
		cn, now = nil, time.Now()
	}
}

// idle takes an idle connection that can carry the request, or nil. What has come while a
// connection was idle is no answer to a request: such a connection is closed, and nothing is
// counted. A look is a system call, which is not worth it right after the request before. Where
// the server was seen to close connections without a word, a request that cannot be repeated
// waits until it would have done so.
func (x *exchange) idle(now time.Time) *conn {
	for {
		cn := x.c.take(x.site.origin)
		if cn == nil {
			return nil
		}
		switch idle := now.Sub(cn.since); {
		case idle < hastyWait && x.site.hasty.Load() > 0 && !idempotent(x.method):
			x.site.hasty.Add(-1)
			time.Sleep(hastyWait) //nolint:forbidigo // too short to be interrupted
		case idle <= staleAfter:
			return cn
		}
		if cn.quiet(now) {
			return cn
		}
		x.site.hasty.Store(hastyFor)
		x.c.drop(cn)
	}
}

// held waits until the limit on all jobs lets the next request go. It is on its own,
// because what it needs of the stack every VU would have.
//
//go:noinline
func (c *Client) held(ctx context.Context, t *Throttle) error {
	waited, err := t.Wait(ctx, c.job)
	if waited {
		c.pool.Held.Add(1)
	}
	if err != nil && c.job.Err() != nil {
		return interrupted()
	}
	return err
}

// watch makes the end of the context end the exchange on a connection.
func (x *exchange) watch(cn *conn) {
	x.unwatch = context.AfterFunc(x.ctx, func() { _ = cn.raw.Close() })
}

// stale tells whether a request failed because its connection, idle until then, was
// closed by the server, and can be sent again.
func (x *exchange) stale(err error) bool {
	return err != nil && x.conn.In == 0 && !isTimeout(err) && !x.c.ended.Load() && x.ctx.Err() == nil &&
		(x.conn.Out == 0 || (idempotent(x.method) && x.source == nil))
}

// tooLate reports whether the server gave up an idle connection (408) while the request was on
// its way. It has not read the request then, which is sent again (RFC 9110, 15.5.9).
func (x *exchange) tooLate(err error) bool {
	return err == nil && x.in.Status == http.StatusRequestTimeout && x.in.Closes() && x.source == nil
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// roundTrip sends the request on x.conn and reads the head of the response.
func (x *exchange) roundTrip(now time.Time) error {
	cn := x.conn
	cn.In, cn.Out = 0, 0
	if x.in != nil { // of the hop before
		x.in.Reset(&cn.Conn, x.t.maxBody, &x.t.env.Buffers.wire)
	}
	x.m.Start, x.m.Header = now, now
	answered, err := x.write(now)
	if err != nil {
		// A server may answer and close without having read the whole
		// request.
		var ours *wire.BodyError
		if (cn.Out == 0 && !x.site.https) || isTimeout(err) || errors.As(err, &ours) {
			return err
		}
		if why := x.readHead(false, false); isTLS(why) {
			return why
		} else if why != nil {
			return err
		}
		x.closing = true
	} else if !answered {
		// Other VUs that can send go first: by then the response may be there,
		// which saves the read that finds nothing, and the wait.
		runtime.Gosched()
		if err := x.readHead(x.method == http.MethodHead, false); err != nil {
			return err
		}
	}
	x.m.Header, x.headIn = nowAfter(x.m.Start), cn.In
	x.m.Status, x.reply.Status = x.in.Status, x.in.Status
	if x.t.headerTimeout > 0 {
		return cn.SetDeadline(x.total, x.m.Header)
	}
	return nil
}

// readHead reads the head of the response, once there is some of it.
func (x *exchange) readHead(noBody, interim bool) (err error) {
	if x.in == nil {
		if x.in, err = x.conn.Await(&x.t.env.Buffers.wire, x.t.maxBody); err != nil {
			return err
		}
	}
	x.in.Used = x.reused
	return x.in.ReadHead(noBody, interim)
}

// write sends the request. It returns true if the response has already begun, so
// that there is no point in sending the body.
func (x *exchange) write(now time.Time) (answered bool, err error) {
	cn := x.conn
	whole := x.source == nil && !x.interim && len(x.body) <= inlineBody
	until := x.total
	if whole {
		until = x.headDeadline(now)
	}
	if err := cn.SetDeadline(until, now); err != nil {
		return false, err
	}
	if whole {
		n := len(x.out)
		x.out = append(x.out, x.body...)
		_, err := cn.Write(x.out)
		x.out = x.out[:n]
		return false, err
	}
	if _, err := cn.Write(x.out); err != nil {
		return false, err
	}
	if x.interim {
		if answered, err := x.awaitContinue(); answered || err != nil {
			return answered, err
		}
	}
	if x.source != nil || len(x.body) > largeBody {
		return x.writeLarge()
	}
	if _, err = cn.Write(x.body); err != nil || x.t.headerTimeout == 0 {
		return false, err
	}
	now = time.Now()
	return false, cn.SetDeadline(x.headDeadline(now), now)
}

// awaitContinue waits for the server's consent to send the body: 100 Continue, or no
// answer for a while. A final answer makes the body superfluous.
func (x *exchange) awaitContinue() (answered bool, err error) {
	now := time.Now()
	until := x.headDeadline(now)
	if soon := now.Add(continueWait); soon.Before(until) {
		until = soon
	}
	if err := x.conn.SetDeadline(until, now); err != nil {
		return false, err
	}
	switch err := x.readHead(x.method == http.MethodHead, true); {
	case err == nil && x.in.Status != http.StatusContinue:
		x.closing = true // the server still expects the body
		answered = true
	case err != nil && (!isTimeout(err) || !time.Now().Before(x.headDeadline(now))):
		return false, err
	}
	return answered, x.conn.SetDeadline(x.total, time.Now())
}

// headDeadline is when the head of the response must have come, for a request sent
// at a time.
func (x *exchange) headDeadline(sent time.Time) time.Time {
	if x.t.headerTimeout > 0 {
		if d := sent.Add(x.t.headerTimeout); d.Before(x.total) {
			return d
		}
	}
	return x.total
}

// readBody reads the response to its end, and keeps the decoded body if asked to.
func (x *exchange) readBody(keep bool) error {
	x.text = x.text[:0]
	if !keep {
		if x.h2 != nil {
			_, err := io.Copy(io.Discard, x.h2Body)
			return err
		}
		return x.in.Discard()
	}
	var raw io.Reader = x.in
	if x.h2 != nil {
		raw = x.h2Body
	}
	body, err := x.decoder.open(raw, x.reply.Header("Content-Encoding"), x.t.maxBody)
	if err != nil {
		return err
	}
	if x.text, err = appendAll(x.text, body); err != nil {
		return err
	}
	x.reply.Body = x.text
	// What may follow the end of compressed data is part of the response.
	_, err = io.Copy(io.Discard, raw)
	return err
}

// finish ends the hop: it takes the time, and gives the connection back.
func (x *exchange) finish(err error) {
	x.m.End = x.m.Header
	if err != nil || x.conn == nil || x.conn.In != x.headIn {
		x.m.End = nowAfter(x.m.Header)
	}
	x.m.Complete = err == nil
	x.closing = x.closing || err != nil
	x.leave()
}

// nowAfter is the time now, where an earlier one is at hand: for half of what time.Now costs.
func nowAfter(t time.Time) time.Time { return t.Add(time.Since(t)) }

// leave lets go of the connection.
func (x *exchange) leave() {
	if x.unwatch != nil {
		// Once begun, the end of the context closes the connection.
		x.closing = !x.unwatch() || x.closing
		x.unwatch = nil
	}
	if x.cancel != nil {
		_ = x.h2Body.Close()
		x.cancel(nil)
		x.cancel, x.h2Body = nil, nil
		x.m.Sent, x.m.Received = x.via.traffic()
		if x.observed() && x.m.Status != 0 {
			x.m.Remote = x.via.remote(x.site.addr)
		}
		x.via.exit()
		x.via = nil
	}
	if x.conn == nil {
		return
	}
	x.m.Sent, x.m.Received = x.conn.Out, x.conn.In
	x.m.Remote = x.conn.remote
	if x.closing || x.in == nil || !x.in.Reusable() {
		x.c.drop(x.conn)
	} else {
		x.c.park(x.conn, x.m.End)
	}
	x.conn = nil
}

// observed tells whether anybody wants samples of the job.
func (x *exchange) observed() bool { return x.c.owner.Observed() }

// measure reports the hop to the VU, unless it was interrupted.
func (x *exchange) measure(follows bool, err error) {
	if isAborted(err) {
		return
	}
	x.m.Follows, x.m.Err, x.m.Class, x.m.Trace = follows, err, failure.ClassOf(err), x.trace
	if x.observed() {
		x.m.URL = x.sampleURL()
	}
	x.m.x = x
	x.c.owner.Measured(&x.m)
	x.m.x = nil
}
