package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/internal/schedule"
)

// VU is a virtual user: one goroutine with a random source, session values,
// cookies and connections of its own. A task gets the VU that runs it. A VU is
// for its task alone: it must not be used by other goroutines, nor kept beyond
// the iteration.
type VU struct {
	id   int // in the whole job, if this is a segment
	seat int // among those of this process
	job  *Job
	rand *rand.Rand
	pcg  *rand.PCG

	plan      *plan     // the revision that this iteration runs under
	task      *planTask // the task of this iteration; nil between iterations
	stat      int32     // the number of the task in statistics, also between iterations
	iteration uint64
	stream    uint64          // of its trace ids, which no other VU of the job has
	ctx       context.Context // the hard context of the job
	stripe    *meter.Stripe
	client    *client.Client
	values    map[string]any
	scratch   *scratch // of tasks from files; nil until the first

	prepared *plan           // that it was set up under; nil: not set up
	kept     map[string]any  // what its set-up has captured
	rows     []*feed.Row     // of feeders
	groups   []vuGroup       // that it knows
	thought  time.Duration   // think time so far
	tries    int             // of its set-up, that have failed
	retry    time.Duration   // when it tries again
	own      *meter.Recorder // instead of the job's; of the VUs for the job's own hooks
	cut      context.CancelFunc

	// Of the current iteration:
	requestFailed bool   // a request failed, and is counted
	step          uint64 // requests so far, without hops of redirects; from hookSteps in hooks

	slot      schedule.Slot // the claimed due time, in the open model
	rest      rest
	due       time.Duration // of the current iteration
	awaited   time.Duration // the due time that it has waited for last; else negative
	lag       time.Duration // how late the iteration began, if the VU waited for it; else negative
	late      bool          // it began late for want of a free VU
	freeSince time.Duration // when its last iteration ended, since the job's start
}

// ID is the number of the VU within its job, from 0, and of all its segments together; -1 in the job's own set-up and
// tear-down.
func (vu *VU) ID() int { return vu.id }

// Iteration is the number of the current iteration of this VU, from 0.
func (vu *VU) Iteration() uint64 { return vu.iteration }

// Rand is the random source of the VU. With a seed it gives the same values in
// every run.
func (vu *VU) Rand() *rand.Rand { return vu.rand }

// BaseURL is the job's base URL at the start of this iteration.
func (vu *VU) BaseURL() string { return vu.plan.cfg.BaseURL }

// ServiceName is the job's service name at the start of this iteration.
func (vu *VU) ServiceName() string { return vu.plan.cfg.ServiceName }

// Var returns the value of a variable of the scenario as text, or "" if the
// scenario has none of that name. It is that of the start of this iteration.
func (vu *VU) Var(name string) string {
	v, ok := vu.plan.vars[name]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

// Value returns what [VU.SetValue] kept under a key, or nil. What the job's set-up
// (see [Scenario.Setup]) kept is there too, for every VU.
func (vu *VU) Value(key string) any {
	if v, ok := vu.values[key]; ok {
		return v
	}
	return vu.job.values[key]
}

// SetValue keeps a value with this VU for its later iterations: a session.
func (vu *VU) SetValue(key string, value any) {
	if vu.values == nil {
		vu.values = map[string]any{}
	}
	vu.values[key] = value
}

// Sleep waits for d as think time, or until ctx is done or the job ends; then it
// returns an error that wraps [ErrInterrupted] or the context's error.
func (vu *VU) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return vu.ended(ctx)
	}
	vu.client.Shed()
	begin := time.Now()
	if vu.rest.timer == nil {
		vu.rest.timer = time.NewTimer(d)
	} else {
		vu.rest.timer.Reset(d)
	}
	var err error
	select {
	case <-vu.rest.timer.C:
	case <-ctx.Done():
		err = vu.ended(ctx)
	case <-vu.ctx.Done():
		err = vu.ended(ctx)
	}
	vu.rest.timer.Stop()
	vu.thought += time.Since(begin)
	return err
}

// Think sleeps for a time drawn evenly from least to most, with [VU.Rand]. The error is
// that of [VU.Sleep].
func (vu *VU) Think(ctx context.Context, least, most time.Duration) error {
	return vu.Sleep(ctx, expr.DrawInt(vu.rand, least, most))
}

// NewSession starts a new session: cookies and own connections are dropped. Values that
// were set stay.
func (vu *VU) NewSession() { vu.client.Renew() }

// Cookie returns the value of a cookie that the VU would send to a URL, which is
// relative to the job's base URL or absolute, or "" if there is none of that name.
func (vu *VU) Cookie(url, name string) string {
	v, _ := vu.client.Cookie(url, name)
	return v
}

// recorder is where the VU's measurements go.
func (vu *VU) recorder() *meter.Recorder {
	if vu.own != nil {
		return vu.own
	}
	return vu.job.rec
}

// ended says why ctx or the job is over, or nil if neither is.
func (vu *VU) ended(ctx context.Context) error {
	if vu.ctx.Err() != nil {
		return ErrInterrupted
	}
	return ctx.Err()
}

// Get requests a URL, relative to the job's base URL or absolute, and reads the
// response to its end. It fails, with an [*Error], unless the status is 2xx or 3xx.
func (vu *VU) Get(ctx context.Context, url string) error {
	return vu.client.Get(ctx, url)
}

// Check fails the iteration unless ok: it returns nil, or an error of class check
// with the message.
func (vu *VU) Check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return &Error{Class: ClassCheck, Err: fmt.Errorf(format, args...)}
}

