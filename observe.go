package loadgen

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	watchQueue = 256                    // batches that an observer may be behind
	watchEvery = 100 * time.Millisecond // how long a sample waits for its batch to fill
	watchClose = time.Second            // what observers get at the end to catch up
)

// watchers feed the observers, each on a goroutine of its own.
type watchers struct {
	queues []chan []Sample
	missed atomic.Uint64
	hurry  atomic.Bool // the time to catch up is over
	wg     sync.WaitGroup
	once   sync.Once
}

// watcher is one observer with what keeps its panics from flooding the log.
type watcher struct {
	observer Observer
	logger   *slog.Logger
	logged   time.Time
	panics   uint64
}

func watch(env *environment) *watchers {
	ws := &watchers{}
	for _, o := range env.observers {
		queue := make(chan []Sample, watchQueue)
		ws.queues = append(ws.queues, queue)
		w := &watcher{observer: o, logger: env.logger}
		ws.wg.Go(func() {
			for batch := range queue {
				for i := range batch {
					if ws.hurry.Load() {
						ws.missed.Add(uint64(len(batch) - i))
						break
					}
					w.observe(batch[i])
				}
			}
		})
	}
	return ws
}

// observe hands one sample over. A panic costs the observer that sample alone.
func (w *watcher) observe(s Sample) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		w.panics++
		if now := time.Now(); now.Sub(w.logged) >= failureLogEvery {
			w.logger.Error("an observer panicked", "panic", p, "panics", w.panics, "stack", string(debug.Stack()))
			w.logged = now
		}
	}()
	w.observer.Observe(s)
}

// take hands a batch to every observer that has room. Batches are shared and not
// written to again.
func (w *watchers) take(batch []Sample) {
	for _, q := range w.queues {
		select {
		case q <- batch:
		default:
			w.missed.Add(uint64(len(batch)))
		}
	}
}

// sink is where recorders send their samples; nil without observers.
func (w *watchers) sink() func([]Sample) {
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
