package loadtest

import (
	"slices"
	"testing"
	"time"

	"github.com/opbeans/loadgen"
)

// Bench measures a job in a benchmark, and reports with it, under units that benchstat
// compares, the requests per second (req/s) and the response times
// (p50-latency-ns, p90-latency-ns, p99-latency-ns, max-latency-ns).
//
// If cfg does not say when the job ends, an operation is one iteration: the job has b.N
// of them, by cfg.Workers at a time, so that ns/op is the time that an iteration adds
// to the whole. Otherwise an operation is the whole job, which runs as often as b.Loop
// wants; the statistics are those of all its runs together.
//
// The benchmark fails as a test does in [Run]. In addition it fails if anything failed,
// unless a threshold says how much may: what fails fast is not fast.
//
// Bench is all that a benchmark function does; it must not be called in a loop.
func Bench(b *testing.B, cfg loadgen.JobConfig, opts ...Option) *loadgen.Snapshot {
	b.Helper()
	s := prepare(b, cfg, opts)
	if !slices.ContainsFunc(s.cfg.Thresholds, loadgen.Threshold.AboutFailures) {
		NoFailures()(s)
	}
	var r *result
	if s.cfg.Duration == 0 && len(s.cfg.Stages) == 0 && s.cfg.MaxIterations == 0 {
		s.cfg.MaxIterations = uint64(b.N)
		b.ResetTimer()
		r = s.bench(b)
		b.StopTimer()
	} else {
		for b.Loop() {
			r = r.plus(s.bench(b))
		}
	}
	report(b, r.snap)
	if why := r.faults(); why != "" {
		b.Error(r.block(why))
	}
	return r.snap
}

func (s *setup) bench(b *testing.B) *result {
	b.Helper()
	r, err := s.run(b)
	if err != nil {
		b.Fatalf("loadtest: %v", err)
	}
	return r
}

// plus adds a later run. Runs follow one another, so that their times add up.
func (r *result) plus(o *result) *result {
	if r == nil {
		return o
	}
	elapsed, offered := r.snap.Elapsed+o.snap.Elapsed, r.snap.LoadDuration+o.snap.LoadDuration
	r.snap.Merge(o.snap)
	r.snap.Elapsed, r.snap.LoadDuration = elapsed, offered
	for i, v := range r.snap.Verdicts {
		if !v.Aborted {
			r.snap.Verdicts[i] = v.Threshold.Evaluate(r.snap)
		}
	}
	slowest := append(r.exemplars.Slowest, o.exemplars.Slowest...)
	slices.SortStableFunc(slowest, func(a, b loadgen.Exemplar) int { return int(b.Service - a.Service) })
	r.exemplars.Slowest = slowest[:max(len(r.exemplars.Slowest), len(o.exemplars.Slowest))]
	for _, e := range o.exemplars.Failed {
		if !slices.ContainsFunc(r.exemplars.Failed, func(f loadgen.Exemplar) bool { return f.Class == e.Class }) {
			r.exemplars.Failed = append(r.exemplars.Failed, e)
		}
	}
	if r.cut == "" {
		r.cut = o.cut
	}
	return r
}

// report gives the metrics, in the units that benchmarks of the Go project use.
func report(b *testing.B, s *loadgen.Snapshot) {
	if s.Elapsed > 0 {
		b.ReportMetric(s.RateOf(s.Requests), "req/s")
	}
	if s.Response.Count() == 0 {
		return
	}
	ns := func(d time.Duration, unit string) { b.ReportMetric(float64(d.Nanoseconds()), unit) }
	ns(s.Response.P50(), "p50-latency-ns")
	ns(s.Response.P90(), "p90-latency-ns")
	ns(s.Response.P99(), "p99-latency-ns")
	ns(s.Response.Max(), "max-latency-ns")
}
