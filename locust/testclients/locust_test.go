//go:build clients

package testclients_test

import (
	"context"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/locust"
)

// TestTwoWorkers runs a test of two workers that is resized, and another in which one of
// them is killed.
//
// Of a worker that lives, the master's counts are those of the target exactly, for each
// task: it stops softly, and reports all before it says that it has stopped. Of one that
// was killed, the master has what was reported, which is all but the last three seconds
// at most: no more than the target has served, and no less than was there before.
func TestTwoWorkers(t *testing.T) {
	t.Parallel() // both wait most of the time
	bin, target, m := build(t), newTarget(t), newMaster(t)
	worker := func(name string) *process {
		return start(t, bin, "worker", "-locust", m.addr, "-scenario", scenario(t, name), "-url", target.URL,
			"-delay", "10ms", "-header", "X-Worker: "+name, "-id", name)
	}
	a, b := worker("a"), worker("b")
	m.until("both have joined", func(s *stats) bool { return s.worker("a") == "ready" && s.worker("b") == "ready" })

	m.swarm(10, target.URL)
	s := m.running(10, 100)
	m.swarm(20, target.URL)
	s = m.running(20, s.of("", "Aggregated").Requests)
	m.swarm(6, target.URL)
	m.running(6, s.of("", "Aggregated").Requests+100)
	s = m.stop("a", "b")
	var all uint64
	for _, task := range []struct{ method, name, request string }{
		{"GET", "home", "GET /home"}, {"POST", "order", "POST /order"}, {"GET", "only_a", "GET /only_a"}, {"GET", "only_b", "GET /only_b"},
	} {
		e, served := s.of(task.method, task.name), target.served(task.request, "a", "b")
		assert.Equal(t, served, e.Requests, task.name)
		assert.NotZero(t, served, task.name)
		failed := uint64(0)
		if task.name == "order" {
			failed = served
		}
		assert.Equal(t, failed, e.Failures, task.name)
		all += served
	}
	assert.Len(t, s.Stats, 5, "and their sum")
	sum := s.of("", "Aggregated")
	assert.Equal(t, all, sum.Requests)
	require.Len(t, s.Errors, 1)
	assert.Equal(t, []string{"POST", "order", "check"}, []string{s.Errors[0].Method, s.Errors[0].Name, s.Errors[0].Error})
	assert.Equal(t, sum.Failures, s.Errors[0].Occurrences)

	target.reset()
	m.swarm(10, target.URL)
	before := m.until("b has reported", func(s *stats) bool {
		return s.State == "running" && s.UserCount == 10 && s.of("GET", "only_b").Requests > 0
	})
	b.signal(t, syscall.SIGKILL)
	assert.Equal(t, -1, b.ends(t))
	m.until("a has all users", func(s *stats) bool {
		for _, w := range s.Workers {
			if w.ID == "a" && w.Users == 10 {
				return s.worker("b") == "missing"
			}
		}
		return false
	})
	s = m.stop("a")
	assert.Equal(t, target.served("GET /only_a", "a"), s.of("GET", "only_a").Requests)
	assert.LessOrEqual(t, s.of("GET", "only_b").Requests, target.served("GET /only_b", "b"))
	assert.GreaterOrEqual(t, s.of("GET", "only_b").Requests, before.of("GET", "only_b").Requests)
	for method, name := range map[string]string{"GET": "home", "POST": "order"} {
		request, got := method+" /"+name, s.of(method, name).Requests
		assert.LessOrEqual(t, got, target.served(request, "a", "b"), name)
		assert.GreaterOrEqual(t, got, target.served(request, "a"), name)
	}

	a.signal(t, syscall.SIGTERM)
	assert.Zero(t, a.ends(t))
	m.until("a has left", func(s *stats) bool { return s.worker("a") == "" })
}

