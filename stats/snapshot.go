// Package stats is what is known of a job: samples, snapshots of its statistics, their
// sums and differences, and thresholds on them.
package stats

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/tracecontext"
)

// Sample is one measured request, as an [Observer] sees it. Each hop of a
// redirect is a request of its own.
type Sample struct {
	Job      string
	Scenario string
	Task     string // "" for a request outside of a task
	VU       int
	Method   string
	URL      SampleURL
	// Remote is the address that the request went to. It is the zero Addr if there
	// was no connection, or one that does not tell: to a proxy or a Unix socket.
	Remote  netip.Addr
	Hop     int           // 0, or how many redirects led here
	Follows bool          // whether a redirect was followed from here
	Status  int           // 0 if there was no response
	Class   failure.Class // ClassNone if it was as expected
	Start   time.Time     // when the request was sent
	Service time.Duration
	// Header is the time from the request sent to the response's header read.
	Header         time.Duration
	Sent, Received int64 // bytes on the connection, header and body
	// Trace is what the request has sent as traceparent; see JobConfig.Trace.
	Trace tracecontext.Context
}

// SampleURL is the address of a measured request.
type SampleURL struct {
	Scheme string
	Host   string // with the port, if the URL has one
	Path   string // as sent, escaped
	Query  string // without the question mark
}

// String is the whole address.
func (u SampleURL) String() string {
	s := u.Scheme + "://" + u.Host + u.Path
	if u.Query != "" {
		s += "?" + u.Query
	}
	return s
}

// Observer is told of every measured request, in batches soon after the fact, on
// a goroutine of its own. An Observer that falls behind misses samples and slows
// nothing down; [Manager.DroppedSamples] counts what was missed. A panic in it is logged.
// Observe is not called concurrently with itself.
type Observer interface{ Observe(Sample) }

// ObserverFunc is a function as an [Observer].
type ObserverFunc func(Sample)

// Observe calls f.
func (f ObserverFunc) Observe(s Sample) { f(s) }

