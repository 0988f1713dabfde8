//go:build !race

// The figures of these tests hold without the race detector alone, which takes
// several times the memory and the time.

package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// until waits until ok, which is asked often, or fails the test.
func until(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "too slow", "not within %v: %s", within, what)
		}
	}
}

// bestOf measures until what is measured was below most, for up to a minute and three
// times at least. A busy machine makes things slower than they are, but nothing makes
// them faster.
func bestOf(t *testing.T, most time.Duration, measure func() time.Duration) {
	t.Helper()
	best := time.Duration(math.MaxInt64)
	began, rounds := time.Now(), 0
	for ; best >= most && (rounds < 3 || time.Since(began) < time.Minute); rounds++ {
		best = min(best, measure())
	}
	assert.Less(t, best, most, "the best of %d rounds", rounds)
}

// stopwatch returns a function that tells how long ago that was, without the share that
// other programs have had of the processors since.
func stopwatch() func() time.Duration {
	began, others := time.Now(), othersTime()
	return func() time.Duration { return time.Since(began) - (othersTime() - others) }
}

// heap is what is reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the first one only empties pools halfway
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.HeapAlloc
}

// misbehave answers a request in the way that its query asks for.
func misbehave(w http.ResponseWriter, r *http.Request) {
	switch how := r.URL.Query().Get("how"); how {
	case "reset":
		panic(http.ErrAbortHandler)
	case "hang":
		<-r.Context().Done()
	case "nonsense":
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, "nonsense\r\n\r\n")
			_ = c.Close()
		}
	default:
		status, err := strconv.Atoi(how)
		if err != nil {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
	}
}

// TestSizeOfAYear has everything that could pile up: each status code, each
// class of error with texts that differ, and URLs without end.
func TestSizeOfAYear(t *testing.T) {
	const (
		year  = 365 * 24 * time.Hour
		every = 4 * time.Minute // 131,400 iterations, most with a URL of their own
		most  = 256 << 10       // bytes of growth; a hundredth of what URLs alone would take
	)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		stop, err := n.Serve("target.test:80", http.HandlerFunc(misbehave))
		require.NoError(t, err)
		defer stop()
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			return n.DialContext(ctx, network, addr)
		}
		seen, urls := 0, 0
		scenario := loadgen.NewScenario("year").Task("task", 1, func(ctx context.Context, vu *loadgen.VU) error {
			seen++
			url := fmt.Sprintf("/%d?how=", seen)
			urls++
			switch seen % 12 {
			case 0:
				url += "reset"
			case 1:
				url += "hang"
			case 2:
				url += "nonsense"
			case 3:
				url = fmt.Sprintf("http://nobody-%d.test/", seen) // cannot be dialed
			case 4:
				url = fmt.Sprintf("https://target.test:80/%d", seen) // no TLS there
			case 5:
				urls--
				return fmt.Errorf("iteration %d had an error of its own", seen)
			case 6:
				urls--
				panic(fmt.Sprintf("panic number %d", seen))
			default:
				return vu.Get(ctx, url+strconv.Itoa(200+seen/12%400))
			}
			return vu.Get(ctx, url)
		})
		m := loadgen.New(loadgen.WithDialContext(dial))
		defer m.Close()
		cfg := config(scenario)
		cfg.Rate, cfg.Duration = loadgen.Rate{Count: 1, Per: every}, year
		cfg.Client.Timeout = time.Minute
		cfg.MaxWorkers = 2
		job := start(t, m, cfg)

		time.Sleep(year / 4)
		synctest.Wait()
		warm := heap()
		time.Sleep(year/2 + year/4 - time.Hour)
		synctest.Wait()
		end := heap()
		snap := job.Snapshot()
		t.Logf("%d bytes reachable after a quarter, %d at the end", warm, end)

		assert.EqualValues(t, (year-time.Hour)/every+1, snap.Iterations)
		assert.Greater(t, urls, 100_000, "distinct URLs")
		for status := 200; status < 600; status++ {
			assert.NotZero(t, snap.Status[status], "responses with status %d", status)
		}
		for _, class := range []loadgen.ErrorClass{
			loadgen.ClassDial, loadgen.ClassTLS, loadgen.ClassTimeout, loadgen.ClassReset,
			loadgen.ClassProtocol, loadgen.ClassCheck, loadgen.ClassTask, loadgen.ClassPanic,
		} {
			assert.NotZero(t, snap.Errors[class].Count, "errors of class %s", class)
		}
		assert.Less(t, int64(end)-int64(warm), int64(most), "bytes that three quarters of a year added to %d", warm)
		job.Stop()
		require.NoError(t, job.Wait(t.Context()))
	})
}

