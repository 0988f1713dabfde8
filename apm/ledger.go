package apm

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
)

// Defaults that stand in for a zero field of [LedgerConfig].
const (
	DefaultGrace       = 30 * time.Second
	DefaultTolerance   = 10 * time.Millisecond
	DefaultMaxRequests = 200_000
	DefaultQuiet       = 12 * time.Second
)

const (
	maxDocuments = 64   // of a trace; more are counted and not kept
	maxRuns      = 1000 // jobs that are remembered
	maxTasks     = 200  // of a job; the others are one
	maxPath      = 512  // bytes of a path, and of a query
	settleEvery  = 100 * time.Millisecond
)

// other stands for all tasks or names beyond a bound.
const other = "(other)"

// ErrorPolicy says which requests that were answered with a status of 500 and above
// must have an error in their trace: an error document of Elastic APM, an exception event
// of OpenTelemetry.
type ErrorPolicy string

// The policies.
const (
	// ErrorsLearned takes what most such requests of a task have for what all must have.
	ErrorsLearned ErrorPolicy = "learned"
	ErrorsAlways  ErrorPolicy = "always"
	ErrorsNever   ErrorPolicy = "never"
)

// LedgerConfig says how a [Ledger] judges, and how much it keeps. The zero value is the
// default.
type LedgerConfig struct {
	// Grace is how long after its response a request may wait for its documents before
	// they are missing, or, if they come after all, late. Agents send about every ten
	// seconds. Default: DefaultGrace.
	Grace time.Duration
	// Tolerance is by how much a document may say that the work took longer than the
	// client saw: a service may end its transaction after the last byte was read.
	// Default: DefaultTolerance.
	Tolerance time.Duration
	// MaxRequests is how many requests are followed at a time. Each takes about 350 bytes,
	// and 64 for each of its documents. Where more are sent within the grace time, the
	// others are counted as untracked. Default: DefaultMaxRequests.
	MaxRequests int
	// Quiet is for how long no document may have come before [Ledger.Settle] takes it that
	// none will, if nothing is missed: a second service may have said nothing yet. Default:
	// DefaultQuiet.
	Quiet time.Duration
	// Names are the transaction names that tasks must have. That of a task without one is
	// learned: it is what most of its transactions are named.
	Names map[string]string
	// Services are those that each trace of a task must have passed. Those of a task
	// without are learned: they are those of most of its traces.
	Services map[string][]string
	// Errors is ErrorsLearned by default.
	Errors ErrorPolicy
}

