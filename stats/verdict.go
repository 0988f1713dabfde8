package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Outcome says whether a threshold holds.
type Outcome string

// The outcomes.
const (
	OutcomePass    Outcome = "pass"
	OutcomeFail    Outcome = "fail"
	OutcomeUnknown Outcome = "unknown" // nothing was measured that it could be about
)

// minAbortSamples is what a verdict must stand on before abort after takes it for
// certain.
const minAbortSamples = 100

// Verdict is what a [Threshold] says of the statistics so far.
type Verdict struct {
	Threshold Threshold `json:"threshold"`
	Outcome   Outcome   `json:"outcome"`
	// Certain is false when the exact value of a percentile, which its histogram knows
	// to 1/128, could be on the other side of the bound.
	Certain bool `json:"certain"`
	// Final is true when nothing that is still to come can change the outcome: see
	// [Threshold]. It is true once the job has ended, and for a metric of another package
	// when that has told all: see [WithMetrics].
	Final bool `json:"final"`
	// Aborted is true if the job was ended because of this verdict, which it then keeps.
	Aborted bool `json:"aborted,omitempty"`
	// Observed and Bound are in Unit: "ms", "%", "/s", or "" for a count. Observed is 0
	// if the outcome is unknown, in JSON null.
	Observed float64 `json:"observed"`
	Bound    float64 `json:"bound"`
	Unit     string  `json:"unit"`
	// Samples is the number of iterations or requests that Observed stands on.
	Samples uint64 `json:"samples"`
	// Message says it in words: what was observed, and by how much it misses the bound
	// or stays within.
	Message string `json:"message"`
}

// MarshalJSON writes an unknown Observed as null.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	out := struct {
		plain
		Observed *float64 `json:"observed"`
	}{plain: plain(v)}
	if v.Outcome != OutcomeUnknown {
		out.Observed = &v.Observed
	}
	return textkit.MarshalPlain(out)
}

// FailedVerdicts are those of the snapshot's verdicts that are not a pass: fails, and
// those about which nothing was measured.
func (s *Snapshot) FailedVerdicts() []Verdict {
	var failed []Verdict
	for _, v := range s.Verdicts {
		if v.Outcome != OutcomePass {
			failed = append(failed, v)
		}
	}
	return failed
}

// AllFailed tells whether there were iterations and every one of them failed, though no
// threshold of s is about failures (see [Threshold.AboutFailures]). Times and rates then
// say nothing about a target that works, even where thresholds on them hold.
func (s *Snapshot) AllFailed() bool {
	return s.Iterations > 0 && s.FailedIterations == s.Iterations &&
		!slices.ContainsFunc(s.Verdicts, func(v Verdict) bool { return v.Threshold.AboutFailures() })
}

// AboutFailures tells whether t says how much may, or must, fail: by error_rate, failures,
// failed_requests, failed_iterations or expected_errors, or by requests of one status.
func (t Threshold) AboutFailures() bool {
	about := func(metric string) bool {
		switch metric {
		case "error_rate", "failures", "failed_requests", "failed_iterations", "expected_errors":
			return true
		}
		return false
	}
	return about(t.Metric) || about(t.Against) || t.Status != ""
}

// About tells whether a metric of t, on either side, has a name that begins with prefix:
// such as apm., of what agents tell.
func (t Threshold) About(prefix string) bool {
	return strings.HasPrefix(t.Metric, prefix) || strings.HasPrefix(t.Against, prefix)
}

// Evaluate says whether t holds for s.
func (t Threshold) Evaluate(s *Snapshot) Verdict { return t.EvaluateAtMost(s, 0) }

// EvaluateAtMost is Evaluate for a job that will have had at most so many iterations at its
// end; 0 if nobody knows.
func (t Threshold) EvaluateAtMost(s *Snapshot, most uint64) Verdict {
	v := t.compare(s, most)
	if s.MetricsOpen && s.State.Ended() && !v.Final {
		v.Message += "; not final yet"
	}
	return v
}

