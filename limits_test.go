package loadgen

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/pace"
)

// arrivals serves in memory and notes when requests come.
type arrivals struct {
	mu sync.Mutex
	at []time.Time
}

func (a *arrivals) ServeHTTP(http.ResponseWriter, *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
}

// take returns how many have come since the call before.
func (a *arrivals) take() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.at)
	a.at = nil
	return n
}

// most is the largest number of arrivals within any span of a length.
func (a *arrivals) most(span time.Duration) (most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := 0
	for i, at := range a.at {
		for at.Sub(a.at[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// limited runs f in virtual time with a Manager that has limits and a target.
func limited(t *testing.T, l Limits, f func(t *testing.T, m *Manager, a *arrivals)) {
	synctest.Test(t, func(t *testing.T) {
		a := &arrivals{}
		dial, stop := memnet.Serve(a)
		defer stop()
		m := New(WithDialContext(dial), WithLimits(l))
		defer func() {
			m.Close()
			assert.Zero(t, m.Usage().Jobs)
			assert.Zero(t, m.Usage().Workers, "every VU is given back")
		}()
		f(t, m, a)
	})
}

func gets() *Scenario {
	return NewScenario("gets").Task("get", 1, func(ctx context.Context, vu *VU) error { return vu.Get(ctx, "/") })
}

func begin(t *testing.T, m *Manager, name string, change func(*JobConfig)) *Job {
	t.Helper()
	cfg := JobConfig{Name: name, Scenario: gets(), BaseURL: "http://shop"}
	change(&cfg)
	j, err := m.Start(t.Context(), cfg)
	require.NoError(t, err)
	return j
}

// TestRateLimit holds jobs of both models to one rate together.
func TestRateLimit(t *testing.T) {
	limited(t, Limits{MaxRate: PerSecond(100)}, func(t *testing.T, m *Manager, a *arrivals) {
		closed := begin(t, m, "closed", func(c *JobConfig) { c.Workers = 50 })
		open := begin(t, m, "open", func(c *JobConfig) { c.Rate, c.MaxWorkers = PerSecond(80), 200 })
		time.Sleep(60 * time.Second)
		assert.LessOrEqual(t, a.most(time.Second), 102, "in any second")
		assert.GreaterOrEqual(t, a.take(), 5990, "and no less than may be")
		for _, j := range []*Job{closed, open} {
			s := j.Snapshot()
			assert.Positive(t, s.Throttled)
			assert.False(t, s.Valid)
			assert.Contains(t, s.Invalid[len(s.Invalid)-1], "rate limit: ")
			assert.Contains(t, s.Invalid[len(s.Invalid)-1], "at most 100/s")
			assert.Less(t, s.Service.Max(), time.Millisecond, "the target was not slow")
		}
		assert.Equal(t, m.Usage().Held, closed.Snapshot().Throttled+open.Snapshot().Throttled)

		// What is stopped does not keep its place in the queue.
		closed.Stop()
		<-closed.Done()
		a.take()
		time.Sleep(10 * time.Second)
		assert.GreaterOrEqual(t, a.take(), 795)
	})
}

// TestRateLimitUnused leaves a job alone that stays below.
func TestRateLimitUnused(t *testing.T) {
	limited(t, Limits{MaxRate: PerSecond(100)}, func(t *testing.T, m *Manager, a *arrivals) {
		j := begin(t, m, "job", func(c *JobConfig) { c.Rate, c.Duration = PerSecond(50), 10*time.Second })
		require.NoError(t, j.Wait(t.Context()))
		s := j.Snapshot()
		assert.EqualValues(t, 500, s.Requests)
		assert.Zero(t, s.Throttled)
		assert.True(t, s.Valid, "%v", s.Invalid)
	})
}

// TestRateLimitInterrupted ends waits of hours at once.
func TestRateLimitInterrupted(t *testing.T) {
	limited(t, Limits{MaxRate: Rate{Count: 1, Per: time.Hour}}, func(t *testing.T, m *Manager, a *arrivals) {
		j := begin(t, m, "job", func(c *JobConfig) { c.Workers, c.Grace = 1000, time.Second })
		time.Sleep(time.Second)
		j.Stop()
		began := time.Now()
		<-j.Done()
		assert.Equal(t, time.Second, time.Since(began))
		s := j.Snapshot()
		assert.EqualValues(t, 1, s.Requests)
		assert.Zero(t, s.FailedRequests)
		assert.EqualValues(t, 1000, s.Interrupted)
	})
	limited(t, Limits{MaxRate: Rate{Count: 1, Per: time.Hour}}, func(t *testing.T, m *Manager, a *arrivals) {
		scenario := NewScenario("impatient").Task("get", 1, func(ctx context.Context, vu *VU) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return vu.Get(ctx, "/")
		})
		j := begin(t, m, "job", func(c *JobConfig) { c.Scenario, c.MaxIterations = scenario, 3 })
		require.NoError(t, j.Wait(t.Context()))
		assert.EqualValues(t, 2, j.Snapshot().Errors[ClassTimeout].Count)
		assert.Equal(t, 2*time.Minute, j.Snapshot().Elapsed.Round(time.Second))
	})
}

func TestWorkerLimit(t *testing.T) {
	limited(t, Limits{MaxWorkers: 10}, func(t *testing.T, m *Manager, a *arrivals) {
		_, err := m.Start(t.Context(), JobConfig{Name: "big", Scenario: gets(), BaseURL: "http://shop", Workers: 11})
		assert.ErrorContains(t, err, "workers: must be at most 10, all jobs together, not 11")
		_, err = m.Start(t.Context(), JobConfig{Name: "big", Scenario: gets(), BaseURL: "http://shop", Stages: []Stage{{Duration: time.Minute, Workers: 11}}})
		assert.ErrorContains(t, err, "stages[0].workers: must be at most 10")

		one := begin(t, m, "one", func(c *JobConfig) { c.Workers, c.Delay = 6, time.Second })
		_, err = m.Start(t.Context(), JobConfig{Name: "two", Scenario: gets(), BaseURL: "http://shop", Workers: 5})
		assert.ErrorIs(t, err, ErrLimit)
		assert.ErrorContains(t, err, "there are 6, and 5 more were asked for")
		assert.Len(t, m.List(), 1)
		two := begin(t, m, "two", func(c *JobConfig) { c.Workers, c.Delay = 4, time.Second })
		assert.Equal(t, Usage{Jobs: 2, Workers: 10}, m.Usage())

		assert.ErrorIs(t, one.Update(func(c *JobConfig) { c.Workers = 7 }), ErrLimit)
		assert.Equal(t, 6, one.Config().Workers, "nothing has changed")
		require.NoError(t, two.Update(func(c *JobConfig) { c.Workers = 1 }))
		time.Sleep(2 * time.Second)
		require.NoError(t, one.Update(func(c *JobConfig) { c.Workers = 9 }))
		assert.Equal(t, 10, m.Usage().Workers)
		assert.True(t, one.Snapshot().Valid)
	})
}

// TestWorkerLimitWhileRunning holds what grows by itself.
func TestWorkerLimitWhileRunning(t *testing.T) {
	limited(t, Limits{MaxWorkers: 10}, func(t *testing.T, m *Manager, a *arrivals) {
		slow := NewScenario("slow").Task("sleep", 1, func(ctx context.Context, vu *VU) error { return vu.Sleep(ctx, time.Second) })
		open := begin(t, m, "open", func(c *JobConfig) { c.Scenario, c.Rate, c.Grace = slow, PerSecond(100), Off })
		time.Sleep(5 * time.Second)
		assert.Equal(t, 10, open.Snapshot().VUs)
		assert.Contains(t, open.Snapshot().Invalid, "worker limit: fewer VUs than the job needed, because there may be at most 10, all jobs together")
		open.Stop()
		<-open.Done()
		assert.Zero(t, m.Usage().Workers)

		begin(t, m, "other", func(c *JobConfig) { c.Workers, c.Delay, c.Duration = 5, time.Second, 30*time.Second })
		staged := begin(t, m, "staged", func(c *JobConfig) {
			c.Workers, c.Delay = 1, time.Second
			c.Stages = []Stage{{Duration: time.Second, Workers: 1}, {Duration: time.Minute, Workers: 10, Step: true}}
		})
		time.Sleep(5 * time.Second)
		assert.Equal(t, 5, staged.Snapshot().VUs)
		assert.False(t, staged.Snapshot().Valid)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 10, staged.Snapshot().VUs, "it takes what others have left")
	})
}

func TestJobLimit(t *testing.T) {
	limited(t, Limits{MaxJobs: 2}, func(t *testing.T, m *Manager, a *arrivals) {
		wait := func(c *JobConfig) { c.Delay = time.Second }
		one := begin(t, m, "one", wait)
		begin(t, m, "two", wait)
		_, err := m.Prepare(JobConfig{Name: "three", Scenario: gets()})
		require.NoError(t, err, "it does not run")
		_, err = m.Start(t.Context(), JobConfig{Name: "three", Scenario: gets(), BaseURL: "http://shop"})
		assert.ErrorIs(t, err, ErrLimit)
		assert.ErrorContains(t, err, "at most 2 jobs may run at a time")
		three, err := m.Get("three")
		require.NoError(t, err)
		require.NoError(t, three.Update(func(c *JobConfig) { c.Workers = 2 }), "it is as it was")
		one.Stop()
		<-one.Done()
		begin(t, m, "three", wait)
	})
}

func TestRateAboveTheLimit(t *testing.T) {
	limited(t, Limits{MaxRate: PerSecond(100), MaxWorkers: -1, MaxJobs: -1}, func(t *testing.T, m *Manager, a *arrivals) {
		assert.Equal(t, Limits{MaxRate: PerSecond(100)}, m.Limits())
		_, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: gets(), BaseURL: "http://shop", Rate: PerSecond(101)})
		assert.ErrorContains(t, err, "rate: must be at most 100/s, all jobs together, not 101/s")
	})
}

