package loadgen

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/textkit"
)

// ErrLimit is wrapped by the error of a start or update that would exceed the [Limits] of a
// Manager.
var ErrLimit = errors.New("a limit is reached")

// Limits are ceilings over all jobs of a Manager together. A zero field is none.
type Limits struct {
	// MaxRate limits the requests of all jobs together; each hop of a redirect is one.
	// Requests beyond it wait their turn. No second has more requests than MaxRate
	// allows, plus those of 10 ms. Requests that wait are counted as throttled (see
	// [Snapshot]). The wait is part of the response time of their iteration, not of
	// their service time. Only requests of VUs count, not those that a task written in
	// Go sends by other means.
	MaxRate Rate
	// MaxWorkers limits the VUs of all jobs together. A job that asks for more than are
	// left is refused. A running job whose rate or stages need more continues with those
	// it has.
	MaxWorkers int
	// MaxJobs limits the jobs that run or are stopping.
	MaxJobs int
}

// Usage is how much of its [Limits] a Manager uses.
type Usage struct {
	Jobs    int    // that run, or are stopping
	Workers int    // VUs that exist
	Held    uint64 // requests that had to wait for MaxRate, of all jobs so far
}

// WithLimits sets ceilings over all jobs together. What a job's configuration asks for
// beyond them is a fault of it. Negative numbers, and a rate that is none, count as
// none.
func WithLimits(l Limits) Option {
	return func(e *environment) {
		if l.MaxRate.Validate() != nil {
			l.MaxRate = Rate{}
		}
		l.MaxWorkers, l.MaxJobs = max(l.MaxWorkers, 0), max(l.MaxJobs, 0)
		e.limits, e.Throttle = l, nil
		if !l.MaxRate.IsZero() {
			e.Throttle = client.NewThrottle(l.MaxRate)
		}
	}
}

// Limits returns what [WithLimits] has set.
func (m *Manager) Limits() Limits { return m.env.limits }

// TargetRules returns what [WithTargetRules] has set, or nil.
func (m *Manager) TargetRules() *TargetRules { return m.env.Targets }

// Usage returns how much of its limits the Manager uses now.
func (m *Manager) Usage() Usage {
	u := Usage{Workers: int(m.env.workers.Load())}
	if t := m.env.Throttle; t != nil {
		u.Held = t.Held.Load()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u.Jobs = m.activeJobs()
	return u
}

// activeJobs counts the jobs that have not ended; m is locked.
func (m *Manager) activeJobs() (n int) {
	for _, j := range m.jobs {
		if j.State().Active() {
			n++
		}
	}
	return n
}

// admit makes room for a new job; m is locked.
func (m *Manager) admit(j *Job, p *plan) error {
	l := m.env.limits
	if l.MaxJobs > 0 && m.activeJobs() >= l.MaxJobs {
		return fmt.Errorf("%w: at most %s may run at a time", ErrLimit, textkit.Plural(l.MaxJobs, "job"))
	}
	workers := p.cfg.begin()
	if len(p.cfg.Stages) > 0 && !p.cfg.open() {
		workers, _ = p.cfg.workersAt(0)
	}
	if err := m.env.reserve(workers); err != nil {
		return err
	}
	j.reserved = workers
	return nil
}

// reserve takes VUs out of those that may exist, all or none.
func (e *environment) reserve(n int) error {
	for {
		used := e.workers.Load()
		if limit := e.limits.MaxWorkers; limit > 0 && used+int64(n) > int64(limit) {
			return fmt.Errorf("%w: %d workers may exist, all jobs together; there are %d, and %d more were asked for", ErrLimit, limit, used, n)
		}
		if e.workers.CompareAndSwap(used, used+int64(n)) {
			return nil
		}
	}
}

// full tells whether no VU may be added.
func (e *environment) full() bool {
	return e.limits.MaxWorkers > 0 && e.workers.Load() >= int64(e.limits.MaxWorkers)
}

// unreserve gives them back.
func (e *environment) unreserve(n int) { e.workers.Add(-int64(n)) }

// check finds what a config asks for beyond the limits, whatever else runs.
func (l *Limits) check(c *JobConfig) (f fault.List) {
	if l.MaxWorkers > 0 {
		beyond := func(field string, n int) {
			if n = c.Segment.Share(n); n > l.MaxWorkers {
				f.Add(field, "must be at most %d, all jobs together, not %d", l.MaxWorkers, n)
			}
		}
		beyond("workers", c.Workers)
		for i, s := range c.Stages {
			beyond(fmt.Sprintf("stages[%d].workers", i), s.Workers)
		}
	}
	if !l.MaxRate.IsZero() {
		beyond := func(field string, r Rate) {
			if r.Hz()/float64(c.Segment.Parts()) > l.MaxRate.Hz() {
				f.Add(field, "must be at most %s, all jobs together, not %s", l.MaxRate, r)
			}
		}
		beyond("rate", c.Rate)
		for i, s := range c.Stages {
			beyond(fmt.Sprintf("stages[%d].rate", i), s.Rate)
		}
	}
	return f
}

// refillEvery is how often a job that has fewer VUs than its stages say looks whether
// there may be more.
const refillEvery = time.Second

// refill makes VUs that the job is to have and could not get. It returns whether some
// are still missing.
func (j *Job) refill(p *plan) (short bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.plan.Load() == p && j.status.State == StateRunning {
		j.populate(p)
	}
	return j.live.Load() < j.size.Load()
}

// missing is how many VUs an update has to make; j is locked.
func (j *Job) missing(size int) (n int) {
	for id := range size {
		if id >= len(j.vus) {
			return n + size - id
		}
		if j.vus[id] == nil {
			n++
		}
	}
	return n
}

// shortfall is what a job could not do because of limits.
type shortfall struct {
	workers atomic.Bool // it could not have as many VUs as it needed
}
