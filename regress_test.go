package loadgen_test

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// Tests named after what once went wrong.

func TestOpenClosedOpenAtOnce(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			m := loadgen.New()
			defer m.Close()
			cfg := config(nothing())
			cfg.Rate = loadgen.Rate{Count: 1, Per: time.Hour}
			j := start(t, m, cfg)
			synctest.Wait()
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate, c.Delay = loadgen.Rate{}, time.Hour }))
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(10) }))
			time.Sleep(10 * time.Second)
			assert.InDelta(t, 101, j.Snapshot().Iterations, 2)
		})
	}
}

func TestOverdueWorkThatAnUpdateDropsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.MaxWorkers = loadgen.PerSecond(100), 1
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.Rate{} }))
		synctest.Wait()
		assert.EqualValues(t, 1000-10, j.Snapshot().Dropped)
		assert.False(t, j.Snapshot().Valid)
	})
}

func TestManyRateUpdatesUnderLoad(t *testing.T) {
	s := loadgen.NewScenario("s")
	for i := range 200 {
		s.Task(string(rune('A'+i)), 1, func(context.Context, *loadgen.VU) error { return nil })
	}
	cfg := config(s)
	cfg.Rate, cfg.Workers, cfg.MaxWorkers = loadgen.PerSecond(300_000), 50, 50
	m := loadgen.New()
	defer m.Close()
	j := start(t, m, cfg)
	for i := range 300 {
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(300_000 + uint64(i%2)) }))
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	assert.Less(t, mem.StackSys, uint64(64<<20), "VUs wait for an update instead of recursing")
}

// FailNow of a test ends the goroutine that calls it.
func TestATaskThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error {
			runtime.Goexit()
			return nil
		}))
		cfg.Workers, cfg.Delay, cfg.Duration, cfg.Seed = 2, time.Second, 10*time.Second, 1
		snap := run(t, cfg)
		assert.EqualValues(t, 20, snap.Iterations)
		assert.EqualValues(t, 20, snap.FailedIterations)
		assert.EqualValues(t, 20, snap.Errors[loadgen.ClassTask].Count)
		assert.Zero(t, snap.Active)
	})
}

func TestDurationAddedToStagesKeepsTheLastRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Stages = []loadgen.Stage{{Duration: 10 * time.Second, Rate: loadgen.PerSecond(10), Step: true}}
		j := start(t, m, cfg)
		time.Sleep(5 * time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Duration = time.Minute }))
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 600, j.Snapshot().Iterations)
	})
}

func TestAnotherFirstRateBeginsStagesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Stages = []loadgen.Stage{
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(10), Step: true},
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(100), Step: true},
		}
		j := start(t, m, cfg)
		time.Sleep(5 * time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(1) }))
		require.NoError(t, j.Wait(t.Context()))
		assert.InDelta(t, 50+100+1000, j.Snapshot().Iterations, 2)
		assert.Equal(t, 25*time.Second, j.Snapshot().Elapsed)
	})
}

func TestStagesThatOverflow(t *testing.T) {
	for _, n := range []int{3, 5, 1000} {
		cfg := config(nothing())
		for range n {
			cfg.Stages = append(cfg.Stages, loadgen.Stage{Duration: loadgen.MaxDuration, Rate: loadgen.PerSecond(1)})
		}
		assert.Error(t, cfg.Validate(), n)
	}
}

func TestStagesOfUglyRatesAreCheap(t *testing.T) {
	cfg := config(nothing())
	for i := range 1000 {
		cfg.Stages = append(cfg.Stages, loadgen.Stage{
			Duration: time.Hour, Rate: loadgen.Rate{Count: 1<<50 - 27 - 2*uint64(i), Per: 1<<61 + time.Duration(2*i+1)},
		})
	}
	require.NoError(t, cfg.Validate())
	began := time.Now()
	p := cfg.Pacer()
	assert.Less(t, time.Since(began), time.Second)
	_, ok := p.Due(1000)
	assert.True(t, ok)
}

func TestUpdateRaisesMaxIterationsOfAJobThatIsAboutToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.Workers, cfg.MaxIterations = 3, 4
		j := start(t, m, cfg)
		time.Sleep(1500 * time.Millisecond) // the fourth is running, two VUs have nothing to do
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.MaxIterations = 10 }))
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 10, j.Snapshot().Iterations)
		assert.Equal(t, "all 10 iterations are done", j.Snapshot().Reason)
	})
}

func TestMaxIterationsEndsWithTheLastOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(time.Minute))
		cfg.MaxIterations, cfg.Delay, cfg.Grace = 3, time.Hour, loadgen.Off
		snap := run(t, cfg)
		assert.EqualValues(t, 3, snap.Iterations)
		assert.Zero(t, snap.Interrupted)
		assert.Equal(t, 2*time.Hour+3*time.Minute, snap.Elapsed)
	})
}

// A logger is the user's code, and may ask the Manager that calls it.
type askingHandler struct {
	slog.Handler
	ask func()
}

func (h askingHandler) Handle(ctx context.Context, r slog.Record) error {
	h.ask()
	return nil
}

func (h askingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h askingHandler) Enabled(context.Context, slog.Level) bool { return true }

func TestALoggerMayAskTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *loadgen.Manager
		asked := 0
		m = loadgen.New(loadgen.WithLogger(slog.New(askingHandler{ask: func() {
			asked++
			for _, j := range m.List() {
				j.Snapshot()
				j.Config()
			}
		}})))
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.MaxIterations = 2
		j := start(t, m, cfg)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Delay = time.Second }))
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 3, asked)
	})
}

func TestUpdateOfAPendingJobThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		pending, err := m.Prepare(loadgen.JobConfig{Name: "job"})
		require.NoError(t, err)
		start(t, m, config(taking(time.Second)))
		require.ErrorIs(t, pending.Update(func(c *loadgen.JobConfig) { c.Workers = 2 }), loadgen.ErrJobEnded)
		other, err := m.Prepare(loadgen.JobConfig{Name: "other"})
		require.NoError(t, err)
		require.NoError(t, m.Remove("other"))
		require.ErrorIs(t, other.Update(func(c *loadgen.JobConfig) { c.Workers = 2 }), loadgen.ErrJobEnded)
	})
}

func TestUncheckedInputDoesNotPanic(t *testing.T) {
	cfg := loadgen.JobConfig{Stages: []loadgen.Stage{{Duration: time.Second, Rate: loadgen.Rate{Count: 5}}, {Duration: -1, Rate: loadgen.Rate{Count: math.MaxUint64, Per: -5}}}}
	assert.NotPanics(t, func() { cfg.Pacer().Due(3) })
	assert.NotPanics(t, func() {
		m := loadgen.New(loadgen.WithLogger(nil), loadgen.WithEnv(nil), loadgen.WithDialContext(nil))
		defer m.Close()
		_, err := m.Start(t.Context(), config(hanging()))
		assert.NoError(t, err)
	})
}