// iterate runs one iteration that was due at a time since the job's start. The job
// counts the VU as active already.
func (vu *VU) iterate(due time.Duration) {
	vu.due = due
	vu.task = vu.plan.pick(vu.rand)
	vu.stat = vu.task.stat
	vu.requestFailed, vu.step = false, 0
	if vu.plan.newSession {
		vu.NewSession()
	}
	vu.freshRows()
	vu.conclude(vu.run())
}

// conclude counts an iteration that has ended with an error or without.
func (vu *VU) conclude(err error) {
	j := vu.job
	vu.client.Rest() // may measure
	err = vu.plan.mask.Error(err)
	is := vu.judge(err)
	if is.exhausted {
		j.stop(StateFinished, reasonOf(err))
	}
	at := time.Since(j.rec.Start)
	vu.freeSince = at
	rec := meter.Record{At: at, Took: at - vu.due, Task: vu.stat, Kind: meter.KindIteration, Lag: vu.lag, Late: vu.late}
	switch {
	case err == nil:
	case is.interrupted || is.exhausted:
		rec.Kind = meter.KindInterrupted
	default:
		rec.Failed = true
		if !vu.requestFailed {
			rec.Class = failure.Number(is.class)
			j.rec.Note(vu.stat, is.class, err, j.rec.Start.Add(at))
		}
		j.logFailure(vu.task.name, is.class, err)
	}
	j.rec.Record(vu.stripe, rec, nil)
	if is.aborts {
		j.abort(err)
	}
	vu.task = nil
	vu.iteration++
	if limit := vu.plan.iterations(); j.active.Add(-1) == 0 && limit > 0 && j.begun.Load() >= limit {
		j.complete()
	}
}

// judge looks into an iteration's error. The error is the user's, and so may be a
// method of it that panics.
func (vu *VU) judge(err error) (is judgement) {
	if err == nil {
		return judgement{class: ClassNone}
	}
	defer func() {
		if recover() != nil {
			is.class = ClassTask
		}
	}()
	// Once the job has ended the hard way, such errors come from that.
	is.interrupted = vu.ctx.Err() != nil && (errors.Is(err, ErrInterrupted) || errors.Is(err, context.Canceled))
	is.class = ClassOf(err)
	is.aborts = !is.interrupted && errors.Is(err, ErrAbort)
	is.exhausted = !is.interrupted && errors.Is(err, ErrNoMoreRows)
	return is
}

// judgement is what an iteration's error means.
type judgement struct {
	class       ErrorClass
	aborts      bool // it ends the job as failed
	interrupted bool // it comes from the end of the job
	exhausted   bool // a feeder has no more rows, which ends the job
}

// run calls the task, and turns a panic into an error.
func (vu *VU) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Class: ClassPanic, Err: &panicError{task: vu.task.name, value: p, stack: debug.Stack()}}
		}
	}()
	return vu.task.run(vu.ctx, vu)
}

// Measured takes the measurement of one request from the client.
func (vu *VU) measured(m *client.Measurement) {
	to := vu.recorder()
	rec := meter.Record{
		At:       m.End.Sub(to.Start),
		Took:     m.End.Sub(m.Start),
		Sent:     m.Sent,
		Received: m.Received,
		Status:   int16(m.Status),
		Method:   meter.MethodNumber(m.Method),
		Kind:     meter.KindRequest,
		Task:     vu.stat,
	}
	if m.Class != ClassNone {
		rec.Failed = true
		rec.Class = failure.Number(m.Class)
		vu.requestFailed = true
		to.Note(rec.Task, m.Class, vu.plan.mask.Error(m.Err), m.End)
	}
	if !m.Complete {
		rec.Took = -1
	}
	if to.Sink == nil {
		to.Record(vu.stripe, rec, nil)
		return
	}
	vu.observed(m, rec)
}

// Observed is measured for a job with observers. It is on its own because a sample
// takes room on the stack, which every VU would have.
//
//go:noinline
func (vu *VU) observed(m *client.Measurement, rec meter.Record) {
	j := vu.job
	s := Sample{
		Job: j.name, Scenario: vu.plan.cfg.ScenarioName, VU: vu.id, Method: m.Method, URL: SampleURL(m.URL), Remote: m.Remote, Hop: m.Hop, Follows: m.Follows,
		Status: m.Status, Class: m.Class, Start: m.Start, Service: m.End.Sub(m.Start),
		Header: m.Header.Sub(m.Start), Sent: m.Sent, Received: m.Received, Trace: m.Trace,
	}
	if vu.task != nil {
		s.Task = vu.task.name
	}
	maskURL(vu.plan.mask, &s.URL)
	vu.recorder().Record(vu.stripe, rec, &s)
}

// vuOwner is a VU as its client sees it.
type vuOwner VU

func (o *vuOwner) Newest() (*client.Target, uint64) { return o.plan.target, o.plan.revision }

func (o *vuOwner) Caller(begins bool) client.Caller {
	if begins {
		o.step++
	}
	c := client.Caller{Stream: o.stream, Iteration: o.iteration, Step: o.step, Revision: o.plan.revision}
	if o.task != nil {
		c.Task = o.task.name
	}
	return c
}

func (o *vuOwner) Secret(text []byte) bool { return o.plan.mask.Text(string(text)) != string(text) }

func (o *vuOwner) Observed() bool { return (*VU)(o).recorder().Sink != nil }

func (o *vuOwner) Measured(m *client.Measurement) {
	vu := (*VU)(o)
	if k := vu.job.exemplars; k != nil {
		if took := m.End.Sub(m.Start); k.Wants(took, m.Class) {
			k.Keep(vu.exemplar(m, took))
		}
	}
	vu.measured(m)
}
