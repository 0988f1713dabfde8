// Package meter collects what VUs measure into the statistics of a job, and watches what
// this process itself does to them.
package meter

import (
	"maps"
	"math/bits"
	"runtime"
	"sync"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// Sizes of a recorder.
const (
	StripeLen  = 128 // records that a stripe holds before it is drained
	maxStripes = 64  // stripes of a recorder
)

// Recorder collects the measurements of a job.
//
// A VU appends small records to a stripe, which it shares with few others: the
// lock is as good as never contended, and held for some nanoseconds. A full
// Stripe is drained into the totals; so is every stripe when somebody asks for
// a snapshot. The size of a recorder thus depends on the number of tasks, not of
// VUs, and a snapshot stops nobody.
//
// Lock order: stripe, then totals.
type Recorder struct {
	Start   time.Time // the origin of its times; later than started where the job was resumed
	Started time.Time // when the job first started
	first   int64     // the second that it starts in: not 0 where the job was resumed
	stripes []Stripe
	watch   selfWatch
	Sink    Sink // for observers; nil without any
	exact   bool // see WithExactTimes

	mu     sync.Mutex
	index  map[string]int
	tasks  []taskTotals
	groups []groupTotals
	recent [recentLen]second
	lag    histogram.Histogram
	late   uint64 // iterations that began late for want of a free VU
}

// Sink takes over a batch of samples, and gives room for the next one.
type Sink func(full []stats.Sample) (room []stats.Sample)

type taskTotals struct {
	name         string
	noted        map[failure.Class]time.Time // when the sample message was last set
	stats.Totals                             // all but what methods count
	methods      [numMethods]*stats.Totals   // the requests by method; nil where there was none
}

const numMethods = 11

// methodNames numbers the methods of requests; 0 is unknown, the last any other.
func methodNames() [numMethods]string {
	return [numMethods]string{"", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "OTHER"}
}

// MethodNumber returns the number by which a Record knows an HTTP method.
func MethodNumber(method string) uint8 {
	for i, m := range methodNames() {
		if m == method {
			return uint8(i)
		}
	}
	return numMethods - 1
}

// of is where the requests of a method are counted.
func (r *Recorder) of(t *taskTotals, method uint8) *stats.Totals {
	if method == 0 {
		return &t.Totals
	}
	if t.methods[method] == nil {
		totals := r.newTotals()
		t.methods[method] = &totals
	}
	return t.methods[method]
}

// snapshots is what the task has come to, as one, or with its requests by method.
func (t *taskTotals) snapshots(byMethod bool) []stats.TaskSnapshot {
	list := []stats.TaskSnapshot{{Task: t.name, Totals: t.Clone()}}
	for i, m := range t.methods {
		switch {
		case m == nil:
		case byMethod:
			s := stats.TaskSnapshot{Task: t.name, Method: methodNames()[i], Totals: m.Clone()}
			for class, e := range s.Errors {
				e.Sample = t.Errors[class].Sample // of the task, by any method
				s.Errors[class] = e
			}
			list = append(list, s)
		default:
			list[0].Merge(m)
		}
	}
	for _, s := range list {
		maps.DeleteFunc(s.Errors, func(_ failure.Class, e stats.ErrorStat) bool { return e.Count == 0 })
	}
	return list
}

// Stripe takes the records of a few virtual users, so that they do not wait for one another.
type Stripe struct {
	mu      sync.Mutex
	records []Record
	samples []stats.Sample
	_       [64]byte // keeps neighbours out of each other's cache lines
}

type recordKind uint8

// The kinds of records.
const (
	KindRequest recordKind = iota
	KindIteration
	KindInterrupted
	KindGroup // task is the number of a group
	KindHook  // a set-up or tear-down that failed
)

// Record is one measurement on its way to the totals.
type Record struct {
	At       time.Duration // when it ended, since the job's start
	Took     time.Duration // service or response time; negative: no response
	Sent     int64
	Received int64
	Lag      time.Duration // of an iteration that a VU had waited for; else negative
	Task     int32
	Status   int16
	Method   uint8 // of methodNames
	Kind     recordKind
	Class    uint8 // of errorClasses: what there is to count as an error
	Failed   bool
	Late     bool // of an iteration: it began late for want of a free VU
}

// second counts what ended within one second of the job.
type second struct {
	at                                                     int64 // which second since the start
	iterations, failedIterations, requests, failedRequests uint64
}

const (
	recentLen    = 16 // seconds kept, more than are shown: stripes drain late
	recentWindow = 5
)

// New returns a recorder whose times count from start. exact makes its histograms
// exact for as long as they can be.
func New(start time.Time, sink Sink, exact bool) *Recorder {
	n := 1 << bits.Len(uint(2*runtime.GOMAXPROCS(0)-1))
	r := &Recorder{
		Start:   start,
		Started: start,
		stripes: make([]Stripe, min(n, maxStripes)),
		index:   map[string]int{},
		Sink:    sink,
		watch:   selfWatch{use: useOfProcess},
	}
	for i := range r.recent {
		r.recent[i].at = -1
	}
	if r.exact = exact; exact {
		r.lag.MakeExact()
	}
	return r
}

// Task returns the number under which a task's records are kept. A name keeps its
// number for the life of the recorder.
func (r *Recorder) Task(name string) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.index[name]; ok {
		return int32(i)
	}
	if len(r.tasks) >= stats.MaxTaskNames && name != stats.OtherTasks {
		name = stats.OtherTasks
		if i, ok := r.index[name]; ok {
			return int32(i)
		}
	}
	r.index[name] = len(r.tasks)
	r.tasks = append(r.tasks, taskTotals{name: name, Totals: r.newTotals(), noted: map[failure.Class]time.Time{}})
	return int32(len(r.tasks) - 1)
}

