package loadgen

import (
	"context"
	"sync"
	"time"
)

// EventKind says what happened to a job.
type EventKind string

// The kinds of events.
const (
	EventPrepared EventKind = "prepared" // registered, not started
	EventStarted  EventKind = "started"
	EventReady    EventKind = "ready"    // its set-up is over, if its scenario has one
	EventUpdated  EventKind = "updated"  // a new revision is in force
	EventRenewed  EventKind = "renewed"  // its lease was renewed; nothing else has changed
	EventStopping EventKind = "stopping" // no new iterations from here
	EventEnded    EventKind = "ended"    // stopped, finished or failed: see Status
	EventNext     EventKind = "next"     // the configuration for its next start was set: see Next
	EventRemoved  EventKind = "removed"
)

// Event is one change of a job. Status and Config are those right after it.
type Event struct {
	// Seq numbers the events of a Manager from 1. A gap shows a reader that it
	// missed some.
	Seq    uint64
	Time   time.Time
	Kind   EventKind
	Job    string
	Status Status
	Config JobConfig
	Next   *JobConfig // see [Job.SetNext]; nil if none was set. Must not be changed.

	LeaseEnds time.Time // see [Job.LeaseEnds]
}

// eventBuffer is how many events a subscriber may be behind before it misses some.
const eventBuffer = 256

// events fans events out to subscribers.
type events struct {
	mu     sync.Mutex
	seq    uint64
	subs   map[chan Event]func() bool // to what ends the wait for its context
	closed bool
}

// Subscribe returns a channel of all events from now on, in order. It is closed
// when ctx is done or the Manager is closed. A subscriber that falls 256 events
// behind misses those that follow until it catches up; it never slows a job.
func (m *Manager) Subscribe(ctx context.Context) <-chan Event {
	e := &m.events
	ch := make(chan Event, eventBuffer)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		close(ch)
		return ch
	}
	if e.subs == nil {
		e.subs = map[chan Event]func() bool{}
	}
	e.subs[ch] = context.AfterFunc(ctx, func() { e.drop(ch) })
	return ch
}

func (e *events) drop(ch chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.subs[ch]; ok {
		delete(e.subs, ch)
		close(ch)
	}
}

// publish numbers an event and hands it to whoever has room.
func (e *events) publish(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	ev.Seq = e.seq
	for ch := range e.subs {
		select {
		case ch <- ev:
		default:
		}
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for ch, stop := range e.subs {
		stop()
		close(ch)
	}
	e.subs = nil
}