func (t Threshold) compare(s *Snapshot, most uint64) Verdict {
	v := Verdict{Threshold: t, Outcome: OutcomeUnknown}
	m, err := findMetric(t.Metric)
	if err == nil {
		err = t.Validate()
	}
	if err != nil {
		v.Message = err.Error()
		return v
	}
	scale, unit := m.scale()
	o := m.observe(&t, s)
	v.Unit, v.Bound, v.Samples = unit, t.Bound*scale, o.samples
	v.Final = s.State.Ended() && (!s.MetricsOpen || m.kind != metricOther && !t.againstOther())
	subject := t.subject()
	if !o.known {
		v.Message = fmt.Sprintf("%s is unknown: nothing was measured", subject)
		if m.kind == metricOther {
			v.Message = fmt.Sprintf("%s is unknown: nobody has told it", subject)
		}
		if t.Group != "" {
			v.Message = fmt.Sprintf("%s is unknown: %s", subject, unmeasured(t.Group, s.Groups))
		}
		return v
	}
	v.Observed = o.value * scale
	if t.Against != "" {
		return t.evaluateAgainst(s, &m, &o, v)
	}
	holds := t.holds(o.value)
	v.Certain = holds == t.holds(o.low)
	v.Outcome = OutcomeFail
	if holds {
		v.Outcome = OutcomePass
	}
	v.Final = v.Final || t.settled(&m, s, &o, most)
	v.Message = fmt.Sprintf("%s was %s, %s", subject, m.show(o.value), m.distance(o.value, t.Bound))
	if !v.Certain {
		v.Message += fmt.Sprintf("; the exact value is from %s on", m.show(o.low))
	}
	return v
}

// evaluateAgainst completes a verdict on o by another metric.
func (t Threshold) evaluateAgainst(s *Snapshot, m *metric, o *observation, v Verdict) Verdict {
	other, err := findMetric(t.Against)
	if err != nil {
		v.Message = err.Error()
		return v
	}
	of := Threshold{Metric: t.Against, Task: t.Task}
	bound := other.observe(&of, s)
	if !bound.known {
		v.Message = fmt.Sprintf("%s is unknown: nobody has told it, or nothing was measured", of.subject())
		return v
	}
	scale, _ := m.scale()
	v.Bound = bound.value * scale
	t.Bound = bound.value
	holds := t.holds(o.value)
	v.Certain = true
	for _, b := range []float64{bound.low, bound.value} {
		t.Bound = b
		v.Certain = v.Certain && t.holds(o.value) == holds && t.holds(o.low) == holds
	}
	v.Outcome = OutcomeFail
	if holds {
		v.Outcome = OutcomePass
	}
	v.Message = fmt.Sprintf("%s was %s, and %s %s", t.subject(), m.show(o.value), of.subject(), m.show(bound.value))
	return v
}

// EnoughSamples tells whether there are so many samples that a share or a time can be taken
// for typical. Counts and rates speak for themselves.
func (v *Verdict) EnoughSamples() bool {
	return v.Samples >= minAbortSamples || v.Unit != "ms" && v.Unit != "%"
}

// observation is a metric's number. The exact one is from low to value.
type observation struct {
	value, low float64
	samples    uint64
	known      bool
}

// totals are the numbers that a threshold is about; nil if there are none yet.
func (t *Threshold) totals(s *Snapshot) *Totals {
	if t.Task == "" {
		return &s.Totals
	}
	for i := range s.Tasks {
		if s.Tasks[i].Task == t.Task {
			return &s.Tasks[i].Totals
		}
	}
	return &Totals{}
}

