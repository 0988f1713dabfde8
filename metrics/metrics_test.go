package metrics_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/metrics"
)

func TestGolden(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		var text bytes.Buffer
		families := gather(t, everything(m))
		for _, name := range sorted(families) {
			_, err := expfmt.MetricFamilyToText(&text, families[name])
			require.NoError(t, err)
		}
		golden.Check(t, "testdata/exposition.txt", text.Bytes())
	})
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestLint(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		var families []*dto.MetricFamily
		for _, f := range gather(t, everything(m)) {
			families = append(families, f)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		require.NoError(t, err)
		assert.Empty(t, problems)
	})
}

// TestTheNumbersAreThoseOfTheSnapshot holds that what is shown adds up.
func TestTheNumbersAreThoseOfTheSnapshot(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		j, err := m.Get("python")
		require.NoError(t, err)
		families, snap := gather(t, metrics.New(m)), j.Snapshot()
		sum := func(name string) (total uint64) {
			for _, metric := range families[name].GetMetric() {
				total += uint64(metric.GetCounter().GetValue())
			}
			return total
		}
		assert.Equal(t, snap.Iterations+snap.Interrupted, sum("loadgen_iterations_total"))
		assert.Equal(t, snap.Requests, sum("loadgen_requests_total"))
		assert.Equal(t, snap.Sent, sum("loadgen_sent_bytes_total"))
		assert.Equal(t, snap.Received, sum("loadgen_received_bytes_total"))
		assert.Equal(t, snap.FailedRequests, sum("loadgen_failures_total"))
		assert.NotZero(t, snap.FailedRequests)
		for _, metric := range families["loadgen_requests_total"].GetMetric() {
			assert.WithinDuration(t, snap.Started, metric.GetCounter().GetCreatedTimestamp().AsTime(), 0)
		}
		assert.Nil(t, find(families["loadgen_requests_total"], map[string]string{"job_name": "ruby"}), "it was never started")
		assert.NotNil(t, find(families["loadgen_vus"], map[string]string{"job_name": "ruby"}))
	})
}

// TestValidity has a job that its generator cannot keep up with, beside one that is well.
func TestValidity(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		_, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "starved", BaseURL: "http://shop", Rate: loadgen.PerSecond(100), MaxWorkers: 1,
			Scenario: loadgen.NewScenario("slow").Task("slow", 1, get("/70ms")),
		})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		valid := gather(t, metrics.New(m))["loadgen_valid"]
		for job, want := range map[string]float64{"python": 1, "starved": 0} {
			metric := find(valid, map[string]string{"job_name": job})
			require.NotNil(t, metric, job)
			assert.InDelta(t, want, metric.GetGauge().GetValue(), 0, job)
		}
	})
}

// TestHistograms holds that both forms have each value where it belongs.
func TestHistograms(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		families := gather(t, metrics.New(m))
		j, err := m.Get("python")
		require.NoError(t, err)
		for _, task := range j.Snapshot().Tasks {
			for name, want := range map[string]loadgen.Histogram{
				"loadgen_service_seconds": task.Service, "loadgen_response_seconds": task.Response,
			} {
				h := find(families[name], map[string]string{"task": task.Task}).GetHistogram()
				require.NotNil(t, h, task.Task)
				assert.Equal(t, want.Count(), h.GetSampleCount())
				assert.InEpsilon(t, 1+want.Mean().Seconds()*float64(want.Count()), 1+h.GetSampleSum(), 0.004)

				var native uint64
				at := nativeBuckets(h)
				for _, n := range at {
					native += n
				}
				assert.Equal(t, want.Count(), native+h.GetZeroCount(), "native buckets")
				for _, b := range h.GetBucket() {
					var upTo uint64
					for c := range want.Buckets() {
						if (c.From+c.To).Seconds()/2 <= b.GetUpperBound() {
							upTo += c.Count
						}
					}
					assert.Equal(t, upTo, b.GetCumulativeCount(), "le %v", b.GetUpperBound())
				}
				for bound := range at {
					assert.LessOrEqual(t, bound/math.Exp2(1.0/8)*0.992, want.Max().Seconds())
					assert.GreaterOrEqual(t, bound*1.008, want.Min().Seconds())
				}
			}
		}
		slow := find(families["loadgen_service_seconds"], map[string]string{"task": "slow"}).GetHistogram()
		require.Len(t, nativeBuckets(slow), 1, "every request took 70 ms")
		for bound := range nativeBuckets(slow) {
			assert.InDelta(t, 0.070, bound, 0.0065)
		}
	})
}

// nativeBuckets returns the counts of native buckets by upper bound.
func nativeBuckets(h *dto.Histogram) map[float64]uint64 {
	buckets := map[float64]uint64{}
	index, n, next := int32(0), int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			n += h.GetPositiveDelta()[next]
			next++
			if n > 0 {
				buckets[math.Exp2(float64(index)/8)] = uint64(n)
			}
			index++
		}
	}
	return buckets
}

