package loadgen

import (
	"maps"
	"math/bits"
	"runtime"
	"sync"
	"time"
)

const (
	stripeLen  = 128 // records that a stripe holds before it is drained
	maxStripes = 64  // stripes of a recorder
)

// recorder collects the measurements of a job.
//
// A VU appends small records to a stripe, which it shares with few others: the
// lock is as good as never contended, and held for some nanoseconds. A full
// stripe is drained into the totals; so is every stripe when somebody asks for
// a snapshot. The size of a recorder thus depends on the number of tasks, not of
// VUs, and a snapshot stops nobody.
//
// Lock order: stripe, then totals.
type recorder struct {
	start   time.Time // the origin of its times; later than started where the job was resumed
	started time.Time // when the job first started
	first   int64     // the second that it starts in: not 0 where the job was resumed
	stripes []stripe
	watch   selfWatch
	sink    sink // for observers; nil without any
	exact   bool // see WithExactTimes

	mu     sync.Mutex
	index  map[string]int
	tasks  []taskTotals
	groups []groupTotals
	recent [recentLen]second
	lag    Histogram
	late   uint64 // iterations that began late for want of a free VU
}

// sink takes over a batch of samples, and gives room for the next one.
type sink func(full []Sample) (room []Sample)

type taskTotals struct {
	name    string
	noted   map[ErrorClass]time.Time // when the sample message was last set
	Totals                           // all but what methods count
	methods [numMethods]*Totals      // the requests by method; nil where there was none
}

const numMethods = 11

// methodNames numbers the methods of requests; 0 is unknown, the last any other.
func methodNames() [numMethods]string {
	return [numMethods]string{"", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "OTHER"}
}

func methodNumber(method string) uint8 {
	for i, m := range methodNames() {
		if m == method {
			return uint8(i)
		}
	}
	return numMethods - 1
}