// BenchmarkThrottle shows what a request pays for a rate limit.
func BenchmarkThrottle(b *testing.B) {
	t := client.NewThrottle(PerSecond(pace.MaxRatePerSecond))
	ctx := b.Context()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = t.Wait(ctx, ctx)
		}
	})
}

// TestLimitWithSetUp gives back what a job whose set-up fails has reserved.
func TestLimitWithSetUp(t *testing.T) {
	limited(t, Limits{MaxWorkers: 10}, func(t *testing.T, m *Manager, a *arrivals) {
		failing, err := ParseScenario("failing", []byte("setup: [{request: GET /, expect: 500}]\ntasks: [{name: x, request: GET /}]\n"))
		require.NoError(t, err)
		j := begin(t, m, "job", func(c *JobConfig) { c.Scenario, c.Workers, c.Lease = failing, 10, time.Second })
		assert.ErrorContains(t, j.Wait(t.Context()), "failed")
		assert.Zero(t, m.Usage().Workers)
		working, err := ParseScenario("working", []byte("setup: [{request: GET /}]\ntasks: [{name: x, request: GET /}]\n"))
		require.NoError(t, err)
		j = begin(t, m, "job", func(c *JobConfig) { c.Scenario, c.Workers, c.Lease, c.Delay = working, 10, time.Minute, time.Second })
		require.NoError(t, j.Renew())
		<-j.Done()
		assert.Equal(t, "its lease of 1m0s was not renewed", j.Status().Reason)
	})
}
