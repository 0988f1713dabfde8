package loadtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/loadtest"
)

// home is the scenario of the examples: people who look at the first page.
func home() *loadgen.Scenario {
	return loadgen.NewScenario("home").
		Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
}

// shopHandler is the service of the examples.
func shopHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("welcome")) })
}

// Against a server of net/http/httptest, over sockets.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestHome
		server := httptest.NewServer(shopHandler())
		defer server.Close()

		loadtest.Run(t, loadgen.JobConfig{Scenario: home(), BaseURL: server.URL, Workers: 10, Duration: 2 * time.Second},
			loadtest.P99Below(200*time.Millisecond),
			loadtest.ErrorRateBelow(0.01),
			loadtest.Threshold("requests{status=5xx} == 0"))
	}
}

// Against a handler, over connections in memory.
func ExampleHandler() {
	_ = func(t *testing.T) { // func TestHome
		snap := loadtest.Run(t, loadgen.JobConfig{Scenario: home(), Workers: 10, MaxIterations: 1000},
			loadtest.Handler(shopHandler()))
		t.Log(snap.Status[http.StatusOK], "pages in", snap.Elapsed)
	}
}

// In virtual time: a day of load, with latencies that are exactly what the handler
// sleeps.
func ExampleRun_virtualTime() {
	_ = func(t *testing.T) { // func TestADay
		synctest.Test(t, func(t *testing.T) {
			slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(30 * time.Millisecond) })
			loadtest.Run(t, loadgen.JobConfig{Scenario: home(), Rate: loadgen.PerMinute(10), Duration: 24 * time.Hour},
				loadtest.Handler(slow), loadtest.MaxBelow(31*time.Millisecond), loadtest.NoFailures())
		})
	}
}

// Steps of a task that is more than one GET: what they send, and what must come back.
func ExampleRun_flow() {
	_ = func(t *testing.T) { // func TestOrder
		order := loadgen.NewScenario("order").Task("order", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if err := vu.Get(ctx, "/api/products"); err != nil {
				return err
			}
			req := &loadgen.Request{Method: http.MethodPost, URL: "/api/orders", Expect: loadgen.ExpectSuccess}
			if err := req.SetJSON(map[string]int{"id": 1 + vu.Rand().IntN(6)}); err != nil {
				return err
			}
			_, err := vu.Do(ctx, req)
			return err
		})
		loadtest.Run(t, loadgen.JobConfig{Scenario: order, Rate: loadgen.PerSecond(100), Duration: time.Second},
			loadtest.Handler(shopHandler()), loadtest.NoFailures())
	}
}

// A benchmark whose operations are iterations; with a Duration, Stages or MaxIterations
// they would be whole jobs.
func ExampleBench() {
	_ = func(b *testing.B) { // func BenchmarkHome
		loadtest.Bench(b, loadgen.JobConfig{Scenario: home(), Workers: 8},
			loadtest.Handler(shopHandler()))
	}
}

// What a benchmark of the package itself looks like: what an iteration costs when the
// target does nothing.
func BenchmarkHandler(b *testing.B) {
	loadtest.Bench(b, loadgen.JobConfig{Scenario: home(), Workers: 4},
		loadtest.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}
