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

// Against a server of net/http/httptest, over sockets.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestHome
		server := httptest.NewServer(http.NotFoundHandler())
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
			loadtest.Handler(http.NotFoundHandler()))
		t.Log(snap.Status[http.StatusNotFound])
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

// A benchmark whose operations are iterations; with a Duration, Stages or MaxIterations
// they would be whole jobs.
func ExampleBench() {
	_ = func(b *testing.B) { // func BenchmarkHome
		loadtest.Bench(b, loadgen.JobConfig{Scenario: home(), Workers: 8},
			loadtest.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	}
}

// What a benchmark of the package itself looks like: what an iteration costs when the
// target does nothing.
func BenchmarkHandler(b *testing.B) {
	loadtest.Bench(b, loadgen.JobConfig{Scenario: home(), Workers: 4},
		loadtest.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}
