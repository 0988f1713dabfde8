package loadgen

import (
	"time"

	"github.com/opbeans/loadgen/internal/alarm"
	"github.com/opbeans/loadgen/internal/schedule"
)

const (
	beatLeast = 200 * time.Microsecond // between two beats: as exact as iterations begin
	beatMost  = 100 * time.Millisecond // until then a changed schedule is noticed
)

// metronome wakes the process when iterations of the open model are due. VUs wait with
// timers, which are late by up to a millisecond where nothing else wakes the process.
type metronome struct {
	alarm alarm.Alarm
	done  chan struct{} // closed when its goroutine has ended
}

// startMetronome returns nil where there are no alarms: timers then do as well as they can.
func (j *Job) startMetronome() *metronome {
	a := alarm.New()
	if a == nil {
		return nil
	}
	m := &metronome{alarm: a, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		var beat beat
		for a.Set(beat.next(j.plan.Load().sched, j.elapsed())) == nil && a.Wait() == nil {
		}
	}()
	return m
}

// stop ends the metronome. Nil is fine.
func (m *metronome) stop() {
	if m != nil {
		_ = m.alarm.Close()
		<-m.done
	}
}

// beat is where a metronome is in a schedule.
type beat struct {
	sched *schedule.Schedule
	slot  uint64 // none before it is still to come
}

// next is how long to wait from a time on, until a slot of a schedule is due.
func (b *beat) next(s *schedule.Schedule, now time.Duration) time.Duration {
	if s == nil {
		return beatMost
	}
	if b.sched != s {
		*b = beat{sched: s}
	}
	b.slot = schedule.DueFrom(s.Pacer, b.slot, now-s.Origin)
	due, ok := s.Pacer.Due(b.slot)
	if !ok || due > now-s.Origin+beatMost {
		return beatMost
	}
	return max(s.Origin+due-now, beatLeast)
}