func (m *metric) observe(t *Threshold, s *Snapshot) observation {
	sum := t.totals(s)
	o := observation{known: true}
	switch {
	case m.kind == metricOther:
		o.value, o.known = s.Metrics[t.Metric]
	case t.Group != "":
		return m.observeGroup(s, t.Group)
	case m.hist != nil:
		return m.time(m.hist(s, sum))
	case m.kind == metricShare:
		o.known = sum.Iterations+sum.Requests > 0
		o.value = max(share(sum.FailedIterations, sum.Iterations), share(sum.FailedRequests, sum.Requests))
		o.samples = max(sum.Iterations, sum.Requests)
	case m.kind == metricRate:
		o.samples, o.known = m.count(s, sum), s.Elapsed > 0
		o.value = s.RateOf(o.samples)
	case t.Class != "":
		o.samples = sum.Errors[t.Class].Count
	case t.Status != "":
		for code, n := range sum.Status {
			if code/100 == int(t.Status[0]-'0') && (t.Status[1:] == "xx" || fmt.Sprint(code) == t.Status) {
				o.samples += n
			}
		}
	default:
		o.samples = m.count(s, sum)
	}
	if m.kind == metricCount {
		o.value = float64(o.samples)
	}
	o.low = o.value
	return o
}

func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// time is what a histogram says.
func (m *metric) time(h *histogram.Histogram) observation {
	o := observation{known: h.Count() > 0, samples: h.Count()}
	if m.of != nil {
		o.value = m.of(h).Seconds()
		o.low = o.value
		return o
	}
	d := h.Quantile(m.q)
	o.value, o.low = d.Seconds(), d.Seconds()
	if h.ErrorBound() > 0 && histogram.Rank(m.q, h.Count()) < h.Count() {
		// It is above the exact value by at most the error bound or a microsecond.
		low := min(float64(d)/(1+h.ErrorBound()), float64(d-time.Microsecond))
		o.low = max(time.Duration(math.Floor(low)), h.Min()).Seconds()
	}
	return o
}

// distance says how far a number is from the bound.
func (m *metric) distance(x, bound float64) string {
	by := math.Abs(x - bound)
	word := "above"
	switch {
	case by == 0:
		return "which is the bound"
	case x < bound:
		word = "below"
	}
	switch {
	case m.kind == metricShare:
		points := fmt.Sprintf("%.4g points", by*100)
		if points == "1 points" {
			points = "1 point"
		}
		return fmt.Sprintf("%s %s %s", points, word, m.show(bound))
	case m.kind == metricCount || bound == 0:
		return fmt.Sprintf("%s %s %s", m.show(by), word, m.show(bound))
	}
	return fmt.Sprintf("%s (%.3g %%) %s %s", m.show(by), 100*by/math.Abs(bound), word, m.show(bound))
}

// settled tells whether the outcome stands, whatever is still to come, if there will
// have been at most so many iterations in the end (0: nobody knows).
func (t *Threshold) settled(m *metric, s *Snapshot, o *observation, most uint64) bool {
	holds := t.holds(o.value)
	if t.Group != "" {
		most = 0 // an iteration may be in a group any number of times
	}
	switch m.kind {
	case metricCount: // only grows
		if t.upper() || t.Compare == "==" {
			return !holds && o.value >= t.Bound
		}
		return holds && o.value > t.Bound || t.Compare == ">=" && holds
	case metricTime:
		return t.settledTime(m, m.hist(s, t.totals(s)), o, most)
	case metricShare:
		// More iterations make it smaller; how many more requests there will be is open.
		return t.upper() && most > 0 && !t.holds(share(t.totals(s).FailedIterations, most))
	}
	return false
}

func (t *Threshold) settledTime(m *metric, h *histogram.Histogram, o *observation, most uint64) bool {
	switch {
	case strings.HasSuffix(m.name, "max"): // only grows
		return t.upper() != t.holds(o.value)
	case strings.HasSuffix(m.name, "min"): // only falls
		return t.upper() == t.holds(o.value)
	}
	ofResponse := m.name[0] == 'p' || m.name == "mean"
	if !ofResponse || !t.upper() || most < h.Count() || most == 0 {
		return false
	}
	if m.name == "mean" {
		return !t.holds(h.Sum().Seconds() / float64(most))
	}
	// With rank of all values at or below the bound the threshold would hold.
	bound := secondsToDuration(t.Bound)
	var slow uint64
	for b := range h.Buckets() {
		if b.From > bound || b.From == bound && t.Compare == "<" {
			slow += b.Count
		}
	}
	return most-min(slow, most) < histogram.Rank(m.q, most)
}
