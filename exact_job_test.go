package loadgen

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
