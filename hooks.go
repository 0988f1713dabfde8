package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/textkit"
)

// hook is a task that a scenario runs beside its iterations.
type hook struct {
	bind   binder
	source string             // what it says in its file; "" for one in Go
	yaml   *scenariofile.Task // what bind binds, if it is from a file
}

const (
	setupTries     = 5                // failures of a VU's set-up, before the job fails if none ever succeeded
	setupRetry     = time.Second      // the first pause between two tries, then twice as long
	setupRetryMost = 30 * time.Second // each time up to this
	teardownLeast  = time.Second      // that a job's tear-down has, however short the grace time is
)

// Setup sets what a job does once, before its first iteration, and returns s. It runs
// on a VU of its own, whose ID is -1, and which has no rows of feeders. What it keeps
// with [VU.SetValue], every VU sees in [VU.Value], and must not change. If it fails,
// the job fails and has no iterations.
//
// The statistics begin when it is done. Its requests count under the task "(setup)",
// and are no iterations.
func (s *Scenario) Setup(run TaskFunc) *Scenario { return s.hook(scenariofile.HookSetup, run) }

// Teardown sets what a job does once, after its last iteration, and returns s. It
// runs, like [Scenario.Setup] on a VU of its own, when all VUs have left, unless the
// set-up has failed or the Manager was closed at once. It has the job's grace time, at
// least a second, and then is interrupted. If it fails that is logged, and counted
// under the task "(teardown)".
func (s *Scenario) Teardown(run TaskFunc) *Scenario { return s.hook(scenariofile.HookTeardown, run) }

// VUSetup sets what each VU does before its first iteration, to log in for instance,
// and returns s. It is not an iteration, and no response time counts it; its requests
// count under the task "(vu_setup)".
//
// A VU whose set-up fails tries again after a second, then after two, four, and so
// on, every 30 seconds at last. If a VU has failed five times and no VU of the job has
// ever succeeded, the job fails. An update that gives the job another scenario or base
// URL makes VUs tear down and set up anew.
func (s *Scenario) VUSetup(run TaskFunc) *Scenario { return s.hook(scenariofile.HookVUSetup, run) }

// VUTeardown sets what each VU does after its last iteration, if its set-up has
// succeeded, and returns s. It is within the job's grace time: a VU that was
// interrupted has no tear-down. Its requests count under the task "(vu_teardown)".
func (s *Scenario) VUTeardown(run TaskFunc) *Scenario {
	return s.hook(scenariofile.HookVUTeardown, run)
}

func (s *Scenario) hook(kind scenariofile.HookKind, run TaskFunc) *Scenario {
	s.hooks[kind] = nil
	if run != nil {
		s.hooks[kind] = &hook{bind: func(*expr.Binding) (TaskFunc, error) { return run, nil }}
	}
	return s
}

func (s *Scenario) bindHooks(b *expr.Binding, f *fault.List) (out [scenariofile.NumHooks]TaskFunc) {
	for kind, h := range s.hooks {
		if h == nil {
			continue
		}
		run, err := h.bind(b)
		if err != nil {
			f.Add("scenario", "%s: %v", scenariofile.HookKind(kind), err)
		}
		out[kind] = run
	}
	return out
}

// follows tells whether a job that has run the set-up of another scenario can go on
// with s, which must not need another set-up.
func (s *Scenario) follows(other *Scenario) bool {
	mine, its := s.hooks[scenariofile.HookSetup], other.hooks[scenariofile.HookSetup]
	return mine == nil || mine == its || (its != nil && mine.source != "" && mine.source == its.source)
}

// sessionKey tells the sessions of VUs apart: with another one they begin anew.
type sessionKey struct {
	scenario *Scenario
	base     string
}

// hook runs one of the plan's hooks on the VU, on a goroutine of its own because a
// hook may end that. Its error, masked, is counted and logged.
func (vu *VU) hook(kind scenariofile.HookKind) error {
	run := vu.plan.hooks[kind]
	if run == nil {
		return nil
	}
	rec, name := vu.recorder(), "("+kind.String()+")"
	vu.task = &planTask{name: name, run: run, stat: rec.Task(name)}
	vu.stat, vu.requestFailed = vu.task.stat, false
	vu.step |= hookSteps // a set-up that is tried again goes on from there
	vu.freshRows()
	done := make(chan error, 1)
	go func() {
		err := error(&Error{Class: ClassTask, Err: errGoexit})
		defer func() { done <- err }()
		err = vu.run()
	}()
	err := vu.plan.mask.Error(<-done)
	vu.client.Rest()
	if is := vu.judge(err); err != nil && !is.interrupted && !is.exhausted {
		if now := time.Now(); !vu.requestFailed {
			rec.Note(vu.stat, is.class, err, now)
			rec.Record(vu.stripe, meter.Record{At: now.Sub(rec.Start), Kind: meter.KindHook, Task: vu.stat, Class: failure.Number(is.class), Lag: -1}, nil)
		}
		vu.job.logFailure(name, is.class, err)
	}
	vu.task = nil
	return err
}

// stale tells whether the VU has to be set up before its next iteration.
func (vu *VU) stale() bool {
	if vu.prepared == nil {
		return vu.plan.hooks[scenariofile.HookVUSetup] != nil || vu.plan.hooks[scenariofile.HookVUTeardown] != nil
	}
	return vu.prepared.session != vu.plan.session
}

