package apm

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
)

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
	l.missed = m.DroppedSamples
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

const settleEvery = 100 * time.Millisecond

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
