package loadgen_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// event is one iteration, as a task sees it.
type event struct {
	at   time.Duration // since the first process came up
	vu   int
	draw uint64
}

// journal is a scenario that notes its iterations.
func journal(began time.Time) (s *loadgen.Scenario, events func() []event) {
	var mu sync.Mutex
	var list []event
	s = loadgen.NewScenario("journal").Task("note", 1, func(_ context.Context, vu *loadgen.VU) error {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, event{time.Since(began), vu.ID(), vu.Rand().Uint64()})
		return nil
	})
	return s, func() []event {
		mu.Lock()
		defer mu.Unlock()
		slices.SortFunc(list, func(a, b event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.vu, b.vu)) })
		return list
	}
}

// together runs the segments of a job side by side, each in a Manager of its own as in
// a process of its own, which comes up some time after the one before.
func together(t *testing.T, cfg loadgen.JobConfig, n int, apart time.Duration) (snaps []*loadgen.Snapshot) {
	t.Helper()
	var jobs []*loadgen.Job
	for i := range n {
		m := loadgen.New()
		t.Cleanup(m.Close)
		if cfg.Segment = (loadgen.Segment{}); n > 1 {
			cfg.Segment = loadgen.Segment{Index: i + 1, Count: n}
		}
		jobs = append(jobs, start(t, m, cfg))
		time.Sleep(apart)
	}
	for _, j := range jobs {
		require.NoError(t, j.Wait(t.Context()))
		snaps = append(snaps, j.Snapshot())
	}
	return snaps
}

// Ten segments do what one process does: the same VUs at the same times with the same
// random values, though the processes come up one after the other.
func TestSegmentsRunAsTheWhole(t *testing.T) {
	for name, change := range map[string]func(*loadgen.JobConfig){
		"workers": func(c *loadgen.JobConfig) { c.Workers, c.Delay = 23, 700*time.Millisecond },
		"ramp-up": func(c *loadgen.JobConfig) { c.Workers, c.Delay, c.RampUp = 23, 700*time.Millisecond, 5*time.Second },
		"iterations": func(c *loadgen.JobConfig) {
			c.Workers, c.Delay, c.MaxIterations = 20, 100*time.Millisecond, 400
		},
		"stages": func(c *loadgen.JobConfig) {
			c.Delay = 100 * time.Millisecond
			c.Stages = []loadgen.Stage{{Duration: 3 * time.Second, Workers: 37}, {Duration: 2 * time.Second, Workers: 12, Step: true}, {Duration: 2 * time.Second}}
		},
		"rate":        func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(97) },
		"rate ramped": func(c *loadgen.JobConfig) { c.Rate, c.RampUp = loadgen.PerSecond(97), 4*time.Second },
		"rate stages": func(c *loadgen.JobConfig) {
			c.Stages = []loadgen.Stage{{Duration: 3 * time.Second, Rate: loadgen.PerSecond(50)}, {Duration: 3 * time.Second, Rate: loadgen.PerSecond(80), Step: true}}
		},
		"rate limited": func(c *loadgen.JobConfig) { c.Rate, c.MaxIterations = loadgen.PerSecond(97), 203 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(nil)
				cfg.Seed, cfg.Duration = 7, 10*time.Second
				change(&cfg)
				var runs [][]event
				var sums []*loadgen.Snapshot
				for _, n := range []int{1, 10} {
					began := time.Now()
					var events func() []event
					cfg.Scenario, events = journal(began)
					cfg.StartAt = began.Add(time.Minute)
					var sum loadgen.Snapshot
					for _, s := range together(t, cfg, n, 3*time.Second) {
						assert.True(t, s.Started.Equal(cfg.StartAt))
						assert.True(t, s.Valid, "%q", s.Invalid)
						sum.Merge(s)
					}
					runs, sums = append(runs, events()), append(sums, &sum)
				}
				require.Len(t, runs[1], len(runs[0]))
				if cfg.Pacer() == nil {
					assert.Equal(t, runs[0], runs[1], "times, VUs and values")
				}
				for i := range runs[0] {
					require.Equal(t, runs[0][i].at, runs[1][i].at, "iteration %d", i)
				}
				assert.Equal(t, sums[0].Iterations, sums[1].Iterations)
				assert.Equal(t, sums[0].Workers, sums[1].Workers)
				assert.Equal(t, sums[0].Response, sums[1].Response)
				draws := map[uint64]int{}
				for _, e := range runs[1] {
					draws[e.draw]++
					assert.Equal(t, 1, draws[e.draw], "a random value comes once")
				}
			})
		})
	}
}

func TestSegmentsAreSteeredAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(nothing())
		cfg.Workers, cfg.Delay = 10, time.Second
		var jobs []*loadgen.Job
		for i := range 4 {
			m := loadgen.New()
			defer m.Close()
			cfg.Segment = loadgen.Segment{Index: i + 1, Count: 4}
			jobs = append(jobs, start(t, m, cfg))
		}
		count := func() (n []int) {
			synctest.Wait()
			for _, j := range jobs {
				n = append(n, j.Snapshot().VUs)
			}
			return n
		}
		assert.Equal(t, []int{3, 3, 2, 2}, count())
		for _, j := range jobs {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 21 }))
		}
		assert.Equal(t, []int{6, 5, 5, 5}, count(), "the value of an update is that of the whole")
		assert.Equal(t, 21, jobs[0].Config().Workers)
		for _, j := range jobs {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 4 }))
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, []int{1, 1, 1, 1}, count())

		for name, change := range map[string]func(*loadgen.JobConfig){
			"segment":  func(c *loadgen.JobConfig) { c.Segment.Index++ },
			"start_at": func(c *loadgen.JobConfig) { c.StartAt = time.Now() },
			"workers":  func(c *loadgen.JobConfig) { c.Workers = 3 },
		} {
			var invalid *loadgen.ValidationError
			require.ErrorAs(t, jobs[0].Update(change), &invalid, name)
			assert.Equal(t, name, invalid.Fields[0].Field)
		}
		assert.Equal(t, 4, jobs[0].Config().Workers, "a refused update changes nothing")
	})
}

// A VU that takes the place of another draws values that no VU of another segment does.
func TestReplacedVUsOfSegmentsDrawOtherValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		cfg := config(nil)
		var events func() []event
		cfg.Scenario, events = journal(began)
		cfg.Seed, cfg.Workers, cfg.Delay = 3, 12, time.Second
		var jobs []*loadgen.Job
		for i := range 3 {
			m := loadgen.New()
			defer m.Close()
			cfg.Segment = loadgen.Segment{Index: i + 1, Count: 3}
			jobs = append(jobs, start(t, m, cfg))
		}
		for _, workers := range []int{3, 12, 3, 24} {
			time.Sleep(1500 * time.Millisecond)
			for _, j := range jobs {
				require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = workers }))
			}
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		seen := map[uint64]bool{}
		for _, e := range events() {
			assert.False(t, seen[e.draw], "VU %d at %s", e.vu, e.at)
			seen[e.draw] = true
		}
		assert.Greater(t, len(seen), 50)
	})
}

