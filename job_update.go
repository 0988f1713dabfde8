package loadgen

import (
	"fmt"
	"slices"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/schedule"
)

// Update changes a job in place. change edits a copy of its configuration, with
// defaults filled in, and must not call the job. The result is checked as a whole:
// if it is faulty, the error lists every fault and nothing has changed. Otherwise
// it is a new revision, which VUs follow from their next iteration on; workers come
// and go without disturbing those that stay.
//
// The error wraps [ErrJobEnded] if the job is stopping or has ended. An update of a
// pending job changes what it was prepared with.
//
// A changed scenario file takes effect with [Job.Reload].
func (j *Job) Update(change func(*JobConfig)) error { return j.update(change, false) }

// Reload is [Job.Update] that also reads the scenario from the catalogue again, so that a
// changed file takes effect. change may be nil.
func (j *Job) Reload(change func(*JobConfig)) error {
	if change == nil {
		change = func(*JobConfig) {}
	}
	return j.update(change, true)
}

func (j *Job) update(change func(*JobConfig), reload bool) error {
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
		f := fault.List{{Field: "job", Message: fmt.Sprintf("is %q and cannot be changed to %q", j.name, cfg.Name)}}
		return validation(append(f, present(cfg.check())...))
	}
	switch {
	case cfg.Scenario != before.Scenario:
		scenario = nil
	case cfg.ScenarioName != before.ScenarioName:
		cfg.Scenario, scenario = nil, nil // another name takes the place of the value
	case reload:
		scenario = nil
	}
	if state == StatePending {
		return j.updatePending(cfg)
	}
	ran := j.Scenario()
	scenario, p, err := j.m.compile(cfg, scenario)
	if err != nil {
		return err
	}
	if err := validation(p.cfg.fixed(&before)); err != nil {
		return err
	}
	if !scenario.follows(ran) {
		f := fault.List{}
		f.Add("scenario", "has another set-up than the job has run, and a job runs its set-up once: stop the job, and start it again")
		return validation(f)
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
	j.lend(p)
	defer j.replan()
	if j.rec == nil { // in its set-up: the job will begin with this plan
		j.plan.Store(p)
		j.size.Store(int64(p.cfg.begin()))
		j.publish(EventUpdated)
		return nil
	}
	j.reschedule(p)
	j.install(p)
	j.publish(EventUpdated)
	j.populate(p)
	j.wakeAll()
	return nil
}

func (j *Job) updatePending(cfg JobConfig) error {
	if err := validation(present(cfg.check())); err != nil {
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
		j.dropped.Add(old.sched.Unclaimed(now))
		old.sched.Close(now)
	case old.sched == nil:
		p.sched = schedule.New(pacer, now, 0)
	case same:
		p.sched = old.sched
	default:
		p.sched = old.sched.Replace(pacer, now, len(p.cfg.Stages)+len(old.cfg.Stages) == 0)
	}
}
