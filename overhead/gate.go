package overhead

import (
	"context"
	"math/rand/v2"
	"sync"
)

// gate lets the iterations of a pair run one after the other.
type gate struct {
	passed func(done int) // called with the lock held

	mu       sync.Mutex
	rng      *rand.Rand
	meetings map[int]*meeting // of those who wait for their twin, by VU
	begun    int
	finished int
	total    int
	closed   bool

	done    chan struct{} // all pairs are done
	over    chan struct{} // nobody waits any more
	stopped chan struct{} // the jobs were told to stop
	once    sync.Once
}

// meeting is one pair.
type meeting struct {
	number int
	first  int           // whose turn is first
	both   chan struct{} // both are there
	next   chan struct{} // the first is done
}

func newGate(seed uint64, total int) *gate {
	return &gate{
		rng: rand.New(rand.NewPCG(seed, 0x6761_7465)), meetings: map[int]*meeting{}, total: total,
		done: make(chan struct{}), over: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// close ends all waiting. Who comes later waits for the end of its job.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.over)
	}
}

// release lets those go who wait for the end of their jobs.
func (g *gate) release() {
	g.close()
	g.once.Do(func() { close(g.stopped) })
}

// meet is the pair of a VU and its twin; nil if there are no more.
func (g *gate) meet(vu int) *meeting {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.meetings[vu]; m != nil {
		delete(g.meetings, vu)
		close(m.both)
		return m
	}
	if g.closed || g.begun == g.total {
		return nil
	}
	m := &meeting{number: g.begun, first: g.rng.IntN(2), both: make(chan struct{}), next: make(chan struct{})}
	g.begun++
	g.meetings[vu] = m
	return m
}

// turn waits for the twin of an iteration, and for its turn, and runs it.
func (g *gate) turn(ctx context.Context, vu, side int, run func(pair int) error) error {
	m := g.meet(vu)
	if m == nil {
		select {
		case <-g.stopped:
		case <-ctx.Done():
		}
		return errOver
	}
	wait := []chan struct{}{m.both}
	if side != m.first {
		wait = append(wait, m.next)
	}
	for _, c := range wait {
		select {
		case <-c:
		case <-g.over:
			<-g.stopped
			return errOver
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer g.left(m, side) // also of a panic
	return run(m.number)
}

// left passes the turn on.
func (g *gate) left(m *meeting, side int) {
	if side == m.first {
		close(m.next)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finished++
	g.passed(g.finished)
	if g.finished == g.total {
		close(g.done)
	}
}
