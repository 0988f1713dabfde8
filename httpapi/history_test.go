package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/internal/memnet"
)

// recording runs f in virtual time with an API that records.
func recording(t *testing.T, f func(t *testing.T, m *loadgen.Manager, api *httpapi.API)) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/broken" {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		defer stop()
		m := loadgen.New(loadgen.WithDialContext(dial))
		defer m.Close()
		api := httpapi.New(m)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { api.Record(ctx) })
		defer wg.Wait()
		defer cancel()
		synctest.Wait() // it has subscribed
		f(t, m, api)
	})
}

func getting(path string) *loadgen.Scenario {
	return loadgen.NewScenario("getting").Variable("ERROR_WEIGHT", 0.0).
		Task("get", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, path) })
}

func history(t *testing.T, api *httpapi.API, job string) httpapi.History {
	t.Helper()
	h, err := api.History(job, httpapi.HistoryLen)
	require.NoError(t, err)
	return h
}

func TestHistoryAddsUpToTheTotals(t *testing.T) {
	recording(t, func(t *testing.T, m *loadgen.Manager, api *httpapi.API) {
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "shop", BaseURL: "http://shop.test", Scenario: getting("/broken"),
			Rate: loadgen.PerSecond(10), Duration: 30500 * time.Millisecond,
		})
		require.NoError(t, err)
		assert.Empty(t, history(t, api, "shop").Intervals, "nothing yet, and no error")
		require.NoError(t, j.Wait(t.Context()))
		synctest.Wait()
		h := history(t, api, "shop")
		assert.Len(t, h.Intervals, 31, "one a second, and the rest")
		var requests, failed, broken uint64
		var seconds float64
		for _, i := range h.Intervals {
			requests, failed, broken, seconds = requests+i.Requests, failed+i.FailedRequests, broken+i.Status["5xx"], seconds+i.Seconds
			require.NotNil(t, i.Response.P99)
		}
		snap := j.Snapshot()
		assert.Equal(t, snap.Requests, requests)
		assert.Equal(t, snap.FailedRequests, failed)
		assert.Equal(t, snap.Requests, broken)
		assert.InDelta(t, snap.Elapsed.Seconds(), seconds, 1e-6)
		assert.True(t, h.Started.Equal(snap.Started))

		time.Sleep(time.Minute)
		assert.Len(t, history(t, api, "shop").Intervals, 31, "nothing happens after the end")
		require.NoError(t, m.Remove("shop"))
		_, err = api.History("shop", 1)
		assert.Error(t, err)
	})
}

func TestHistoryIsBounded(t *testing.T) {
	recording(t, func(t *testing.T, m *loadgen.Manager, api *httpapi.API) {
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "shop", BaseURL: "http://shop.test", Scenario: getting("/"), Delay: time.Second,
		})
		require.NoError(t, err)
		for i := range 300 {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = i%2 + 1 }))
			synctest.Wait()
		}
		time.Sleep(2 * time.Hour)
		h := history(t, api, "shop")
		assert.Len(t, h.Intervals, 600)
		assert.Len(t, h.Revisions, 200)
		assert.EqualValues(t, 301, h.Revisions[199].Revision)
		last := h.Intervals[599]
		assert.WithinDuration(t, time.Now(), last.Time, 1100*time.Millisecond)
		assert.EqualValues(t, 301, last.Revision)
	})
}

func TestHistoryTellsWhatWasChanged(t *testing.T) {
	recording(t, func(t *testing.T, m *loadgen.Manager, api *httpapi.API) {
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "shop", BaseURL: "http://shop.test", Scenario: getting("/"), Delay: time.Second,
			Variables: map[string]string{"ERROR_WEIGHT": "1"},
		})
		require.NoError(t, err)
		time.Sleep(1500 * time.Millisecond)
		at := time.Now()
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) {
			c.Workers, c.Delay = 7, 250*time.Millisecond
			c.Variables["ERROR_WEIGHT"] = "2"
			c.Weights = map[string]float64{"get": 4}
		}))
		time.Sleep(time.Second)
		h := history(t, api, "shop")
		require.Len(t, h.Revisions, 1)
		assert.WithinDuration(t, at, h.Revisions[0].Time, 0)
		text, err := json.Marshal(h.Revisions[0].Changes)
		require.NoError(t, err)
		assert.JSONEq(t, `[{"field":"delay","from":1,"to":0.25},{"field":"variables.ERROR_WEIGHT","from":"1","to":"2"},
			{"field":"weights.get","from":null,"to":4},{"field":"workers","from":1,"to":7}]`, string(text))

		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		_, err = m.Start(t.Context(), loadgen.JobConfig{Name: "shop", BaseURL: "http://shop.test", Scenario: getting("/"), Delay: time.Second})
		require.NoError(t, err)
		time.Sleep(time.Second)
		h = history(t, api, "shop")
		assert.Empty(t, h.Revisions, "another run")
		assert.Len(t, h.Intervals, 1)
	})
}

func TestHistoryWithoutRecordIsEmpty(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000}`))
	assert.JSONEq(t, `{"job":"python","intervals":[],"revisions":[]}`, s.get("/api/jobs/python/history").body)
}

func TestHistoryOverHTTP(t *testing.T) {
	s := serve(t)
	go s.api.Record(t.Context())
	s.ok(s.start(`{"job":"python","port":8000,"delay":0,"error_weight":1,"max_iterations":20000}`))
	require.NoError(t, s.job("python").Wait(t.Context()))
	require.Eventually(t, func() bool {
		s.ok(s.updateJob(`{"job":"other"}`))
		h, err := s.api.History("python", 1)
		return err == nil && len(h.Intervals) > 0
	}, 10*time.Second, 10*time.Millisecond)
	assert.Contains(t, s.get("/api/jobs/python/history?last=5").body, `"p99_ms"`) // and fits the description
	assert.Contains(t, s.get("/api/jobs/python/history?last=0").body, `"intervals":[]`)
	for _, last := range []string{"x", "601", "-1"} {
		assert.Equal(t, "last", refusal(t, s.get("/api/jobs/python/history?last="+last)).Field, last)
	}
}

// TestHistoryIsSmall measures what a full history holds, so that a thousand jobs are
// no burden.
func TestHistoryIsSmall(t *testing.T) {
	recording(t, func(t *testing.T, m *loadgen.Manager, api *httpapi.API) {
		const jobs = 20
		heap := func() int64 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc)
		}
		for i := range jobs {
			_, err := m.Start(t.Context(), loadgen.JobConfig{
				Name: fmt.Sprint("job", i), BaseURL: "http://shop.test", Scenario: getting("/"), Delay: 5 * time.Second,
			})
			require.NoError(t, err)
		}
		time.Sleep(10 * time.Second)
		before := heap()
		time.Sleep(11 * time.Minute)
		each := (heap() - before) / jobs
		t.Logf("a full history holds %d bytes", each)
		assert.Less(t, each, int64(120_000))
	})
}
