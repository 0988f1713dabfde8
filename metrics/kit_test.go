package metrics_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/metrics"
)

// get is a task of one request.
func get(path string) loadgen.TaskFunc {
	return func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, path) }
}

// shop answers after the time that the path says, with an error at /fail, and not at
// all at /broken.
func shop(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/fail":
		w.WriteHeader(http.StatusInternalServerError)
	case "/broken":
		panic(http.ErrAbortHandler)
	default:
		if d, err := time.ParseDuration(r.URL.Path[1:]); err == nil {
			time.Sleep(d)
		}
	}
}

// shopping is a scenario that meets everything.
func shopping() *loadgen.Scenario {
	return loadgen.NewScenario("shopping").
		Task("fast", 4, get("/1500us")).
		Task("slow", 2, get("/70ms")).
		Task("fail", 1, get("/fail")).
		Task("broken", 1, get("/broken"))
}

// running gives f, in virtual time, a Manager with a job that has run for a minute.
func running(t *testing.T, f func(t *testing.T, m *loadgen.Manager)) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(shop))
		defer stop()
		m := loadgen.New(loadgen.WithDialContext(dial))
		defer m.Close()
		_, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "python", Scenario: shopping(), BaseURL: "http://shop",
			Workers: 1, Delay: 100 * time.Millisecond, Seed: 1,
		})
		require.NoError(t, err)
		_, err = m.Prepare(loadgen.JobConfig{Name: "ruby"})
		require.NoError(t, err)
		time.Sleep(time.Minute + 50*time.Millisecond)
		f(t, m)
	})
}

// gather returns the metrics of a collector by name; a pedantic registry checks them.
func gather(t *testing.T, c prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// everything is an exporter with all that options can add.
func everything(m *loadgen.Manager) *metrics.Exporter {
	return metrics.New(m,
		metrics.WithStatsD(func() uint64 { return 120 }, func() uint64 { return 3 }),
		metrics.WithSocketIO(func() int { return 2 }),
		metrics.WithStatsDBridge(func() int { return 1 }, func() uint64 { return 4 }))
}

// find returns the metric of a family with these labels, or nil.
func find(f *dto.MetricFamily, labels map[string]string) *dto.Metric {
	for _, m := range f.GetMetric() {
		matches := 0
		for _, l := range m.GetLabel() {
			if labels[l.GetName()] == l.GetValue() {
				matches++
			}
		}
		if matches == len(labels) {
			return m
		}
	}
	return nil
}