func TestFaultySegments(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*loadgen.JobConfig)
		field  string
	}{
		"none of ten":       {func(c *loadgen.JobConfig) { c.Segment.Index = 0 }, "segment"},
		"too few workers":   {func(c *loadgen.JobConfig) { c.Workers = 9 }, "workers"},
		"default workers":   {func(c *loadgen.JobConfig) { c.Workers = 0 }, "workers"},
		"few max_workers":   {func(c *loadgen.JobConfig) { c.Rate, c.Workers, c.MaxWorkers = loadgen.PerSecond(5), 2, 9 }, "max_workers"},
		"too few in all":    {func(c *loadgen.JobConfig) { c.MaxIterations = 9 }, "max_iterations"},
		"start in the past": {func(c *loadgen.JobConfig) { c.StartAt = time.Now().Add(-2 * time.Second) }, "start_at"},
		"start in years":    {func(c *loadgen.JobConfig) { c.StartAt = time.Now().AddDate(3, 0, 0) }, "start_at"},
		"fewer rows than segments": {func(c *loadgen.JobConfig) {
			c.Rate, c.Workers = loadgen.PerSecond(5), 1
			c.Scenario.Feeder("u", loadgen.Feeder{File: "u.csv", Order: loadgen.FeedUnique, FS: fstest.MapFS{"u.csv": {Data: []byte("n\n1\n")}}})
		}, "segment"},
	} {
		t.Run(name, func(t *testing.T) {
			m := loadgen.New()
			defer m.Close()
			cfg := config(nothing())
			cfg.Workers, cfg.Segment = 10, loadgen.Segment{Index: 3, Count: 10}
			c.change(&cfg)
			_, err := m.Start(t.Context(), cfg)
			var invalid *loadgen.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, c.field, invalid.Fields[0].Field, "%v", err)
		})
	}
}

func TestStartAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Rate, cfg.Duration = loadgen.PerSecond(10), 10*time.Second
		cfg.StartAt = time.Now().Add(time.Hour)
		j := start(t, m, cfg)
		time.Sleep(time.Hour - time.Nanosecond)
		synctest.Wait()
		assert.Contains(t, j.Status().Reason, "waiting for its start at ")
		assert.Zero(t, j.Snapshot().Iterations)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate = loadgen.PerSecond(20) }), "it can be steered before it begins")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Empty(t, j.Status().Reason)
		assert.EqualValues(t, 1, j.Snapshot().Iterations, "at once")
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 200, j.Snapshot().Iterations)
		assert.Equal(t, 10*time.Second, j.Snapshot().Elapsed, "the wait is no part of it")
	})
}

// A job that comes up a moment late is in step with the others: what was due before
// begins at once, and it ends with them.
func TestStartAtAMomentAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Rate, cfg.Duration = loadgen.PerSecond(10), 10*time.Second
		cfg.StartAt = time.Now().Add(-loadgen.StartTolerance)
		j := start(t, m, cfg)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.EqualValues(t, 11, j.Snapshot().Iterations)
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 100, j.Snapshot().Iterations)
		assert.Equal(t, loadgen.StartTolerance, j.Snapshot().Response.Max(), "counted from when they were due")
		assert.True(t, time.Now().Equal(cfg.StartAt.Add(cfg.Duration)))
	})
}

func TestStopWhileWaitingForTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.StartAt = time.Now().Add(time.Hour)
		j := start(t, m, cfg)
		time.Sleep(time.Minute)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, loadgen.StateStopped, j.State())
		assert.Zero(t, j.Snapshot().Iterations)
		assert.Zero(t, j.Snapshot().Elapsed)
	})
}

// The set-up runs before the common start. If it takes longer than that, the job does
// not begin out of step, and its tear-down runs.
func TestStartAtAfterTheSetUp(t *testing.T) {
	for took, fails := range map[time.Duration]bool{30 * time.Second: false, 2 * time.Minute: true} {
		t.Run(fmt.Sprint(took), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := loadgen.New()
				defer m.Close()
				var torn bool
				s := nothing().Setup(func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, took) }).
					Teardown(func(context.Context, *loadgen.VU) error { torn = true; return nil })
				cfg := config(s)
				cfg.MaxIterations, cfg.StartAt = 1, time.Now().Add(time.Minute)
				j := start(t, m, cfg)
				err := j.Wait(t.Context())
				assert.True(t, torn)
				if fails {
					require.ErrorContains(t, err, "its set-up has taken too long: start_at is 1m0s ago")
					assert.Zero(t, j.Snapshot().Iterations)
					return
				}
				require.NoError(t, err)
				assert.True(t, j.Snapshot().Started.Equal(cfg.StartAt))
			})
		})
	}
}
