package client

import (
	"maps"
	"net/http"
	"slices"
)

// HeaderFields lists a header by name, so that the same header is sent in the same
// order each time.
func HeaderFields(h http.Header) []HeaderField {
	if len(h) == 0 {
		return nil
	}
	fields := make([]HeaderField, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fields = append(fields, HeaderField{http.CanonicalHeaderKey(name), []byte(value)})
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

// Headers copies all headers of the response.
func (r *Reply) Headers() http.Header { return r.x.httpHeader() }
