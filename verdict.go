package loadgen

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// What makes a run invalid: the generator, not the target, was the limit. The bounds
// are far from what a healthy run shows, and close to where numbers begin to lie.
const (
	maxLag         = 10 * time.Millisecond // of the 99th percentile of the schedule lag
	lateBy         = 10 * time.Millisecond // an iteration is starved that begins later
	maxStarved     = 0.01                  // of all iterations
	saturated      = 0.95                  // of the CPU time that the process may use
	maxHeld        = 0.01                  // of all requests
	maxSaturated   = 0.10                  // of the time
	maxGCPause     = 0.02                  // of the time
	verdictAfter   = 100                   // iterations; below that percentiles mean little
	watchProcess   = time.Second           // how often the process is looked at
	clockTolerance = 0.2                   // how far a clock may be from the real one
)

// selfWatch follows what the process as a whole does to one job's measurements. It
// looks when records are drained, so that it needs no goroutine and no timer.
type selfWatch struct {
	use       func() processUse
	mu        sync.Mutex
	next      time.Time // when to look again
	last      processUse
	clock     time.Time // of the last look; virtual in a synctest bubble
	watched   time.Duration
	saturated time.Duration
	paused    time.Duration
}

// processUse is what the process has used so far, by the real clock, also in a
// bubble of testing/synctest.
type processUse struct {
	real, cpu, gcPause time.Duration
	ok                 bool
}

// look takes a sample of the process, at most once a second.
func (w *selfWatch) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Before(w.next) {
		return
	}
	use := w.use()
	real, virtual := use.real-w.last.real, now.Sub(w.clock)
	// In virtual time, or after the machine slept, the share of the CPU means nothing.
	usable := w.last.ok && use.ok && real > 0 && virtual > 0 &&
		float64(max(real, virtual))/float64(min(real, virtual)) < 1+clockTolerance
	if usable {
		w.watched += real
		if float64(use.cpu-w.last.cpu) > saturated*float64(real)*float64(runtime.GOMAXPROCS(0)) {
			w.saturated += real
		}
		w.paused += use.gcPause - w.last.gcPause
	}
	w.last, w.clock, w.next = use, now, now.Add(watchProcess)
}

// gcPauses is the time that garbage collection has stopped the program for.
func gcPauses() time.Duration {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/pause:cpu-seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return time.Duration(sample[0].Value.Float64() / float64(runtime.GOMAXPROCS(0)) * float64(time.Second))
}

// verdict says why the measurements cannot be trusted; nothing if they can.
func (w *selfWatch) verdict(s *Snapshot) []string {
	why := s.Doubts()
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	w.mu.Lock()
	defer w.mu.Unlock()
	if part := float64(w.saturated) / float64(w.watched); w.watched > 0 && part > maxSaturated {
		add("CPU saturation: this process used all the CPU it may for %.0f %% of the time", 100*part)
	}
	if part := float64(w.paused) / float64(w.watched); w.watched > 0 && part > maxGCPause {
		add("GC pauses: garbage collection stopped this process for %.0f %% of the time", 100*part)
	}
	return why
}

// Doubts are those reasons of [Snapshot.Invalid] that follow from the other statistics of
// s: schedule lag, dropped work and VU starvation. They are for statistics that were
// merged, of which none alone may have had enough iterations to tell.
func (s *Snapshot) Doubts() []string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if s.Lag.Count() >= verdictAfter && s.Lag.P99() > maxLag {
		add("schedule lag: 1 %% of the iterations that had a VU waiting began %s late or more", s.Lag.P99().Round(time.Millisecond))
	}
	if s.Dropped > 0 {
		add("dropped work: %d iterations were due and never began", s.Dropped)
	}
	if n := s.Iterations + s.Interrupted; n >= verdictAfter && float64(s.Starved) > maxStarved*float64(n) {
		add("VU starvation: %d of %d iterations began late, because all VUs were busy; raise max_workers", s.Starved, n)
	}
	return why
}

// limited says what the limits over all jobs have kept a job from.
func (j *Job) limited(s *Snapshot) []string {
	var why []string
	if n := s.Requests; n > 0 && float64(s.Held) > maxHeld*float64(n) {
		why = append(why, fmt.Sprintf("rate limit: %d of %d requests had to wait, because all jobs together may send at most %s", s.Held, n, j.m.env.limits.MaxRate))
	}
	if n := j.short.files.Load(); n > 0 {
		why = append(why, fmt.Sprintf("file descriptors: %d connections could not be opened, because this process may have no more", n))
	}
	if j.short.workers.Load() {
		why = append(why, fmt.Sprintf("worker limit: fewer VUs than the job needed, because there may be at most %d, all jobs together", j.m.env.limits.MaxWorkers))
	}
	return why
}
