package loadgen

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
)

// Do is send in public terms.
func (c *client) Do(ctx context.Context, req *Request) (*Response, error) {
	r, err := c.send(ctx, &call{
		method:     req.Method,
		target:     []byte(req.URL),
		header:     headerFields(req.Header),
		body:       req.Body,
		expect:     req.Expect,
		readBody:   req.ReadBody,
		noRedirect: req.NoRedirect,
	})
	if r == nil {
		return nil, err
	}
	resp := &Response{Status: r.status, Header: r.x.httpHeader(), URL: r.url(), Service: r.service}
	if req.ReadBody {
		resp.Body = bytes.Clone(r.body)
	}
	return resp, err
}

// headerFields lists a header by name, so that the same header is sent in the same
// order each time.
func headerFields(h http.Header) []headerField {
	if len(h) == 0 {
		return nil
	}
	fields := make([]headerField, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fields = append(fields, headerField{http.CanonicalHeaderKey(name), []byte(value)})
		}
	}
	return fields
}

// httpHeader copies the response's header.
func (x *exchange) httpHeader() http.Header {
	if x.h2 != nil {
		return x.h2.Clone()
	}
	h := make(http.Header, 8)
	for name, value := range x.in.Header.All() {
		if string(name) != "Transfer-Encoding" {
			key := http.CanonicalHeaderKey(string(name))
			h[key] = append(h[key], string(value))
		}
	}
	return h
}