// TestCutAndRestart takes the master away from a worker for a moment, and then puts
// another in its place; in the end that quits.
func TestCutAndRestart(t *testing.T) {
	t.Parallel()
	target, p := newTarget(t), newProxy(t)
	first := newMaster(t)
	p.lead(first.addr)
	m := loadgen.New()
	defer m.Close()
	ended := make(chan error, 1)
	shop := loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/home") })
	go func() {
		ended <- locust.Run(t.Context(), m, locust.Config{
			Master: p.Addr().String(), ID: "here",
			Job: loadgen.JobConfig{Scenario: shop, Headers: map[string]string{"X-Worker": "here"}, Delay: 5 * time.Millisecond},
		})
	}()
	first.until("it has joined", func(s *stats) bool { return s.worker("here") == "ready" })
	first.swarm(5, target.URL)
	first.running(5, 0)
	first.reported("here")
	p.lead(first.addr)
	// The first may be from before the cut. The second is sent on a connection on which the
	// master has answered, so that an order to stop arrives.
	first.reported("here")
	first.reported("here")
	s := first.stop("here")
	e := s.of("GET", "home")
	assert.Equal(t, target.served("GET /home", "here"), e.Requests, "the cut has lost nothing")

	// What the master makes of the times is what the job says, but for Locust's rounding.
	job, err := m.Get("shop")
	require.NoError(t, err)
	snap := job.Snapshot()
	assert.Equal(t, snap.Requests, e.Requests)
	assert.InDelta(t, snap.Service.Mean().Seconds()*1000, e.Mean, 0.001)
	assert.InDelta(t, float64(snap.Received)/float64(snap.Requests), e.Size, 0.001)
	for q, theirs := range map[float64]float64{0.5: e.Median, 0.95: e.P95, 0.99: e.P99} {
		// The ranks of both differ by one at most; then there is the error of our
		// histogram, and of theirs: half a millisecond, or half a second digit.
		n := float64(snap.Requests)
		low, high := ms(snap.Service.Quantile(q-1/n)), ms(snap.Service.Quantile(q+1/n))
		assert.GreaterOrEqual(t, theirs, low*(1-0.008)-math.Max(0.5, low*0.05), "p%g", 100*q)
		assert.LessOrEqual(t, theirs, high*(1+0.008)+math.Max(0.5, high*0.05), "p%g", 100*q)
	}

	first.swarm(5, target.URL)
	first.running(5, 0)
	p.lead("")
	first.signal(t, syscall.SIGKILL)
	first.ends(t)
	second := newMaster(t)
	p.lead(second.addr)
	second.until("it has joined anew", func(s *stats) bool { return len(s.Workers) == 1 && s.Workers[0].State == "ready" })
	// From here on it counts; the job of the old test has no users any more, or is about to.
	job, err = m.Get("shop")
	require.NoError(t, err)
	require.NoError(t, job.Wait(t.Context()))
	target.reset()
	second.swarm(3, target.URL)
	second.running(3, 100)
	s = second.stop()
	assert.Equal(t, target.served("GET /home", "here"), s.of("GET", "home").Requests)

	second.signal(t, syscall.SIGTERM)
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "the worker does not end with its master")
	}
	assert.Zero(t, second.ends(t))
}

// TestCutThatTheMasterSees cuts off one of two workers for so long that the master misses
// it and gives its users to the other one, twice. After the first time the test goes on, and
// so does the job. During the second one the test ends, and the worker ends it by itself.
func TestCutThatTheMasterSees(t *testing.T) {
	t.Parallel()
	target, p, m := newTarget(t), newProxy(t), newMaster(t)
	p.lead(m.addr)
	ended := make(chan error, 2)
	ctx, leave := context.WithCancel(t.Context())
	jobs := map[string]func() *loadgen.Job{}
	for id, addr := range map[string]string{"a": m.addr, "b": p.Addr().String()} {
		lg := loadgen.New()
		defer lg.Close()
		shop := loadgen.NewScenario("shop").Task("only_"+id, 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/only_"+id) })
		go func() {
			ended <- locust.Run(ctx, lg, locust.Config{Master: addr, ID: id, Job: loadgen.JobConfig{
				Scenario: shop, Headers: map[string]string{"X-Worker": id}, Delay: 20 * time.Millisecond,
			}})
		}()
		jobs[id] = func() *loadgen.Job {
			job, err := lg.Get("shop")
			require.NoError(t, err)
			return job
		}
	}
	cut := func() {
		p.lead("")
		m.until("a has the users of b", func(s *stats) bool {
			return s.worker("b") == "missing" && s.UserCount == 4 && s.State == "running"
		})
	}
	m.until("both have joined", func(s *stats) bool { return s.worker("a") == "ready" && s.worker("b") == "ready" })
	m.swarm(4, target.URL)
	m.until("both run", func(s *stats) bool {
		return s.worker("a") == "running" && s.worker("b") == "running" && s.UserCount == 4
	})
	b := jobs["b"]()
	cut()
	p.lead(m.addr)
	m.until("b is back", func(s *stats) bool { return s.worker("b") == "running" && s.UserCount == 4 })
	m.reported("b")
	assert.Equal(t, loadgen.StateRunning, b.State())
	assert.True(t, b == jobs["b"](), "the same job") // Same would print a job that runs

	cut()
	m.stop("a")
	assert.Equal(t, loadgen.StateRunning, b.State(), "it cannot know")
	p.lead(m.addr)
	require.NoError(t, b.Wait(t.Context()))
	s := m.until("b is there for another test", func(s *stats) bool { return s.worker("b") == "ready" && s.UserCount == 0 })
	for _, id := range []string{"a", "b"} {
		assert.Equal(t, target.served("GET /only_"+id, id), s.of("GET", "only_"+id).Requests, id)
	}
	leave()
	for range 2 {
		assert.NoError(t, <-ended)
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
