package loadgen_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func requireInvalid(t *testing.T, s *loadgen.Snapshot, reason string) {
	t.Helper()
	require.False(t, s.Valid)
	assert.True(t, strings.Contains(strings.Join(s.Invalid, "; "), reason), "%q in %q", reason, s.Invalid)
}

func TestAHealthyRunIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(100 * time.Millisecond))
		cfg.Rate, cfg.Duration = loadgen.PerSecond(100), time.Minute
		snap := run(t, cfg)
		assert.True(t, snap.Valid, snap.Invalid)
		assert.Zero(t, snap.LateStarts+snap.Dropped)
		assert.Positive(t, snap.Lag.Count())
		assert.Zero(t, snap.Lag.Max())
	})
}

func TestStarvedVUsMakeARunInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(100 * time.Millisecond))
		cfg.Rate, cfg.MaxWorkers, cfg.Duration, cfg.Grace = loadgen.PerSecond(20), 1, 20*time.Second, time.Minute
		snap := run(t, cfg)
		requireInvalid(t, snap, "VU starvation")
		assert.InDelta(t, 399, snap.LateStarts, 1)
		assert.Zero(t, snap.Dropped, "within the grace time all of them began")
	})
}

func TestDroppedWorkMakesARunInvalid(t *testing.T) {
	for name, stop := range map[string]bool{"at the end": false, "by stop": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := loadgen.New()
				defer m.Close()
				cfg := config(taking(time.Second))
				cfg.Rate, cfg.MaxWorkers, cfg.Duration, cfg.Grace = loadgen.PerSecond(10), 1, 20*time.Second, loadgen.Off
				j := start(t, m, cfg)
				if stop {
					time.Sleep(10*time.Second + time.Millisecond)
					j.Stop()
				}
				require.NoError(t, j.Wait(t.Context()))
				snap := j.Snapshot()
				requireInvalid(t, snap, "dropped work")
				due := 10 * uint64(snap.Elapsed.Round(time.Second).Seconds())
				if stop {
					due++ // that of the tenth second
				}
				assert.Equal(t, due, snap.Iterations+snap.Interrupted+snap.Dropped, "every due iteration is accounted for")
			})
		})
	}
}

func TestDroppedWorkAcrossUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.MaxWorkers, cfg.Grace = loadgen.PerSecond(10), 3, loadgen.Off
		j := start(t, m, cfg)
		for i := range 5 {
			time.Sleep(10 * time.Second)
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(uint64(11 + i)) }))
		}
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.InDelta(t, 10*(10+11+12+13+14), snap.Iterations+snap.Interrupted+snap.Dropped, 3)
	})
}

func TestWorkThatWasNotAskedForIsNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.MaxWorkers, cfg.MaxIterations = loadgen.PerSecond(10), 1, 5
		snap := run(t, cfg)
		assert.EqualValues(t, 5, snap.Iterations)
		assert.Zero(t, snap.Dropped)
		assert.True(t, snap.Valid, snap.Invalid)
	})
}
