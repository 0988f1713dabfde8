package loadgen

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// State is where a job is in its life.
type State string

// The states of a job, and the only ways between them:
//
//	from     | to       | when
//	---------|----------|---------------------------------------------
//	(none)   | pending  | Manager.Prepare, or first thing in Start
//	pending  | running  | Manager.Start
//	running  | stopping | Stop, the end of duration or iterations, abort
//	stopping | stopped  | all VUs are back, after Stop
//	stopping | finished | all VUs are back, after the job's own end
//	stopping | failed   | all VUs are back, after an abort
//
// Only a new Start brings an ended job back: as a new Job.
const (
	StatePending  State = "pending"
	StateRunning  State = "running"
	StateStopping State = "stopping" // no new iterations; running ones have their grace time
	StateStopped  State = "stopped"  // ended by Stop
	StateFinished State = "finished" // ended by its duration or number of iterations
	StateFailed   State = "failed"   // ended by an error
)

// Active tells whether a job in this state has VUs: it is running or stopping.
func (s State) Active() bool { return s == StateRunning || s == StateStopping }

// Ended tells whether the state is a last one.
func (s State) Ended() bool {
	return s == StateStopped || s == StateFinished || s == StateFailed
}

// Status is the state of a job, since when, and why.
type Status struct {
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since"`
	Revision uint64    `json:"revision"` // counts accepted configurations, from 1
}

// Transition is one change of a job's state.
type Transition struct {
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

// Job is one scenario running, or having run, against one target. Its methods are
// safe for concurrent use. After its end a Job keeps its reason and statistics.
type Job struct {
	name string
	m    *Manager
	rec  *recorder
	log  *slog.Logger

	plan    atomic.Pointer[plan]
	drain   atomic.Bool   // over: only what was due before the end still starts
	halted  atomic.Bool   // nothing starts any more
	begun   atomic.Uint64 // iterations that were started
	active  atomic.Int64  // VUs in an iteration
	idle    atomic.Int64  // VUs that wait for the schedule
	size    atomic.Int64  // VUs that the job is to have; in the open model, to begin with
	hard    context.Context
	cut     context.CancelFunc // ends hard
	over    chan struct{}      // closed when the job is to end
	planned chan struct{}      // the plan has changed; for supervise
	empty   chan struct{}      // closed when over and the last VU is back
	done    chan struct{}      // closed at the very end

	updating sync.Mutex // serialises updates; before mu

	mu       sync.Mutex
	cfg      JobConfig
	scenario *Scenario
	status   Status
	history  []Transition
	gone     bool       // replaced or removed
	next     *JobConfig // what the next start is to have, if that was said
	outcome  State      // what the job will have been when its VUs are back
	why      string
	overAt   time.Duration // when it was to end, since its start
	ended    time.Time
	tripped  *Verdict      // of the threshold that has ended the job
	final    *Snapshot     // of a job that had ended when it was restored
	back     *comeback     // of a job that is resumed, until it begins
	vus      []*VU         // by number; nil where one has left
	reserved int           // VUs that it may make without asking
	spawned  uint64        // VUs made so far
	phase    time.Duration // over which the VUs of a job that is resumed begin

	last      context.Context // of the tear-down
	cutLast   context.CancelFunc
	dead      chan struct{}  // closed when the job is to end at once
	ready     bool           // its set-up has succeeded, or it has none; of supervise
	kept      map[string]any // what its set-up has captured, and
	values    map[string]any // what it has set; before there are VUs
	preparing atomic.Int64   // VUs in their set-up
	prepared  atomic.Bool    // a VU's set-up has succeeded

	beats     *metronome    // of a job with a rate; nil before it has one, and in virtual time
	shared    connPool      // the connections of VUs that share them
	live      atomic.Int64  // VUs that exist; written under mu
	exemplars *keeper       // nil for none
	dropped   atomic.Uint64 // iterations that were due and never began
	short     shortfall
	lease     atomic.Int64 // when the lease ends, since the job's start; written under mu
	failures  failureLog
}

func newJob(m *Manager, cfg JobConfig, scenario *Scenario) *Job {
	j := &Job{
		name: cfg.Name, m: m, cfg: cfg, scenario: scenario,
		log:     m.env.logger.With("job", cfg.Name),
		over:    make(chan struct{}),
		planned: make(chan struct{}, 1),
		empty:   make(chan struct{}),
		done:    make(chan struct{}),

		exemplars: newKeeper(m.env.exemplars),
		dead:      make(chan struct{}),
	}
	j.hard, j.cut = context.WithCancel(context.Background())
	j.last, j.cutLast = context.WithCancel(context.Background())
	j.lease.Store(math.MaxInt64)
	j.status.Revision = 1
	j.set(StatePending, "")
	return j
}

// set enters a state; j is locked, or not yet shared.
func (j *Job) set(s State, reason string) {
	now := time.Now()
	j.status.State, j.status.Reason, j.status.Since = s, reason, now
	j.history = append(j.history, Transition{State: s, Reason: reason, Time: now})
}

// publish tells subscribers of the job's present state; j is locked, which keeps
// the events of a job in order.
func (j *Job) publish(kind EventKind) {
	e := Event{Time: time.Now(), Kind: kind, Job: j.name, Status: j.status, Config: j.cfg.clone(), LeaseEnds: j.leaseEnds()}
	if j.next != nil {
		next := j.next.clone()
		e.Next = &next
	}
	j.m.events.publish(e)
}

// launch starts a new job.
func (j *Job) launch(p *plan) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.revision = j.status.Revision
	late := j.back == nil && !p.cfg.StartAt.IsZero()
	if p.hooks[hookSetup] == nil && !late {
		j.ready = true
		j.rec = newRecorder(time.Now(), j.m.watch.sink())
		reason := ""
		if j.back != nil {
			j.back.takeUp(j, j.rec)
			reason = "resumed"
		}
		j.set(StateRunning, reason)
		j.lend(p) // the event tells when it ends
		j.publish(EventStarted)
		j.commence(p)
	} else {
		j.plan.Store(p)
		j.size.Store(int64(p.cfg.begin()))
		reason := "in its set-up"
		if p.hooks[hookSetup] == nil {
			reason = p.cfg.waiting(time.Now())
		}
		j.set(StateRunning, reason)
		j.publish(EventStarted)
	}
	go j.supervise()
}

