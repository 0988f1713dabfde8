package loadgen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen"
)

// newTarget is the service that the examples drive. It answers everything.
func newTarget() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"path":"`+r.URL.Path+`"}`)
	}))
}

// home is the simplest of scenarios.
func home() *loadgen.Scenario {
	return loadgen.NewScenario("shop").
		Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
}

// Run is for tests and small programs: one job, from start to end.
func ExampleRun() {
	target := newTarget()
	defer target.Close()

	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario:      home(),
		BaseURL:       target.URL,
		Workers:       4,
		MaxIterations: 100,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.State, snap.Requests, "requests,", snap.FailedRequests, "failed")
	fmt.Println("fast enough:", snap.Response.P99() < 10*time.Second)
	// Output:
	// finished 100 requests, 0 failed
	// fast enough: true
}

// With a rate, iterations come due whatever the target does (open model).
func ExampleRun_rate() {
	target := newTarget()
	defer target.Close()

	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario: home(),
		BaseURL:  target.URL,
		Rate:     loadgen.PerSecond(100),
		Duration: 200 * time.Millisecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.Iterations)
	// Output: 20
}

// What is not data is an option: here a logger, and the environment that variables
// of scenarios may come from.
func ExampleNew() {
	m := loadgen.New(
		loadgen.WithScenarios(os.DirFS("my-scenarios")),
		loadgen.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
		loadgen.WithEnv(os.LookupEnv),
	)
	defer m.Close()
	fmt.Println(len(m.List()), "jobs")
	// Output: 0 jobs
}

func ExampleManager_Start() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	defer m.Close()

	ctx := context.Background()
	job, err := m.Start(ctx, loadgen.JobConfig{
		Name:          "shop",
		Scenario:      home(),
		BaseURL:       target.URL,
		Workers:       2,
		MaxIterations: 10,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status().State, job.Snapshot().Iterations)
	// Output: finished 10
}

// All faults are reported at once.
func ExampleManager_Start_invalid() {
	m := loadgen.New()
	defer m.Close()
	_, err := m.Start(context.Background(), loadgen.JobConfig{Scenario: home(), BaseURL: "localhost:8000", Workers: -1})
	var invalid *loadgen.ValidationError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			fmt.Println(f.Field)
		}
	}
	// Output:
	// job
	// url
	// workers
}

// An update takes effect in the running job: no restart, nothing lost.
func ExampleJob_Update() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	defer m.Close()

	ctx := context.Background()
	cfg := loadgen.JobConfig{Name: "shop", Scenario: home(), BaseURL: target.URL, Delay: 10 * time.Millisecond}
	job, err := m.Start(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := job.Update(func(cfg *loadgen.JobConfig) { cfg.Workers = 5 }); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Config().Workers, "workers, revision", job.Status().Revision)

	job.Stop()
	if err := m.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.State())
	// Output:
	// 5 workers, revision 2
	// stopped
}

// A job can be set up now, completed step by step, and started later.
func ExampleManager_Prepare() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	defer m.Close()

	job, err := m.Prepare(loadgen.JobConfig{Name: "shop", Workers: 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.State())

	cfg := job.Config()
	cfg.Scenario, cfg.BaseURL, cfg.MaxIterations = home(), target.URL, 3
	if job, err = m.Start(context.Background(), cfg); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Config().Workers, "workers")
	// Output:
	// pending
	// 3 workers
}

func ExampleManager_Subscribe() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	defer m.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := m.Subscribe(ctx)
	cfg := loadgen.JobConfig{Name: "shop", Scenario: home(), BaseURL: target.URL, MaxIterations: 1}
	if _, err := m.Start(ctx, cfg); err != nil {
		log.Fatal(err)
	}
	for ev := range events {
		fmt.Println(ev.Seq, ev.Kind, ev.Job, ev.Status.State)
		if ev.Kind == loadgen.EventEnded {
			break
		}
	}
	// Output:
	// 1 started shop running
	// 2 stopping shop stopping
	// 3 ended shop finished
}

// Shutdown ends a program softly: what runs may end, for a while.
func ExampleManager_Shutdown() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	ctx := context.Background()
	job, err := m.Start(ctx, loadgen.JobConfig{Name: "shop", Scenario: home(), BaseURL: target.URL, Delay: time.Second})
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fmt.Println(m.Shutdown(ctx), job.State())
	_, err = m.Start(ctx, loadgen.JobConfig{Name: "late", Scenario: home(), BaseURL: target.URL})
	fmt.Println(errors.Is(err, loadgen.ErrClosed))
	// Output:
	// <nil> stopped
	// true
}

func ExampleManager_Remove() {
	m := loadgen.New()
	defer m.Close()
	if _, err := m.Prepare(loadgen.JobConfig{Name: "shop"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Remove("shop"))
	_, err := m.Get("shop")
	fmt.Println(errors.Is(err, loadgen.ErrJobNotFound))
	// Output:
	// <nil>
	// true
}

// An observer sees every measured request; here it counts them by status.
func ExampleWithObserver() {
	target := newTarget()
	defer target.Close()

	var ok atomic.Int64
	count := loadgen.ObserverFunc(func(s loadgen.Sample) {
		if s.Status == http.StatusOK {
			ok.Add(1)
		}
	})
	cfg := loadgen.JobConfig{Scenario: home(), BaseURL: target.URL, MaxIterations: 7}
	if _, err := loadgen.Run(context.Background(), cfg, loadgen.WithObserver(count)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ok.Load())
	// Output: 7
}

// The dialer is the network: here every name leads to the test's own server.
func ExampleWithDialContext() {
	target := newTarget()
	defer target.Close()

	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, target.Listener.Addr().String())
	}
	cfg := loadgen.JobConfig{Scenario: home(), BaseURL: "http://shop.example", MaxIterations: 3}
	snap, err := loadgen.Run(context.Background(), cfg, loadgen.WithDialContext(dial))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.Status)
	// Output: map[200:3]
}

// Certificates are verified; a test's own certificate has to be made known.
func ExampleWithTLSConfig() {
	target := httptest.NewTLSServer(http.NotFoundHandler())
	defer target.Close()

	roots := x509.NewCertPool()
	roots.AddCert(target.Certificate())
	cfg := loadgen.JobConfig{Scenario: home(), BaseURL: target.URL, MaxIterations: 1}
	snap, err := loadgen.Run(context.Background(), cfg, loadgen.WithTLSConfig(&tls.Config{RootCAs: roots}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.Status)
	// Output: map[404:1]
}

// Two snapshots give what happened between them.
func ExampleSnapshot_Since() {
	target := newTarget()
	defer target.Close()
	m := loadgen.New()
	defer m.Close()

	ctx := context.Background()
	half, rest := make(chan struct{}), make(chan struct{})
	steps := loadgen.NewScenario("steps").Task("step", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if vu.Iteration() == 4 {
			close(half)
			<-rest
		}
		return vu.Get(ctx, "/")
	})
	job, err := m.Start(ctx, loadgen.JobConfig{Name: "steps", Scenario: steps, BaseURL: target.URL, MaxIterations: 10})
	if err != nil {
		log.Fatal(err)
	}
	<-half
	before := job.Snapshot()
	close(rest)
	if err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	after := job.Snapshot()
	between := after.Since(before)
	fmt.Println(before.Requests, "+", between.Requests, "=", after.Requests)
	// Output: 4 + 6 = 10
}

// A histogram knows percentiles within a known error, in memory of fixed size.
func ExampleHistogram() {
	var h loadgen.Histogram
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	fmt.Println(h.Count(), h.Min(), h.Max(), h.Mean())
	fmt.Println(h.P99() >= 990*time.Millisecond, h.P99() < 998*time.Millisecond)
	// Output:
	// 1000 1ms 1s 500.5ms
	// true true
}

func ExampleParseRate() {
	for _, s := range []string{"50", "100/m", "0.5/h"} {
		r, err := loadgen.ParseRate(s)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r, "=", r.Count, "in", r.Per)
	}
	_, err := loadgen.ParseRate("often")
	fmt.Println(err != nil)
	// Output:
	// 50/s = 50 in 1s
	// 100/m = 100 in 1m0s
	// 0.5/h = 5 in 10h0m0s
	// true
}

// A schedule is arithmetic: when is iteration n due?
func ExampleRate_Pacer() {
	pacer := loadgen.PerMinute(90).Pacer(0)
	for n := range uint64(4) {
		at, _ := pacer.Due(n)
		fmt.Println(n, at.Round(time.Millisecond))
	}
	// Output:
	// 0 0s
	// 1 667ms
	// 2 1.333s
	// 3 2s
}

// Validate looks at everything that can be known before a job starts.
func ExampleJobConfig_Validate() {
	cfg := loadgen.JobConfig{Name: "shop", ScenarioName: "dyno", BaseURL: "http://localhost:8000", Duration: -time.Second}
	err := cfg.Validate()
	fmt.Println(strings.HasPrefix(err.Error(), "invalid job: duration: "))
	// Output: true
}

// Two processes keep their statistics in files; a third adds them up.
func ExampleSnapshotRecord() {
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario:      loadgen.NewScenario("idle").Task("nothing", 1, func(context.Context, *loadgen.VU) error { return nil }),
		BaseURL:       "http://localhost:8000",
		MaxIterations: 10,
	})
	if err != nil {
		log.Fatal(err)
	}
	file, err := json.Marshal(loadgen.SnapshotRecord{Snapshot: *snap})
	if err != nil {
		log.Fatal(err)
	}
	var sum loadgen.Snapshot
	for range 2 {
		var record loadgen.SnapshotRecord
		if err := json.Unmarshal(file, &record); err != nil {
			log.Fatal(err)
		}
		sum.Merge(&record.Snapshot)
	}
	fmt.Println(sum.Iterations, sum.Response.Count(), sum.Response.Max() == snap.Response.Max())
	// Output: 20 20 true
}
