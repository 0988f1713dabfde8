package meter

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/opbeans/loadgen/stats"
)

// LateBy is by how much an iteration must begin after its due time to count as a late start.
const LateBy = 10 * time.Millisecond

const saturated = 0.95 // of the CPU time that the process may use

const maxSaturated = 0.10 // of the time

const maxGCPause = 0.02 // of the time

const watchProcess = time.Second // how often the process is looked at

const clockTolerance = 0.2 // how far a clock may be from the real one

// selfWatch follows what the process as a whole does to one job's measurements. It
// looks when records are drained, so that it needs no goroutine and no timer.
type selfWatch struct {
	use   func() processUse
	mu    sync.Mutex
	next  time.Time // when to look again
	last  processUse
	clock time.Time // of the last look; virtual in a synctest bubble
	ProcessShare
}

// ProcessShare is for how long the process was watched, and for how much of that it used
// all the CPU it may, or garbage collection had stopped it.
type ProcessShare struct {
	Watched, Saturated, Paused time.Duration
}

// Watched is what is known of the process so far.
func (r *Recorder) Watched() ProcessShare {
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	return r.watch.ProcessShare
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
		w.Watched += real
		if float64(use.cpu-w.last.cpu) > saturated*float64(real)*float64(runtime.GOMAXPROCS(0)) {
			w.Saturated += real
		}
		w.Paused += use.gcPause - w.last.gcPause
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

// issues are what the process did to the measurements.
func (w *selfWatch) issues() []stats.Issue {
	var list []stats.Issue
	w.mu.Lock()
	defer w.mu.Unlock()
	if part := float64(w.Saturated) / float64(w.Watched); w.Watched > 0 && part > maxSaturated {
		list = append(list, stats.NewIssue(stats.IssueCPU, "CPU saturation: this process used all the CPU it may for %.0f %% of the time", 100*part))
	}
	if part := float64(w.Paused) / float64(w.Watched); w.Watched > 0 && part > maxGCPause {
		list = append(list, stats.NewIssue(stats.IssueGC, "GC pauses: garbage collection stopped this process for %.0f %% of the time", 100*part))
	}
	return list
}

// Issues returns why the measurements of a snapshot say little about the target; nothing if
// they do.
func (r *Recorder) Issues(s *stats.Snapshot) []stats.Issue {
	return append(s.HealthIssues(), r.watch.issues()...)
}
