package meter

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/exemplar"
	"github.com/opbeans/loadgen/failure"
)

// Keeper holds the exemplars of a job. It is safe for concurrent use. Most requests cost it one comparison.
type Keeper struct {
	n     int
	floor atomic.Int64                    // once there are n, a request must take longer than this
	seen  [failure.NumClasses]atomic.Bool // there is a failure of the class

	mu      sync.Mutex
	slowest []exemplar.Exemplar // the slowest first
	failed  [failure.NumClasses]exemplar.Exemplar
}

// NewKeeper returns a keeper of the n slowest requests, or nil for none.
func NewKeeper(n int) *Keeper {
	if n == 0 {
		return nil
	}
	k := &Keeper{n: n}
	k.floor.Store(-1)
	return k
}

// Wants reports whether a request that took so long, and failed or not, is worth keeping now.
func (k *Keeper) Wants(took time.Duration, class failure.Class) bool {
	n := failure.Number(class)
	return int64(took) > k.floor.Load() || n != 0 && !k.seen[n].Load()
}

// Keep keeps a request, unless another has taken its place since Wants.
func (k *Keeper) Keep(e exemplar.Exemplar) {
	took, class := e.Service, failure.Number(e.Class)
	k.mu.Lock()
	defer k.mu.Unlock()
	if class != 0 && !k.seen[class].Load() {
		k.failed[class] = e
		k.seen[class].Store(true)
	}
	if int64(took) <= k.floor.Load() {
		return
	}
	at, _ := slices.BinarySearchFunc(k.slowest, took, func(e exemplar.Exemplar, d time.Duration) int {
		return cmp.Or(cmp.Compare(d, e.Service), -1) // behind those that took as long
	})
	k.slowest = slices.Insert(k.slowest, at, e)
	if len(k.slowest) >= k.n {
		k.slowest = k.slowest[:k.n]
		k.floor.Store(int64(k.slowest[k.n-1].Service))
	}
}

// Kept returns the requests kept so far, without secrets. A nil keeper has none.
func (k *Keeper) Kept() exemplar.Set {
	out := exemplar.Set{Slowest: []exemplar.Exemplar{}, Failed: []exemplar.Exemplar{}}
	if k == nil {
		return out
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.slowest {
		out.Slowest = append(out.Slowest, e.Redacted())
	}
	for i := range k.failed {
		if k.seen[i].Load() {
			out.Failed = append(out.Failed, k.failed[i].Redacted())
		}
	}
	return out
}