// newTotals are those of a task, with nothing counted yet.
func (r *Recorder) newTotals() stats.Totals {
	t := stats.NewTotals()
	if r.exact {
		t.Service.MakeExact()
		t.Response.MakeExact()
	}
	return t
}

// Stripe returns where the VU of that number writes.
func (r *Recorder) Stripe(vu int) *Stripe { return &r.stripes[vu%len(r.stripes)] }

// Record takes one measurement, and for observers its sample.
func (r *Recorder) Record(s *Stripe, rec Record, sample *stats.Sample) {
	s.mu.Lock()
	if s.records == nil {
		s.records = make([]Record, 0, StripeLen)
	}
	s.records = append(s.records, rec)
	if sample != nil && r.Sink != nil {
		s.samples = append(s.samples, *sample)
	}
	if len(s.records) == StripeLen {
		r.drain(s)
	}
	s.mu.Unlock()
}

// drain moves the records of a locked stripe into the totals.
func (r *Recorder) drain(s *Stripe) {
	if len(s.samples) > 0 {
		s.samples = r.Sink(s.samples)
	}
	if len(s.records) == 0 {
		return
	}
	r.mu.Lock()
	for i := range s.records {
		r.add(&s.records[i])
	}
	r.mu.Unlock()
	r.watch.look(r.Start.Add(s.records[len(s.records)-1].At))
	s.records = s.records[:0]
}

// Flush drains every stripe.
func (r *Recorder) Flush() {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		r.drain(s)
		s.mu.Unlock()
	}
}

// add counts one record; r is locked.
func (r *Recorder) add(rec *Record) {
	if rec.Kind == KindGroup {
		r.addGroup(rec)
		return
	}
	t := r.of(&r.tasks[rec.Task], rec.Method)
	if rec.Kind == KindInterrupted {
		t.Interrupted++
		return
	}
	if rec.Class != 0 {
		class := failure.Classes()[rec.Class]
		e := t.Errors[class]
		e.Count++
		t.Errors[class] = e
	}
	if rec.Kind == KindHook {
		return
	}
	at := int64(rec.At / time.Second)
	sec := &r.recent[uint64(at)%recentLen]
	if sec.at < at {
		*sec = second{at: at}
	}
	fresh := sec.at == at // else it ended too long ago to matter
	if rec.Kind == KindIteration {
		t.Iterations++
		r.late += count(rec.Late)
		if rec.Lag >= 0 {
			r.lag.Record(rec.Lag)
		}
		t.Response.Record(rec.Took)
		if rec.Failed {
			t.FailedIterations++
		}
		if fresh {
			sec.iterations++
			sec.failedIterations += count(rec.Failed)
		}
		return
	}
	t.Requests++
	t.Sent += uint64(rec.Sent)
	t.Received += uint64(rec.Received)
	if rec.Status != 0 {
		t.Status[int(rec.Status)]++
	}
	if rec.Took >= 0 {
		t.Service.Record(rec.Took)
	}
	if rec.Failed {
		t.FailedRequests++
	}
	if fresh {
		sec.requests++
		sec.failedRequests += count(rec.Failed)
	}
}

func count(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Note keeps the message of a failure as its class's sample, if the one before is
// more than a second old. Counting is the record's part.
func (r *Recorder) Note(task int32, class failure.Class, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.tasks[task]
	class = failure.Classes()[failure.Number(class)]
	if last, ok := t.noted[class]; !ok || now.Sub(last) > time.Second {
		t.noted[class] = now
		e := t.Errors[class]
		e.Sample = textkit.ErrorMessage(err)
		t.Errors[class] = e
	}
}

// Fill completes a snapshot with what was measured up to its Elapsed, all of one
// moment; tasks are in the order in which they came up.
func (r *Recorder) Fill(s *stats.Snapshot, byMethod bool) {
	r.Flush()
	r.mu.Lock()
	s.Tasks = make([]stats.TaskSnapshot, 0, len(r.tasks))
	for i := range r.tasks {
		s.Tasks = append(s.Tasks, r.tasks[i].snapshots(byMethod)...)
	}
	s.Groups = r.groupSnapshots()
	s.Recent = r.rates(s.Elapsed)
	s.Lag, s.LateStarts = r.lag.Clone(), r.late
	r.mu.Unlock()
	s.Totals = stats.NewTotals()
	for i := range s.Tasks {
		s.Totals.Merge(&s.Tasks[i].Totals)
	}
}

// rates averages over the last whole seconds; r is locked.
func (r *Recorder) rates(now time.Duration) stats.Recent {
	whole := int64(now / time.Second)
	from, to := max(r.first, whole-recentWindow), whole
	span := float64(to - from)
	if whole == r.first {
		to, span = whole+1, 1 // of milliseconds no rate can be told
	}
	var sum second
	for _, s := range r.recent {
		if s.at >= from && s.at < to {
			sum.iterations += s.iterations
			sum.failedIterations += s.failedIterations
			sum.requests += s.requests
			sum.failedRequests += s.failedRequests
		}
	}
	return stats.Recent{
		Iterations:       float64(sum.iterations) / span,
		FailedIterations: float64(sum.failedIterations) / span,
		Requests:         float64(sum.requests) / span,
		FailedRequests:   float64(sum.failedRequests) / span,
	}
}