// commence lets the iterations of a job begin; j is locked, and has its recorder.
func (j *Job) commence(p *plan) {
	p.time(0)
	switch {
	case j.back != nil:
		j.back.schedule(p)
		j.phase = p.cfg.Delay // VUs begin as far apart as they would be by now, not all at once
	case p.cfg.open():
		p.sched = newSchedule(p.cfg.pacer(p.cfg.RampUp, true), 0)
		p.sched.ramp = p.cfg.RampUp
	}
	j.install(p)
	j.lend(p)
	j.populate(p)
	j.back, j.phase = nil, 0
	j.m.env.unreserve(j.reserved) // an update may have come before
	j.reserved = 0
}

// logStart is not done under a lock, since a logger is code of somebody else's.
func (j *Job) logStart(p *plan) {
	j.log.Info("job started", "scenario", p.cfg.ScenarioName, "url", p.base.Redacted(),
		"workers", p.cfg.Workers, "rate", p.cfg.Rate.String(), "seed", p.cfg.Seed)
}

// install puts a plan in force; j is locked.
func (j *Job) install(p *plan) {
	size := p.cfg.begin()
	if len(p.cfg.Stages) > 0 && p.sched == nil {
		size, _ = p.cfg.workersAt(j.elapsed() - p.staged)
	}
	j.size.Store(int64(size))
	for i := range p.tasks {
		p.tasks[i].stat = j.rec.task(p.tasks[i].name)
	}
	j.plan.Store(p)
	if p.sched != nil && j.beats == nil {
		j.beats = j.startMetronome()
	}
}

// elapsed is the time since the job's start.
func (j *Job) elapsed() time.Duration {
	if j.rec == nil { // in its set-up
		return 0
	}
	return time.Since(j.rec.start)
}

