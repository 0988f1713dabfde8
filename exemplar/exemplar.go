// Package exemplar has single requests that stand for many: the slowest and the first failed
// ones of a job, whole enough to be sent again, and the traces behind percentiles.
package exemplar

import (
	"net/http"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/tracecontext"
)

// Exemplar is one request of a job, kept whole so that somebody can look at it and
// send it again: see WithExemplars of the root package. Secrets are taken out.
type Exemplar struct {
	Task      string               `json:"task,omitempty"`
	VU        int                  `json:"vu"`
	Iteration uint64               `json:"iteration"` // of that VU, from 0
	Method    string               `json:"method"`
	URL       string               `json:"url"`
	Header    http.Header          `json:"header,omitempty"`
	Body      string               `json:"body,omitempty"` // if it is text of at most 4 KiB
	BodySize  int                  `json:"body_size"`      // in bytes; -1 for a stream
	Status    int                  `json:"status"`         // 0 if there was no response
	Class     failure.Class        `json:"class,omitempty"`
	Error     string               `json:"error,omitempty"`
	Start     time.Time            `json:"start"`
	Service   time.Duration        `json:"service_ns"`
	TraceID   tracecontext.TraceID `json:"trace_id,omitzero"` // of a job with Trace
	SpanID    tracecontext.SpanID  `json:"span_id,omitzero"`
}

// Set are the requests that a job has kept.
type Set struct {
	Slowest []Exemplar `json:"slowest"` // by service time, the slowest first
	Failed  []Exemplar `json:"failed"`  // the first failure of each class, by class
}
