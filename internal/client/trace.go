package client

import (
	"hash/fnv"
	"math/bits"
	"net/http"
	"strconv"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/tracecontext"
)

// The headers of W3C Trace Context and Baggage, as Go writes them.
const (
	TraceparentField = "Traceparent"
	TracestateField  = "Tracestate"
	BaggageField     = "Baggage"
)

// plainBaggage is what stays as it is in the trace header, beside letters and digits: what
// RFC 3986 calls unreserved. All else is escaped, as in a value of W3C Baggage.
const plainBaggage = "-._~"

// tracing is what the requests of a revision have in common if they are traced. It does
// not change.
type tracing struct {
	lanes  [2]uint64 // of seed and job
	below  uint64    // a trace is sampled if 63 bits of its id are below
	fields []targetField
	header string // that says where the request comes from, or empty
	job    []byte // what it begins with
}

// newTracing is nil if the requests of a job are not traced. cfg is valid.
func newTracing(cfg *TraceConfig) *tracing {
	if !cfg.On {
		return nil
	}
	name := fnv.New64a()
	_, _ = name.Write([]byte(cfg.Job)) // never fails
	t := &tracing{below: uint64(cfg.Ratio * (1 << 63)), header: http.CanonicalHeaderKey(cfg.Header)}
	for i := range t.lanes {
		t.lanes[i] = Mix(Mix(uint64(i+1), cfg.Seed), name.Sum64())
	}
	if cfg.State != "" {
		t.fields = append(t.fields, targetField{TracestateField, "tracestate: " + cfg.State + "\r\n"})
	}
	if cfg.Baggage != "" {
		t.fields = append(t.fields, targetField{BaggageField, "baggage: " + cfg.Baggage + "\r\n"})
	}
	if t.header != "" {
		t.job = append(t.job, t.header...)
		t.job = append(escape.AppendPercent(append(t.job, ": job="...), cfg.Job, plainBaggage), ",task="...)
	}
	return t
}

// Mix makes one number of two such that each bit of both counts for each bit of it: the
// finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014). For either argument it is a bijection.
func Mix(h, v uint64) uint64 {
	h = (bits.RotateLeft64(h, 32) ^ v) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// context is that of a request: of the VU's stream, of one of its iterations, its step
// there, and the hop. The hops of a step are one trace. Whether it is sampled is told
// by the rule of OpenTelemetry's TraceIDRatioBased, so that a target which samples by
// that rule and the same ratio agrees.
func (t *tracing) context(stream, iteration, step uint64, hop int) (c tracecontext.Context) {
	var lanes [2]uint64
	for i, l := range t.lanes {
		lanes[i] = Mix(Mix(Mix(l, stream), iteration), step)
	}
	if lanes == [2]uint64{} {
		lanes[1] = 1 // an id of zeros is none
	}
	span := Mix(Mix(lanes[0], lanes[1]), uint64(hop))
	if span == 0 {
		span = 1
	}
	putID(c.TraceID[:8], lanes[0])
	putID(c.TraceID[8:], lanes[1])
	putID(c.SpanID[:], span)
	c.Sampled = lanes[1]>>1 < t.below
	return c
}

func putID(dst []byte, v uint64) {
	for i := range dst {
		dst[i] = byte(v >> (56 - 8*i))
	}
}

// appendTrace writes the headers of a traced request; own are those that the request
// brings along, which win.
func (x *exchange) appendTrace(t *tracing, own []HeaderField) {
	from := x.c.owner.Caller(x.hop == 0)
	x.trace = t.context(from.Stream, from.Iteration, from.Step, x.hop)
	if theirs := fieldValue(own, TraceparentField); theirs != nil {
		x.trace, _ = tracecontext.ParseTraceparent(theirs)
	} else {
		x.out = append(tracecontext.AppendTraceparent(append(x.out, "traceparent: "...), &x.trace), "\r\n"...)
	}
	for i := range t.fields {
		f := &t.fields[i]
		if hasField(own, f.name) || x.foreign && f.name == BaggageField {
			continue
		}
		x.out = append(x.out, f.line...)
	}
	if t.header == "" || x.foreign || hasField(own, t.header) {
		return
	}
	x.out = append(x.out, t.job...)
	x.out = escape.AppendPercent(x.out, from.Task, plainBaggage)
	x.out = strconv.AppendUint(append(x.out, ",revision="...), from.Revision, 10)
	x.out = append(x.out, "\r\n"...)
}

func fieldValue(fields []HeaderField, name string) []byte {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value
		}
	}
	return nil
}
