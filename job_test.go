package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// nothing is a scenario whose only task takes no time.
func nothing() *loadgen.Scenario {
	return loadgen.NewScenario("nothing").Task("nothing", 1, func(context.Context, *loadgen.VU) error { return nil })
}

// hanging is a scenario whose iterations last until they are interrupted.
func hanging() *loadgen.Scenario {
	return loadgen.NewScenario("hanging").Task("hang", 1, func(ctx context.Context, _ *loadgen.VU) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// taking is a scenario whose iterations last so long.
func taking(d time.Duration) *loadgen.Scenario {
	return loadgen.NewScenario("taking").Task("take", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Sleep(ctx, d)
	})
}

const target = "http://target.test"

func config(s *loadgen.Scenario) loadgen.JobConfig {
	return loadgen.JobConfig{Name: "job", Scenario: s, BaseURL: target}
}

func run(t *testing.T, cfg loadgen.JobConfig) *loadgen.Snapshot {
	t.Helper()
	snap, err := loadgen.Run(t.Context(), cfg)
	require.NoError(t, err)
	return snap
}

func start(t *testing.T, m *loadgen.Manager, cfg loadgen.JobConfig) *loadgen.Job {
	t.Helper()
	j, err := m.Start(t.Context(), cfg)
	require.NoError(t, err)
	return j
}

func TestClosedModelOverADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(nothing())
		cfg.Delay, cfg.Duration = time.Second, 24*time.Hour
		snap := run(t, cfg)
		assert.EqualValues(t, 86_400, snap.Iterations)
		assert.Equal(t, 24*time.Hour, snap.Elapsed)
		assert.Equal(t, loadgen.StateFinished, snap.State)
		assert.Equal(t, "its duration of 24h0m0s is over", snap.Reason)
		assert.Zero(t, snap.Interrupted)
		assert.Zero(t, snap.Response.Max())
	})
}

func TestOpenModelOverADay(t *testing.T) {
	for _, rate := range []string{"1/s", "60/m", "3600/h", "86400/d"} {
		t.Run(rate, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(nothing())
				cfg.Rate, _ = loadgen.ParseRate(rate)
				cfg.Duration = 24 * time.Hour
				snap := run(t, cfg)
				assert.EqualValues(t, 86_400, snap.Iterations)
				assert.Equal(t, 24*time.Hour, snap.Elapsed)
			})
		})
	}
}

func TestOpenModelAddsVUsOnlyAsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.Duration = loadgen.PerSecond(10), time.Minute
		j := start(t, m, cfg)
		time.Sleep(30*time.Second + time.Millisecond)
		snap := j.Snapshot()
		assert.Equal(t, 10, snap.Active, "10 a second that last a second")
		assert.InDelta(t, 11, snap.VUs, 1)
		require.NoError(t, j.Wait(t.Context()))
		snap = j.Snapshot()
		assert.EqualValues(t, 600, snap.Iterations)
		assert.Equal(t, time.Second, snap.Response.Max())
	})
}

// A target that freezes must not hide what that does to those who come meanwhile.
func TestNoCoordinatedOmission(t *testing.T) {
	for _, vus := range []int{4, 400} {
		t.Run(fmt.Sprint(vus), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				frozen := loadgen.NewScenario("frozen").Task("get", 1, func(ctx context.Context, vu *loadgen.VU) error {
					at := time.Since(began)
					if at >= 4*time.Second && at < 6*time.Second {
						return vu.Sleep(ctx, 6*time.Second-at)
					}
					return nil
				})
				cfg := config(frozen)
				cfg.Rate, cfg.Duration = loadgen.PerSecond(100), 10*time.Second
				cfg.Workers, cfg.MaxWorkers = 4, vus
				snap := run(t, cfg)
				assert.EqualValues(t, 1000, snap.Iterations)
				assert.GreaterOrEqual(t, snap.Response.P99(), 1850*time.Millisecond)
				assert.LessOrEqual(t, snap.Response.P99(), 1950*time.Millisecond)
				assert.Equal(t, 2*time.Second, snap.Response.Max())
			})
		})
	}
}

func TestRampUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.Delay, cfg.RampUp, cfg.Duration = 10, time.Second, 10*time.Second, 20*time.Second
		j := start(t, m, cfg)
		time.Sleep(4500 * time.Millisecond)
		// VU i begins in second i: 5 + 4 + 3 + 2 + 1 iterations so far.
		assert.EqualValues(t, 15, j.Snapshot().Iterations)
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 55+100, j.Snapshot().Iterations)
	})
}

func TestRampUpOfARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(nothing())
		cfg.Rate, cfg.RampUp, cfg.Duration = loadgen.PerSecond(100), 10*time.Second, 20*time.Second
		snap := run(t, cfg)
		assert.EqualValues(t, 500+1000, snap.Iterations, "half the rate on average, then all of it")
	})
}

func TestMaxIterations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(time.Second))
		cfg.Workers, cfg.MaxIterations = 7, 100
		snap := run(t, cfg)
		assert.EqualValues(t, 100, snap.Iterations)
		assert.Equal(t, loadgen.StateFinished, snap.State)
		assert.Equal(t, "all 100 iterations are done", snap.Reason)
	})
}

func TestIterationInFlightAtTheEndOfDurationIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(3 * time.Second))
		cfg.Duration = 10 * time.Second
		snap := run(t, cfg)
		assert.EqualValues(t, 4, snap.Iterations)
		assert.Equal(t, 12*time.Second, snap.Elapsed)
		assert.Zero(t, snap.Interrupted)
	})
}

// What was due before the end, and could not start for want of a VU, still counts.
func TestOverdueIterationsAtTheEndOfDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.MaxWorkers = loadgen.PerSecond(2), 1
		cfg.Duration, cfg.Grace = 4*time.Second, time.Minute
		snap := run(t, cfg)
		assert.EqualValues(t, 8, snap.Iterations)
		assert.Equal(t, 8*time.Second, snap.Elapsed)
		assert.Equal(t, 4500*time.Millisecond, snap.Response.Max(), "due at 3.5 s, done at 8 s")
	})
}

func TestStopWhileEverythingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(hanging())
		cfg.Workers, cfg.Grace = 1000, 3*time.Second
		j := start(t, m, cfg)
		synctest.Wait()
		assert.Equal(t, 1000, j.Snapshot().Active)
		asked := time.Now()
		j.Stop()
		assert.Equal(t, loadgen.StateStopping, j.State())
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(asked))
		snap := j.Snapshot()
		assert.EqualValues(t, 1000, snap.Interrupted)
		assert.Zero(t, snap.Iterations)
		assert.Zero(t, snap.FailedIterations)
		assert.Zero(t, snap.Response.Count())
		assert.Empty(t, snap.Errors)
		assert.Zero(t, snap.VUs)
	})
}

func TestStopWithoutGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(hanging())
		cfg.Workers, cfg.Grace = 10, loadgen.Off
		j := start(t, m, cfg)
		synctest.Wait()
		asked := time.Now()
		jobOf(t, m, "job").Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Zero(t, time.Since(asked))
		assert.EqualValues(t, 10, j.Snapshot().Interrupted)
	})
}

func TestStopLetsIterationsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(2 * time.Second))
		cfg.Workers = 5
		j := start(t, m, cfg)
		time.Sleep(time.Second)
		j.Stop()
		j.Stop() // changes nothing
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.EqualValues(t, 5, snap.Iterations)
		assert.Zero(t, snap.Interrupted)
		assert.Equal(t, 2*time.Second, snap.Elapsed)
		assert.Equal(t, loadgen.StateStopped, snap.State)
	})
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		began := time.Now()
		time.Sleep(1500 * time.Millisecond)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		at := func(d time.Duration) time.Time { return began.Add(d) }
		assert.Equal(t, []loadgen.Transition{
			{State: loadgen.StatePending, Time: at(0)},
			{State: loadgen.StateRunning, Time: at(0)},
			{State: loadgen.StateStopping, Reason: "stopped on request", Time: at(1500 * time.Millisecond)},
			{State: loadgen.StateStopped, Reason: "stopped on request", Time: at(2 * time.Second)},
		}, j.History())
	})
}

func TestUpdateWorkersInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		var seen sync.Map // VUs by address: one that stays is not replaced
		var fresh atomic.Int64
		s := loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if _, known := seen.LoadOrStore(vu, true); !known {
				fresh.Add(1)
			}
			return nil
		})
		cfg := config(s)
		cfg.Workers, cfg.Delay = 10, time.Second
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond)
		assert.EqualValues(t, 100, j.Snapshot().Iterations)

		set := func(n int) {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = n }))
			synctest.Wait()
			assert.Equal(t, n, j.Snapshot().VUs, "at once")
		}
		set(1000)
		assert.EqualValues(t, 100+990, j.Snapshot().Iterations, "new VUs begin at once, old ones keep their pace")
		assert.EqualValues(t, 1000, fresh.Load())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 100+990+10_000, j.Snapshot().Iterations)
		set(10)
		time.Sleep(10 * time.Second)
		snap := j.Snapshot()
		assert.EqualValues(t, 100+990+10_000+100, snap.Iterations, "no sample is lost")
		assert.EqualValues(t, 1000, fresh.Load(), "those who stay are the same")
		assert.EqualValues(t, 3, snap.Revision)
		assert.Zero(t, snap.Interrupted)
	})
}

func TestUpdateTakesEffectDuringALongDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Delay = time.Hour
		j := start(t, m, cfg)
		time.Sleep(10 * time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Delay = 20 * time.Second }))
		time.Sleep(11 * time.Second)
		assert.EqualValues(t, 2, j.Snapshot().Iterations, "due 20 s after the end of the first")
	})
}

func TestUpdateDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Delay, cfg.Duration = time.Second, time.Hour
		j := start(t, m, cfg)
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Duration = 10 * time.Second }))
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 10, j.Snapshot().Iterations)
		assert.Equal(t, 10*time.Second, j.Snapshot().Elapsed)
	})
}

func TestUpdateExtendsDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.Delay, cfg.Duration = 3, 6*time.Second, 10*time.Second
		j := start(t, m, cfg)
		time.Sleep(9 * time.Second) // the next iterations are due after the end
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Duration = 20 * time.Second }))
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 3*4, j.Snapshot().Iterations)
	})
}

// However often the rate changes, the iterations are those of the rates.
func TestUpdateRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Rate = loadgen.PerSecond(10)
		j := start(t, m, cfg)
		for i := range 100 { // 100 s, alternating
			time.Sleep(time.Second)
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(10 + 30*uint64((i+1)%2)) }))
		}
		assert.InDelta(t, 50*10+50*40, j.Snapshot().Iterations, 2)
		// A slider that moves faster than the rate adds nothing.
		before := j.Snapshot().Iterations
		for i := range 1000 {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(1 + uint64(i%2)) }))
			time.Sleep(10 * time.Millisecond)
		}
		assert.InDelta(t, 15, j.Snapshot().Iterations-before, 1)
	})
}

func TestUpdateRateTakesOverWhatIsOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(taking(time.Second))
		cfg.Rate, cfg.MaxWorkers = loadgen.PerSecond(10), 1
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond) // 100 were due, 10 have begun
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate, c.MaxWorkers = loadgen.PerSecond(1), 1000 }))
		time.Sleep(10 * time.Second)
		snap := j.Snapshot()
		assert.InDelta(t, 100+10, snap.Iterations, 2)
		assert.Greater(t, snap.Response.Max(), 9*time.Second)
	})
}

func TestUpdateBetweenModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.Delay = 5, time.Second
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate, c.MaxWorkers = loadgen.PerSecond(100), 20 }))
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 50+1000, j.Snapshot().Iterations, 1)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.Rate{} }))
		before := j.Snapshot().Iterations
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 50, j.Snapshot().Iterations-before, 5)
		assert.Equal(t, 5, j.Snapshot().VUs)
	})
}

func TestLoweringMaxWorkersLosesNoDueIteration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.MaxWorkers, cfg.Rate, cfg.Duration = 50, 50, loadgen.PerSecond(10), 10*time.Second
		j := start(t, m, cfg)
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers, c.MaxWorkers = 1, 1 }))
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 100, j.Snapshot().Iterations)
		assert.Zero(t, j.Snapshot().Response.Max(), "each at its time")
	})
}

func TestUpdateWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		ok := func(context.Context, *loadgen.VU) error { return nil }
		cfg := config(loadgen.NewScenario("s").Task("a", 1, ok).Task("b", 0, ok))
		cfg.Delay = time.Second
		j := start(t, m, cfg)
		time.Sleep(9500 * time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Weights = map[string]float64{"a": 0, "b": 2} }))
		time.Sleep(10 * time.Second)
		snap := j.Snapshot()
		require.Len(t, snap.Tasks, 2)
		assert.Equal(t, "a", snap.Tasks[0].Task)
		assert.EqualValues(t, 10, snap.Tasks[0].Iterations)
		assert.EqualValues(t, 10, snap.Tasks[1].Iterations)
	})
}

func TestARefusedUpdateChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		before := j.Config()
		for name, change := range map[string]func(*loadgen.JobConfig){
			"workers":  func(c *loadgen.JobConfig) { c.Workers = -1 },
			"url":      func(c *loadgen.JobConfig) { c.Workers, c.BaseURL = 5, "ftp://x" },
			"job":      func(c *loadgen.JobConfig) { c.Name = "other" },
			"weights":  func(c *loadgen.JobConfig) { c.Workers, c.Weights = 5, map[string]float64{"take": 0} },
			"scenario": func(c *loadgen.JobConfig) { c.Workers, c.ScenarioName = 5, "nosuch" },
		} {
			require.Error(t, j.Update(change), name)
			assert.Equal(t, before, j.Config(), name)
			assert.EqualValues(t, 1, j.Status().Revision, name)
		}
	})
}

func TestUpdateOfAnEndedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.MaxIterations = 1
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		err := j.Update(func(c *loadgen.JobConfig) { c.Workers = 2 })
		assert.ErrorIs(t, err, loadgen.ErrJobEnded)
	})
}

func TestLaterAdditionsToAScenarioDoNotReachARunningJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		s := nothing()
		cfg := config(s)
		cfg.Delay = time.Second
		j := start(t, m, cfg)
		s.Task("late", 1e6, func(context.Context, *loadgen.VU) error { return nil })
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 2 }))
		time.Sleep(10 * time.Second)
		assert.Len(t, j.Snapshot().Tasks, 1)
	})
}

func TestFailures(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		run   loadgen.TaskFunc
		class loadgen.ErrorClass
		text  string
	}{
		"task":  {func(context.Context, *loadgen.VU) error { return boom }, loadgen.ClassTask, "boom"},
		"class": {func(context.Context, *loadgen.VU) error { return &loadgen.Error{Class: loadgen.ClassCheck, Err: boom} }, loadgen.ClassCheck, "boom"},
		"made up class": {
			func(context.Context, *loadgen.VU) error { return &loadgen.Error{Class: "weird", Err: boom} },
			loadgen.ClassTask, "boom",
		},
		"panic":    {func(context.Context, *loadgen.VU) error { panic("oh no") }, loadgen.ClassPanic, `task "t" panicked: oh no`},
		"check":    {func(_ context.Context, vu *loadgen.VU) error { return vu.Check(false, "want %d", 7) }, loadgen.ClassCheck, "want 7"},
		"deadline": {func(context.Context, *loadgen.VU) error { return context.DeadlineExceeded }, loadgen.ClassTimeout, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(loadgen.NewScenario("s").Task("t", 1, tc.run))
				cfg.MaxIterations = 3
				snap := run(t, cfg)
				assert.EqualValues(t, 3, snap.Iterations)
				assert.EqualValues(t, 3, snap.FailedIterations)
				assert.Equal(t, map[loadgen.ErrorClass]loadgen.ErrorStat{tc.class: {Count: 3, Sample: tc.text}}, snap.Errors)
			})
		})
	}
}

func TestAbortFailsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(loadgen.NewScenario("s").Task("t", 1, func(_ context.Context, vu *loadgen.VU) error {
			if vu.Iteration() == 4 {
				return fmt.Errorf("out of test data: %w", loadgen.ErrAbort)
			}
			return nil
		}))
		cfg.Delay = time.Second
		snap, err := loadgen.Run(t.Context(), cfg)
		require.EqualError(t, err, `job "job" failed: out of test data: job aborted by a task`)
		assert.Equal(t, loadgen.StateFailed, snap.State)
		assert.EqualValues(t, 5, snap.Iterations)
	})
}

func TestAPanicOfOneJobLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error { panic(1) }))
		cfg.Delay = time.Second
		start(t, m, cfg)
		other := config(nothing())
		other.Name, other.Delay, other.Duration = "other", time.Second, 10*time.Second
		j := start(t, m, other)
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 10, j.Snapshot().Iterations)
		assert.Zero(t, j.Snapshot().FailedIterations)
	})
}

