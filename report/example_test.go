package report_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

func Example() {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	ctx := context.Background()

	m := loadgen.New()
	defer m.Close()
	job, err := m.Start(ctx, loadgen.JobConfig{
		Name: "home", BaseURL: target.URL, Workers: 2, MaxIterations: 100,
		Thresholds: loadgen.MustThresholds("error_rate <= 0%", "requests == 100"),
		Scenario: loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Get(ctx, "/")
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	rec := report.NewRecorder(job, time.Second)
	rec.Record(ctx)
	r := rec.Report()

	dir, err := os.MkdirTemp("", "reports")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range []string{"run.html", "run.json", "junit.xml"} {
		if err := r.WriteFile(filepath.Join(dir, name)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(r.Snapshot.Requests, "requests,", len(r.Snapshot.FailedVerdicts()), "thresholds not held")
	// Output: 100 requests, 0 thresholds not held
}

func ExampleReadJSON() {
	f, err := os.Open("run.json") // of WriteFile, or of loadgen run -out run.json
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = f.Close() }()
	r, err := report.ReadJSON(f)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(r.Snapshot.Response.P99())
}

// The reports of two segments, which run side by side as two processes would, become one.
func ExampleMerge() {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	begin := time.Now().Add(time.Second) // the same for all, whatever machine they are on
	var recorders []*report.Recorder
	for i := range 2 {
		m := loadgen.New()
		defer m.Close()
		job, err := m.Start(context.Background(), loadgen.JobConfig{
			Name: "home", BaseURL: target.URL, Workers: 4, MaxIterations: 100, Duration: time.Hour,
			StartAt: begin,
			Segment: loadgen.Segment{Index: i + 1, Count: 2},
			Scenario: loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error {
				return vu.Get(ctx, "/")
			}),
		})
		if err != nil {
			log.Fatal(err)
		}
		recorders = append(recorders, report.NewRecorder(job, time.Second))
	}
	var parts []*report.Report
	for _, rec := range recorders {
		rec.Record(context.Background()) // until its job has ended
		parts = append(parts, rec.Report())
	}
	merged, err := report.Merge(parts, report.MergeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(merged.Snapshot.Iterations, merged.Snapshot.Reason)
	// Output: 100 all 2 segments are done
}

// Two runs are compared: what has changed, by how much, and whether that may be chance.
func ExampleCompare() {
	run := func(status int) *report.Report {
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer target.Close()
		cfg := loadgen.JobConfig{
			BaseURL: target.URL, MaxIterations: 200,
			Scenario: loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }),
		}
		snap, err := loadgen.Run(context.Background(), cfg)
		if err != nil {
			log.Fatal(err)
		}
		return report.New(cfg, snap)
	}
	c, err := report.Compare(run(http.StatusOK), run(http.StatusInternalServerError), report.CompareOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range c.Metrics {
		if d.Metric == "error rate" {
			fmt.Println(d.Metric, d.Before, d.After, d.Outcome)
		}
	}
	// Output: error rate 0 100 worse
}
