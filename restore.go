package loadgen

import (
	"fmt"
	"slices"
	"time"

	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/internal/schedule"
)

// JobRecord is a job at one moment, as data: with it and the statistics of that
// moment, [Manager.Restore] has the job back in another process. Its JSON form can be
// read back; it has the configuration with all that is secret in it.
type JobRecord struct {
	Config JobConfig `json:"config"`
	// Next is what the next start is to have: see [Job.SetNext].
	Next    *JobConfig   `json:"next,omitempty"`
	Status  Status       `json:"status"`
	History []Transition `json:"history"`
	// Outcome and Why are what the state of a stopping job leads to.
	Outcome State  `json:"outcome,omitempty"`
	Why     string `json:"why,omitempty"`
	// Started is when the job started; zero for a pending one. Elapsed is for how long
	// it has run since, which does not count the time between a process that ended and
	// the one that went on.
	Started  time.Time     `json:"started,omitzero"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Position JobPosition   `json:"position"`
}

// JobPosition is how far a running job has come. It is for [Manager.Restore]; times
// are since the job's start.
type JobPosition struct {
	Staged  time.Duration `json:"staged_ns"`  // when its stages began
	Origin  time.Duration `json:"origin_ns"`  // of its schedule
	Ramp    time.Duration `json:"ramp_ns"`    // of its schedule
	Overdue uint64        `json:"overdue"`    // iterations that were due and had not begun
	Spawned uint64        `json:"spawned"`    // VUs made so far
	Watched time.Duration `json:"watched_ns"` // for how long it knows what the process did, and
	CPU     time.Duration `json:"cpu_ns"`     // for how much of it all CPUs were in use,
	GC      time.Duration `json:"gc_ns"`      // or garbage collection had stopped it
	// Rows is how many rows each feeder has given out that gives them out in order, by
	// the feeder's name.
	Rows map[string]int64 `json:"rows,omitempty"`
}

// maxHistory is how many states of a job's history a record takes along, so that a
// job which is resumed over and over does not grow.
const maxHistory = 100

// Record returns the job as data. Statistics are not in it: take the [Job.Snapshot]
// as well, before or after.
func (j *Job) Record() JobRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := JobRecord{
		Config: j.cfg.clone(), Status: j.status, Outcome: j.ending.outcome, Why: j.ending.why,
		History: slices.Clone(j.history[max(0, len(j.history)-maxHistory):]),
	}
	if j.next != nil {
		next := j.next.clone()
		r.Next = &next
	}
	switch {
	case j.final != nil:
		r.Started, r.Elapsed = j.final.Started, j.final.Elapsed
		return r
	case j.rec == nil && j.back != nil: // in its set-up
		r.Started, r.Elapsed, r.Position = j.back.record.Started, j.back.record.Elapsed, j.back.record.Position
		return r
	case j.rec == nil:
		return r
	}
	r.Started, r.Elapsed = j.rec.Started, j.elapsed()
	if !j.ending.ended.IsZero() {
		r.Elapsed = j.ending.ended.Sub(j.rec.Start)
	}
	p := j.plan.Load()
	r.Position.Staged, r.Position.Spawned, r.Position.Rows = p.staged, j.spawned, givenOut(p.feeds)
	if p.sched != nil {
		r.Position.Origin, r.Position.Ramp = p.sched.Origin, p.sched.Ramp
		r.Position.Overdue = p.sched.Unclaimed(r.Elapsed)
	}
	share := j.rec.Watched()
	r.Position.Watched, r.Position.CPU, r.Position.GC = share.Watched, share.Saturated, share.Paused
	return r
}

// Interrupt makes r the record of a job that has failed, if it was running or
// stopping: for one that cannot be resumed, or is not to be. A job that was stopping
// has the end that it was coming to.
func (r *JobRecord) Interrupt(reason string) {
	outcome := StateFailed
	switch r.Status.State {
	case StateRunning:
	case StateStopping:
		outcome, reason = r.Outcome, r.Why
	default:
		return
	}
	r.Status.State, r.Status.Reason, r.Status.Since = outcome, reason, time.Now()
	r.History = append(slices.Clip(r.History), Transition{State: outcome, Reason: reason, Time: r.Status.Since})
}

// Restore brings back a job of another process, with its statistics (nil for none). A
// running job continues: its statistics, its duration, its stages, its feeders and its
// remaining iterations go on where they were. Iterations that were due and had not begun
// count as dropped; those that ran and were not yet in the statistics are lost. A job that
// was stopping has ended. Pending and ended jobs do not change.
//
// The error is that of [Manager.Start]: a running job whose scenario the catalogue does
// not have cannot be restored, as opposed to its record after [JobRecord.Interrupt].
// A job of the same name that is there already is treated as by Start.
func (m *Manager) Restore(r JobRecord, stats *Snapshot) (*Job, error) {
	if stats == nil {
		stats = &Snapshot{Started: r.Started}
	}
	r.Elapsed = max(r.Elapsed, stats.Elapsed)
	if r.Status.State == StateRunning {
		return m.resume(&r, stats)
	}
	r.Interrupt("")
	if r.Config.Name == "" {
		return nil, r.Config.Validate()
	}
	scenario := r.Config.Scenario
	if scenario == nil {
		scenario, _ = m.env.catalogue.Load(r.Config.ScenarioName) // it is shown; else it is not
	}
	j := newJob(m, r.Config.clone(), scenario)
	j.status, j.history, j.next = r.Status, slices.Clone(r.History), r.Next
	kind := EventPrepared
	if r.Status.State.Ended() {
		kind = EventEnded
		j.ending.outcome, j.ending.why, j.ending.ended = r.Status.State, r.Status.Reason, r.Status.Since
		j.final = stats.Clone()
		j.final.Job, j.final.Started, j.final.Elapsed = j.name, r.Started, r.Elapsed
		j.ending.cut()
		j.ending.cutLast()
		close(j.ending.done)
	}
	return m.enter(j, kind)
}

// resume makes a job that was running run on. One that was still in its set-up had not
// begun, and starts.
func (m *Manager) resume(r *JobRecord, stats *Snapshot) (*Job, error) {
	scenario, p, err := m.compile(r.Config, nil)
	if err != nil {
		return nil, err
	}
	if err := p.open(scenario, nil, nil); err != nil {
		return nil, err
	}
	for _, f := range p.feeds {
		f.Resume(r.Position.Rows[f.Def.Name])
	}
	j := newJob(m, p.cfg, scenario)
	j.history = slices.Clone(r.History)
	j.status.Revision = max(r.Status.Revision, 1)
	j.life = uint64(time.Now().UnixNano()) // what it did since it was last recorded is not known
	if r.Started.IsZero() {
		if err := p.cfg.checkStart(); err != nil {
			closeFeeds(p.feeds, nil)
			return nil, err
		}
	} else {
		j.back = &comeback{record: *r, stats: stats.Clone()}
	}
	if err := m.run(j, p); err != nil {
		return nil, err
	}
	j.log.Info("job resumed", "scenario", p.cfg.ScenarioName, "url", p.base.Redacted(),
		"elapsed", r.Elapsed.Round(time.Millisecond), "iterations", stats.Iterations, "revision", r.Status.Revision)
	return j, nil
}

// comeback is what a job that is resumed begins with.
type comeback struct {
	record JobRecord
	stats  *Snapshot
}

// takeUp lets the recorder, which begins now, and the counters of the job go on from
// there; j is locked, or not yet shared.
func (b *comeback) takeUp(j *Job, rec *meter.Recorder) {
	r, stats := &b.record, b.stats
	rec.Resume(stats, r.Started, r.Elapsed, meter.ProcessShare{
		Watched: r.Position.Watched, Saturated: r.Position.CPU, Paused: r.Position.GC,
	})
	j.dropped.Store(stats.Dropped + r.Position.Overdue)
	j.shared.Held.Store(stats.Throttled)
	j.begun.Store(stats.Iterations + stats.Interrupted)
	j.spawned = r.Position.Spawned
}

// schedule gives the plan, which the job resumes with, its times and its schedule.
func (b *comeback) schedule(p *plan) {
	at := &b.record.Position
	p.time(at.Staged)
	if p.cfg.open() {
		p.sched = schedule.New(p.cfg.pacer(at.Ramp, true), at.Origin, at.Ramp)
		p.sched.SkipDue(b.record.Elapsed)
	}
}

// RunRecord is one run of a job, from its start to its end, for programs that store
// results.
type RunRecord struct {
	ID         string     `json:"id"`
	Job        JobRecord  `json:"job"`
	Summary    RunSummary `json:"summary"`
	Statistics *Snapshot  `json:"-"` // nil where only the summary was asked for
}

// RunSummary has the main numbers of a run's statistics.
type RunSummary struct {
	Iterations       uint64   `json:"iterations"`
	FailedIterations uint64   `json:"failed_iterations"`
	Requests         uint64   `json:"requests"`
	FailedRequests   uint64   `json:"failed_requests"`
	ResponseP99      *float64 `json:"response_p99_ms"` // null without iterations
	ServiceP99       *float64 `json:"service_p99_ms"`  // null without responses
	Valid            bool     `json:"valid"`
}

// RunID names the run of a job, for instance 20261125-205142-8f3a01c7. It follows from
// the job's name and start, so that a run which was resumed keeps it; in the order of
// IDs, runs are in the order of their starts, to the second.
func (r *JobRecord) RunID() string {
	// FNV-1a, of the name and the nanoseconds: two runs within a second differ.
	hash := uint32(2166136261)
	for _, b := range []byte(fmt.Sprint(r.Started.UnixNano(), r.Config.Name)) {
		hash = (hash ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("%s-%08x", r.Started.UTC().Format("20060102-150405"), hash)
}

// NewRunRecord returns the record of a job's run with the statistics so far.
func NewRunRecord(r JobRecord, stats *Snapshot) RunRecord {
	ms := func(h *Histogram) *float64 {
		if h.Count() == 0 {
			return nil
		}
		v := float64(h.P99().Microseconds()) / 1e3
		return &v
	}
	return RunRecord{
		ID:         r.RunID(),
		Job:        r,
		Statistics: stats,
		Summary: RunSummary{
			Iterations: stats.Iterations, FailedIterations: stats.FailedIterations,
			Requests: stats.Requests, FailedRequests: stats.FailedRequests,
			ResponseP99: ms(&stats.Response), ServiceP99: ms(&stats.Service), Valid: stats.Valid,
		},
	}
}
