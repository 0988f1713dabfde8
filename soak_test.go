package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/faultnet"
)

const (
	soakJobs    = 50
	soakTargets = 10 // of which the first never fails
	soakMemory  = 24 << 20
)

// soakTarget is a target, and what the tasks saw of it.
type soakTarget struct {
	*faultnet.Server
	asked, succeeded, failed, interrupted atomic.Uint64
}

// soak is jobs that are started, updated and stopped at random, while most targets fail
// in all ways.
type soak struct {
	t       *testing.T
	targets []*soakTarget
	m       *loadgen.Manager

	mu    sync.Mutex
	total loadgen.Snapshot // of all runs that have ended
	runs  int
}

// scenario counts by itself what its requests come to.
func (s *soak) scenario(target *soakTarget) *loadgen.Scenario {
	return loadgen.NewScenario("soak").Task("get", 1, func(ctx context.Context, vu *loadgen.VU) error {
		target.asked.Add(1)
		err := vu.Get(ctx, "/")
		switch {
		case err == nil:
			target.succeeded.Add(1)
		case errors.Is(err, loadgen.ErrInterrupted):
			target.interrupted.Add(1)
		default:
			target.failed.Add(1)
		}
		return err
	})
}

func (s *soak) config(r *rand.Rand, name string, target *soakTarget) loadgen.JobConfig {
	cfg := loadgen.JobConfig{
		Name: name, Scenario: s.scenario(target), BaseURL: target.URL(),
		Workers: 1 + r.IntN(4), Delay: time.Duration(5+r.IntN(100)) * time.Millisecond,
		Client: loadgen.ClientConfig{Timeout: 500 * time.Millisecond, ConnectTimeout: 500 * time.Millisecond, MaxBody: 1 << 20, Reuse: []loadgen.Reuse{"vu", "shared", "none"}[r.IntN(3)]},
		Grace:  []time.Duration{50 * time.Millisecond, 2 * time.Second}[r.IntN(2)],
	}
	if r.IntN(3) == 0 {
		cfg.Rate, cfg.MaxWorkers = loadgen.PerSecond(uint64(1+r.IntN(30))), 10
	}
	if target == s.targets[0] {
		cfg.Client.Timeout, cfg.Client.ConnectTimeout, cfg.Grace = time.Minute, time.Minute, time.Minute
	}
	return cfg
}

// ended adds up what runs came to.
func (s *soak) ended(j *loadgen.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Merge(j.Snapshot())
	s.runs++
}

