package loadgen

import (
	"bytes"
	"cmp"
	"net/http"
	"net/textproto"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/textkit"
)

const (
	maxExemplars    = 100
	maxExemplarBody = 4 << 10 // a longer body of a request is not kept
)

// Exemplar is one request of a job, kept whole so that somebody can look at it and
// send it again: see [WithExemplars]. Secrets are taken out.
type Exemplar struct {
	Task      string        `json:"task,omitempty"`
	VU        int           `json:"vu"`
	Iteration uint64        `json:"iteration"` // of that VU, from 0
	Method    string        `json:"method"`
	URL       string        `json:"url"`
	Header    http.Header   `json:"header,omitempty"`
	Body      string        `json:"body,omitempty"` // if it is text of at most 4 KiB
	BodySize  int           `json:"body_size"`      // in bytes; -1 for a stream
	Status    int           `json:"status"`         // 0 if there was no response
	Class     ErrorClass    `json:"class,omitempty"`
	Error     string        `json:"error,omitempty"`
	Start     time.Time     `json:"start"`
	Service   time.Duration `json:"service_ns"`
	TraceID   TraceID       `json:"trace_id,omitzero"` // of a job with Trace
	SpanID    SpanID        `json:"span_id,omitzero"`
}

// Exemplars are the requests that a job has kept.
type Exemplars struct {
	Slowest []Exemplar `json:"slowest"` // by service time, the slowest first
	Failed  []Exemplar `json:"failed"`  // the first failure of each class, by class
}

// WithExemplars makes each job keep its n slowest requests (at most 100), and the first
// failed one of each class, with method, URL, headers and body. Values of headers, of
// query parameters and of fields of JSON and form bodies whose name says that they are
// secret, such as Authorization, Cookie or password, read REDACTED.
func WithExemplars(n int) Option {
	return func(e *environment) { e.exemplars = min(max(n, 0), maxExemplars) }
}

// Exemplars returns the requests kept so far: see [WithExemplars].
func (j *Job) Exemplars() Exemplars {
	out := Exemplars{Slowest: []Exemplar{}, Failed: []Exemplar{}}
	k := j.exemplars
	if k == nil {
		return out
	}
	k.mu.Lock()
	for _, e := range k.slowest {
		out.Slowest = append(out.Slowest, e.redacted())
	}
	for i := range k.failed {
		if k.seen[i].Load() {
			out.Failed = append(out.Failed, k.failed[i].redacted())
		}
	}
	k.mu.Unlock()
	return out
}

// keeper holds the exemplars of a job. Most requests cost it one comparison.
type keeper struct {
	n     int
	floor atomic.Int64                    // once there are n, a request must take longer than this
	seen  [failure.NumClasses]atomic.Bool // there is a failure of the class

	mu      sync.Mutex
	slowest []Exemplar // the slowest first
	failed  [failure.NumClasses]Exemplar
}

func newKeeper(n int) *keeper {
	if n == 0 {
		return nil
	}
	k := &keeper{n: n}
	k.floor.Store(-1)
	return k
}

// offer takes a request that is over, if it is worth keeping.
func (k *keeper) offer(vu *VU, m *client.Measurement) {
	took, class := m.End.Sub(m.Start), failure.Number(m.Class)
	slow := int64(took) > k.floor.Load()
	fails := class != 0 && !k.seen[class].Load()
	if !slow && !fails {
		return
	}
	e := vu.exemplar(m, took)
	k.mu.Lock()
	defer k.mu.Unlock()
	if fails && !k.seen[class].Load() {
		k.failed[class] = e
		k.seen[class].Store(true)
	}
	if int64(took) <= k.floor.Load() {
		return
	}
	at, _ := slices.BinarySearchFunc(k.slowest, took, func(e Exemplar, d time.Duration) int {
		return cmp.Or(cmp.Compare(d, e.Service), -1) // behind those that took as long
	})
	k.slowest = slices.Insert(k.slowest, at, e)
	if len(k.slowest) >= k.n {
		k.slowest = k.slowest[:k.n]
		k.floor.Store(int64(k.slowest[k.n-1].Service))
	}
}

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