// The same seed gives each VU the same picks and the same values.
func TestSeededRunsRepeat(t *testing.T) {
	record := func(t *testing.T, seed uint64) map[int][]string {
		var mu sync.Mutex
		got := map[int][]string{}
		note := func(name string) loadgen.TaskFunc {
			return func(_ context.Context, vu *loadgen.VU) error {
				mu.Lock()
				defer mu.Unlock()
				got[vu.ID()] = append(got[vu.ID()], fmt.Sprint(name, vu.Rand().IntN(1000)))
				return nil
			}
		}
		cfg := config(loadgen.NewScenario("s").Task("a", 3, note("a")).Task("b", 1, note("b")).Task("c", 0.5, note("c")))
		cfg.Workers, cfg.Delay, cfg.Duration, cfg.Seed = 5, time.Second, 50*time.Second, seed
		_, err := loadgen.Run(t.Context(), cfg)
		require.NoError(t, err)
		return got
	}
	synctest.Test(t, func(t *testing.T) {
		first := record(t, 42)
		assert.Len(t, first, 5)
		assert.Equal(t, first, record(t, 42))
		assert.NotEqual(t, first, record(t, 43))
		assert.NotEqual(t, first[0], first[1])
	})
}

func TestARandomSeedIsShownAndRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		assert.NotZero(t, j.Config().Seed)
		assert.Equal(t, j.Config().Seed, j.Snapshot().Seed)
	})
}

func TestTasksArePickedByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := func(context.Context, *loadgen.VU) error { return nil }
		cfg := config(loadgen.NewScenario("s").Task("six", 6, ok).Task("half", 0.5, ok).Task("never", 0, ok).
			Task("below", -3, ok).Task("three", 3.5, ok))
		cfg.Workers, cfg.MaxIterations, cfg.Seed = 4, 100_000, 1
		snap := run(t, cfg)
		got := map[string]float64{}
		for _, task := range snap.Tasks {
			got[task.Task] = float64(task.Iterations)
		}
		assert.Len(t, got, 3)
		assert.InDelta(t, 60_000, got["six"], 1000)
		assert.InDelta(t, 5_000, got["half"], 400)
		assert.InDelta(t, 35_000, got["three"], 1000)
	})
}

func TestIntervalsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		s := loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			mu.Lock()
			d := time.Duration(rng.IntN(1000)) * time.Millisecond
			mu.Unlock()
			if err := vu.Sleep(ctx, d); err != nil {
				return err
			}
			return vu.Check(d < 900*time.Millisecond, "slow")
		})
		cfg := config(s)
		cfg.Workers, cfg.Duration = 20, time.Minute
		j := start(t, m, cfg)
		var prev *loadgen.Snapshot
		var iterations, failed, errs, counted uint64
		add := func() {
			now := j.Snapshot()
			d := now.Since(prev)
			iterations += d.Iterations
			failed += d.FailedIterations
			errs += d.Errors[loadgen.ClassCheck].Count
			counted += d.Response.Count()
			prev = now
		}
		for range 59 {
			time.Sleep(time.Second)
			add()
		}
		require.NoError(t, j.Wait(t.Context()))
		add()
		final := j.Snapshot()
		assert.Greater(t, final.FailedIterations, uint64(50))
		assert.Equal(t, final.Iterations, iterations)
		assert.Equal(t, final.FailedIterations, failed)
		assert.Equal(t, final.Errors[loadgen.ClassCheck].Count, errs)
		assert.Equal(t, final.Response.Count(), counted)
	})
}

type rudeError struct{}

func (rudeError) Error() string { panic("no message") }
func (rudeError) Unwrap() error { panic("no cause") }

// Errors are the user's: one that panics when asked is a failure like any other.
func TestErrorsThatPanic(t *testing.T) {
	for name, err := range map[string]error{"methods": rudeError{}, "typed nil": (*loadgen.Error)(nil)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error { return err }))
				cfg.MaxIterations = 3
				snap, err := loadgen.Run(t.Context(), cfg, loadgen.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
				require.NoError(t, err)
				assert.EqualValues(t, 3, snap.FailedIterations)
				assert.EqualValues(t, 3, snap.Errors[loadgen.ClassTask].Count)
			})
		})
	}
}

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
