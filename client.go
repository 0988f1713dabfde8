package loadgen

import (
	"context"
	"iter"
	"net/http"
	"net/http/cookiejar"
	"time"

	"github.com/opbeans/loadgen/failure"
)

// call is one request as the client takes it: in buffers that the caller owns
// and may reuse once the call is done, so that a request need not allocate.
type call struct {
	method     string
	target     []byte        // absolute URL, or path and query relative to the base; escaped
	header     []headerField // besides the job's own; the same name replaces
	body       []byte        // nil: none
	expect     func(status int) bool
	expected   string // what expect stands for, in messages: "200", "2xx or 3xx"
	readBody   bool   // decode and keep the body
	noRedirect bool
	settle     func(*reply) error // looks at the last response; an error fails the request
}

type headerField struct {
	name  string // canonical
	value []byte
}

// reply is what came back. It belongs to the client, and is valid until the VU's
// next request or the end of its iteration.
type reply struct {
	x       *exchange
	status  int
	body    []byte        // decoded; nil unless asked for
	service time.Duration // from the last request sent to its response read
}

// header returns the first value of a header, in any spelling, or nil.
func (r *reply) header(name string) []byte {
	if h := r.x.h2; h != nil {
		if v := h.Values(name); len(v) > 0 {
			return []byte(v[0])
		}
		return nil
	}
	if http.CanonicalHeaderKey(name) == "Set-Cookie" {
		for v := range r.setCookies() {
			return v
		}
		return nil
	}
	return r.x.in.Header.Peek(name)
}

// setCookies iterates over the values of all Set-Cookie headers.
func (r *reply) setCookies() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if h := r.x.h2; h != nil {
			for _, v := range h.Values("Set-Cookie") {
				if !yield([]byte(v)) {
					return
				}
			}
			return
		}
		for _, v := range r.x.in.Header.Cookies() {
			if !yield(v) {
				return
			}
		}
	}
}

// url returns the address that answered, after redirects.
func (r *reply) url() string { return r.x.url() }

// client is the HTTP client of one VU. Only the VU's goroutine uses it, except for
// interrupt.
type client struct {
	owner   owner
	pool    *connPool // that of the job
	target  *target   // that of the newest request
	last    *exchange // that of the newest send, whose reply may still be read
	idle    idleConns
	sites   []*site   // of absolute URLs, newest last
	streams []*stream // bodies that the user of HTTPClient has not closed
	jar     *cookiejar.Jar
	std     *http.Client
	h2      *h2
	tickets *tickets
	shares  bool // connections are those of the job

	links // the connections of this VU, and those that it uses
}

// newClient returns the client of an owner in a job, whose hard context ends it.
func newClient(job context.Context, o owner, pool *connPool) *client {
	return &client{owner: o, pool: pool, links: links{job: job}}
}

// send sends a request, follows redirects, and reads the response to its end. Each
// hop is measured as one request.
//
// The error is nil or an [*Error]. It wraps [ErrInterrupted] if the client was
// interrupted. After an unexpected status there is a reply as well as an error.
func (c *client) send(ctx context.Context, r *call) (*reply, error) {
	if c.ended.Load() {
		return nil, interrupted()
	}
	x := c.begin()
	if err := x.aim(r.target); err != nil {
		return nil, &failure.Error{Class: failure.Protocol, Err: err}
	}
	req := *r
	for {
		if err := x.render(&req); err != nil {
			return nil, &failure.Error{Class: failure.Protocol, Err: err}
		}
		if err := x.exchange(ctx, &req); err != nil {
			return nil, err
		}
		next, err := x.redirect(&req)
		if err == nil && !next && req.expect != nil && !req.expect(x.reply.status) {
			err = &statusError{x.method, x.where(), x.reply.status, req.expected}
		}
		if err != nil {
			err = x.failed(err)
		}
		if !next {
			x.reply.service = x.m.end.Sub(x.m.start)
			if err == nil && req.settle != nil {
				err = req.settle(&x.reply)
			}
		}
		x.measure(next, err)
		if err != nil && failure.ClassOf(err) != failure.Check {
			return nil, err
		}
		if !next {
			return &x.reply, err
		}
		x.hop++
	}
}

// get is send for a GET of a URL that expects success.
func (c *client) get(ctx context.Context, url string) error {
	x := c.begin()
	x.ref = append(x.ref[:0], url...)
	_, err := c.send(ctx, &call{
		method: http.MethodGet, target: x.ref, expect: success, expected: "2xx or 3xx",
	})
	return err
}

// begin returns the exchange for the next request, under the VU's newest plan.
func (c *client) begin() *exchange {
	if t, revision := c.owner.newest(); t != c.target {
		c.retarget(t, revision)
	}
	if c.last == nil {
		c.last = c.newExchange(c.target)
	}
	return c.last
}

// retarget makes t the target. Connections to the base of the one before are closed
// unless they serve the new one as well, as are those that are made in another way now.
func (c *client) retarget(t *target, revision uint64) {
	c.rest()
	old := c.target
	c.target, c.sites = t, nil
	c.share(t.shared)
	if c.shares {
		c.quitH2()
		c.h2 = c.pool.retarget(t, revision)
		return
	}
	if old == nil {
		return
	}
	for _, cn := range c.idle.sift(func(cn *conn) bool { return !t.abandons(old, cn.origin) }) {
		c.drop(cn)
	}
	if c.h2 != nil && c.h2.abandoned(old, t) {
		c.quitH2()
	}
}

// share makes the VU use the connections of the job, or its own.
func (c *client) share(shared bool) {
	if shared == c.shares {
		return
	}
	c.shares = shared
	if !shared {
		c.quitH2()
		c.pool.leave()
		return
	}
	c.disconnect()
	c.pool.join(c.job)
}

// disconnect closes the VU's own connections.
func (c *client) disconnect() {
	for _, cn := range c.idle {
		c.drop(cn)
	}
	c.idle = nil
	c.quitH2()
}

// quitH2 makes the VU do without the HTTP/2 client that it has used so far.
func (c *client) quitH2() {
	if c.h2 != nil && !c.h2.shared {
		c.h2.close()
	}
	c.h2 = nil
}

// rest ends an iteration: responses that the task has left unread are closed, and
// buffers given back.
func (c *client) rest() {
	for len(c.streams) > 0 {
		_ = c.streams[0].Close()
	}
	c.shed()
}

// shed gives back the buffers of the newest request, before a pause. Its
// reply is not valid any more.
func (c *client) shed() {
	if x := c.last; x != nil {
		c.last = nil
		x.release()
	}
}

// renew drops the cookies, and the VU's own connections.
func (c *client) renew() {
	c.rest()
	c.jar = nil
	if !c.shares {
		c.disconnect()
		c.tickets = nil
	}
}

// interrupt ends the request in progress, if there is one, with an error that wraps
// [ErrInterrupted], and makes every later one fail so. Any goroutine may call it.
func (c *client) interrupt() { c.links.interrupt() }

// close closes all connections. The client must not be used after it.
func (c *client) close() {
	c.interrupt()
	c.share(false)
	c.disconnect()
	c.streams, c.last = nil, nil
}

func success(status int) bool { return status >= 200 && status < 400 }
