package loadgen_test

import (
	"context"
	"net/http"
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

// getting is a scenario that gets one path.
func getting(path string) *loadgen.Scenario {
	return loadgen.NewScenario("getting").Task("get", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Get(ctx, path)
	})
}

// serving runs f in virtual time with a Manager whose network leads to handler.
func serving(t *testing.T, handler http.HandlerFunc, f func(t *testing.T, m *loadgen.Manager), opts ...loadgen.Option) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(handler)
		defer stop()
		m := loadgen.New(append(opts, loadgen.WithDialContext(dial))...)
		defer m.Close()
		f(t, m)
	})
}

func TestADayOverTheNetwork(t *testing.T) {
	var served atomic.Int64
	handler := func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = w.Write([]byte("hello"))
	}
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/"))
		cfg.Delay, cfg.Duration = time.Second, 24*time.Hour
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.EqualValues(t, 86_400, snap.Iterations)
		assert.EqualValues(t, 86_400, snap.Requests)
		assert.EqualValues(t, 86_400, served.Load())
		assert.Equal(t, map[int]uint64{200: 86_400}, snap.Status)
		assert.Zero(t, snap.FailedRequests)
		assert.Empty(t, snap.Errors)
	})
}

func TestStopWhileEveryRequestHangs(t *testing.T) {
	handler := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/"))
		cfg.Workers, cfg.Grace = 1000, 2*time.Second
		j := start(t, m, cfg)
		synctest.Wait()
		assert.Equal(t, 1000, j.Snapshot().Active)
		asked := time.Now()
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(asked))
		snap := j.Snapshot()
		assert.EqualValues(t, 1000, snap.Interrupted)
		assert.Zero(t, snap.Requests, "an interrupted request is not a measurement")
		assert.Zero(t, snap.FailedRequests)
		assert.Zero(t, snap.FailedIterations)
	})
}

func TestUpdateWorkersOverTheNetwork(t *testing.T) {
	var served, connections atomic.Int64
	var mu sync.Mutex
	peers := map[string]bool{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		mu.Lock()
		if !peers[r.RemoteAddr] {
			peers[r.RemoteAddr] = true
			connections.Add(1)
		}
		mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	}
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/"))
		cfg.Workers, cfg.Delay = 10, 90*time.Millisecond
		j := start(t, m, cfg)
		time.Sleep(10 * time.Second)
		set := func(n int) {
			asked := time.Now()
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = n }))
			for j.Snapshot().VUs != n {
				time.Sleep(time.Millisecond)
			}
			assert.Less(t, time.Since(asked), 200*time.Millisecond)
		}
		set(1000)
		time.Sleep(10 * time.Second)
		set(10)
		time.Sleep(10 * time.Second)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.InDelta(t, 10*100+1000*100+10*100, snap.Iterations, 2000)
		assert.EqualValues(t, served.Load(), snap.Requests, "no sample is lost")
		assert.EqualValues(t, snap.Requests, snap.Iterations)
		assert.Zero(t, snap.Interrupted+snap.FailedIterations+snap.FailedRequests)
		assert.EqualValues(t, 1000, connections.Load(), "no keep-alive connection was dropped")
	})
}

func TestUpdateTargetInPlace(t *testing.T) {
	hosts := map[string]int{}
	var mu sync.Mutex
	handler := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts[r.Host+r.URL.Path]++
		mu.Unlock()
	}
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/x"))
		cfg.Delay = time.Second
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.BaseURL = "http://other.test:81/base" }))
		time.Sleep(10 * time.Second)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, map[string]int{"target.test/x": 10, "other.test:81/base/x": 10}, hosts)
		assert.Zero(t, j.Snapshot().FailedRequests)
	})
}

func TestAFrozenTargetShowsInResponseTimeNotInServiceTime(t *testing.T) {
	for name, vus := range map[string]int{"few VUs": 4, "many VUs": 400} {
		t.Run(name, func(t *testing.T) {
			var began time.Time
			var once sync.Once
			handler := func(http.ResponseWriter, *http.Request) {
				once.Do(func() { began = time.Now() })
				if at := time.Since(began); at >= 4*time.Second && at < 6*time.Second {
					time.Sleep(6*time.Second - at)
				}
			}
			serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
				cfg := config(getting("/"))
				cfg.Rate, cfg.Duration, cfg.Workers, cfg.MaxWorkers = loadgen.PerSecond(100), 10*time.Second, 4, vus
				j := start(t, m, cfg)
				require.NoError(t, j.Wait(t.Context()))
				snap := j.Snapshot()
				assert.EqualValues(t, 1000, snap.Requests)
				assert.GreaterOrEqual(t, snap.Response.P99(), 1850*time.Millisecond)
				assert.LessOrEqual(t, snap.Response.P99(), 1920*time.Millisecond)
				slow := 0
				for b := range snap.Service.Buckets() {
					if b.From >= 5*time.Millisecond {
						slow += int(b.Count)
					}
				}
				assert.Equal(t, min(vus, 200), slow, "service time shows the requests that the server held")
			})
		})
	}
}

