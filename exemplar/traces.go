package exemplar

import (
	"fmt"
	"math/bits"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
	"github.com/opbeans/loadgen/tracecontext"
)

// Trace is a traced request that took about as long as a percentile says, so
// that somebody can look at its trace.
type Trace struct {
	Percentile string               `json:"percentile"` // of the service time: p50, p90, p95, p99, p99.9, or max
	Task       string               `json:"task"`
	Time       time.Time            `json:"time"` // the request was sent
	Service    time.Duration        `json:"service_ns"`
	Status     int                  `json:"status"` // 0 if there was no response
	Class      failure.Class        `json:"class,omitempty"`
	TraceID    tracecontext.TraceID `json:"trace_id"`
	SpanID     tracecontext.SpanID  `json:"span_id"`
	URL        string               `json:"url,omitempty"` // of the trace in a user interface; empty if none was given
}

// Traces is an Observer of package stats that keeps, of each job and for each sixteenth of a power
// of two of the service time, the last request whose trace is sampled: where all are, one is
// at most 8 %, or two microseconds, from each percentile. It is safe for concurrent use.
type Traces struct {
	template string

	mu    sync.Mutex
	jobs  map[string]*tracesOfJob
	order []string // of jobs; the one that was seen first leads
}

// tracesOfJob are those of one job by [stepOf]. What is kept of a run before counts no
// more once the job is asked for a later one.
type tracesOfJob map[int]Trace

const maxTracedJobs = 1000

// NewTraces returns an observer that has seen nothing. The template, if not
// empty, is the URL of a trace in a user interface, with {trace_id} and, where it is
// wanted, {span_id} in the place of the ids:
//
//	http://kibana:5601/app/apm/link-to/trace/{trace_id}
//
// The error says what is wrong with the template.
func NewTraces(template string) (*Traces, error) {
	if template != "" {
		u, err := url.Parse(strings.NewReplacer("{trace_id}", "0", "{span_id}", "0").Replace(template))
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(template, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return nil, fmt.Errorf("%s must be an http or https URL, for instance http://kibana:5601/app/apm/link-to/trace/{trace_id}", textkit.Shorten(template))
		case !strings.Contains(template, "{trace_id}"):
			return nil, fmt.Errorf("%s must have {trace_id} where the id of the trace goes", textkit.Shorten(template))
		case u.User != nil:
			return nil, fmt.Errorf("%s must have no user or password: it is shown to everybody", textkit.Shorten(u.Redacted()))
		}
	}
	return &Traces{template: template, jobs: map[string]*tracesOfJob{}}, nil
}

// Observe implements Observer of package stats.
func (t *Traces) Observe(s stats.Sample) {
	if !s.Trace.Sampled || s.Status == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.jobs[s.Job]
	if of == nil {
		if len(t.order) == maxTracedJobs {
			delete(t.jobs, t.order[0])
			t.order = slices.Delete(t.order, 0, 1)
		}
		of = &tracesOfJob{}
		t.jobs[s.Job], t.order = of, append(t.order, s.Job)
	}
	(*of)[stepOf(s.Service)] = Trace{
		Task: s.Task, Time: s.Start, Service: s.Service, Status: s.Status, Class: s.Class, TraceID: s.Trace.TraceID, SpanID: s.Trace.SpanID,
	}
}

// stepOf numbers times of at least a microsecond: sixteen steps to each power of two, none
// longer than 1/16 of its time.
func stepOf(d time.Duration) int {
	us := max(uint64(max(d, 0)/time.Microsecond), 1)
	n := bits.Len64(us) - 1
	return 16*n + int(us<<4>>n)&15
}

// Of returns, for the percentiles of a job's service time, the kept request that comes
// nearest: of the run that s is of. Percentiles that have the same are told once, by the
// highest. There are none without a sampled trace.
func (t *Traces) Of(s *stats.Snapshot) []Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kept []Trace
	if of := t.jobs[s.Job]; of != nil {
		for step, e := range *of {
			if e.Time.Before(s.Started) {
				delete(*of, step)
				continue
			}
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 || s.Service.Count() == 0 {
		return nil
	}
	var list []Trace
	for _, p := range []struct {
		name string
		at   time.Duration
	}{
		{"p50", s.Service.P50()},
		{"p90", s.Service.Quantile(0.9)},
		{"p95", s.Service.Quantile(0.95)},
		{"p99", s.Service.P99()},
		{"p99.9", s.Service.Quantile(0.999)},
		{"max", s.Service.Max()},
	} {
		e := slices.MinFunc(kept, func(a, b Trace) int {
			return int((a.Service - p.at).Abs() - (b.Service - p.at).Abs())
		})
		e.Percentile = p.name
		if t.template != "" {
			e.URL = strings.NewReplacer("{trace_id}", e.TraceID.String(), "{span_id}", e.SpanID.String()).Replace(t.template)
		}
		if n := len(list); n > 0 && list[n-1].SpanID == e.SpanID && list[n-1].TraceID == e.TraceID {
			list[n-1] = e
			continue
		}
		list = append(list, e)
	}
	return list
}
