package stats

import (
	"fmt"
	"time"
)

const maxLag = 10 * time.Millisecond // of the 99th percentile of the schedule lag

const maxStarved = 0.01 // of all iterations

const verdictAfter = 100 // iterations; below that percentiles mean little

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
