package loadgen

import (
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A batch is used again, but not before the slowest observer has read it.
func TestBatchesAreUsedAgainOnceAllHaveReadThem(t *testing.T) {
	const batches, each = watchQueue - 1, 3
	hold := make(chan struct{})
	seen := make([][]int, 3)
	var unread sync.WaitGroup
	unread.Add(len(seen) * batches * each)
	env := &environment{logger: slog.New(slog.DiscardHandler)}
	for i := range seen {
		env.observers = append(env.observers, ObserverFunc(func(s Sample) {
			defer unread.Done()
			if i == 1 {
				<-hold
			}
			seen[i] = append(seen[i], s.VU)
			if i == 2 && s.VU%10 == 0 {
				panic("an observer's fault")
			}
		}))
	}
	ws := watch(env)
	var room []Sample
	var want []int
	for n := range batches * each {
		room = append(room, Sample{VU: n})
		want = append(want, n)
		if len(room) == each {
			room = ws.take(room)
			assert.Empty(t, room)
		}
	}
	close(hold)
	unread.Wait()
	ws.close()
	for i := range seen {
		assert.True(t, slices.Equal(want, seen[i]), "observer %d has seen %d", i, len(seen[i]))
	}
	assert.Zero(t, ws.missed.Load())
}
