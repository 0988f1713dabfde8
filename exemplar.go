package loadgen

import (
	"bytes"
	"net/http"
	"net/textproto"
	"time"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/textkit"
)

const (
	maxExemplars    = 100
	maxExemplarBody = 4 << 10 // a longer body of a request is not kept
)

// WithExemplars makes each job keep its n slowest requests (at most 100), and the first
// failed one of each class, with method, URL, headers and body. Values of headers, of
// query parameters and of fields of JSON and form bodies whose name says that they are
// secret, such as Authorization, Cookie or password, read REDACTED.
func WithExemplars(n int) Option {
	return func(e *environment) { e.exemplars = min(max(n, 0), maxExemplars) }
}

// Exemplars returns the requests kept so far: see [WithExemplars].
func (j *Job) Exemplars() Exemplars { return j.exemplars.Kept() }

// exemplar copies what there is to know about a request.
func (vu *VU) exemplar(m *client.Measurement, took time.Duration) Exemplar {
	body, streamed := m.RequestBody()
	e := Exemplar{
		VU: vu.id, Iteration: vu.iteration, Method: m.Method, URL: m.Address(), BodySize: len(body),
		Status: m.Status, Class: m.Class, Start: m.Start, Service: took, Header: http.Header{},
		TraceID: m.Trace.TraceID, SpanID: m.Trace.SpanID,
	}
	if vu.task != nil {
		e.Task = vu.task.name
	}
	if m.Err != nil {
		e.Error = textkit.ErrorMessage(m.Err)
	}
	switch {
	case streamed:
		e.BodySize = -1
	case len(body) <= maxExemplarBody && utf8.Valid(body) && bytes.IndexByte(body, 0) < 0:
		e.Body = string(body)
	}
	_, lines, _ := bytes.Cut(m.Head(), []byte("\r\n"))
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			key := textproto.CanonicalMIMEHeaderKey(string(name))
			e.Header[key] = append(e.Header[key], string(bytes.TrimSpace(value)))
		}
	}
	maskExemplar(vu.plan.mask, &e)
	return e
}