// Name is the job's name.
func (j *Job) Name() string { return j.name }

// Config returns the configuration in force. Zero fields of the original are
// filled in with their defaults, Seed among them.
func (j *Job) Config() JobConfig {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cfg.clone()
}

// Scenario is what the job runs; nil while it is pending.
func (j *Job) Scenario() *Scenario {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.scenario
}

// Status returns the state, its reason and the revision, all of one moment.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// State is the job's state.
func (j *Job) State() State { return j.Status().State }

// History returns every state that the job has been in, in order, with time and
// reason.
func (j *Job) History() []Transition {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.history)
}

// Done is closed when the job has ended and none of its VUs is left.
func (j *Job) Done() <-chan struct{} { return j.done }

// Wait waits for the job to end. It returns nil for a job that was stopped or has
// finished, an error for one that failed, or the error of ctx if that is done
// first. A job that was only prepared does not end.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case <-j.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s := j.Status(); s.State == StateFailed {
		return fmt.Errorf("loadgen: job %q failed: %s", j.name, s.Reason)
	}
	return nil
}

// Stop ends the job softly and returns at once: no iteration begins any more, those
// that run have the job's grace time to end, and are interrupted then. Wait, or
// Done, tells when it is over. Stopping twice, or after the end, changes nothing.
func (j *Job) Stop() { j.stop(StateStopped, "stopped on request") }

// stop makes the job end, unless it already does.
func (j *Job) stop(outcome State, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return
	}
	j.halted.Store(true)
	j.end(outcome, reason)
}

// expire ends the job because its duration is over. What was due before that, and
// could not start for want of a free VU, may still start within the grace time.
func (j *Job) expire(d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning || j.plan.Load().end > d {
		return // or the end was moved meanwhile
	}
	j.drain.Store(true)
	reason := "its stages are over"
	if j.cfg.Duration > 0 {
		reason = fmt.Sprintf("its duration of %s is over", j.cfg.Duration)
	}
	j.end(StateFinished, reason)
}

// end enters the state stopping; j is locked, and running.
func (j *Job) end(outcome State, reason string) {
	j.outcome, j.why = outcome, reason
	j.overAt = min(j.elapsed(), j.plan.Load().end)
	j.set(StateStopping, reason)
	j.publish(EventStopping)
	close(j.over)
	if j.live.Load() == 0 {
		close(j.empty)
	}
	j.wakeAll()
}

// abort ends the job as failed.
func (j *Job) abort(err error) { j.stop(StateFailed, errorText(err)) }

// interrupt cancels running iterations, if the job is stopping.
func (j *Job) interrupt() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateStopping {
		return
	}
	j.halted.Store(true)
	j.cut()
	for _, vu := range j.vus {
		if vu != nil {
			vu.client.interrupt()
		}
	}
	j.wakeAll()
}

// supervise sees a job through from its start to its end.
func (j *Job) supervise() {
	defer j.m.wg.Done()
	j.setUp()
	j.untilOver()
	grace := time.NewTimer(j.plan.Load().cfg.grace())
	defer grace.Stop()
	select {
	case <-j.empty:
	case <-grace.C:
		j.interrupt()
		<-j.empty
	}
	j.tearDown()
	j.cut()
	j.cutLast()
	j.mu.Lock()
	beats := j.beats
	j.mu.Unlock()
	beats.stop()
	j.rec.flush()
	j.finish()
}

