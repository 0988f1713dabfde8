package apm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// forwarder hands requests to another server as they are, and looks at what passes.
//
// Nothing is stored: an agent is read as fast as the other server takes it and the ledger
// can follow, so that what waits is one buffer for each of MaxParallel requests. Where
// that server cannot be reached, the agent is told so with status 503, after what it had
// to say was read: the ledger is about the agent, not about the server behind it.
type forwarder struct {
	r     *Receiver
	proxy *httputil.ReverseProxy
}

func newForwarder(r *Receiver, to *url.URL) *forwarder {
	f := &forwarder{r: r}
	transport := r.cfg.Transport
	if transport == nil {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: r.cfg.MaxParallel, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
			DisableCompression: true, // the answer is passed on as it is
		}
		transport = t
	}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := p.In.Header[name]; ok {
					p.Out.Header[name] = values // they are the agent's, and nothing is added to them
				}
			}
		},
		Transport: transport,
		ModifyResponse: func(res *http.Response) error {
			r.stats.forwarded.Add(1)
			if res.StatusCode >= 400 {
				r.stats.forwardRefused.Add(1)
			}
			return nil
		},
		ErrorHandler:  f.failed,
		ErrorLog:      nil,
		FlushInterval: -1,
	}
	return f
}

// serve forwards a request. What it brings is decoded at the same time.
func (f *forwarder) serve(w http.ResponseWriter, req *http.Request) {
	decode := f.decoder(req)
	if decode == nil {
		f.proxy.ServeHTTP(w, req)
		return
	}
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // an answer that comes before the end of the request does not wait for that
	tap := newTap(req.Body, func(body io.Reader) {
		defer func() {
			if p := recover(); p != nil {
				f.r.panicked(p)
			}
			_, _ = io.Copy(io.Discard, body) // the other server is to get all of it
		}()
		decode(body)
	})
	defer tap.finish(func() { _ = control.SetReadDeadline(time.Now()) })
	req = req.WithContext(context.WithValue(req.Context(), tapKey{}, tap))
	req.Body = tap
	f.proxy.ServeHTTP(w, req)
}

// tapKey is that of the tap in the context of a request.
type tapKey struct{}

// decoder is what decodes the body of a request; nil if that tells nothing.
func (f *forwarder) decoder(req *http.Request) func(io.Reader) {
	if req.Method != http.MethodPost {
		return nil
	}
	header := &http.Request{Header: req.Header.Clone(), URL: req.URL} // the proxy changes the request
	switch req.URL.Path {
	case "/intake/v2/events", "/intake/v2/rum/events", "/intake/v3/rum/events":
		return func(body io.Reader) { f.r.decodeIntake(body, header) }
	case "/v1/traces":
		asJSON := strings.HasPrefix(req.Header.Get("Content-Type"), "application/json")
		return func(body io.Reader) { _, _, _ = f.r.decodeOTLP(body, header, asJSON) }
	}
	return nil
}

// failed answers when the other server did not.
func (f *forwarder) failed(w http.ResponseWriter, req *http.Request, err error) {
	if tap, ok := req.Context().Value(tapKey{}).(*tap); ok {
		if readErr := tap.drain(); readErr != nil {
			// It is the agent who has failed.
			status, message := readFailure(readErr)
			writeJSON(w, status, &intakeAnswer{Errors: []intakeError{{Message: message}}})
			return
		}
	}
	f.r.stats.forwardFailed.Add(1)
	f.r.cfg.Logger.Warn("the APM server behind the receiver did not answer", "path", req.URL.Path, "error", err)
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, &intakeAnswer{Errors: []intakeError{{Message: fmt.Sprintf("the APM server behind this one did not answer: %v", err)}}})
}

// tap is a body of which whatever is read is also decoded.
type tap struct {
	body  io.ReadCloser
	pipe  *io.PipeWriter
	done  chan struct{}
	ended atomic.Bool // the body was read to its end, or has failed

	mu     sync.Mutex // one reads at a time
	closed bool
	err    error // of the body
}

func newTap(body io.ReadCloser, decode func(io.Reader)) *tap {
	r, w := io.Pipe()
	t := &tap{body: body, pipe: w, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		decode(r)
	}()
	return t
}

var errTapClosed = errors.New("the request is over")

// Read is for the transport, which may go on to read when it has given up.
func (t *tap) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, errTapClosed
	}
	return t.read(p)
}

func (t *tap) read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if n > 0 {
		_, _ = t.pipe.Write(p[:n])
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			t.err = err
		}
		t.ended.Store(true)
		_ = t.pipe.CloseWithError(err)
	}
	return n, err
}

// Close is for the transport. The body is the server's.
func (t *tap) Close() error { return nil }

// drain reads what the transport has left, and returns what went wrong with the body.
func (t *tap) drain() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	buf := make([]byte, 16<<10)
	for t.err == nil {
		if _, err := t.read(buf); err != nil {
			break
		}
	}
	return t.err
}

// finish waits until all that was read is decoded. If the transport still waits for more
// of the body, hurry ends that.
func (t *tap) finish(hurry func()) {
	if !t.ended.Load() {
		hurry()
	}
	t.mu.Lock()
	t.closed = true
	_ = t.pipe.CloseWithError(io.ErrUnexpectedEOF) // without effect if the body was read to its end
	t.mu.Unlock()
	<-t.done
}
