package overhead

import (
	"slices"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
)

// iteration is one that has run, and what its requests took.
type iteration struct {
	pair     int
	vu       int
	task     string
	start    time.Time
	failed   bool
	requests int
	took     time.Duration
}

// request is one that was measured.
type request struct {
	start  time.Time
	took   time.Duration
	failed bool
}

// recorder has all iterations and requests of both sides.
type recorder struct {
	mu         sync.Mutex
	iterations [2][]iteration
	sent       [2]map[int][]request // by VU
}

func newRecorder() *recorder {
	return &recorder{sent: [2]map[int][]request{{}, {}}}
}

// Observe implements [loadgen.Observer].
func (r *recorder) Observe(s loadgen.Sample) {
	side := slices.Index([]string{names()[off], names()[on]}, s.Job)
	if side < 0 || s.VU < 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[side][s.VU] = append(r.sent[side][s.VU], request{s.Start, s.Service, s.Class != loadgen.ClassNone})
}

func (r *recorder) ran(side int, it iteration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.iterations[side] = append(r.iterations[side], it)
}

// assign gives each request to the iteration of its VU that had begun last when it was
// sent, and returns the iterations by pair.
func (r *recorder) assign(side int) map[int]*iteration {
	r.mu.Lock()
	defer r.mu.Unlock()
	byVU := map[int][]*iteration{}
	byPair := map[int]*iteration{}
	for i := range r.iterations[side] {
		it := r.iterations[side][i]
		byVU[it.vu] = append(byVU[it.vu], &it)
		byPair[it.pair] = &it
	}
	for vu, requests := range r.sent[side] {
		mine := byVU[vu]
		slices.SortStableFunc(mine, func(a, b *iteration) int { return a.start.Compare(b.start) })
		for _, q := range requests {
			at, _ := slices.BinarySearchFunc(mine, q.start, func(it *iteration, t time.Time) int {
				if it.start.After(t) {
					return 1
				}
				return -1
			})
			if at == 0 {
				continue // of the set-up
			}
			it := mine[at-1]
			it.requests++
			it.took += q.took
			it.failed = it.failed || q.failed
		}
	}
	return byPair
}

// requests is how many there were in pairs from number from on.
func (r *recorder) requests(side, from int) (n int) {
	for _, it := range r.assign(side) {
		if it.pair >= from {
			n += it.requests
		}
	}
	return n
}
