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

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/loglimit"
	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/stats"
)

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

// Job is one run of a scenario against one target. Its methods are
// safe for concurrent use. After its end a Job keeps its reason and statistics.
type Job struct {
	name string
	m    *Manager
	rec  *meter.Recorder
	log  *slog.Logger

	plan    atomic.Pointer[plan]
	begun   atomic.Uint64 // iterations that were started
	active  atomic.Int64  // VUs in an iteration
	idle    atomic.Int64  // VUs that wait for the schedule
	size    atomic.Int64  // VUs that the job is to have; in the open model, to begin with
	planned chan struct{} // the plan has changed, or freed is set; for supervise
	freed   atomic.Bool   // VUs that have left have given back iterations
	ending  ending

	updating sync.Mutex // serialises updates; before mu

	mu       sync.Mutex
	cfg      JobConfig
	scenario *Scenario
	status   Status
	history  []Transition
	gone     bool       // replaced or removed
	next     *JobConfig // what the next start is to have, if that was said
	offered  offered
	tripped  *Verdict      // of the threshold that has ended the job
	final    *Snapshot     // of a job that had ended when it was restored
	back     *comeback     // of a job that is resumed, until it begins
	vus      []*VU         // by number; nil where one has left
	reserved int           // VUs that it may make without asking
	spawned  uint64        // VUs made so far
	life     uint64        // tells the trace ids of a job that was resumed from those before; 0: it was not
	phase    time.Duration // over which the VUs of a job that is resumed begin

	ready     bool           // its set-up has succeeded, or it has none; of supervise
	kept      map[string]any // what its set-up has captured, and
	values    map[string]any // what it has set; before there are VUs
	preparing atomic.Int64   // VUs in their set-up
	prepared  atomic.Bool    // a VU's set-up has succeeded

	beats     *metronome    // of a job with a rate; nil before it has one, and in virtual time
	shared    client.Pool   // the connections of VUs that share them
	live      atomic.Int64  // VUs that exist; written under mu
	exemplars *meter.Keeper // nil for none
	dropped   atomic.Uint64 // iterations that were due and never began
	short     shortfall
	launched  time.Time    // set once, before anything runs
	lease     atomic.Int64 // when the lease ends, since launched; written under mu
	failures  [failure.NumClasses]loglimit.Limit
}

func newJob(m *Manager, cfg JobConfig, scenario *Scenario) *Job {
	j := &Job{
		name: cfg.Name, m: m, cfg: cfg, scenario: scenario,
		log:       m.env.logger.With("job", cfg.Name),
		planned:   make(chan struct{}, 1),
		exemplars: meter.NewKeeper(m.env.exemplars),
	}
	j.ending.init()
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

// elapsed is the time since the job's start.
func (j *Job) elapsed() time.Duration {
	if j.rec == nil { // in its set-up
		return 0
	}
	return time.Since(j.rec.Start)
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
func (j *Job) Done() <-chan struct{} { return j.ending.done }

// Wait waits for the job to end. It returns nil for a job that was stopped or has
// finished, whatever of its requests failed; an error for a job that failed; or the
// error of ctx if that is done first. A job that was only prepared does not end.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case <-j.ending.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s := j.Status(); s.State == StateFailed {
		return fmt.Errorf("job %q failed: %s", j.name, s.Reason)
	}
	return nil
}

// Stop ends the job softly and returns at once: no iteration begins any more, those
// that run have the job's grace time to end, and are interrupted then. Wait, or
// Done, tells when it is over. Stopping twice, or after the end, changes nothing.
func (j *Job) Stop() { j.stop(StateStopped, "stopped on request") }

// Snapshot returns the statistics so far, which are final once the job has ended. Of a
// pending job they are empty. It stops no VU, and costs the same however many there
// are.
func (j *Job) Snapshot() *Snapshot { return j.snapshot(false) }

// SnapshotByMethod is Snapshot with the requests of each task by their method: Tasks has
// one entry for each task with all that is not a request, and one for each method that it
// has used. All of them still add up to the totals. Methods other than those of RFC 9110
// and PATCH count as OTHER; the requests of a run before, which [Manager.Restore] has
// brought, have none.
func (j *Job) SnapshotByMethod() *Snapshot { return j.snapshot(true) }

func (j *Job) snapshot(byMethod bool) *Snapshot {
	now := time.Now()
	s := &Snapshot{Job: j.name, Time: now, Totals: stats.NewTotals(), Tasks: []TaskSnapshot{}}
	j.mu.Lock()
	s.State, s.Reason, s.Revision = j.status.State, j.status.Reason, j.status.Revision
	s.Workers, s.Seed, s.VUs = j.cfg.Segment.Share(j.cfg.Workers), j.cfg.Seed, int(j.live.Load())
	if s.State.Active() {
		s.Workers = int(j.size.Load()) // which stages may have changed
	}
	if !j.ending.ended.IsZero() {
		now = j.ending.ended
	}
	s.Dropped, s.Throttled = j.dropped.Load(), j.shared.Held.Load()
	rec, tripped, final := j.rec, j.tripped, j.final
	if rec == nil && j.back != nil {
		final = j.back.stats // it is in its set-up
	}
	if rec != nil {
		s.Elapsed = now.Sub(rec.Start)
		s.LoadDuration = j.offeredFor(s.Elapsed)
	}
	j.mu.Unlock()
	if final != nil {
		return final.AtEnd(s)
	}
	if rec == nil {
		s.Valid = true
		return s
	}
	s.Active = int(j.active.Load())
	s.Started = rec.Started
	rec.Fill(s, byMethod)
	s.Valid = true
	s.AddIssues(rec.Issues(s)...)
	s.AddIssues(j.limited(s)...)
	j.judge(s, tripped)
	if s.State.Ended() {
		s.Recent = Recent{}
	}
	return s
}