// steer does something to one of its jobs, again and again.
func (s *soak) steer(ctx context.Context, r *rand.Rand, first, n int) error {
	for {
		pause := time.NewTimer(time.Duration(r.IntN(50)) * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
		i := first + r.IntN(n)
		name, target := fmt.Sprint("job ", i), s.targets[i%len(s.targets)]
		var err error
		switch r.IntN(5) {
		case 0, 1:
			_, err = s.m.Start(ctx, s.config(r, name, target))
		case 2, 3:
			next := s.config(r, name, target)
			var j *loadgen.Job
			if j, err = s.m.Get(name); err == nil {
				err = j.Update(func(c *loadgen.JobConfig) {
					c.Workers, c.Delay, c.Rate, c.Client.Reuse = next.Workers, next.Delay, next.Rate, next.Client.Reuse
					c.MaxWorkers = next.MaxWorkers
				})
			}
		case 4:
			var j *loadgen.Job
			if j, err = s.m.Get(name); err == nil {
				j.Stop()
			}
		}
		for _, fine := range []error{loadgen.ErrJobRunning, loadgen.ErrJobEnded, loadgen.ErrJobNotFound, context.DeadlineExceeded} {
			if errors.Is(err, fine) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// harass makes the targets fail, but for the first, each in one way after the other.
func (s *soak) harass(ctx context.Context, r *rand.Rand) {
	faults := []faultnet.Fault{
		faultnet.None, faultnet.None, faultnet.ResetAtAccept, faultnet.ResetMidHeader, faultnet.ResetMidBody,
		faultnet.CloseMidBody, faultnet.Surplus, faultnet.Stall, faultnet.StallMidBody, faultnet.Drip, faultnet.Garbage,
		faultnet.EndlessHeader, faultnet.EndlessBody, faultnet.Flood1xx, faultnet.HalfClose, faultnet.Redirects, "shut",
	}
	shut := map[*soakTarget]bool{}
	for ctx.Err() == nil {
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
		case <-pause.C:
		}
		target := s.targets[1+r.IntN(len(s.targets)-1)]
		fault := faults[r.IntN(len(faults))]
		switch {
		case shut[target]:
			assert.NoError(s.t, target.Open())
			shut[target] = false
		case fault == "shut":
			target.Shut()
			shut[target] = true
		default:
			target.Set(fault)
		}
	}
	for target := range shut {
		if shut[target] {
			assert.NoError(s.t, target.Open())
		}
	}
}

// descriptors are the open files of this process; 0 where that cannot be told.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func soakHeap() uint64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Fifty jobs under faults: in the end nothing is left of them, and every request is
// accounted for on both sides. LOADGEN_SOAK is how long (3s if it is not set),
// LOADGEN_SOAK_SEED repeats what is done.
func TestSoak(t *testing.T) {
	duration, seed := 3*time.Second, uint64(time.Now().UnixNano())
	if text := os.Getenv("LOADGEN_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		duration = d
	}
	if text := os.Getenv("LOADGEN_SOAK_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("LOADGEN_SOAK=%s LOADGEN_SOAK_SEED=%d", duration, seed)
	s := &soak{t: t}
	for range soakTargets {
		server, err := faultnet.New()
		require.NoError(t, err)
		defer server.Close()
		s.targets = append(s.targets, &soakTarget{Server: server})
	}
	s.run(seed, min(duration/4, time.Second)) // what stays for good is there after that
	goroutines, files, memory := runtime.NumGoroutine(), descriptors(), soakHeap()
	s.run(seed+1, duration)

	if !assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, 10*time.Second, 10*time.Millisecond,
		"goroutines: %d before", goroutines) { // one is that of Eventually
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	assert.Eventually(t, func() bool { return descriptors() <= files }, 10*time.Second, 10*time.Millisecond, "descriptors: %d before", files)
	assert.Less(t, soakHeap(), memory+soakMemory, "memory: %d before", memory)
	s.account()
}

// run does it all for a while.
func (s *soak) run(seed uint64, duration time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), duration)
	defer cancel()
	s.m = loadgen.New(loadgen.WithOnEnd(s.ended))
	var wg sync.WaitGroup
	const hands = 5
	for i := range hands {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() { assert.NoError(s.t, s.steer(ctx, r, i*soakJobs/hands, soakJobs/hands)) })
	}
	wg.Go(func() { s.harass(ctx, rand.New(rand.NewPCG(seed, hands))) })
	wg.Wait()
	late, cancelLate := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancelLate()
	assert.NoError(s.t, s.m.Shutdown(late))
	for _, target := range s.targets {
		target.Set(faultnet.None)
	}
}

// account holds three counts of the same requests against each other: those of the
// statistics, of the tasks, and of the targets.
func (s *soak) account() {
	t := s.t
	var asked, succeeded, failed, interrupted, good uint64
	for i, target := range s.targets {
		target.Close() // its counts are final then
		asked += target.asked.Load()
		succeeded += target.succeeded.Load()
		failed += target.failed.Load()
		interrupted += target.interrupted.Load()
		good += target.Good()
		// What a task has as a success, the target has answered well; the rest of what it
		// has answered well came too late for a task, which has it as failed or interrupted.
		assert.LessOrEqual(t, target.succeeded.Load(), target.Good(), "target %d", i)
		lost := target.failed.Load() + target.interrupted.Load()
		if i > 0 {
			assert.LessOrEqual(t, target.Good(), target.succeeded.Load()+lost, "target %d", i)
			continue
		}
		assert.Zero(t, lost, "the target that never failed")
		assert.Equal(t, target.Requests(), target.succeeded.Load())
		assert.Equal(t, target.Good(), target.succeeded.Load())
		assert.Equal(t, target.asked.Load(), target.succeeded.Load())
	}
	sum := &s.total
	t.Logf("%d runs, %d requests, %d of them failed, %d interrupted; the target that never failed has had %d",
		s.runs, sum.Requests, sum.FailedRequests, interrupted, s.targets[0].Requests())
	assert.Equal(t, asked, succeeded+failed+interrupted)
	assert.Equal(t, succeeded+failed, sum.Iterations, "statistics and tasks")
	assert.Equal(t, interrupted, sum.Interrupted)
	assert.Equal(t, failed, sum.FailedIterations)
	var classes, statuses uint64
	for _, e := range sum.Errors {
		classes += e.Count
	}
	assert.Equal(t, sum.FailedRequests, classes, "by class: %v", sum.Errors)
	assert.Equal(t, sum.FailedRequests, failed, "one failed request fails an iteration")
	for _, n := range sum.Status {
		statuses += n
	}
	assert.LessOrEqual(t, statuses, sum.Requests)
	assert.Equal(t, sum.Iterations, sum.Response.Count())
	assert.LessOrEqual(t, good, asked)
	assert.Positive(t, succeeded)
	assert.Positive(t, failed)
}
