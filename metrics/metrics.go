// Package metrics shows what a [loadgen.Manager] does to Prometheus.
//
//	m := loadgen.New()
//	mux.Handle("GET /metrics", metrics.New(m))
//
// All values are taken from the statistics of the jobs when they are asked for: a
// measured request costs nothing more. Counters of a job begin at zero whenever it is
// started.
//
// Times are histograms in both forms: native ones, for servers that ask for them, with
// buckets 9% wide, and the classic ones beside, from half a millisecond to a minute.
//
// The number of series is bounded: up to 50 jobs are shown, those that run before
// those that have ended long ago, with up to 50 tasks each; further tasks of a job are
// added up under the name "(other)".
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opbeans/loadgen"
)

const (
	maxJobs    = 50
	maxTasks   = 50
	maxScrapes = 8 // at a time
)

// Option adds something to an [Exporter]. The order of options does not matter.
type Option func(*Exporter)

// WithStatsD adds how many lines were sent to a StatsD server, and how many were
// dropped. The functions must be safe for concurrent use.
func WithStatsD(sent, dropped func() uint64) Option {
	return func(e *Exporter) {
		e.extra = append(e.extra,
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "loadgen_statsd_sent_lines_total",
				Help: "Lines handed to the network for the StatsD server.",
			}, func() float64 { return float64(sent()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "loadgen_statsd_dropped_lines_total",
				Help: "Lines for the StatsD server that could not be sent.",
			}, func() float64 { return float64(dropped()) }),
		)
	}
}

// WithStatsDBridge adds how many sessions of the StatsD bridge are open, and how many
// counts and timings found no room in it. The functions must be safe for concurrent use.
func WithStatsDBridge(sessions func() int, dropped func() uint64) Option {
	return func(e *Exporter) {
		e.extra = append(e.extra,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "loadgen_statsd_bridge_sessions",
				Help: "Open Socket.IO sessions of the StatsD bridge.",
			}, func() float64 { return float64(sessions()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "loadgen_statsd_bridge_dropped_total",
				Help: "Counts and timings for which the StatsD bridge had no room.",
			}, func() float64 { return float64(dropped()) }),
		)
	}
}

// WithSocketIO adds how many Socket.IO sessions are open. The function must be safe for
// concurrent use.
func WithSocketIO(sessions func() int) Option {
	return func(e *Exporter) {
		e.extra = append(e.extra, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "loadgen_socketio_sessions",
			Help: "Open Socket.IO sessions.",
		}, func() float64 { return float64(sessions()) }))
	}
}

// Exporter is the metrics of a Manager: an [http.Handler] that answers with them, and
// with those of the process and of the Go runtime; and a [prometheus.Collector], for
// programs with a registry of their own, without the latter. It is safe for concurrent
// use.
type Exporter struct {
	m       *loadgen.Manager
	extra   []prometheus.Collector
	handler http.Handler
}

// New returns the metrics of m.
func New(m *loadgen.Manager, opts ...Option) *Exporter {
	e := &Exporter{m: m}
	for _, opt := range opts {
		opt(e)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister( // their names are ours, and differ
		e,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	e.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry:            registry,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
	})
	return e
}

// ServeHTTP answers a scrape, in the format that the client asks for.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// Describe sends the descriptors of all metrics.
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	d := describe()
	for _, desc := range d.all() {
		ch <- desc
	}
	for _, c := range e.extra {
		c.Describe(ch)
	}
}

// Collect sends all metrics as they are now.
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	s := scrape{descs: describe(), out: ch}
	s.manager(e.m)
	for _, c := range e.extra {
		c.Collect(ch)
	}
}
