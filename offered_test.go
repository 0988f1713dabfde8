package loadgen_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// TestRateIsOfTheTimeUnderLoad runs jobs whose last iterations take their time: that is
// no part of the time that rates are per second of.
func TestRateIsOfTheTimeUnderLoad(t *testing.T) {
	sleeper := func(d func(id int) time.Duration) *loadgen.Scenario {
		return loadgen.NewScenario("sleeper").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Sleep(ctx, d(vu.ID()))
		})
	}
	always := func(d time.Duration) *loadgen.Scenario { return sleeper(func(int) time.Duration { return d }) }
	straggler := sleeper(func(id int) time.Duration {
		if id == 0 {
			return 14 * time.Second
		}
		return 100 * time.Millisecond
	})
	for _, tt := range []struct {
		name             string
		cfg              loadgen.JobConfig
		iterations       uint64
		elapsed, offered time.Duration
	}{
		{
			"a rate for a time",
			loadgen.JobConfig{Rate: loadgen.PerSecond(30), Duration: 2 * time.Second, Scenario: always(1200 * time.Millisecond)},
			60, 3166666667, 2 * time.Second,
		},
		{
			"a rate for a number of iterations",
			loadgen.JobConfig{Rate: loadgen.PerSecond(30), MaxIterations: 60, Scenario: always(1200 * time.Millisecond)},
			60, 3166666667, 2 * time.Second,
		},
		{
			"one iteration",
			loadgen.JobConfig{Rate: loadgen.PerSecond(1), MaxIterations: 1, Scenario: always(time.Millisecond)},
			1, time.Millisecond, time.Second,
		},
		{
			"stages of a rate",
			loadgen.JobConfig{Duration: 2 * time.Second, Stages: []loadgen.Stage{{Duration: 2 * time.Second, Rate: loadgen.PerSecond(30), Step: true}}, Scenario: always(500 * time.Millisecond)},
			60, 2466666667, 2 * time.Second,
		},
		{
			"VUs in step, each until it has ended",
			loadgen.JobConfig{Workers: 10, Duration: 10 * time.Second, Scenario: always(4 * time.Second)},
			30, 12 * time.Second, 12 * time.Second,
		},
		{
			"one VU far behind the others",
			loadgen.JobConfig{Workers: 10, Duration: 10 * time.Second, Grace: 20 * time.Second, Scenario: straggler},
			901, 14 * time.Second, 10400 * time.Millisecond,
		},
		{
			"VUs and a number of iterations",
			loadgen.JobConfig{Workers: 1, MaxIterations: 3, Scenario: always(time.Second)},
			3, 3 * time.Second, 3 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap, err := judged(t, tt.cfg)
			require.NoError(t, err)
			assert.Equal(t, tt.iterations, snap.Iterations)
			assert.InDelta(t, tt.elapsed, snap.Elapsed, float64(time.Microsecond))
			assert.InDelta(t, tt.offered, snap.LoadDuration, float64(time.Microsecond))
			assert.InDelta(t, float64(tt.iterations)/tt.offered.Seconds(), snap.RateOf(snap.Iterations), 1e-3)
			v := loadgen.MustThresholds("iteration_rate < 1000/s")[0].Evaluate(snap)
			assert.InDelta(t, snap.RateOf(snap.Iterations), v.Observed, 1e-9)

			text, err := json.Marshal(loadgen.SnapshotRecord{Snapshot: *snap})
			require.NoError(t, err)
			var back loadgen.SnapshotRecord
			require.NoError(t, json.Unmarshal(text, &back))
			assert.Equal(t, snap.LoadDuration, back.LoadDuration)
		})
	}
}

// Parts of a run add up, and what ends after the load is of no time.
func TestOfferedAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "x", BaseURL: "http://none.test", Rate: loadgen.PerSecond(10), Duration: 2 * time.Second,
			Scenario: loadgen.NewScenario("x").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, 2*time.Second) }),
		})
		require.NoError(t, err)
		var last *loadgen.Snapshot
		var sum time.Duration
		for range 8 {
			time.Sleep(500 * time.Millisecond)
			s := j.Snapshot()
			sum += s.Since(last).LoadDuration
			last = s
		}
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 2*time.Second, sum)
		assert.Equal(t, 20.0/2, j.Snapshot().RateOf(20))
		assert.Equal(t, 4.0, (&loadgen.Snapshot{Elapsed: time.Second}).RateOf(4), "one that does not know")
		assert.Zero(t, (&loadgen.Snapshot{}).RateOf(4))
	})
}
