package loadgen

import (
	"fmt"
	"math"
	"time"
)

// A lease ends a job that nobody looks after any more: whoever steers it renews the
// lease, by [Job.Renew] or by any update, and when that stays out the job stops. It begins
// with the iterations, after the job's set-up.

// Renew begins the job's lease anew, if it has one. The error wraps [ErrJobEnded] if
// the job is stopping, has ended, or has not begun.
func (j *Job) Renew() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return fmt.Errorf("%w: %q is %s", ErrJobEnded, j.name, j.status.State)
	}
	p := j.plan.Load()
	if j.rec != nil && p.cfg.Lease > 0 { // in its set-up it has none yet: it begins after that
		j.lend(p)
		j.publish(EventRenewed)
	}
	return nil
}

// LeaseEnds is when the job will stop unless its lease is renewed before; the zero
// time if it has none, or does not run.
func (j *Job) LeaseEnds() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leaseEnds()
}

// leaseEnds is LeaseEnds; j is locked.
func (j *Job) leaseEnds() time.Time {
	ends := time.Duration(j.lease.Load())
	if j.rec == nil || j.status.State != StateRunning || ends == math.MaxInt64 {
		return time.Time{}
	}
	return j.rec.start.Add(ends)
}

// lend begins a lease now; j is locked.
func (j *Job) lend(p *plan) {
	ends := time.Duration(math.MaxInt64)
	if p.cfg.Lease > 0 {
		ends = j.elapsed() + p.cfg.Lease
	}
	j.lease.Store(int64(ends))
}

// lapse ends the job if its lease is over.
func (j *Job) lapse() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning || j.elapsed() < time.Duration(j.lease.Load()) {
		return // or it was renewed this moment
	}
	j.halted.Store(true)
	j.end(StateStopped, fmt.Sprintf("its lease of %s was not renewed", j.cfg.Lease))
}
