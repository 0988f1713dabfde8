package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/metrics"
)

// A Manager whose jobs Prometheus can see.
func ExampleNew() {
	m := loadgen.New()
	defer m.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.New(m))
	server := httptest.NewServer(mux)
	defer server.Close()

	if _, err := m.Prepare(loadgen.JobConfig{Name: "shop"}); err != nil {
		panic(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/metrics", nil)
	if err != nil {
		panic(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "loadgen_jobs{") && strings.HasSuffix(line, " 1\n") {
			fmt.Print(line)
		}
	}
	// Output: loadgen_jobs{state="pending"} 1
}

// A program with a registry of its own adds the Manager to it.
func ExampleExporter_collector() {
	m := loadgen.New()
	defer m.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(m))
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		fmt.Println(f.GetName())
	}
	// Output:
	// loadgen_jobs
	// loadgen_jobs_omitted
	// loadgen_observer_missed_samples_total
}
