package loadgen_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestVUsAtRestHaveNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 1000
		before := runtime.NumGoroutine()
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.Delay = workers, time.Minute
		job := start(t, m, cfg)
		after := func(d time.Duration) *loadgen.Snapshot {
			time.Sleep(d)
			synctest.Wait()
			return job.Snapshot()
		}
		snap := after(time.Second)
		assert.EqualValues(t, workers, snap.Iterations)
		assert.Equal(t, workers, snap.VUs)
		assert.Less(t, runtime.NumGoroutine()-before, 20)

		require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Delay = 30 * time.Second }))
		assert.EqualValues(t, workers, after(28*time.Second).Iterations)
		assert.EqualValues(t, 2*workers, after(time.Second).Iterations, "roused, they have seen the new delay")
		require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Workers = 10 }))
		assert.Equal(t, 10, after(0).VUs, "roused, those beyond it have left")
		assert.EqualValues(t, 2*workers+10, after(30*time.Second).Iterations)

		job.Stop()
		require.NoError(t, job.Wait(t.Context()))
		assert.EqualValues(t, 2*workers+10, job.Snapshot().Iterations)
	})
}

// TestVUsAreRousedWithoutLoss wakes VUs that are just about to lie down, on real
// goroutines: none may miss it and sleep on.
func TestVUsAreRousedWithoutLoss(t *testing.T) {
	const workers = 20
	var iterations atomic.Int64
	m := loadgen.New()
	defer m.Close()
	cfg := config(loadgen.NewScenario("count").Task("count", 1, func(context.Context, *loadgen.VU) error {
		iterations.Add(1)
		return nil
	}))
	cfg.Workers, cfg.Delay = workers, time.Hour
	job := start(t, m, cfg)
	for round := range 50 {
		// With a short delay they go on, and with a long one they lie down again.
		require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Delay = time.Millisecond }))
		seen := iterations.Load()
		require.Eventually(t, func() bool { return iterations.Load() >= seen+workers }, time.Minute, time.Millisecond, "round %d", round)
		require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Delay = time.Hour }))
	}
	require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Workers = 1 }))
	require.Eventually(t, func() bool { return job.Snapshot().VUs == 1 }, time.Minute, time.Millisecond, "a VU has slept through it")
}