func (c LedgerConfig) fill() (LedgerConfig, error) {
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Tolerance == 0 {
		c.Tolerance = DefaultTolerance
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.Quiet == 0 {
		c.Quiet = DefaultQuiet
	}
	if c.Errors == "" {
		c.Errors = ErrorsLearned
	}
	switch {
	case c.Grace < 0:
		return c, fmt.Errorf("apm: the grace time must not be negative, as %s is", c.Grace)
	case c.Tolerance < 0:
		return c, fmt.Errorf("apm: the tolerance must not be negative, as %s is", c.Tolerance)
	case c.Quiet < 0:
		return c, fmt.Errorf("apm: the quiet time must not be negative, as %s is", c.Quiet)
	case c.MaxRequests < 0:
		return c, fmt.Errorf("apm: there must be room for at least one request, not %d", c.MaxRequests)
	case c.Errors != ErrorsLearned && c.Errors != ErrorsAlways && c.Errors != ErrorsNever:
		return c, fmt.Errorf("apm: the policy of errors must be %s, %s or %s, not %q", ErrorsLearned, ErrorsAlways, ErrorsNever, c.Errors)
	}
	return c, nil
}

// Ledger holds the requests that jobs have sent against the documents that agents have
// sent of them. It is an [loadgen.Observer]. Either may come first. All its methods are
// safe for concurrent use.
type Ledger struct {
	cfg LedgerConfig

	mu      sync.Mutex
	runs    map[string]*run
	begun   queue[*run]
	traces  map[loadgen.TraceID]*trace
	kept    int             // requests of traces
	waiting queue[*request] // those not settled, by deadline
	sent    queue[*trace]   // those with a request, the oldest first
	unsent  queue[*trace]   // those that have begun with a document
	strings interner        // names, services, methods and targets
	targets map[[2]string]uint32
	missed  func() uint64
	strange strangers
}

// strangers counts what belongs to no request.
type strangers struct {
	traces, documents uint64 // of traces that nobody here has sent
	early             uint64 // of those, traces let go within the grace time, for want of room
	rejected          uint64 // documents that could not be read
	refused           uint64 // requests of agents that were not listened to
}

// run is a job from one start to the next.
type run struct {
	job       string
	ended     time.Time // zero while it may send
	tasks     map[string]*task
	order     []*task
	slots     slots
	delay     loadgen.Histogram
	worst     [numFaults][]*request
	untracked uint64
	expected  uint64 // requests that the job says it has measured; 0 if it has not said
	samples   uint64
	heard     time.Time // when the last document came
	missed    uint64    // of the Manager, when the run began
	before    strangers
}

// task is what a run has of one task.
type task struct {
	name   string
	number uint16
	run    *run
	total  halves
	// names and shapes have some requests of each, as examples.
	names  map[uint32][]*request
	shapes map[uint32][]*request
}

// trace is what was sent and received under one trace id.
type trace struct {
	id        loadgen.TraceID
	requests  []*request
	nodes     []node
	deadline  int64  // of one without requests
	documents uint32 // all there were
	cut       bool   // there were more than are kept
	dirty     bool
}

// request is one that was sent.
type request struct {
	t        *trace
	task     *task
	span     loadgen.SpanID
	start    int64 // Unix time in nanoseconds, as is the deadline
	service  time.Duration
	deadline int64
	path     string
	query    string
	target   uint32
	method   uint32
	status   uint16
	sends    uint8
	sampled  bool
	settled  bool
	tracked  bool
	mark     mark
}

// node is what is kept of a document.
type node struct {
	id, parent loadgen.SpanID
	took       time.Duration
	at         int64
	name       uint32
	service    uint32
	status     uint16
	again      uint16 // how often it came once more
	exceptions uint16
	kind       Kind
	protocol   Protocol
	outcome    Outcome
	class      uint8
	sampled    bool
	async      bool
	late       bool // its request was settled
}

// NewLedger returns an empty ledger. The error says what is wrong with the
// configuration.
func NewLedger(cfg LedgerConfig) (*Ledger, error) {
	cfg, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	return &Ledger{
		cfg: cfg, runs: map[string]*run{}, traces: map[loadgen.TraceID]*trace{}, strings: newInterner(), targets: map[[2]string]uint32{},
	}, nil
}

// Options are those that [loadgen.New] needs for its jobs to be judged: the observer, the
// metrics for thresholds, and that a job that starts again is another run. [Ledger.Bind]
// does the rest.
func (l *Ledger) Options() []loadgen.Option {
	return []loadgen.Option{
		loadgen.WithObserver(l),
		loadgen.WithMetrics(MetricNames(), l.Metrics),
		loadgen.WithOnEnd(l.End),
	}
}

// Bind lets the ledger ask m how many samples it has missed, which makes verdicts
// inconclusive.
func (l *Ledger) Bind(m *loadgen.Manager) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed = m.Missed
}

func (l *Ledger) missedNow() uint64 {
	if l.missed == nil {
		return 0
	}
	return l.missed()
}

