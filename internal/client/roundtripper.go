package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/opbeans/loadgen/failure"
)

const (
	bufferedUpload = 1 << 20               // a larger body of a request is streamed
	closeDrain     = 256 << 10             // what Close reads to save a connection
	closeWait      = 50 * time.Millisecond // and how long it waits for that
)

// HTTPClient returns the client's std face. Redirects are that client's doing, as
// are cookies, out of the same jar.
func (c *Client) HTTPClient() *http.Client {
	if c.std == nil {
		c.std = &http.Client{Transport: (*roundTripper)(c), Jar: (*lazyJar)(c)}
	}
	return c.std
}

// roundTripper sends the requests of an http.Client over the VU's connections.
type roundTripper Client

// RoundTrip implements [http.RoundTripper]. The request is measured when the body of
// its response was read to the end or is closed.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	c := (*Client)(rt)
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if c.ended.Load() {
		return nil, interrupted()
	}
	c.begin()
	x := c.newExchange(c.target)
	x.viaStd = true
	resp, err := x.roundTripHTTP(req)
	if err != nil {
		x.release()
	}
	return resp, err
}

func (x *exchange) roundTripHTTP(req *http.Request) (*http.Response, error) {
	if err := x.prepare(req); err != nil {
		return nil, &failure.Error{Class: failure.Protocol, Err: err}
	}
	if err := x.send(req.Context()); err != nil {
		x.finish(err)
		err = x.failed(err)
		x.measure(false, err)
		return nil, err
	}
	x.c.keepCookies(x) // those too that net/http would not take
	return x.response(req)
}

// prepare renders a request.
func (x *exchange) prepare(req *http.Request) error {
	if req.URL == nil || req.URL.Host == "" {
		return errors.New("the URL of a request of an http.Client must be absolute, for instance vu.BaseURL()+\"/path\"")
	}
	if err := x.aim([]byte(req.URL.Scheme + "://" + req.URL.Host + req.URL.RequestURI())); err != nil {
		return err
	}
	first := req
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
		x.hop++
	}
	x.foreign = first.URL.Host != req.URL.Host
	r := Call{Method: req.Method, Header: HeaderFields(req.Header)}
	if req.Host != "" && req.Host != req.URL.Host {
		r.Header = append(r.Header, HeaderField{"Host", []byte(req.Host)})
	}
	if req.Close {
		r.Header = append(r.Header, HeaderField{"Connection", []byte("close")})
	}
	if req.Body != nil && req.Body != http.NoBody {
		begin, err := io.ReadAll(io.LimitReader(req.Body, bufferedUpload+1))
		if err != nil {
			return err
		}
		r.Body = begin
		if len(begin) > bufferedUpload {
			r.Body = nil
			x.source, x.sourceLen = io.MultiReader(bytes.NewReader(begin), req.Body), -1
			if req.ContentLength > 0 {
				x.sourceLen = req.ContentLength
			}
		}
	}
	return x.render(&r)
}

// response makes the public form of the response whose head was read.
func (x *exchange) response(req *http.Request) (*http.Response, error) {
	s := &stream{x: x}
	s.follows = isRedirect(x.reply.Status) && len(x.reply.Header("Location")) > 0 &&
		x.c.std.CheckRedirect == nil && x.hop < MaxRedirects
	resp := &http.Response{
		StatusCode: x.reply.Status,
		Status:     fmt.Sprintf("%03d %s", x.reply.Status, http.StatusText(x.reply.Status)),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        x.httpHeader(),
		ContentLength: -1,
		Body:          s,
		Request:       req,
	}
	if x.h2 != nil {
		s.raw = x.h2Body
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/2.0", 2, 0
	} else {
		s.raw = x.in
		resp.ContentLength = int64(max(x.in.Header.ContentLength(), -1))
	}
	s.body = s.raw
	if encoding := x.reply.Header("Content-Encoding"); req.Header.Get("Accept-Encoding") == "" &&
		len(encoding) > 0 && req.Method != http.MethodHead {
		var err error
		if s.body, err = x.decoder.open(s.raw, encoding, x.t.maxBody); err != nil {
			x.finish(err)
			err = x.failed(err)
			x.measure(false, err)
			return nil, err
		}
		if s.body != s.raw {
			resp.Header.Del("Content-Encoding")
			resp.Header.Del("Content-Length")
			resp.ContentLength, resp.Uncompressed = -1, true
		}
	}
	x.c.streams = append(x.c.streams, s)
	return resp, nil
}

// stream is the body of a response in the hands of an http.Client's user.
type stream struct {
	x       *exchange // nil when the response is over
	raw     io.Reader
	body    io.Reader // raw, decoded
	err     error     // what Read returns when it is over
	follows bool
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	if s.x == nil {
		return 0, s.err
	}
	n, err := s.body.Read(p)
	if errors.Is(err, io.EOF) {
		// The end of compressed data need not be that of the response.
		if _, err = io.Copy(io.Discard, s.raw); err == nil {
			s.end(io.EOF, true)
			return n, io.EOF
		}
	}
	if err != nil {
		x := s.x
		x.finish(err)
		s.over(x.failed(err), false)
		return n, s.err
	}
	return n, nil
}

// Close implements [io.Closer]. It reads what little may be left, so that the
// connection can be used again.
func (s *stream) Close() error {
	x := s.x
	if x == nil {
		return nil
	}
	if x.h2 != nil {
		cancel := x.cancel
		defer time.AfterFunc(closeWait, func() { cancel(errors.New("closed")) }).Stop()
	} else if !x.in.Buffered() {
		now := time.Now()
		if until := now.Add(closeWait); until.Before(x.total) {
			_ = x.conn.SetDeadline(until, now)
		}
	}
	_, err := io.CopyN(io.Discard, s.raw, closeDrain)
	whole := errors.Is(err, io.EOF)
	x.closing = x.closing || !whole
	s.end(http.ErrBodyReadAfterClose, whole)
	return nil
}

// end is the end of a response that did not fail.
func (s *stream) end(err error, whole bool) {
	x := s.x
	x.finish(nil)
	x.m.Complete = whole
	s.over(err, true)
}

// over measures the response and lets go of it.
func (s *stream) over(err error, good bool) {
	x := s.x
	s.x, s.err = nil, err
	x.c.streams = slices.DeleteFunc(x.c.streams, func(o *stream) bool { return o == s })
	if good {
		err = nil
	}
	x.measure(s.follows && good, err)
	x.release()
}
