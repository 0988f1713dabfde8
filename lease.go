package loadgen

import (
	"fmt"
	"math"
	"time"
)

// A lease ends a job that nobody looks after any more: whoever steers it renews the
// lease, by [Job.Renew] or by any update, and when that stays out the job stops. It counts
// from the job's launch, so that a set-up which hangs is within it, and so
// is the time until a StartAt.

// Renew begins the job's lease anew, if it has one. The error wraps [ErrJobEnded] if
// the job is stopping, has ended, or has not begun.
func (j *Job) Renew() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return fmt.Errorf("%w: %q is %s", ErrJobEnded, j.name, j.status.State)
	}
	p := j.plan.Load()
	if p.cfg.Lease > 0 {
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
	if j.status.State != StateRunning || ends == math.MaxInt64 {
		return time.Time{}
	}
	return j.launched.Add(ends)
}

// lend begins a lease now; j is locked.
func (j *Job) lend(p *plan) {
	ends := time.Duration(math.MaxInt64)
	if p.cfg.Lease > 0 {
		ends = time.Since(j.launched) + p.cfg.Lease
	}
	j.lease.Store(int64(ends))
}

// lapse ends the job if its lease is over. It returns when to look again, as a time
// from now; [math.MaxInt64] for never.
func (j *Job) lapse() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return math.MaxInt64
	}
	ends := time.Duration(j.lease.Load())
	if ends == math.MaxInt64 {
		return ends
	}
	left := ends - time.Since(j.launched)
	if left > 0 {
		return left
	}
	j.end(endHalted, StateStopped, fmt.Sprintf("its lease of %s was not renewed", j.cfg.Lease))
	return math.MaxInt64
}