// prepare tries to set the VU up, or waits for the time to do so. It returns true if it
// has laid the VU to rest for that; see [VU.sleep].
func (vu *VU) prepare() (resting bool) {
	j := vu.job
	if vu.prepared != nil { // for another scenario or target
		vu.tearDown()
		vu.NewSession()
		vu.kept = nil
	}
	if wait := max(vu.freeSince, vu.retry) - j.elapsed(); wait > 0 {
		return vu.sleep(wait)
	}
	j.preparing.Add(1)
	err := vu.hook(scenariofile.HookVUSetup)
	j.preparing.Add(-1)
	vu.freeSince = j.elapsed()
	if err == nil {
		vu.prepared, vu.tries, vu.retry = vu.plan, 0, 0
		j.prepared.Store(true)
		return false
	}
	is := vu.judge(err)
	vu.tries++
	vu.retry = vu.freeSince + min(setupRetry<<min(vu.tries-1, 10), setupRetryMost)
	switch {
	case is.interrupted:
	case is.exhausted:
		j.stop(StateFinished, reasonOf(err))
	case is.aborts:
		j.abort(err)
	case vu.tries >= setupTries && !j.prepared.Load() && vu.iteration == 0:
		j.stop(StateFailed, fmt.Sprintf("the set-up of VU %d has failed %d times, and no other VU's has succeeded: %s", vu.id, vu.tries, textkit.ErrorMessage(err)))
	}
	return false
}

// tearDown ends what prepare has begun.
func (vu *VU) tearDown() {
	p := vu.prepared
	if p == nil {
		return
	}
	vu.prepared = nil
	if p.hooks[scenariofile.HookVUTeardown] == nil || vu.ctx.Err() != nil {
		return
	}
	now := vu.plan
	vu.plan = p
	_ = vu.hook(scenariofile.HookVUTeardown) // counted and logged
	vu.plan = now
}

// quit tears the VU down and takes it out of the job.
func (vu *VU) quit(retire bool) bool {
	vu.job.ceases()
	vu.tearDown()
	return vu.job.leave(vu, retire)
}

// hookVU returns a VU for the job's own hooks.
func (j *Job) hookVU(ctx context.Context, cut context.CancelFunc, p *plan, rec *meter.Recorder) *VU {
	vu := &VU{id: -1, job: j, plan: p, ctx: ctx, cut: cut, own: rec, stripe: rec.Stripe(0), rest: rest{wake: make(chan struct{}, 1)}}
	number := 1<<63 | uint64(p.cfg.Segment.Place())
	vu.pcg, vu.stream = rand.NewPCG(p.cfg.Seed, number), j.stream(number)
	vu.rand = rand.New(vu.pcg)
	vu.client = client.New(vu.ctx, (*vuOwner)(vu), &j.shared) //nolint:contextcheck // ctx is in vu
	return vu
}

// setUp runs the job's set-up, if it has one, and then begins with the job itself.
func (j *Job) setUp() {
	j.mu.Lock()
	p, began := j.plan.Load(), j.rec != nil
	j.mu.Unlock()
	if began {
		return
	}
	rec := j.newRecorder()
	vu := j.hookVU(j.ending.hard, j.ending.cut, p, rec)
	var err error
	if p.hooks[scenariofile.HookSetup] != nil {
		err = j.supervised(vu, scenariofile.HookSetup, p.cfg.grace())
	}
	begin, late := time.Now(), error(nil)
	if err == nil {
		begin, late = j.awaitStart(p)
	}
	rec.Restart(begin)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.back != nil {
		j.back.takeUp(j, rec)
	}
	j.rec = rec
	if err == nil {
		j.kept, j.values, j.ready = vu.kept, vu.values, true
	}
	switch {
	case j.status.State != StateRunning:
	case late != nil:
		j.fail(late.Error())
	case vu.judge(err).aborts:
		j.fail(textkit.ErrorMessage(err))
	case err != nil:
		j.fail("set-up failed: " + textkit.ErrorMessage(err))
	default:
		j.status.Reason = ""
		j.commence(j.plan.Load())
		j.publish(EventReady)
	}
}

// fail ends the job before it has begun; j is locked.
func (j *Job) fail(reason string) {
	j.end(endHalted, StateFailed, reason)
}

// tearDown runs the job's tear-down, if it has one.
func (j *Job) tearDown() {
	p := j.plan.Load()
	if !j.ready || p.hooks[scenariofile.HookTeardown] == nil {
		return
	}
	if j.ending.reached(endDead) {
		return
	}
	vu := j.hookVU(j.ending.last, j.ending.cutLast, p, j.rec)
	vu.stream ^= 1 << 62                                                               // its traces are not those of the set-up
	_ = j.supervised(vu, scenariofile.HookTeardown, max(p.cfg.grace(), teardownLeast)) // counted and logged
}

// supervised runs a hook of the job. From the job's end on the hook has the grace time,
// and then is interrupted; if the Manager is closed at once, it has none.
func (j *Job) supervised(vu *VU, kind scenariofile.HookKind, grace time.Duration) (err error) {
	defer vu.client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = vu.hook(kind)
	}()
	cut := func() {
		vu.cut()
		vu.client.Interrupt()
	}
	var over time.Time // when the job's end was seen
	j.attend(done, func() (time.Duration, bool) {
		switch {
		case cut == nil || !j.ending.reached(endDraining):
			return math.MaxInt64, true
		case over.IsZero():
			over = time.Now()
		}
		left := grace - time.Since(over)
		if left > 0 && !j.ending.reached(endDead) {
			return left, true
		}
		cut()
		cut = nil
		return math.MaxInt64, true
	})
	<-done
	return err
}

// kill ends everything at once, the tear-down too.
func (j *Job) kill() {
	j.interrupt()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ending.enter(endDead)
}

// reasonOf is why a job ended for want of rows.
func reasonOf(err error) string {
	var end *feed.EndError
	if errors.As(err, &end) {
		return end.Text
	}
	return textkit.ErrorMessage(err)
}