// TestSizeSnapshotIsFast takes snapshots while 10,000 VUs run 20 tasks.
func TestSizeSnapshotIsFast(t *testing.T) {
	const (
		vus   = 10_000
		tasks = 20
		most  = 5 * time.Millisecond
	)
	scenario := loadgen.NewScenario("many")
	for i := range tasks {
		scenario.Task(fmt.Sprint("task", i), 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Sleep(ctx, time.Duration(vu.Rand().IntN(int(time.Second))))
		})
	}
	m := loadgen.New()
	defer m.Close()
	cfg := config(scenario)
	cfg.Workers = vus
	job := start(t, m, cfg)
	until(t, time.Minute, "iterations of all tasks", func() bool { return job.Snapshot().Iterations > 2*vus })

	var before uint64
	bestOf(t, most, func() time.Duration {
		var took []time.Duration
		for range 21 {
			began := time.Now()
			snap := job.Snapshot()
			took = append(took, time.Since(began))
			require.Len(t, snap.Tasks, tasks)
			require.Equal(t, vus, snap.VUs)
			// It stops nobody: work goes on between two of them.
			until(t, time.Minute, "more iterations", func() bool { return job.Snapshot().Iterations > before })
			before = snap.Iterations
		}
		slices.Sort(took)
		t.Logf("a snapshot takes %v, %v at most", took[len(took)/2], took[len(took)-1])
		return took[len(took)/2]
	})
}

// TestSizeUpdateTakesEffectSoon goes from 10 workers to 10,000 and back.
func TestSizeUpdateTakesEffectSoon(t *testing.T) {
	const most = 200 * time.Millisecond
	var served atomic.Uint64
	dial, stop := memnet.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer stop()
	m := loadgen.New(loadgen.WithDialContext(dial))
	defer m.Close()
	var in sync.Map // VUs that have been in an iteration
	var count atomic.Int64
	cfg := config(loadgen.NewScenario("pages").Task("page", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if _, was := in.LoadOrStore(vu.ID(), true); !was {
			count.Add(1)
		}
		return vu.Get(ctx, "/")
	}))
	cfg.Workers, cfg.Delay = 10, 600*time.Millisecond
	job := start(t, m, cfg)
	until(t, time.Minute, "10 VUs", func() bool { return count.Load() == 10 })

	workers := func(n int) time.Duration {
		took := stopwatch()
		require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Workers = n }))
		until(t, time.Minute, fmt.Sprint(n, " VUs"), func() bool { return job.Snapshot().VUs == n })
		return took()
	}
	bestOf(t, most, func() time.Duration {
		up := workers(10_000)
		until(t, time.Minute, "an iteration of each VU", func() bool { return count.Load() == 10_000 })
		down := workers(10)
		t.Logf("10 to 10,000 in %v, back in %v", up, down)
		return max(up, down)
	})

	job.Stop()
	require.NoError(t, job.Wait(t.Context()))
	snap := job.Snapshot()
	assert.Equal(t, served.Load(), snap.Requests, "requests, as the target has counted them")
	assert.Equal(t, served.Load(), snap.Iterations, "iterations of one request each")
	assert.Equal(t, snap.Iterations, snap.Response.Count())
	assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
}

// TestSizeStopWithHangingRequests has a target that never answers, on real sockets.
func TestSizeStopWithHangingRequests(t *testing.T) {
	const most = 100 * time.Millisecond // beyond the grace time
	bestOf(t, most, func() time.Duration { return stopHanging(t) })
}

// stopHanging stops a job of 1,000 requests that hang, and returns how long after its
// grace time the last of them was back.
func stopHanging(t *testing.T) time.Duration {
	t.Helper()
	const (
		hanging = 1000
		grace   = 300 * time.Millisecond
	)
	var waiting atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		<-r.Context().Done()
	}))
	defer srv.Close()
	m := loadgen.New()
	defer m.Close()
	cfg := loadgen.JobConfig{
		Name: "hanging", BaseURL: srv.URL, Workers: hanging, Grace: grace,
		Scenario: loadgen.NewScenario("hanging").Task("hang", 1, func(ctx context.Context, vu *loadgen.VU) error {
			err := vu.Get(ctx, "/")
			if !errors.Is(err, loadgen.ErrInterrupted) {
				return fmt.Errorf("not interrupted: %w", err)
			}
			return err
		}),
	}
	job := start(t, m, cfg)
	until(t, time.Minute, "all requests at the target", func() bool { return waiting.Load() == hanging })

	began := time.Now()
	job.Stop()
	require.NoError(t, job.Wait(t.Context()))
	took := time.Since(began)
	snap := job.Snapshot()
	t.Logf("%v over the grace time", took-grace)
	assert.GreaterOrEqual(t, took, grace)
	assert.EqualValues(t, hanging, snap.Interrupted)
	assert.Zero(t, snap.Iterations)
	assert.Zero(t, snap.FailedRequests, "%v", snap.Errors)
	assert.Zero(t, snap.Service.Count(), "latencies of requests that were interrupted")
	assert.Zero(t, snap.VUs)
	return took - grace
}
