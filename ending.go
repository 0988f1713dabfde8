package loadgen

import (
	"context"
	"sync/atomic"
	"time"
)

// endStage is how far the end of a job has come. It only grows:
//
//	stage    | what still happens                   | entered when
//	---------|--------------------------------------|---------------------------------------
//	none     | everything                           |
//	draining | iterations that were due before it   | the duration or the stages are over
//	halted   | running iterations go on             | a stop, a failure, all iterations done
//	cut      | nothing but the tear-down            | the grace time has passed
//	dead     | nothing                              | the Manager was closed at once
type endStage int32

const (
	endNone endStage = iota
	endDraining
	endHalted
	endCut
	endDead
)

// ending is the end of a job: its stage, and what waits for it. The fields in the second
// group are written with the job locked.
type ending struct {
	stage atomic.Int32
	over  chan struct{} // closed from draining on
	empty chan struct{} // closed when over and the last VU is back
	dead  chan struct{} // closed when dead
	done  chan struct{} // closed at the very end

	outcome State         // what the job will have been when its VUs are back; "" before over
	why     string        // the reason
	at      time.Duration // when it was to end, since its start
	ended   time.Time     // when it had

	hard    context.Context // of iterations; done from cut on
	cut     context.CancelFunc
	last    context.Context // of the tear-down
	cutLast context.CancelFunc
}

// init makes the channels and contexts of an end that is still to come.
func (e *ending) init() {
	e.over, e.empty = make(chan struct{}), make(chan struct{})
	e.dead, e.done = make(chan struct{}), make(chan struct{})
	e.hard, e.cut = context.WithCancel(context.Background())
	e.last, e.cutLast = context.WithCancel(context.Background())
}

// reached tells whether the end has come as far as a stage.
func (e *ending) reached(s endStage) bool { return endStage(e.stage.Load()) >= s }

// enter goes on to a stage, and does what comes with it; the job is locked.
func (e *ending) enter(s endStage) {
	was := endStage(e.stage.Load())
	if s <= was {
		return
	}
	e.stage.Store(int32(s))
	if was < endCut && s >= endCut {
		e.cut()
	}
	if s == endDead {
		close(e.dead)
	}
}