// Observe takes a request that was sent. Nothing is expected of one without a trace.
func (l *Ledger) Observe(s loadgen.Sample) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	u := l.run(&s)
	u.samples++
	if s.Trace.TraceID == (loadgen.TraceID{}) {
		return
	}
	tk := u.task(s.Task)
	r := &request{
		task: tk, span: s.Trace.SpanID, start: s.Start.UnixNano(), service: s.Service,
		status: uint16(min(max(s.Status, 0), math.MaxUint16)), sends: 1, sampled: s.Trace.Sampled,
	}
	t := l.traces[s.Trace.TraceID]
	if t != nil && len(t.requests) > 0 {
		if t.requests[0].task.run != u {
			t = l.renew(t, r.start)
		} else if old := t.request(s.Trace.SpanID); old != nil {
			old.sends++
			old.status, old.service = r.status, max(old.service, r.service)
			l.judge(t)
			return
		}
	}
	if !l.room() {
		u.untracked++
		tk.total[1].untracked++
		u.slots.of(tk, r.start)[1].untracked++
		return
	}
	r.deadline = now.Add(l.cfg.Grace).UnixNano()
	r.path, r.query = shorten(s.URL.Path), shorten(s.URL.Query)
	r.method = l.strings.of(s.Method)
	r.target = l.target(s.URL.Scheme, s.URL.Host)
	if t == nil {
		t = &trace{id: s.Trace.TraceID}
		l.traces[t.id] = t
	}
	if len(t.requests) == 0 {
		l.sent.push(t)
	}
	r.t, r.tracked = t, true
	t.requests = append(t.requests, r)
	l.kept++
	l.waiting.push(r)
	l.judge(t)
}

// renew makes a trace of the ids of an old one: a run before had the same seed. What came
// since a moment belongs to the new one.
func (l *Ledger) renew(old *trace, since int64) *trace {
	t := &trace{id: old.id}
	l.traces[t.id] = t
	kept := old.nodes[:0]
	for _, n := range old.nodes {
		if n.at >= since {
			n.late = false
			t.nodes = append(t.nodes, n)
			continue
		}
		kept = append(kept, n)
	}
	old.nodes = kept
	l.judge(old)
	return t
}

func (t *trace) request(id loadgen.SpanID) *request {
	for _, r := range t.requests {
		if r.span == id {
			return r
		}
	}
	return nil
}

func shorten(s string) string {
	if len(s) > maxPath {
		return strings.Clone(s[:maxPath]) + "…"
	}
	return s
}

func (l *Ledger) target(scheme, host string) uint32 {
	key := [2]string{scheme, host}
	n, ok := l.targets[key]
	if !ok {
		if n = l.strings.of(scheme + "://" + host); len(l.targets) < maxStrings {
			l.targets[key] = n
		}
	}
	return n
}

// run is that of a sample: a new one, if the job has ended before it.
func (l *Ledger) run(s *loadgen.Sample) *run {
	u := l.runs[s.Job]
	if u != nil && (u.ended.IsZero() || !s.Start.After(u.ended)) {
		return u
	}
	return l.begin(s.Job)
}

func (l *Ledger) begin(job string) *run {
	u := &run{job: job, tasks: map[string]*task{}, missed: l.missedNow(), before: l.strange}
	l.runs[job] = u
	l.begun.push(u)
	for len(l.runs) > maxRuns {
		if old := l.begun.pop(); l.runs[old.job] == old {
			delete(l.runs, old.job)
		}
	}
	return u
}

func (u *run) task(name string) *task {
	t := u.tasks[name]
	if t == nil && len(u.tasks) >= maxTasks {
		name = other
		t = u.tasks[name]
	}
	if t == nil {
		t = &task{name: name, number: uint16(len(u.order)), run: u, names: map[uint32][]*request{}, shapes: map[uint32][]*request{}}
		u.tasks[name] = t
		u.order = append(u.order, t)
	}
	return t
}

// room makes room for a request: it forgets the oldest, if that is settled.
func (l *Ledger) room() bool {
	for l.kept >= l.cfg.MaxRequests {
		t := l.sent.first()
		for _, r := range t.requests {
			if !r.settled {
				return false
			}
		}
		l.sent.pop()
		l.kept -= len(t.requests)
		if l.traces[t.id] == t {
			delete(l.traces, t.id)
		}
	}
	return true
}

// Take takes documents that have arrived now.
func (l *Ledger) Take(docs []Document) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	var dirty []*trace
	for i := range docs {
		if t := l.take(&docs[i], now.UnixNano()); t != nil && !t.dirty {
			t.dirty = true
			dirty = append(dirty, t)
		}
	}
	for _, t := range dirty {
		t.dirty = false
		if len(t.requests) > 0 {
			t.requests[0].task.run.heard = now
		}
		l.judge(t)
	}
}

