package report

import (
	"context"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
)

// maxIntervals bounds what a recorder keeps: when there are so many, every two are
// joined, and intervals become twice as long. It is even, so that none is left over.
const maxIntervals = 1200

// Recorder follows a job and keeps what happened in each interval of its run, in
// bounded memory however long that is. Its methods are safe for concurrent use.
type Recorder struct {
	job   *loadgen.Job
	every time.Duration // as asked for

	mu        sync.Mutex
	last      *loadgen.Snapshot // at the end of the last interval
	length    time.Duration     // of an interval; every, doubled now and then
	intervals []Interval
}

// NewRecorder returns a recorder of a job that was started, for intervals of a length
// of at least 10 ms; a second is usual.
func NewRecorder(job *loadgen.Job, every time.Duration) *Recorder {
	every = max(every, 10*time.Millisecond)
	return &Recorder{job: job, every: every, length: every}
}

// Record takes a snapshot at the end of each interval, until the job has ended or ctx
// is done. It is called once; whoever calls it in a goroutine waits for that.
func (r *Recorder) Record(ctx context.Context) {
	timer := time.NewTimer(r.untilNext())
	defer timer.Stop()
	for {
		select {
		case <-r.job.Done():
			return
		case <-ctx.Done():
			return
		case <-timer.C:
			r.mu.Lock()
			r.take(r.job.Snapshot())
			r.mu.Unlock()
			timer.Reset(r.untilNext())
		}
	}
}

// untilNext is the time until the next interval ends: a multiple of its length since
// the job's start, so that a late snapshot does not move those that follow.
func (r *Recorder) untilNext() time.Duration {
	s := r.job.Snapshot()
	if s.Started.IsZero() {
		return r.every
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.length - s.Elapsed%r.length
}

// Report returns what was recorded so far; of a job that has ended, all there is.
func (r *Recorder) Report() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.job.Snapshot() // of now: intervals begin where the one before has ended
	r.take(s)
	rep := New(r.job.Config(), s)
	rep.Every = r.length
	rep.Intervals = append(rep.Intervals, r.intervals...)
	return rep
}

// take ends an interval. One that is short, such as the last of a run, becomes a part
// of the one before, since its rate would mean little. r is locked.
func (r *Recorder) take(s *loadgen.Snapshot) {
	d := s.Since(r.last)
	to, vus := s.Elapsed, s.VUs
	if s.State.Ended() && r.last != nil {
		vus = r.last.VUs // those of now have all gone
	}
	r.last = s
	i := Interval{
		From: to - d.Elapsed, To: to, Offered: d.LoadDuration, VUs: vus,
		Starved: d.LateStarts, Dropped: d.Dropped, Lag: d.Lag, Totals: d.Totals,
	}
	n := len(r.intervals)
	switch {
	case i.Length() <= 0 && i.Iterations+i.Requests+i.Interrupted+i.Dropped == 0:
	case n > 0 && i.Length() < r.length/2:
		r.intervals[n-1].join(&i)
	default:
		r.intervals = append(r.intervals, i)
	}
	if len(r.intervals) >= maxIntervals {
		r.halve()
	}
}

// halve joins every two intervals.
func (r *Recorder) halve() {
	var half []Interval
	for i := range r.intervals {
		if i%2 == 0 {
			half = append(half, r.intervals[i])
		} else {
			half[len(half)-1].join(&r.intervals[i])
		}
	}
	r.intervals, r.length = half, 2*r.length
}

// join adds the interval that follows.
func (i *Interval) join(next *Interval) {
	i.To, i.VUs = next.To, max(i.VUs, next.VUs)
	i.Offered += next.Offered
	i.add(next)
}

// add counts what happened in another interval, whenever that was.
func (i *Interval) add(next *Interval) {
	i.Starved += next.Starved
	i.Dropped += next.Dropped
	i.Lag.Merge(&next.Lag)
	i.Totals.Merge(&next.Totals)
}