// untilOver returns when the job is to end, which it brings about when its
// duration is over. Meanwhile it makes the number of VUs follow the stages, looks at
// thresholds that may end the job, and keeps samples flowing to observers.
func (j *Job) untilOver() {
	var flush <-chan time.Time
	if j.rec.sink != nil {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		flush = ticker.C
	}
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	var look time.Duration // when to look at the thresholds again
	for {
		p, now := j.plan.Load(), j.elapsed()
		if now >= p.end {
			j.expire(p.end)
		}
		lease := time.Duration(j.lease.Load())
		if now >= lease {
			j.lapse()
		}
		next := min(p.end, lease)
		if p.mayAbort() {
			if now >= look {
				look = now + j.guard()
			}
			next = min(next, look)
		}
		if len(p.cfg.Stages) > 0 && p.sched == nil {
			workers, changes := p.cfg.workersAt(now - p.staged)
			j.resize(p, workers)
			if changes < math.MaxInt64 {
				next = min(next, p.staged+changes)
			}
			if j.short.workers.Load() && j.live.Load() < j.size.Load() && j.refill(p) {
				next = min(next, now+refillEvery)
			}
		}
		if next == math.MaxInt64 {
			alarm.Stop()
		} else {
			alarm.Reset(max(next-now, 0))
		}
		select {
		case <-j.over:
			return
		case <-alarm.C:
		case <-j.planned:
		case <-flush:
			j.rec.flush()
		}
	}
}

// finish enters the last state.
func (j *Job) finish() {
	j.mu.Lock()
	j.ended = time.Now()
	j.m.env.unreserve(j.reserved) // its set-up has failed
	j.reserved = 0
	p := j.plan.Load()
	if limit := p.iterations(); limit > 0 && j.begun.Load() >= limit {
		j.dropped.Store(0) // it was not to do more
	} else if p.sched != nil {
		j.dropped.Add(p.sched.unclaimed(j.overAt))
	}
	j.set(j.outcome, j.why)
	j.publish(EventEnded)
	j.mu.Unlock()
	closeFeeds(p.feeds, nil)
	j.log.Info("job ended", "state", j.outcome, "reason", j.why, "iterations", j.begun.Load(),
		"elapsed", j.ended.Sub(j.rec.start).Round(time.Millisecond))
	j.m.env.tellEnded(j)
	close(j.done)
}

// Update changes a job in place. change edits a copy of its configuration, with
// defaults filled in, and must not call the job. The result is checked as a whole:
// if it is faulty, the error lists every fault and nothing has changed. Otherwise
// it is a new revision, which VUs follow from their next iteration on; workers come
// and go without disturbing those that stay.
//
// The error wraps [ErrJobEnded] if the job is stopping or has ended. An update of a
// pending job changes what it was prepared with.
func (j *Job) Update(change func(*JobConfig)) error {
	j.updating.Lock()
	defer j.updating.Unlock()
	j.mu.Lock()
	cfg, scenario, state := j.cfg.clone(), j.scenario, j.status.State
	j.mu.Unlock()
	if state.Ended() || state == StateStopping {
		return fmt.Errorf("%w: %q", ErrJobEnded, j.name)
	}
	before := cfg
	change(&cfg)
	if cfg.Name != j.name {
		f := faults{{Field: "job", Message: fmt.Sprintf("is %q and cannot be changed to %q", j.name, cfg.Name)}}
		return append(f, present(cfg.check())...).err()
	}
	switch {
	case cfg.Scenario != before.Scenario:
		scenario = nil
	case cfg.ScenarioName != before.ScenarioName:
		cfg.Scenario, scenario = nil, nil // another name takes the place of the value
	case cfg.reload:
		scenario = nil
	}
	cfg.reload = false
	if state == StatePending {
		return j.updatePending(cfg)
	}
	ran := j.Scenario()
	scenario, p, err := j.m.compile(cfg, scenario)
	if err != nil {
		return err
	}
	if err := p.cfg.fixed(&before).err(); err != nil {
		return err
	}
	if !scenario.follows(ran) {
		f := faults{}
		f.add("scenario", "has another set-up than the job has run, and a job runs its set-up once: stop the job, and start it again")
		return f.err()
	}
	old := j.plan.Load()
	if err := p.open(scenario, ran, old); err != nil {
		return err
	}
	if err := j.enforce(p, scenario); err != nil {
		closeFeeds(p.feeds, old)
		return err
	}
	j.log.Info("job updated", "revision", p.revision, "workers", p.cfg.Workers,
		"rate", p.cfg.Rate.String(), "delay", p.cfg.Delay, "scenario", p.cfg.ScenarioName)
	return nil
}