func (l *Ledger) take(d *Document, at int64) *trace {
	if d.Trace == (loadgen.TraceID{}) {
		l.strange.documents++
		return nil
	}
	t := l.traces[d.Trace]
	if t == nil {
		for len(l.unsent.items()) > l.cfg.MaxRequests/4 {
			l.forget(at)
		}
		t = &trace{id: d.Trace, deadline: at + int64(l.cfg.Grace)}
		l.traces[t.id] = t
		l.unsent.push(t)
	}
	t.documents++
	if d.ID != (loadgen.SpanID{}) {
		for i := range t.nodes {
			if n := &t.nodes[i]; n.id == d.ID && n.kind == d.Kind {
				n.again++
				return t
			}
		}
	}
	if len(t.nodes) >= maxDocuments {
		t.cut = true
		return t
	}
	r := t.request(d.Parent)
	t.nodes = append(t.nodes, node{
		id: d.ID, parent: d.Parent, took: d.Duration, at: at, name: l.strings.of(d.Name), service: l.strings.of(d.Service),
		status: uint16(min(max(d.Status, 0), math.MaxUint16)), exceptions: uint16(min(max(d.Exceptions, 0), math.MaxUint16)),
		kind: d.Kind, protocol: d.Protocol, outcome: d.Outcome, class: uint8(min(max(d.Class, 0), math.MaxUint8)),
		sampled: d.Sampled, async: d.Async, late: r != nil && r.settled,
	})
	return t
}

// forget lets go of the oldest trace that nobody has sent.
func (l *Ledger) forget(now int64) {
	t := l.unsent.pop()
	if len(t.requests) > 0 {
		return // somebody has sent it since
	}
	l.strange.traces++
	l.strange.documents += uint64(t.documents)
	if now < t.deadline {
		l.strange.early++
	}
	delete(l.traces, t.id)
}

// keepUnsent is how long a document waits for its request, in grace times: some responses
// are long.
const keepUnsent = 4

// advance settles what has had its grace time.
func (l *Ledger) advance(now time.Time) {
	at := now.UnixNano()
	for len(l.waiting.items()) > 0 && l.waiting.first().deadline <= at {
		l.settle(l.waiting.pop())
	}
	for len(l.unsent.items()) > 0 {
		t := l.unsent.first()
		if len(t.requests) == 0 && t.deadline+(keepUnsent-1)*int64(l.cfg.Grace) > at {
			break
		}
		l.forget(at)
	}
}

func (l *Ledger) settle(r *request) {
	if !r.settled {
		r.settled = true
		l.judge(r.t)
	}
}

// reject counts documents that could not be read, refuse a request of an agent that was
// not listened to.
func (l *Ledger) reject(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strange.rejected += uint64(n)
}

func (l *Ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strange.refused++
}

// End tells that a job has ended: what the job sends later belongs to its next run. It is
// what [loadgen.WithOnEnd] takes.
func (l *Ledger) End(j *loadgen.Job) {
	s := j.Snapshot()
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.runs[j.Name()]
	if s.Requests > 0 && (u == nil || !u.ended.IsZero() && s.Started.After(u.ended)) {
		u = l.begin(j.Name()) // all of its samples are still on their way
	}
	if u != nil && u.ended.IsZero() {
		u.ended = s.Started.Add(s.Elapsed)
		u.expected = s.Requests
	}
}

// Finish settles all requests of a job now: whoever calls it knows that nothing more will
// come. What comes all the same is late.
func (l *Ledger) Finish(job string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(time.Now())
	u := l.runs[job]
	for _, r := range l.waiting.items() {
		if r.task.run == u && !r.settled {
			l.settle(r)
		}
	}
}

// Settle waits until the verdict on a job that has ended can be told: until everything
// that is expected has come, or the grace time is over. It returns the verdict, which is
// not settled if ctx was done before that.
func (l *Ledger) Settle(ctx context.Context, job string) *Verdict {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		v := l.Verdict(job)
		if v.complete {
			l.Finish(job)
			v = l.Verdict(job)
		}
		if v.Settled {
			return v
		}
		select {
		case <-ctx.Done():
			return v
		case <-tick.C:
		}
	}
}
