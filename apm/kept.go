package apm

import (
	"math"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// What is kept of requests and documents, within bounds that no load exceeds.
const (
	maxDocuments = 64   // of a trace; more are counted and not kept
	maxRuns      = 1000 // jobs that are remembered
	maxTasks     = 200  // of a job; the others are one
	maxPath      = 512  // bytes of a path, and of a query
)

// other stands for all tasks or names beyond a bound.
const other = "(other)"

// run is a job from one start to the next.
type run struct {
	job       string
	after     time.Time // the run before had ended then
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
	if old := l.runs[job]; old != nil {
		u.after = old.ended
	}
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
