package sizing_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/sizing"
)

// desk is a target with some places; whoever has one keeps it for 10 ms. Beyond so many
// in the queue it turns people away.
func desk(places, queue int) *loadgen.Scenario {
	free, waiting := make(chan struct{}, places), make(chan struct{}, places+queue)
	return loadgen.NewScenario("desk").Task("ask", 1, func(ctx context.Context, vu *loadgen.VU) error {
		select {
		case waiting <- struct{}{}:
			defer func() { <-waiting }()
		default:
			return errors.New("turned away")
		}
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return vu.Sleep(ctx, 10*time.Millisecond)
	})
}

// search runs a search in virtual time. What it makes belongs to the bubble.
func search(t *testing.T, prepare func() sizing.Search, thresholds ...string) (r *sizing.Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := prepare()
		s.Job.BaseURL = "http://none.test"
		s.Job.Thresholds = loadgen.MustThresholds(thresholds...)
		r, err = s.Run(t.Context())
	})
	return r, err
}

func TestWorkersByLatency(t *testing.T) {
	var seen []string
	// With n users at 4 places, a turn takes n/4 × 10 ms: 20 users wait 50 ms.
	r, err := search(t, func() sizing.Search {
		return sizing.Search{
			Job: loadgen.JobConfig{Scenario: desk(4, 1000)}, By: sizing.Workers,
			Progress: func(tr sizing.Trial) { seen = append(seen, fmt.Sprint(tr.Load, " ", tr.OK)) },
		}
	}, "p95 <= 50ms")
	require.NoError(t, err)
	assert.Equal(t, []string{"1 true", "2 true", "4 true", "8 true", "16 true", "32 false", "24 false", "20 true", "22 false", "21 false"}, seen)
	assert.Equal(t, 20, r.Best)
	assert.False(t, r.Limited())
	assert.Equal(t, 21, r.Broken)
	assert.Equal(t, "20 workers; 21 are too many", r.String())
	assert.Contains(t, r.Trials[5].Why, "p95 was 80ms, 30ms (60 %) above 50ms")
}

func TestRateByFailures(t *testing.T) {
	// 10 places of 10 ms serve 1,000 a second.
	r, err := search(t, func() sizing.Search {
		return sizing.Search{Job: loadgen.JobConfig{Scenario: desk(10, 20)}, By: sizing.Rate, Min: 100, Max: 5000, Precision: 0.02}
	}, "error_rate < 1%")
	require.NoError(t, err)
	assert.InDelta(t, 1000, r.Best, 20)
	assert.Greater(t, r.Broken, r.Best)
	assert.LessOrEqual(t, r.Broken-r.Best, 20)
	assert.Contains(t, r.Trials[4].Why, "error_rate was ")
}

// What was due and did not begin was no load, whatever else holds.
func TestALoadThatWasNotReachedIsTooMuch(t *testing.T) {
	r, err := search(t, func() sizing.Search {
		return sizing.Search{Job: loadgen.JobConfig{Scenario: desk(10, 1000), MaxWorkers: 50}, By: sizing.Rate, Min: 500, Precision: 0.5}
	}, "failures == 0")
	require.NoError(t, err)
	assert.InDelta(t, 1000, r.Best, 300)
	assert.True(t, r.Limited())
	assert.Contains(t, r.String(), "the target may take more")
	for _, tr := range r.Trials {
		if !tr.OK {
			assert.Regexp(t, "^the generator was the limit; .*iterations", tr.Why)
		}
	}
}

// The beginning of each load, with what is only true there, is not judged.
func TestTheWarmUpIsNotJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began atomic.Pointer[time.Time]
		began.Store(&time.Time{})
		cold := loadgen.NewScenario("cold").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if vu.Iteration() == 0 && vu.ID() == 0 {
				now := time.Now()
				began.Store(&now)
			}
			if time.Since(*began.Load()) < time.Second {
				return errors.New("cold")
			}
			return vu.Sleep(ctx, time.Millisecond)
		})
		s := sizing.Search{
			Job: loadgen.JobConfig{Scenario: cold, BaseURL: "http://none.test", Delay: 100 * time.Millisecond, Thresholds: loadgen.MustThresholds("failures == 0")},
			By:  sizing.Workers, Max: 4, Step: 5 * time.Second, WarmUp: 1200 * time.Millisecond,
		}
		r, err := s.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "at least 4 workers, the most that was tried", r.String())
		s.WarmUp = 500 * time.Millisecond
		r, err = s.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "even 1 workers are too many", r.String())
	})
}

func TestTheContextEndsASearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		r, err := sizing.Search{
			Job: loadgen.JobConfig{Scenario: desk(4, 9), BaseURL: "http://none.test", Thresholds: loadgen.MustThresholds("p95 < 1s")}, By: sizing.Workers,
		}.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2, r.Best, "what it knows so far")
	})
}

func TestALoadOfWhichNothingSucceedsIsTooMuch(t *testing.T) {
	down := loadgen.NewScenario("down").Task("ask", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return errors.Join(vu.Sleep(ctx, 10*time.Millisecond), errors.New("nobody is here"))
	})
	prepare := func() sizing.Search {
		return sizing.Search{Job: loadgen.JobConfig{Scenario: down}, By: sizing.Workers, Max: 4}
	}
	r, err := search(t, prepare, "p95 < 1s")
	require.NoError(t, err)
	assert.Equal(t, 0, r.Best)
	assert.Equal(t, "every iteration failed", r.Trials[0].Why)

	r, err = search(t, prepare, "p95 < 1s", "error_rate <= 100%")
	require.NoError(t, err)
	assert.Equal(t, 4, r.Best, "a threshold about failures decides")
}

func TestWhatCannotBeSearched(t *testing.T) {
	fine := loadgen.NewScenario("x").Task("t", 1, func(context.Context, *loadgen.VU) error { return nil })
	good := sizing.Search{Job: loadgen.JobConfig{Scenario: fine, Delay: time.Second}, By: sizing.Workers, Step: time.Second}
	for want, change := range map[string]func(*sizing.Search){
		"must be workers or rate":     func(s *sizing.Search) { s.By = "luck" },
		"the loads must be from 1":    func(s *sizing.Search) { s.Min, s.Max = 5, 4 },
		"longer than its warm-up":     func(s *sizing.Search) { s.WarmUp = time.Second },
		"precision must be between":   func(s *sizing.Search) { s.Precision = 1 },
		"a threshold is needed":       func(*sizing.Search) {},
		"scenario: a scenario is req": func(s *sizing.Search) { s.Job.Scenario = nil },
	} {
		s := good
		change(&s)
		_, err := search(t, func() sizing.Search { return s })
		assert.ErrorContains(t, err, want)
	}
	s := good
	s.Job.Scenario = loadgen.NewScenario("x").Task("t", 1, func(context.Context, *loadgen.VU) error { return loadgen.ErrAbort })
	_, err := search(t, func() sizing.Search { return s }, "failures == 0")
	assert.ErrorContains(t, err, "sizing: the job failed: job aborted")
}
