package loadgen

import (
	"sync/atomic"
	"time"
)

// offered knows for how long a job has offered load: see [Snapshot.LoadDuration]. What is
// not atomic is written with the job locked.
type offered struct {
	full  atomic.Int64  // when a schedule would have had the iteration after the last that the job may have
	vus   int64         // that there were when the job was to end
	gone  int64         // of those, that have ended since
	after time.Duration // how long those went on, together
}

// offeredFor is [Snapshot.LoadDuration] at a time since the job's start; j is locked.
func (j *Job) offeredFor(elapsed time.Duration) time.Duration {
	o, p := &j.offered, j.plan.Load()
	limit, full := p.iterations(), time.Duration(o.full.Load())
	switch {
	case p.sched != nil && full > 0 && limit > 0 && j.begun.Load() >= limit:
		return min(full, p.end)
	case j.ending.outcome == "":
		return elapsed
	case p.sched != nil || o.vus == 0:
		return j.ending.at
	}
	mean := float64(o.after) + float64(o.vus-o.gone)*float64(max(elapsed-j.ending.at, 0))
	return j.ending.at + time.Duration(mean/float64(o.vus))
}

// filled notes when the last iteration that a job may have has begun.
func (o *offered) filled(p *plan, now time.Duration) {
	s := p.sched
	if s == nil {
		return
	}
	if s.First() {
		if due, ok := s.Pacer.Due(p.iterations()); ok {
			now = max(now, due)
		}
	}
	o.full.Store(int64(max(now, 1)))
}

// ceases notes that a VU begins no iteration any more.
func (j *Job) ceases() {
	now := j.elapsed()
	j.mu.Lock()
	defer j.mu.Unlock()
	if o := &j.offered; j.ending.outcome != "" && o.gone < o.vus {
		o.gone++
		o.after += max(now-j.ending.at, 0)
	}
}
