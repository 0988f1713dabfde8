package statsd

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen"
)

const (
	maxNames   = 10_000 // of a kind, in a Bridge
	maxTimings = 1000   // of a timer, in an interval
)

// Bridge is a [loadgen.Observer] that keeps what a StatsD server would have received,
// for those who want to read it as a backend of that server would. Its methods are
// safe for concurrent use, except for Observe. A Bridge must be closed, after its
// Manager.
type Bridge struct {
	core
	tally *tally
}

// NewBridge returns a Bridge. Options that concern lines and the network have no effect.
func NewBridge(opts ...Option) (*Bridge, error) {
	s, err := newSettings(NamesMolotovIP, opts)
	if err != nil {
		return nil, err
	}
	s.exact = 0 // adding up is all a Bridge does
	b := &Bridge{tally: newTally()}
	b.init(s, b.tally)
	return b, nil
}

// Observe takes a sample.
func (b *Bridge) Observe(s loadgen.Sample) { b.observe(&s) }

// Watch keeps gauges; see [Observer.Watch].
func (b *Bridge) Watch(ctx context.Context, m *loadgen.Manager) { b.watch(ctx, m) }

// Close ends the Bridge; no goroutine of it remains. What it holds can still be taken.
func (b *Bridge) Close() { b.close() }

// Dropped is the number of counts and timings that had no room: a Bridge holds 10,000
// names of a kind.
func (b *Bridge) Dropped() uint64 { return b.core.dropped.Load() + b.tally.dropped.Load() }

// Take returns what there was since the last call, and begins anew: counters and
// timers at nothing, while gauges keep their values. A StatsD server does that every
// ten seconds, that of the suite every five.
func (b *Bridge) Take() Interval {
	b.flush()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally.take()
}

// Interval is what a StatsD server has received between two flushes, by the names as
// it keeps them; see [Interval.All].
type Interval struct {
	Counters map[string]int
	Timers   map[string][]int // milliseconds, in order; a random choice if more than 1,000
	Gauges   map[string]string
}

// tally is the sink of a Bridge. It is guarded by its core's lock.
type tally struct {
	counters map[string]int
	timers   map[string]*timer
	gauges   map[string]string
	clean    map[string]string // names as a server keeps them
	dropped  atomic.Uint64
}

type timer struct {
	values []int
	seen   int
}

func newTally() *tally {
	return &tally{
		counters: map[string]int{}, timers: map[string]*timer{}, gauges: map[string]string{},
		clean: map[string]string{},
	}
}

// name is what a StatsD server makes of the name of a bucket.
func (t *tally) name(bucket string) string {
	if name, ok := t.clean[bucket]; ok {
		return name
	}
	if len(t.clean) >= 3*maxNames {
		clear(t.clean)
	}
	name := serverName(bucket)
	t.clean[bucket] = name
	return name
}

func (t *tally) timing(bucket string, took time.Duration, standsFor int) {
	name := t.name(bucket)
	of := t.timers[name]
	if of == nil {
		if len(t.timers) >= maxNames {
			t.dropped.Add(uint64(standsFor))
			return
		}
		of = &timer{}
		t.timers[name] = of
	}
	of.seen++
	ms := int(took.Milliseconds())
	if len(of.values) < maxTimings {
		of.values = append(of.values, ms)
	} else if i := rand.IntN(of.seen); i < maxTimings {
		of.values[i] = ms
	}
}

func (t *tally) count(bucket string, n int) {
	name := t.name(bucket)
	if _, ok := t.counters[name]; !ok && len(t.counters) >= maxNames {
		t.dropped.Add(uint64(n))
		return
	}
	t.counters[name] += n
}

func (t *tally) gauge(bucket, value string) {
	name := t.name(bucket)
	if _, ok := t.gauges[name]; !ok && len(t.gauges) >= maxNames {
		t.dropped.Add(1)
		return
	}
	t.gauges[name] = value
}

func (t *tally) flush() {}

func (t *tally) full() bool { return false }

// take returns the interval so far. Names stay, with nothing, as in a StatsD server,
// unless there is no more room for new ones.
func (t *tally) take() Interval {
	v := Interval{
		Counters: make(map[string]int, len(t.counters)),
		Timers:   make(map[string][]int, len(t.timers)),
		Gauges:   make(map[string]string, len(t.gauges)),
	}
	crowded := len(t.counters) >= maxNames || len(t.timers) >= maxNames
	for name, n := range t.counters {
		v.Counters[name] = n
		if n == 0 && crowded {
			delete(t.counters, name)
			continue
		}
		t.counters[name] = 0
	}
	for name, of := range t.timers {
		slices.Sort(of.values)
		v.Timers[name] = append([]int{}, of.values...)
		if of.seen == 0 && crowded {
			delete(t.timers, name)
			continue
		}
		*of = timer{}
	}
	for name, value := range t.gauges {
		v.Gauges[name] = value
	}
	return v
}

// serverName is what a StatsD server makes of the name of a bucket: white space
// becomes an underscore, a slash a dash, and all else but ASCII letters, digits and a
// few signs is dropped.
func serverName(bucket string) string {
	var out strings.Builder
	out.Grow(len(bucket))
	space := false
	for _, r := range bucket {
		blank := r == ' ' || r == '\u00a0' || r == '\ufeff' || ('\t' <= r && r <= '\r')
		switch {
		case blank && !space:
			out.WriteByte('_')
		case r == '/':
			out.WriteByte('-')
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9',
			r == '_', r == '-', r == '.', r == ';', r == '=':
			out.WriteRune(r)
		}
		space = blank
	}
	return out.String()
}
