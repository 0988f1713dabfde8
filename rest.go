package loadgen

import (
	"sync/atomic"
	"time"
)

// restFrom is how long a VU must have to wait to do so without a goroutine. The stack of
// one is most of what a VU takes, and making another costs about a microsecond.
const restFrom = 50 * time.Millisecond

// rest is how a VU waits for its next iteration: briefly, on its goroutine; for longer,
// without one. Then whoever rouses the VU goes on with another goroutine.
type rest struct {
	wake   chan struct{} // something about the schedule has changed, or it is time
	timer  *time.Timer   // ends a short wait
	alarm  *time.Timer   // ends a long one
	asleep atomic.Bool   // there is no goroutine
}

// sleep waits for d, or until something about the schedule changes. It returns true if
// it has laid the VU to rest instead; then the goroutine must end, and not touch the VU.
func (vu *VU) sleep(d time.Duration) (resting bool) {
	r := &vu.rest
	vu.job.idle.Add(1)
	if d >= restFrom {
		return vu.lie(d)
	}
	if r.timer == nil {
		r.timer = time.NewTimer(d)
	} else {
		r.timer.Reset(d)
	}
	select {
	case <-r.timer.C:
	case <-r.wake:
		r.timer.Stop()
	}
	vu.job.idle.Add(-1)
	return false
}

// lie lays the VU to rest for d. It returns false if there is a reason not to.
func (vu *VU) lie(d time.Duration) bool {
	r := &vu.rest
	switch {
	case d > MaxDuration: // for ever: no timer, so that a synctest bubble sees that nothing will happen
	case r.alarm == nil:
		r.alarm = time.AfterFunc(d, vu.ring)
	default:
		r.alarm.Reset(d)
	}
	r.asleep.Store(true)
	// Whoever has seen the VU awake has left word for it.
	select {
	case <-r.wake:
		return !vu.take()
	default:
		return true
	}
}

// rouse makes the VU look at the schedule again. If it returns true the VU was at rest,
// and the caller has to go on with its loop.
func (vu *VU) rouse() bool {
	select {
	case vu.rest.wake <- struct{}{}:
	default:
	}
	return vu.take()
}

// take takes over a VU that is at rest.
func (vu *VU) take() bool {
	r := &vu.rest
	if !r.asleep.CompareAndSwap(true, false) {
		return false
	}
	if r.alarm != nil {
		r.alarm.Stop()
	}
	select {
	case <-r.wake: // it looks at the schedule anyway
	default:
	}
	vu.job.idle.Add(-1)
	return true
}

// ring is the alarm's call.
func (vu *VU) ring() {
	if vu.rouse() {
		vu.loop()
	}
}
