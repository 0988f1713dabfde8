package loadgen

import (
	"fmt"
	"math"
	"time"

	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/schedule"
	"github.com/opbeans/loadgen/internal/textkit"
)

// launch starts a new job.
func (j *Job) launch(p *plan) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.revision = j.status.Revision
	j.launched = time.Now()
	j.lend(p) // the event tells when it ends
	late := j.back == nil && !p.cfg.StartAt.IsZero()
	if p.hooks[scenariofile.HookSetup] == nil && !late {
		j.ready = true
		j.rec = j.newRecorder()
		reason := ""
		if j.back != nil {
			j.back.takeUp(j, j.rec)
			reason = "resumed"
		}
		j.set(StateRunning, reason)
		j.publish(EventStarted)
		j.commence(p)
	} else {
		j.plan.Store(p)
		j.size.Store(int64(p.cfg.begin()))
		reason := "in its set-up"
		if p.hooks[scenariofile.HookSetup] == nil {
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
		p.sched = schedule.New(p.cfg.pacer(p.cfg.RampUp, true), 0, p.cfg.RampUp)
	}
	j.install(p)
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
		p.tasks[i].stat = j.rec.Task(p.tasks[i].name)
	}
	j.plan.Store(p)
	if p.sched != nil && j.beats == nil {
		j.beats = j.startMetronome()
	}
}

// supervise sees a job through from its start to its end.
func (j *Job) supervise() {
	defer j.m.wg.Done()
	j.setUp()
	j.untilOver()
	grace := time.NewTimer(j.plan.Load().cfg.grace())
	defer grace.Stop()
	select {
	case <-j.ending.empty:
	case <-grace.C:
		j.interrupt()
		<-j.ending.empty
	}
	j.tearDown()
	j.ending.cut()
	j.ending.cutLast()
	j.mu.Lock()
	beats := j.beats
	j.mu.Unlock()
	beats.stop()
	j.rec.Flush()
	j.finish()
}

// attend waits until done is closed, and looks after the job meanwhile: it ends the job
// when its lease lapses, and calls look at once, whenever the plan changes or the end has
// come nearer, and after the time that look has returned. It also returns when look says
// that it is not to go on.
func (j *Job) attend(done <-chan struct{}, look func() (next time.Duration, goOn bool)) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	over, dead := j.ending.over, j.ending.dead
	for {
		next, goOn := look()
		if !goOn {
			return
		}
		set(alarm, min(next, j.lapse()))
		select {
		case <-done:
			return
		case <-over:
			over = nil
		case <-dead:
			dead = nil
		case <-alarm.C:
		case <-j.planned:
		}
	}
}

// untilOver returns when the job is to end, which it brings about when its
// duration is over. Meanwhile it makes the number of VUs follow the stages, looks at
// thresholds that may end the job, and keeps samples flowing to observers.
func (j *Job) untilOver() {
	var look, flush time.Duration // when to look at the thresholds, and to flush, again
	j.attend(j.ending.over, func() (time.Duration, bool) {
		p, now := j.plan.Load(), j.elapsed()
		if now >= p.end {
			j.expire(p.end)
		}
		if j.ending.reached(endDraining) {
			return 0, false
		}
		if j.freed.Swap(false) {
			j.mu.Lock()
			j.wakeAll()
			j.mu.Unlock()
		}
		next := p.end
		if p.mayAbort() {
			if now >= look {
				look = now + j.guard()
			}
			next = min(next, look)
		}
		if j.rec.Sink != nil {
			if now >= flush {
				j.rec.Flush()
				flush = now + watchEvery
			}
			next = min(next, flush)
		}
		next = min(next, j.followStages(p, now))
		if next < math.MaxInt64 {
			next = max(next-now, 0)
		}
		return next, true
	})
}

// followStages gives the job as many VUs as its stages ask for now, and returns when to
// look again, since the job's start.
func (j *Job) followStages(p *plan, now time.Duration) time.Duration {
	next := time.Duration(math.MaxInt64)
	if len(p.cfg.Stages) == 0 || p.sched != nil {
		return next
	}
	workers, changes := p.cfg.workersAt(now - p.staged)
	j.resize(p, workers)
	if changes < math.MaxInt64 {
		next = p.staged + changes
	}
	if j.short.workers.Load() && j.live.Load() < j.size.Load() && j.refill(p) {
		next = min(next, now+refillEvery)
	}
	return next
}

// set makes a timer fire after d, or never for [math.MaxInt64].
func set(t *time.Timer, d time.Duration) {
	if d == math.MaxInt64 {
		t.Stop()
	} else {
		t.Reset(d)
	}
}

// finish enters the last state.
func (j *Job) finish() {
	j.mu.Lock()
	j.ending.ended = time.Now()
	j.m.env.unreserve(j.reserved) // its set-up has failed
	j.reserved = 0
	p := j.plan.Load()
	if limit := p.iterations(); limit > 0 && j.begun.Load() >= limit {
		j.dropped.Store(0) // it was not to do more
	} else if p.sched != nil {
		j.dropped.Add(p.sched.Unclaimed(j.ending.at))
	}
	j.set(j.ending.outcome, j.ending.why)
	j.publish(EventEnded)
	j.mu.Unlock()
	closeFeeds(p.feeds, nil)
	j.log.Info("job ended", "state", j.ending.outcome, "reason", j.ending.why, "iterations", j.begun.Load(),
		"elapsed", j.ending.ended.Sub(j.rec.Start).Round(time.Millisecond))
	defer close(j.ending.done) // whatever becomes of those who are told
	j.m.env.tellEnded(j)
}

// stop makes the job end, unless it already does.
func (j *Job) stop(outcome State, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return
	}
	j.end(endHalted, outcome, reason)
}

// expire ends the job because its duration is over. What was due before that, and
// could not start for want of a free VU, may still start within the grace time.
func (j *Job) expire(d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning || j.plan.Load().end > d {
		return // or the end was moved meanwhile
	}
	reason := "its stages are over"
	if j.cfg.Duration > 0 {
		reason = fmt.Sprintf("its duration of %s is over", j.cfg.Duration)
	}
	j.end(endDraining, StateFinished, reason)
}

// end enters the state stopping; j is locked, and running.
func (j *Job) end(stage endStage, outcome State, reason string) {
	j.ending.enter(stage)
	j.ending.outcome, j.ending.why = outcome, reason
	j.ending.at = min(j.elapsed(), j.plan.Load().end)
	j.offered.vus = j.live.Load()
	j.set(StateStopping, reason)
	j.publish(EventStopping)
	close(j.ending.over)
	if j.live.Load() == 0 {
		close(j.ending.empty)
	}
	j.wakeAll()
}

// abort ends the job as failed.
func (j *Job) abort(err error) { j.stop(StateFailed, textkit.ErrorMessage(err)) }

// interrupt cancels running iterations, if the job is stopping.
func (j *Job) interrupt() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateStopping {
		return
	}
	j.ending.enter(endCut)
	for _, vu := range j.vus {
		if vu != nil {
			vu.client.Interrupt()
		}
	}
	j.wakeAll()
}