func TestObserversSeeEveryRequest(t *testing.T) {
	var mu sync.Mutex
	var seen []loadgen.Sample
	observer := loadgen.ObserverFunc(func(s loadgen.Sample) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, s)
	})
	handler := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusTeapot)
	}
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/a%20b?c=d"))
		cfg.Delay, cfg.Duration = time.Second, 10*time.Second
		began := time.Now()
		j := start(t, m, cfg)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		mu.Lock()
		require.Len(t, seen, 1, "within a tenth of a second")
		first := seen[0]
		mu.Unlock()
		assert.Equal(t, loadgen.Sample{
			Job: "job", Scenario: "getting", Task: "get", Method: "GET", Status: 418, Class: loadgen.ClassCheck,
			URL:   loadgen.SampleURL{Scheme: "http", Host: "target.test", Path: "/a%20b", Query: "c=d"},
			Start: began, Service: 20 * time.Millisecond, Header: 20 * time.Millisecond,
			Sent: first.Sent, Received: first.Received,
		}, first)
		assert.Equal(t, "http://target.test/a%20b?c=d", first.URL.String())
		assert.Positive(t, first.Sent)
		assert.Positive(t, first.Received)
		require.NoError(t, j.Wait(t.Context()))
		m.Close()
		assert.Len(t, seen, 10)
		assert.Zero(t, m.DroppedSamples())
	}, loadgen.WithObserver(observer))
}

func TestASlowOrPanickingObserverSlowsNothing(t *testing.T) {
	var got atomic.Int64
	slow := loadgen.ObserverFunc(func(loadgen.Sample) { time.Sleep(time.Minute) })
	panicking := loadgen.ObserverFunc(func(loadgen.Sample) { panic("observer") })
	good := loadgen.ObserverFunc(func(loadgen.Sample) { got.Add(1) })
	handler := func(http.ResponseWriter, *http.Request) {}
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(getting("/"))
		cfg.Workers, cfg.Delay, cfg.Duration = 10, 10*time.Millisecond, time.Minute
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.EqualValues(t, 60_000, snap.Requests)
		assert.Zero(t, snap.Response.Max())
		synctest.Wait()
		assert.EqualValues(t, 60_000, got.Load())
		assert.Positive(t, m.DroppedSamples(), "what the slow one has missed is known")
		assert.Less(t, m.DroppedSamples(), uint64(60_000))
		closed := time.Now()
		m.Close()
		assert.LessOrEqual(t, time.Since(closed), time.Minute+time.Second, "nor does it hold up the end by more than its one call")
	}, loadgen.WithObserver(slow), loadgen.WithObserver(panicking), loadgen.WithObserver(good))
}

// A check that fails marks the request whose response it looked at.
func TestAFailedCheckMarksItsRequest(t *testing.T) {
	var mu sync.Mutex
	var classes []loadgen.ErrorClass
	observer := loadgen.ObserverFunc(func(s loadgen.Sample) {
		mu.Lock()
		defer mu.Unlock()
		classes = append(classes, s.Class)
	})
	handler := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"stock": -1}`)) }
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		s, err := loadgen.ParseScenario("s", []byte(`
tasks:
  - name: product
    steps:
      - request: GET /
        check: [status == 200, duration < 1s]
      - request: GET /
        check: json("$.stock") >= 0
`))
		require.NoError(t, err)
		cfg := config(s)
		cfg.MaxIterations = 5
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		m.Close()
		snap := j.Snapshot()
		assert.EqualValues(t, 10, snap.Requests)
		assert.EqualValues(t, 5, snap.FailedRequests)
		assert.EqualValues(t, 5, snap.FailedIterations)
		assert.EqualValues(t, 5, snap.Errors[loadgen.ClassCheck].Count)
		assert.Equal(t, []loadgen.ErrorClass{"", loadgen.ClassCheck}, classes[:2])
	}, loadgen.WithObserver(observer))
}

func TestSnapshotByMethod(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	both := loadgen.NewScenario("both").Task("order", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if err := vu.Get(ctx, "/"); err != nil {
			return err
		}
		_, err := vu.Do(ctx, &loadgen.Request{Method: http.MethodPost, URL: "/", Expect: loadgen.ExpectSuccess})
		return err
	})
	serving(t, handler, func(t *testing.T, m *loadgen.Manager) {
		cfg := config(both)
		cfg.MaxIterations = 3
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		whole, split := j.Snapshot(), j.SnapshotByMethod()
		require.Len(t, whole.Tasks, 1)
		require.Len(t, split.Tasks, 3)
		rest, get, post := split.Tasks[0], split.Tasks[1], split.Tasks[2]
		assert.Equal(t, []string{"", "GET", "POST"}, []string{rest.Method, get.Method, post.Method})
		assert.EqualValues(t, 3, rest.Iterations)
		assert.Zero(t, rest.Requests)
		assert.EqualValues(t, 3, get.Requests)
		assert.Zero(t, get.FailedRequests)
		assert.EqualValues(t, 3, post.FailedRequests)
		assert.Equal(t, time.Second, post.Service.Min())
		assert.Equal(t, whole.Tasks[0].Errors, post.Errors, "with their sample")
		assert.Contains(t, post.Errors[loadgen.ClassCheck].Sample, "500")

		sum := loadgen.Totals{}
		for i := range split.Tasks {
			assert.Equal(t, "order", split.Tasks[i].Task)
			sum.Merge(&split.Tasks[i].Totals)
		}
		assert.Equal(t, split.Requests, sum.Requests)
		assert.Equal(t, whole.Tasks[0].Received, sum.Received)
		assert.Equal(t, whole.Tasks[0].Status, sum.Status)
		assert.Equal(t, whole.Service.Quantile(0.5), sum.Service.Quantile(0.5))
		assert.Len(t, split.Since(split).Tasks, 3)
		assert.EqualValues(t, 3, split.Since(&loadgen.Snapshot{Started: split.Started, Tasks: split.Tasks[:2]}).Tasks[2].Requests)
	})
}
