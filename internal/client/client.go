// Package client is the HTTP client of one virtual user: its connections, or those that it
// shares, over HTTP/1.1 and HTTP/2, and the measurement of each request. A request costs no
// allocation in steady state.
package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/opbeans/loadgen/failure"
)

// Call is one request as the client takes it: in buffers that the caller owns
// and may reuse once the call is done, so that a request need not allocate.
type Call struct {
	Method     string
	Target     []byte        // absolute URL, or path and query relative to the base; escaped
	Header     []HeaderField // besides the job's own; the same name replaces
	Body       []byte        // nil: none
	Expect     func(status int) bool
	Expected   string // what expect stands for, in messages: "200", "2xx or 3xx"
	ReadBody   bool   // decode and keep the body
	NoRedirect bool
	Settle     func(*Reply) error // looks at the last response; an error fails the request
}

// HeaderField is one line of a request's header. A nil Value leaves out what the job or
// the client would send under that name.
type HeaderField struct {
	Name  string // canonical
	Value []byte
}

// Reply is what came back. It belongs to the client, and is valid until the VU's
// next request or the end of its iteration.
type Reply struct {
	x       *exchange
	Status  int
	Body    []byte        // decoded; nil unless asked for
	Service time.Duration // from the last request sent to its response read
}

// Header returns the first value of a header, in any spelling, or nil.
func (r *Reply) Header(name string) []byte {
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
func (r *Reply) setCookies() iter.Seq[[]byte] {
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

// URL returns the address that answered, after redirects.
func (r *Reply) URL() string { return r.x.url() }

// Client is the HTTP client of one VU. Only the VU's goroutine uses it, except for
// interrupt.
type Client struct {
	owner   owner
	pool    *Pool     // that of the job
	target  *Target   // that of the newest request
	last    *exchange // that of the newest send, whose reply may still be read
	idle    idleConns
	sites   []*site   // of absolute URLs, newest last
	streams []*stream // bodies that the user of HTTPClient has not closed
	jar     *jar
	std     *http.Client
	h2      *h2
	tickets *tickets
	shares  bool // connections are those of the job

	links // the connections of this VU, and those that it uses
}

// New returns the client of an owner in a job, whose hard context ends it.
func New(job context.Context, o owner, pool *Pool) *Client {
	return &Client{owner: o, pool: pool, links: links{job: job}}
}

// Send sends a request, follows redirects, and reads the response to its end. Each
// hop is measured as one request.
//
// The error is nil or an [*Error]. It wraps [ErrInterrupted] if the client was
// interrupted. After an unexpected status there is a reply as well as an error.
func (c *Client) Send(ctx context.Context, r *Call) (*Reply, error) {
	if c.ended.Load() {
		return nil, interrupted()
	}
	x := c.begin()
	if err := x.aim(r.Target); err != nil {
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
		if err == nil && !next && req.Expect != nil && !req.Expect(x.reply.Status) {
			err = &statusError{x.method, x.where(), x.reply.Status, req.Expected}
		}
		if err != nil {
			err = x.failed(err)
		}
		if !next {
			x.reply.Service = x.m.End.Sub(x.m.Start)
			if err == nil && req.Settle != nil {
				err = req.Settle(&x.reply)
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

// Get is send for a GET of a URL that expects success.
func (c *Client) Get(ctx context.Context, url string) error {
	x := c.begin()
	x.ref = append(x.ref[:0], url...)
	_, err := c.Send(ctx, &Call{
		Method: http.MethodGet, Target: x.ref, Expect: success, Expected: "2xx or 3xx",
	})
	return err
}

// begin returns the exchange for the next request, under the VU's newest plan.
func (c *Client) begin() *exchange {
	if t, revision := c.owner.Newest(); t != c.target {
		c.retarget(t, revision)
	}
	if c.last == nil {
		c.last = c.newExchange(c.target)
	}
	return c.last
}

// retarget makes t the target. Connections to the base of the one before are closed
// unless they serve the new one as well, as are those that are made in another way now.
func (c *Client) retarget(t *Target, revision uint64) {
	c.Rest()
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
func (c *Client) share(shared bool) {
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
func (c *Client) disconnect() {
	for _, cn := range c.idle {
		c.drop(cn)
	}
	c.idle = nil
	c.quitH2()
}

// quitH2 makes the VU do without the HTTP/2 client that it has used so far.
func (c *Client) quitH2() {
	if c.h2 != nil && !c.h2.shared {
		c.h2.close()
	}
	c.h2 = nil
}

// Rest ends an iteration: responses that the task has left unread are closed, and
// buffers given back.
func (c *Client) Rest() {
	for len(c.streams) > 0 {
		_ = c.streams[0].Close()
	}
	c.Shed()
}

// Shed gives back the buffers of the newest request, before a pause. Its
// Reply is not valid any more.
func (c *Client) Shed() {
	if x := c.last; x != nil {
		c.last = nil
		x.release()
	}
}

// Renew drops the cookies, and the VU's own connections.
func (c *Client) Renew() {
	c.Rest()
	c.jar = nil
	if !c.shares {
		c.disconnect()
		c.tickets = nil
	}
}

// Interrupt ends the request in progress, if there is one, with an error that wraps
// [ErrInterrupted], and makes every later one fail so. Any goroutine may call it.
func (c *Client) Interrupt() { c.links.interrupt() }

// Close closes all connections. The client must not be used after it.
func (c *Client) Close() {
	c.Interrupt()
	c.share(false)
	c.disconnect()
	c.streams, c.last = nil, nil
}

func success(status int) bool { return status >= 200 && status < 400 }
