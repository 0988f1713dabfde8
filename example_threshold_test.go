package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opbeans/loadgen"
)

func ExampleParseThreshold() {
	t, err := loadgen.ParseThreshold("p99{task=checkout} < 200ms abort after 30s")
	fmt.Println(t.Metric, t.Task, t.Compare, t.Bound, t.AbortAfter, err)
	_, err = loadgen.ParseThreshold("p99 < 200")
	fmt.Println(err)
	// Output:
	// p99 checkout < 0.2 30s <nil>
	// threshold "p99 < 200": the bound of p99 must be a duration such as 200ms or 1.5s, not "200"
}

func ExampleThreshold_Evaluate() {
	var s loadgen.Snapshot
	s.Response.Record(250 * time.Millisecond)
	v := loadgen.MustThresholds("max < 200ms")[0].Evaluate(&s)
	fmt.Println(v.Outcome, "-", v.Message)
	// Output:
	// fail - max was 250ms, 50ms (25 %) above 200ms
}

// A job with thresholds ends as failed when one that aborts cannot hold any more; the
// snapshot says what became of each.
func ExampleSnapshot_FailedVerdicts() {
	target := httptest.NewServer(http.NotFoundHandler())
	defer target.Close()
	home := loadgen.NewScenario("home").
		Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }).
		Threshold("error_rate < 1%")
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario: home, BaseURL: target.URL, MaxIterations: 10,
		Thresholds: loadgen.MustThresholds("iterations == 10"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range snap.FailedVerdicts() {
		fmt.Println(v.Message)
	}
	// Output:
	// error_rate was 100%, 99 points above 1%
}

// The slowest requests of a job, each with a line that sends it again.
func ExampleWithExemplars() {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	m := loadgen.New(loadgen.WithExemplars(5))
	defer m.Close()
	home := loadgen.NewScenario("home").
		Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
	job, err := m.Start(context.Background(), loadgen.JobConfig{Name: "x", Scenario: home, BaseURL: target.URL, MaxIterations: 100})
	if err == nil {
		err = job.Wait(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range job.Exemplars().Slowest {
		_ = e.Curl() // curl -sS 'http://127.0.0.1:34567/' -H 'Accept: */*' --compressed
	}
	fmt.Println(len(job.Exemplars().Slowest), "kept")
	// Output: 5 kept
}