// TestNothingGoesDown scrapes while a job runs: what Prometheus takes for a counter
// never goes down.
func TestNothingGoesDown(t *testing.T) {
	running(t, func(t *testing.T, m *loadgen.Manager) {
		e := metrics.New(m)
		last := map[string]float64{}
		for range 300 {
			for name, family := range gather(t, e) {
				for _, metric := range family.GetMetric() {
					key, value := fmt.Sprint(name, metric.GetLabel()), 0.0
					switch family.GetType() {
					case dto.MetricType_COUNTER:
						value = metric.GetCounter().GetValue()
					case dto.MetricType_HISTOGRAM:
						value = metric.GetHistogram().GetSampleSum()
					default:
						continue
					}
					require.GreaterOrEqual(t, value, last[key], key)
					last[key] = value
				}
			}
			time.Sleep(37 * time.Millisecond)
		}
	})
}

func TestSeriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		many := loadgen.NewScenario("many")
		for i := range 80 {
			many.Task(fmt.Sprintf("task %d", i), 1, func(context.Context, *loadgen.VU) error { return nil })
		}
		_, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "many", Scenario: many, BaseURL: "http://shop", Delay: time.Millisecond,
		})
		require.NoError(t, err)
		for i := range 80 {
			_, err := m.Prepare(loadgen.JobConfig{Name: fmt.Sprintf("idle %d", i)})
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		families := gather(t, metrics.New(m))
		assert.Len(t, families["loadgen_vus"].GetMetric(), 50)
		assert.Len(t, families["loadgen_service_seconds"].GetMetric(), 50)
		vus := families["loadgen_vus"]
		assert.NotNil(t, find(vus, map[string]string{"job_name": "many"}), "a job that runs is shown")
		assert.NotNil(t, find(vus, map[string]string{"job_name": "idle 79"}), "and the latest of the others")
		assert.Nil(t, find(vus, map[string]string{"job_name": "idle 1"}))
		assert.EqualValues(t, 31, families["loadgen_jobs_omitted"].GetMetric()[0].GetGauge().GetValue())
		assert.EqualValues(t, 80, find(families["loadgen_jobs"], map[string]string{"state": "pending"}).GetGauge().GetValue())
		rest := find(families["loadgen_iterations_total"], map[string]string{"task": "(other)", "result": "ok"})
		assert.Greater(t, rest.GetCounter().GetValue(), 1000.0)
	})
}

func TestHandler(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	_, err := m.Start(t.Context(), loadgen.JobConfig{
		Name: "job", BaseURL: "http://shop",
		Scenario: loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Sleep(ctx, time.Millisecond)
		}),
	})
	require.NoError(t, err)
	e := everything(m)
	for accept, contentType := range map[string]string{
		"": "text/plain; version=0.0.4",
		"application/openmetrics-text; version=1.0.0":                                                  "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited": "application/vnd.google.protobuf",
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), contentType), w.Header().Get("Content-Type"))
		for _, want := range []string{"loadgen_response_seconds", "loadgen_statsd_dropped_lines", "go_goroutines", "go_build_info"} {
			assert.Contains(t, w.Body.String(), want)
		}
	}
}

// TestScrapesDuringChanges is for the race detector.
func TestScrapesDuringChanges(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	e := metrics.New(m)
	scenario := loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error { return nil })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 20 {
				name := fmt.Sprintf("job %d", i)
				_, err := m.Start(t.Context(), loadgen.JobConfig{
					Name: name, Scenario: scenario, BaseURL: "http://shop", Workers: 2, MaxIterations: uint64(100 * n),
					Delay: time.Microsecond,
				})
				if !assert.NoError(t, err) {
					return
				}
				w := httptest.NewRecorder()
				e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				assert.Equal(t, http.StatusOK, w.Code, w.Body)
				j, err := m.Get(name)
				if !assert.NoError(t, err) {
					return
				}
				j.Stop()
				assert.NoError(t, j.Wait(t.Context()))
			}
		})
	}
	wg.Wait()
}

// BenchmarkScrape is the cost of a scrape of jobs with four tasks each.
func BenchmarkScrape(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(shop))
	defer server.Close()
	m := loadgen.New()
	defer m.Close()
	for i := range 5 {
		cfg := loadgen.JobConfig{
			Name: fmt.Sprintf("job %d", i), BaseURL: server.URL, Scenario: shopping(), Workers: 100, MaxIterations: 1000,
		}
		j, err := m.Start(b.Context(), cfg)
		require.NoError(b, err)
		require.NoError(b, j.Wait(b.Context()))
	}
	e := metrics.New(m)
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
