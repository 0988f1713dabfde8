package loadgen

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/internal/loglimit"
	"github.com/opbeans/loadgen/internal/meter"
)

const (
	watchQueue = 256                    // batches that an observer may be behind
	watchEvery = 100 * time.Millisecond // how long a sample waits for its batch to fill
	watchClose = time.Second            // what observers get at the end to catch up
)

// watchers feed the observers, each on a goroutine of its own.
type watchers struct {
	queues []chan *batch
	spare  sync.Pool // of *batch that no observer reads any more
	missed atomic.Uint64
	hurry  atomic.Bool // the time to catch up is over
	wg     sync.WaitGroup
	once   sync.Once
}

// batch is samples on their way to every observer. Who is the last to have read them
// gives it back, since at high rates batches would be all the garbage there is.
type batch struct {
	samples []Sample
	readers atomic.Int32 // that have not read it yet
}

// watcher is one observer with what keeps its panics from flooding the log.
type watcher struct {
	observer Observer
	logger   *slog.Logger
	limit    loglimit.Limit
	panics   uint64
}

func watch(env *environment) *watchers {
	ws := &watchers{}
	for _, o := range env.observers {
		queue := make(chan *batch, watchQueue)
		ws.queues = append(ws.queues, queue)
		w := &watcher{observer: o, logger: env.logger}
		ws.wg.Go(func() {
			for b := range queue {
				left := b.samples
				for len(left) > 0 && !ws.hurry.Load() {
					left = left[w.observe(left, &ws.hurry):]
				}
				ws.missed.Add(uint64(len(left)))
				ws.done(b)
			}
		})
	}
	return ws
}

// observe hands samples over until it is to hurry, and returns how many. A panic ends
// it, too, and costs the observer that sample alone.
func (w *watcher) observe(samples []Sample, hurry *atomic.Bool) (n int) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		w.panics++
		if _, ok := w.limit.Pass(); ok {
			w.logger.Error("an observer panicked", "panic", p, "panics", w.panics, "stack", string(debug.Stack()))
		}
	}()
	for n < len(samples) && !hurry.Load() {
		n++
		w.observer.Observe(samples[n-1])
	}
	return n
}

// take hands a batch to every observer that has room, and returns room for another.
func (w *watchers) take(samples []Sample) []Sample {
	b, _ := w.spare.Get().(*batch)
	if b == nil {
		b = &batch{samples: make([]Sample, 0, meter.StripeLen)}
	}
	room := b.samples[:0]
	b.samples = samples
	b.readers.Store(int32(len(w.queues)))
	for _, q := range w.queues {
		select {
		case q <- b:
		default:
			w.missed.Add(uint64(len(samples)))
			w.done(b)
		}
	}
	return room
}

// done gives a batch back that an observer has read.
func (w *watchers) done(b *batch) {
	if b.readers.Add(-1) == 0 {
		w.spare.Put(b)
	}
}

// sink is where recorders send their samples; nil without observers.
func (w *watchers) sink() meter.Sink {
	if len(w.queues) == 0 {
		return nil
	}
	return w.take
}

// close waits until the observers have seen what they were sent, or for a second
// and the call that then runs. No job may be running.
func (w *watchers) close() {
	late := time.AfterFunc(watchClose, func() { w.hurry.Store(true) })
	defer late.Stop()
	w.once.Do(func() {
		for _, q := range w.queues {
			close(q)
		}
	})
	w.wg.Wait()
}