// enforce puts the plan of an update in force.
func (j *Job) enforce(p *plan, scenario *Scenario) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return fmt.Errorf("%w: %q", ErrJobEnded, j.name)
	}
	if !p.cfg.open() && len(p.cfg.Stages) == 0 { // else it takes what there is
		need := max(0, j.missing(p.cfg.begin())-j.reserved)
		if err := j.m.env.reserve(need); err != nil {
			return err
		}
		j.reserved += need
	}
	j.status.Revision++
	p.revision = j.status.Revision
	j.cfg, j.scenario = p.cfg, scenario
	if j.rec == nil { // in its set-up: the job will begin with this plan
		j.plan.Store(p)
		j.size.Store(int64(p.cfg.begin()))
		j.publish(EventUpdated)
		return nil
	}
	j.reschedule(p)
	j.install(p)
	j.lend(p)
	j.publish(EventUpdated)
	j.populate(p)
	j.wakeAll()
	select {
	case j.planned <- struct{}{}:
	default:
	}
	return nil
}

func (j *Job) updatePending(cfg JobConfig) error {
	if err := present(cfg.check()).err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone {
		return fmt.Errorf("%w: %q was replaced or removed", ErrJobEnded, j.name)
	}
	j.cfg = cfg.clone()
	j.status.Revision++
	j.publish(EventUpdated)
	return nil
}

// reschedule gives a new plan its schedule: that of the plan in force, if the rate
// and the stages stay. New stages begin now. j is locked.
func (j *Job) reschedule(p *plan) {
	old := j.plan.Load()
	same := slices.Equal(old.cfg.Stages, p.cfg.Stages) && old.cfg.Rate == p.cfg.Rate
	if same || len(p.cfg.Stages) == 0 {
		p.time(old.staged)
	} else {
		p.time(j.elapsed())
	}
	pacer := p.cfg.pacer(0, true) // a ramp is for the start of a job
	now := j.elapsed()
	switch {
	case pacer == nil && old.sched == nil:
	case pacer == nil:
		j.dropped.Add(old.sched.unclaimed(now))
		old.sched.close(now)
	case old.sched == nil:
		p.sched = newSchedule(pacer, now)
	case same:
		p.sched = old.sched
	default:
		p.sched = old.sched.replace(pacer, now, len(p.cfg.Stages)+len(old.cfg.Stages) == 0)
	}
}

// Snapshot returns the statistics so far; of an ended job, the final ones. Of a
// pending job they are empty. It stops no VU, and costs the same however many there
// are.
func (j *Job) Snapshot() *Snapshot {
	now := time.Now()
	s := &Snapshot{Job: j.name, Time: now, Totals: newTotals(), Tasks: []TaskSnapshot{}}
	j.mu.Lock()
	s.State, s.Reason, s.Revision = j.status.State, j.status.Reason, j.status.Revision
	s.Workers, s.Seed, s.VUs = j.cfg.Segment.share(j.cfg.Workers), j.cfg.Seed, int(j.live.Load())
	if s.State.Active() {
		s.Workers = int(j.size.Load()) // which stages may have changed
	}
	if !j.ended.IsZero() {
		now = j.ended
	}
	s.Dropped, s.Held = j.dropped.Load(), j.short.held.Load()
	rec, tripped, final := j.rec, j.tripped, j.final
	if rec == nil && j.back != nil {
		final = j.back.stats // it is in its set-up
	}
	j.mu.Unlock()
	if final != nil {
		return final.ended(s)
	}
	if rec == nil {
		s.Valid = true
		return s
	}
	s.Active = int(j.active.Load())
	s.Started = rec.started
	s.Elapsed = now.Sub(rec.start)
	rec.fill(s)
	s.Invalid = append(rec.watch.verdict(s), j.limited(s)...)
	s.Valid = len(s.Invalid) == 0
	j.judge(s, tripped)
	if s.State.Ended() {
		s.Recent = Recent{}
	}
	return s
}