// Snapshot is the statistics of a job up to one moment. It is a copy: reading it
// needs no lock, and the job goes on meanwhile. The totals of all tasks add up to
// the job's totals.
type Snapshot struct {
	Job      string        `json:"job"`
	State    State         `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Revision uint64        `json:"revision"`
	Seed     uint64        `json:"seed,string"`
	Started  time.Time     `json:"started,omitzero"`
	Time     time.Time     `json:"time"`
	Elapsed  time.Duration `json:"-"` // from the start to Time, or to the job's end
	// LoadDuration is for how long the job has offered load: from the start until no
	// iteration could begin any more, or until Time. Rates are per second of it. Work that
	// finishes later is counted; the extra time is not. In the closed model each VU offers
	// load until the end of its last iteration, and LoadDuration is the mean over the VUs.
	LoadDuration time.Duration `json:"-"`
	Workers      int           `json:"workers"`
	VUs          int           `json:"vus"`    // that exist now
	Active       int           `json:"active"` // of those, in an iteration now
	Recent       Recent        `json:"recent"`

	// Valid is false when the generator, not the target, was the limit, so that the
	// numbers say little about the target. Invalid then says why.
	Valid   bool     `json:"valid"`
	Invalid []string `json:"invalid,omitempty"`
	// Issues are the same reasons for programs: the texts of Issues are Invalid.
	Issues []Issue `json:"issues,omitempty"`
	// Lag is how late iterations began for which a VU was waiting: the error of the
	// schedule. LateStarts counts the iterations that began more than 10 ms late because
	// every VU was busy. Dropped counts those that were due and had not begun when the job
	// ended.
	Lag        histogram.Histogram `json:"lag"`
	LateStarts uint64              `json:"starved"`
	Dropped    uint64              `json:"dropped"`
	// Throttled counts requests that had to wait for the limit of a Manager on the rate of
	// all jobs together.
	Throttled uint64 `json:"held,omitempty"`

	// Verdicts are what the thresholds of the job, and then those of its scenario, say of
	// it so far.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	// Metrics are numbers of other packages: see [WithMetrics].
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// MetricsOpen is true while these may still change: also when the job has ended.
	MetricsOpen bool `json:"metrics_open,omitempty"`

	Totals
	Tasks []TaskSnapshot `json:"tasks"`
	// Groups are the named parts of flows; see [VU.Group].
	Groups []GroupSnapshot `json:"groups,omitempty"`
}

// RateOf returns n, a count of the snapshot, per second of LoadDuration, or of Elapsed if
// that is not known.
func (s *Snapshot) RateOf(n uint64) float64 {
	d := s.LoadDuration
	if d <= 0 {
		d = s.Elapsed
	}
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// MarshalJSON adds "elapsed_s" and "offered_s", the times in seconds.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	type plain Snapshot
	return textkit.MarshalPlain(struct {
		plain
		Elapsed float64 `json:"elapsed_s"`
		Offered float64 `json:"offered_s"`
	}{plain(s), s.Elapsed.Seconds(), s.LoadDuration.Seconds()})
}

// Clone returns a copy that shares nothing with s.
func (s *Snapshot) Clone() *Snapshot {
	c := *s
	c.Invalid, c.Issues = slices.Clone(s.Invalid), slices.Clone(s.Issues)
	c.Lag, c.Totals = s.Lag.Clone(), s.Totals.Clone()
	c.Tasks = make([]TaskSnapshot, len(s.Tasks))
	for i := range s.Tasks {
		c.Tasks[i] = TaskSnapshot{Task: s.Tasks[i].Task, Method: s.Tasks[i].Method, Totals: s.Tasks[i].Clone()}
	}
	c.Verdicts, c.Metrics, c.Groups = slices.Clone(s.Verdicts), maps.Clone(s.Metrics), nil
	c.mergeGroups(s.Groups)
	return &c
}

// AtEnd completes now, of a job that has ended, with the statistics s of its end.
func (s *Snapshot) AtEnd(now *Snapshot) *Snapshot {
	c := s.Clone()
	c.fillMaps()
	c.State, c.Reason, c.Revision, c.Time = now.State, now.Reason, now.Revision, now.Time
	c.Workers, c.Seed, c.VUs, c.Active, c.Recent = now.Workers, now.Seed, 0, 0, Recent{}
	c.Valid = len(c.Invalid) == 0
	return c
}

// TaskSnapshot is the part of one task in a [Snapshot].
type TaskSnapshot struct {
	Task string `json:"task"`
	// Method is that of the requests counted here, in [Job.SnapshotByMethod] alone.
	Method string `json:"method,omitempty"`
	Totals
}

// Totals counts iterations and requests, and holds how long they took.
//
// Errors has one entry for each failed request, by its class, and one for each
// iteration that failed without a failed request (a task's own error, a panic).
type Totals struct {
	Iterations       uint64                      `json:"iterations"`        // ended, not counting interrupted ones
	FailedIterations uint64                      `json:"failed_iterations"` // of those, the failed
	Interrupted      uint64                      `json:"interrupted"`       // iterations ended by the job's end
	Requests         uint64                      `json:"requests"`          // measured, redirect hops included
	FailedRequests   uint64                      `json:"failed_requests"`   // of those, the failed
	Status           map[int]uint64              `json:"status"`            // requests by status code
	Errors           map[failure.Class]ErrorStat `json:"errors"`
	Sent             uint64                      `json:"bytes_sent"`
	Received         uint64                      `json:"bytes_received"`
	// Service is the time from a request sent to its response read, of every
	// request that got a whole response.
	Service histogram.Histogram `json:"service"`
	// Response is the time from an iteration due to that iteration done, of
	// every iteration that was not interrupted. It counts the wait for a free
	// VU, so that a stalled target cannot hide behind requests never sent.
	Response histogram.Histogram `json:"response"`
}

// ErrorStat counts the failures of one class.
type ErrorStat struct {
	Count uint64 `json:"count"`
	// Sample is the message of one such failure, cut to 200 bytes.
	Sample string `json:"sample"`
}

// Recent is what happened per second over the last whole seconds, at most five of
// them. Before the first whole second it is what happened so far: over milliseconds, the
// start of many VUs would look like a rate.
type Recent struct {
	Iterations       float64 `json:"iterations_per_s"`
	FailedIterations float64 `json:"failed_iterations_per_s"`
	Requests         float64 `json:"requests_per_s"`
	FailedRequests   float64 `json:"failed_requests_per_s"`
}

// Since returns what happened between prev, an earlier snapshot of the same run of
// the job, and s. Its counts plus those of prev are those of s. A nil prev stands
// for the start, and so does one of another run. Verdicts and Metrics are of the whole
// run, and not in it.
func (s *Snapshot) Since(prev *Snapshot) *Snapshot {
	d := *s
	if prev == nil || !prev.Started.Equal(s.Started) {
		prev = &Snapshot{}
	}
	d.Verdicts, d.Metrics = nil, nil
	d.Elapsed, d.LoadDuration = s.Elapsed-prev.Elapsed, max(s.LoadDuration-prev.LoadDuration, 0)
	d.Lag = s.Lag.Since(&prev.Lag)
	d.LateStarts, d.Dropped, d.Throttled = s.LateStarts-prev.LateStarts, s.Dropped-prev.Dropped, s.Throttled-prev.Throttled
	d.Totals = s.Totals.since(&prev.Totals)
	d.Groups = groupsSince(s.Groups, prev.Groups)
	type key struct{ task, method string }
	before := make(map[key]*Totals, len(prev.Tasks))
	for i := range prev.Tasks {
		before[key{prev.Tasks[i].Task, prev.Tasks[i].Method}] = &prev.Tasks[i].Totals
	}
	d.Tasks = make([]TaskSnapshot, 0, len(s.Tasks))
	for i := range s.Tasks {
		t := &s.Tasks[i]
		old := before[key{t.Task, t.Method}]
		if old == nil {
			old = &Totals{}
		}
		d.Tasks = append(d.Tasks, TaskSnapshot{Task: t.Task, Method: t.Method, Totals: t.Totals.since(old)})
	}
	return &d
}

func (t *Totals) since(prev *Totals) Totals {
	d := Totals{
		Iterations:       t.Iterations - prev.Iterations,
		FailedIterations: t.FailedIterations - prev.FailedIterations,
		Interrupted:      t.Interrupted - prev.Interrupted,
		Requests:         t.Requests - prev.Requests,
		FailedRequests:   t.FailedRequests - prev.FailedRequests,
		Sent:             t.Sent - prev.Sent,
		Received:         t.Received - prev.Received,
		Status:           maps.Clone(t.Status),
		Errors:           maps.Clone(t.Errors),
		Service:          t.Service.Since(&prev.Service),
		Response:         t.Response.Since(&prev.Response),
	}
	d.fillMaps()
	for code, n := range prev.Status {
		if d.Status[code] -= n; d.Status[code] == 0 {
			delete(d.Status, code)
		}
	}
	for class, e := range prev.Errors {
		now := d.Errors[class]
		now.Count -= e.Count
		d.Errors[class] = now
		if now.Count == 0 {
			delete(d.Errors, class)
		}
	}
	return d
}

// Clone returns a copy that shares nothing with t.
func (t *Totals) Clone() Totals {
	c := *t
	c.Status = maps.Clone(t.Status)
	c.Errors = maps.Clone(t.Errors)
	c.Service = t.Service.Clone()
	c.Response = t.Response.Clone()
	return c
}

// NewTotals returns totals of nothing, ready to be added to.
func NewTotals() Totals {
	return Totals{Status: map[int]uint64{}, Errors: map[failure.Class]ErrorStat{}}
}

// Limits of the groups of a snapshot: further ones share one entry.
const (
	MaxGroups   = 100
	OtherGroups = "(other)"
)

// GroupSnapshot is how long a group took: a named part of a flow, in whichever tasks
// it is. Time is from its begin to its end without the think time in between. At
// most 100 names are kept apart; further ones share the entry "(other)".
type GroupSnapshot struct {
	Group  string              `json:"group"`
	Count  uint64              `json:"count"`  // ended, not counting interrupted ones
	Failed uint64              `json:"failed"` // of those, the failed
	Time   histogram.Histogram `json:"time"`
}

// mergeGroups adds groups of another snapshot.
func (s *Snapshot) mergeGroups(more []GroupSnapshot) {
	s.Groups = slices.Clip(s.Groups)
	for i := range more {
		g := &more[i]
		at := slices.IndexFunc(s.Groups, func(have GroupSnapshot) bool { return have.Group == g.Group })
		if at < 0 {
			at = len(s.Groups)
			s.Groups = append(s.Groups, GroupSnapshot{Group: g.Group})
		}
		s.Groups[at].Count += g.Count
		s.Groups[at].Failed += g.Failed
		s.Groups[at].Time.Merge(&g.Time)
	}
}

// groupsSince is what happened between two snapshots.
func groupsSince(now, before []GroupSnapshot) []GroupSnapshot {
	var out []GroupSnapshot
	for _, g := range now {
		old := GroupSnapshot{}
		if i := slices.IndexFunc(before, func(b GroupSnapshot) bool { return b.Group == g.Group }); i >= 0 {
			old = before[i]
		}
		out = append(out, GroupSnapshot{
			Group: g.Group, Count: g.Count - old.Count, Failed: g.Failed - old.Failed, Time: g.Time.Since(&old.Time),
		})
	}
	return out
}

// MaxTaskNames is how many tasks of a job have an entry of their own.
const MaxTaskNames = 1000

// OtherTasks is the entry of the tasks beyond MaxTaskNames.
const OtherTasks = "(other)"

// OtherMetrics are those of other packages, on either side of t.
func (t *Threshold) OtherMetrics() (names []string) {
	if m, err := findMetric(t.Metric); err == nil && m.kind == metricOther {
		names = append(names, m.name)
	}
	if t.againstOther() {
		names = append(names, t.Against)
	}
	return names
}

// againstOther tells whether the bound is a metric of another package.
func (t *Threshold) againstOther() bool {
	if t.Against == "" {
		return false
	}
	m, err := findMetric(t.Against)
	return err == nil && m.kind == metricOther
}

// mergeVerdicts judges the sum of two snapshots by the thresholds of both.
func (s *Snapshot) mergeVerdicts(o *Snapshot) {
	s.Metrics, s.MetricsOpen = maps.Clone(s.Metrics), s.MetricsOpen || o.MetricsOpen
	for name, x := range o.Metrics {
		if s.Metrics == nil {
			s.Metrics = map[string]float64{}
		}
		s.Metrics[name] += x
	}
	var verdicts []Verdict
	for _, v := range slices.Concat(s.Verdicts, o.Verdicts) {
		at := slices.IndexFunc(verdicts, func(w Verdict) bool { return w.Threshold == v.Threshold })
		switch {
		case at >= 0 && v.Aborted && !verdicts[at].Aborted:
			verdicts[at] = v
		case at >= 0:
		case v.Aborted:
			verdicts = append(verdicts, v)
		default:
			verdicts = append(verdicts, v.Threshold.Evaluate(s))
		}
	}
	s.Verdicts = verdicts
}
