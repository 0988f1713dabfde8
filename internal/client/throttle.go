package client

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/pace"
)

// throttleBurst is how far back slots that nobody has used can be.
const throttleBurst = 10 * time.Millisecond

// Throttle lets requests go at a rate at most, in the order in which they come. It is
// safe for concurrent use.
type Throttle struct {
	pacer pace.Pacer
	Held  atomic.Uint64 // requests that had to wait

	mu      sync.Mutex
	origin  time.Time // of the pacer
	next    uint64    // the first slot that is free
	waiting list.List // of *held, in their order
	timer   *time.Timer
}

// Held is a request that waits.
type held struct {
	ready chan struct{} // closed when it may go
	place *list.Element // nil once it may go
}

// NewThrottle returns a throttle that lets requests go at the rate r.
func NewThrottle(r pace.Rate) *Throttle { return &Throttle{pacer: r.Pacer(0)} }

// Wait returns when a request may go, or with the error of the first context that is
// done before. It tells whether the request had to wait.
func (t *Throttle) Wait(ctx, also context.Context) (waited bool, err error) {
	t.mu.Lock()
	now := time.Now()
	if t.waiting.Len() == 0 && t.take(now) {
		t.mu.Unlock()
		return false, nil
	}
	h := &held{ready: make(chan struct{})}
	h.place = t.waiting.PushBack(h)
	if t.waiting.Len() == 1 {
		t.arm(now)
	}
	t.mu.Unlock()
	defer t.Held.Add(1)
	select {
	case <-h.ready:
		return true, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-also.Done():
		err = also.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.place != nil {
		t.waiting.Remove(h.place) // its slot is for the next
	}
	return true, err
}

// take uses the next slot, if its time has come; t is locked. Slots that nobody has
// used for a while are lost.
func (t *Throttle) take(now time.Time) bool {
	due, _ := t.pacer.Due(t.next)
	if late := now.Sub(t.origin) - due; late > throttleBurst || t.origin.IsZero() {
		t.origin, t.next = now.Add(-throttleBurst), 0
	} else if late < 0 {
		return false
	}
	t.next++
	return true
}

// arm sees to it that the first in the queue goes when its slot comes; t is locked.
func (t *Throttle) arm(now time.Time) {
	due, _ := t.pacer.Due(t.next)
	wait := t.origin.Add(due).Sub(now)
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.release)
	} else {
		t.timer.Reset(wait)
	}
}

// release lets go who may.
func (t *Throttle) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for first := t.waiting.Front(); first != nil; first = t.waiting.Front() {
		if !t.take(now) {
			t.arm(now)
			return
		}
		h := t.waiting.Remove(first).(*held)
		h.place = nil
		close(h.ready)
	}
}
