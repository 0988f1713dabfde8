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