// of is where the requests of a method are counted.
func (r *recorder) of(t *taskTotals, method uint8) *Totals {
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
func (t *taskTotals) snapshots(byMethod bool) []TaskSnapshot {
	list := []TaskSnapshot{{Task: t.name, Totals: t.clone()}}
	for i, m := range t.methods {
		switch {
		case m == nil:
		case byMethod:
			s := TaskSnapshot{Task: t.name, Method: methodNames()[i], Totals: m.clone()}
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
		maps.DeleteFunc(s.Errors, func(_ ErrorClass, e ErrorStat) bool { return e.Count == 0 })
	}
	return list
}

type stripe struct {
	mu      sync.Mutex
	records []record
	samples []Sample
	_       [64]byte // keeps neighbours out of each other's cache lines
}

type recordKind uint8

const (
	kindRequest recordKind = iota
	kindIteration
	kindInterrupted
	kindGroup // task is the number of a group
	kindHook  // a set-up or tear-down that failed
)

// record is one measurement on its way to the totals.
type record struct {
	at       time.Duration // when it ended, since the job's start
	took     time.Duration // service or response time; negative: no response
	sent     int64
	received int64
	lag      time.Duration // of an iteration that a VU had waited for; else negative
	task     int32
	status   int16
	method   uint8 // of methodNames
	kind     recordKind
	class    uint8 // of errorClasses: what there is to count as an error
	failed   bool
	late     bool // of an iteration: it began late for want of a free VU
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

// newRecorder returns a recorder whose times count from start. exact makes its histograms
// exact for as long as they can be.
func newRecorder(start time.Time, sink sink, exact bool) *recorder {
	n := 1 << bits.Len(uint(2*runtime.GOMAXPROCS(0)-1))
	r := &recorder{
		start:   start,
		started: start,
		stripes: make([]stripe, min(n, maxStripes)),
		index:   map[string]int{},
		sink:    sink,
		watch:   selfWatch{use: useOfProcess},
	}
	for i := range r.recent {
		r.recent[i].at = -1
	}
	if r.exact = exact; exact {
		r.lag.exactly()
	}
	return r
}

// task returns the number under which a task's records are kept. A name keeps its
// number for the life of the recorder.
func (r *recorder) task(name string) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.index[name]; ok {
		return int32(i)
	}
	if len(r.tasks) >= maxTaskNames && name != otherTasks {
		name = otherTasks
		if i, ok := r.index[name]; ok {
			return int32(i)
		}
	}
	r.index[name] = len(r.tasks)
	r.tasks = append(r.tasks, taskTotals{name: name, Totals: r.newTotals(), noted: map[ErrorClass]time.Time{}})
	return int32(len(r.tasks) - 1)
}

// newTotals are those of a task, with nothing counted yet.
func (r *recorder) newTotals() Totals {
	t := newTotals()
	if r.exact {
		t.Service.exactly()
		t.Response.exactly()
	}
	return t
}

// stripe returns where the VU of that number writes.
func (r *recorder) stripe(vu int) *stripe { return &r.stripes[vu%len(r.stripes)] }

// record takes one measurement, and for observers its sample.
func (r *recorder) record(s *stripe, rec record, sample *Sample) {
	s.mu.Lock()
	if s.records == nil {
		s.records = make([]record, 0, stripeLen)
	}
	s.records = append(s.records, rec)
	if sample != nil && r.sink != nil {
		s.samples = append(s.samples, *sample)
	}
	if len(s.records) == stripeLen {
		r.drain(s)
	}
	s.mu.Unlock()
}

// drain moves the records of a locked stripe into the totals.
func (r *recorder) drain(s *stripe) {
	if len(s.samples) > 0 {
		s.samples = r.sink(s.samples)
	}
	if len(s.records) == 0 {
		return
	}
	r.mu.Lock()
	for i := range s.records {
		r.add(&s.records[i])
	}
	r.mu.Unlock()
	r.watch.look(r.start.Add(s.records[len(s.records)-1].at))
	s.records = s.records[:0]
}

// flush drains every stripe.
func (r *recorder) flush() {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		r.drain(s)
		s.mu.Unlock()
	}
}

// add counts one record; r is locked.
func (r *recorder) add(rec *record) {
	if rec.kind == kindGroup {
		r.addGroup(rec)
		return
	}
	t := r.of(&r.tasks[rec.task], rec.method)
	if rec.kind == kindInterrupted {
		t.Interrupted++
		return
	}
	if rec.class != 0 {
		class := errorClasses()[rec.class]
		e := t.Errors[class]
		e.Count++
		t.Errors[class] = e
	}
	if rec.kind == kindHook {
		return
	}
	at := int64(rec.at / time.Second)
	sec := &r.recent[uint64(at)%recentLen]
	if sec.at < at {
		*sec = second{at: at}
	}
	fresh := sec.at == at // else it ended too long ago to matter
	if rec.kind == kindIteration {
		t.Iterations++
		r.late += count(rec.late)
		if rec.lag >= 0 {
			r.lag.Record(rec.lag)
		}
		t.Response.Record(rec.took)
		if rec.failed {
			t.FailedIterations++
		}
		if fresh {
			sec.iterations++
			sec.failedIterations += count(rec.failed)
		}
		return
	}
	t.Requests++
	t.Sent += uint64(rec.sent)
	t.Received += uint64(rec.received)
	if rec.status != 0 {
		t.Status[int(rec.status)]++
	}
	if rec.took >= 0 {
		t.Service.Record(rec.took)
	}
	if rec.failed {
		t.FailedRequests++
	}
	if fresh {
		sec.requests++
		sec.failedRequests += count(rec.failed)
	}
}

func count(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// note keeps the message of a failure as its class's sample, if the one before is
// more than a second old. Counting is the record's part.
func (r *recorder) note(task int32, class ErrorClass, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.tasks[task]
	class = errorClasses()[classNumber(class)]
	if last, ok := t.noted[class]; !ok || now.Sub(last) > time.Second {
		t.noted[class] = now
		e := t.Errors[class]
		e.Sample = errorText(err)
		t.Errors[class] = e
	}
}

// fill completes a snapshot with what was measured up to its Elapsed, all of one
// moment; tasks are in the order in which they came up.
func (r *recorder) fill(s *Snapshot, byMethod bool) {
	r.flush()
	r.mu.Lock()
	s.Tasks = make([]TaskSnapshot, 0, len(r.tasks))
	for i := range r.tasks {
		s.Tasks = append(s.Tasks, r.tasks[i].snapshots(byMethod)...)
	}
	s.Groups = r.groupSnapshots()
	s.Recent = r.rates(s.Elapsed)
	s.Lag, s.Starved = r.lag.clone(), r.late
	r.mu.Unlock()
	s.Totals = newTotals()
	for i := range s.Tasks {
		s.Totals.Merge(&s.Tasks[i].Totals)
	}
}

// rates averages over the last whole seconds; r is locked.
func (r *recorder) rates(now time.Duration) Recent {
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
	return Recent{
		Iterations:       float64(sum.iterations) / span,
		FailedIterations: float64(sum.failedIterations) / span,
		Requests:         float64(sum.requests) / span,
		FailedRequests:   float64(sum.failedRequests) / span,
	}
}
