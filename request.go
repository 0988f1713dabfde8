package loadgen

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/opbeans/loadgen/internal/client"
)

// Request is one HTTP request of a task.
type Request struct {
	// Method is GET if empty.
	Method string
	// URL is relative to the job's base URL, to whose path it is joined
	// ("/api/products?limit=5"), or absolute. Spaces and what is not ASCII are
	// escaped; control characters are an error.
	URL string
	// Header is sent besides the job's own headers and replaces those of the
	// same name. Host sets the Host header. Content-Length, Transfer-Encoding and
	// Trailer are errors: the client sets them from the body. With
	// "Expect: 100-continue" the body waits for the server's consent, for a
	// second at most.
	Header http.Header
	// Body is sent with a Content-Length; the caller must not change it until
	// the request is done.
	Body []byte
	// Expect reports whether a status is expected; other responses fail the request
	// with an error of class check. Nil: any status is expected.
	Expect func(status int) bool
	// ReadBody asks for the response's body, decoded from gzip, deflate or br,
	// in Response.Body. Otherwise the body is read and dropped as it comes.
	ReadBody bool
	// NoRedirect returns a redirect as it came instead of following it.
	NoRedirect bool
}

// ExpectSuccess expects a status of 2xx or 3xx.
func ExpectSuccess(status int) bool { return status >= 200 && status < 400 }

// ExpectStatus expects one of the given statuses.
func ExpectStatus(codes ...int) func(status int) bool {
	return func(status int) bool {
		for _, c := range codes {
			if c == status {
				return true
			}
		}
		return false
	}
}

// Response is what came back for a [Request], after redirects.
type Response struct {
	Status int
	// Header is as it was received, also where Body was decoded.
	Header http.Header
	// Body is nil unless the request asked for it.
	Body []byte
	// URL is the address that answered, after redirects.
	URL string
	// Service is the time from the last request sent to its response read.
	Service time.Duration
}

// Do sends a request, follows redirects (ten at most), and reads the response to
// its end. Each hop is measured as a request of the running task.
//
// A redirect of status 301, 302 or 303 turns a POST into a GET without a body. One
// that leads to another origin goes without the Authorization and Cookie headers of
// the job and the request. Cookies that responses set are kept for the VU.
//
// The error is nil or an [*Error] with the class of the failure, and then counted;
// it wraps [ErrInterrupted] if the job ended meanwhile. A deadline of ctx is a
// timeout; a request that is given up because ctx was cancelled is not measured.
// After an unexpected status the Response is returned as well.
func (vu *VU) Do(ctx context.Context, req *Request) (*Response, error) {
	return do(ctx, vu.client, req)
}

// HTTPClient returns a client with the VU's connections and cookies, for code that
// needs an [http.Client]. It belongs to the VU and must only be used within a task,
// on the task's goroutine. It takes absolute URLs, for instance
// vu.BaseURL()+"/path".
//
// Its requests have the job's headers and timeouts. Each is measured once the body of
// its response was read to the end or closed, which a task should do; what it leaves
// open is closed at the end of the iteration. No status fails a request: a task that
// expects one checks it.
func (vu *VU) HTTPClient() *http.Client { return vu.client.HTTPClient() }

// do is the client's send in public terms.
func do(ctx context.Context, c *client.Client, req *Request) (*Response, error) {
	r, err := c.Send(ctx, &client.Call{
		Method:     req.Method,
		Target:     []byte(req.URL),
		Header:     client.HeaderFields(req.Header),
		Body:       req.Body,
		Expect:     req.Expect,
		ReadBody:   req.ReadBody,
		NoRedirect: req.NoRedirect,
	})
	if r == nil {
		return nil, err
	}
	resp := &Response{Status: r.Status, Header: r.Headers(), URL: r.URL(), Service: r.Service}
	if req.ReadBody {
		resp.Body = bytes.Clone(r.Body)
	}
	return resp, err
}
