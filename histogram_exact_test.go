package loadgen

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func exactly(values ...time.Duration) *Histogram {
	h := &Histogram{}
	h.exactly()
	for _, d := range values {
		h.Record(d)
	}
	return h
}

// Whole, in parts and as a difference, every quantile is that of the sorted values.
func TestExactHistogramIsTheSortedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		all := make([]time.Duration, 2+rng.IntN(300))
		for i := range all {
			all[i] = time.Duration(rng.Int64N(50)) * 1_234_567
		}
		cut := 1 + rng.IntN(len(all)-1)
		before, after := exactly(all[:cut]...), exactly(all[cut:]...)
		sum := before.clone()
		sum.Merge(after)
		empty := Histogram{}
		empty.Merge(before)
		rest := sum.since(before)
		for want, h := range map[*Histogram]*Histogram{exactly(all...): &sum, before: &empty, after: &rest} {
			require.Zero(t, h.ErrorBound())
			require.Equal(t, want, h)
		}
		o := newOracle(all)
		for k := 1; k <= 100; k++ {
			require.Equal(t, o.rank(k, 100), sum.Quantile(float64(k)/100), "p%d of %d values", k, len(all))
		}
	}
}

// What knows too much, or is merged with what knows too little, is an ordinary one.
func TestExactHistogramHasItsLimits(t *testing.T) {
	many := make([]time.Duration, maxExactValues+1)
	for i := range many {
		many[i] = time.Duration(i) * time.Millisecond
	}
	full := exactly(many[:maxExactValues]...)
	assert.Zero(t, full.ErrorBound())
	assert.Equal(t, recorded(many...), exactly(many...))
	full.Merge(exactly(many[maxExactValues]))
	assert.Equal(t, recorded(many...), full)
	mixed := exactly(time.Second)
	mixed.Merge(recorded(time.Minute))
	assert.Equal(t, recorded(time.Second, time.Minute), mixed)
	mixed = recorded(time.Second)
	mixed.Merge(exactly(time.Minute))
	assert.Equal(t, recorded(time.Second, time.Minute), mixed)
}

// The wrong way round, a difference is nonsense, and no more than that.
func TestDifferencesTheWrongWayRound(t *testing.T) {
	early := Snapshot{Totals: Totals{Service: *exactly(time.Second)}}
	late := Snapshot{Totals: Totals{Service: *exactly(time.Second, time.Minute), Status: map[int]uint64{200: 2}}}
	assert.NotPanics(t, func() { early.Since(&late) })
}

// Ten iterations of different lengths: the job, its task and a group tell them to the
// nanosecond, and thresholds hold them to it.
func TestExactTimesOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(WithExactTimes())
		defer m.Close()
		i := time.Duration(0)
		s := NewScenario("s").Task("t", 1, func(ctx context.Context, vu *VU) error {
			i++
			return vu.Group(ctx, "g", func(context.Context) error { time.Sleep(i * 1_000_003); return nil })
		})
		cfg := JobConfig{Name: "j", Scenario: s, BaseURL: "http://localhost:1", Workers: 1, MaxIterations: 10}
		for _, text := range []string{"p50 <= 5000015ns", "p90{group=g} >= 9000027ns"} {
			threshold, err := ParseThreshold(text)
			require.NoError(t, err)
			cfg.Thresholds = append(cfg.Thresholds, threshold)
		}
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		<-j.Done()
		snap := j.Snapshot()
		for name, h := range map[string]*Histogram{"job": &snap.Response, "task": &snap.Tasks[0].Response, "group": &snap.Groups[0].Time} {
			for k := range 10 {
				assert.Equal(t, time.Duration(k+1)*1_000_003, h.Quantile(float64(k+1)/10), name)
			}
		}
		assert.Zero(t, snap.Lag.ErrorBound())
		assert.Empty(t, snap.FailedVerdicts())
	})
}
