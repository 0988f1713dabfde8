package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// CompareOptions say how sure a comparison must be. The zero value is the default.
type CompareOptions struct {
	// Confidence is that of the intervals, above 0.5 and below 1; default 0.95.
	Confidence float64
	// Resamples is how often each run is drawn again, from 100 to 100,000; default
	// 2,000.
	Resamples int
	// Seed makes the resamples. Two comparisons with the same seed are equal.
	Seed uint64
}

// Outcome says what became of a metric.
type Outcome string

// The outcomes.
const (
	Better Outcome = "better"
	Worse  Outcome = "worse"
	// Same means that no difference can be told from chance, and from the error of the
	// histograms. It does not mean that there is none.
	Same Outcome = "same"
	// TooFew means that 0 is outside, but a run has fewer than ten of these times, or none
	// that is expected beyond the percentile: resamples of so few hardly differ, and that
	// is no certainty.
	TooFew Outcome = "too few"
)

// minTimes is how many times a run must have for a mean or a percentile of them to be
// compared.
const minTimes = 10

// Comparison is what has changed from one run to another.
type Comparison struct {
	Confidence float64 `json:"confidence"`
	Resamples  int     `json:"resamples"`
	// By says what was resampled: "intervals", or "iterations" where a run has fewer
	// than 20 intervals. Iterations that are close in time are alike, which the latter
	// cannot know: its intervals are narrower than they should be.
	By      string       `json:"by"`
	Metrics []Difference `json:"metrics"`
	// Tasks are what has changed in each task, in the order of the run after, and then those
	// that it lacks. They are told by resampling iterations, at a confidence that is
	// divided among them: with all of them together, no more often than with one
	// metric of the whole run is chance taken for a change.
	Tasks []TaskDifference `json:"tasks,omitempty"`
	// Different is true if the runs had different scenarios, so that their numbers are of
	// different work. Doubts begin with it.
	Different bool `json:"different_scenarios,omitempty"`
	// Doubts are reasons why the runs may not be comparable, the gravest first.
	Doubts []string `json:"doubts,omitempty"`
}

// Difference is what has changed in one metric.
type Difference struct {
	Metric string `json:"metric"`
	// Unit is that of the numbers below: "ms", "/s" or "%".
	Unit   string  `json:"unit"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	// Change is After - Before. With the confidence of the comparison it is from Low to
	// High, the error of the histograms included: Outcome is Same if, and only if, 0 is
	// within. What was positive never falls by more than all of it.
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Relative is Change as a share of Before; an infinity where that is 0 and After is
	// not, which in JSON is null.
	Relative float64 `json:"relative"`
	Outcome  Outcome `json:"outcome"`
}

// MarshalJSON writes an infinity as null.
func (d Difference) MarshalJSON() ([]byte, error) {
	type plain Difference
	out := struct {
		plain
		Relative *float64 `json:"relative"`
	}{plain: plain(d)}
	if !math.IsInf(d.Relative, 0) {
		out.Relative = &d.Relative
	}
	return json.Marshal(out)
}

// timeKind says which times a metric is about.
type timeKind uint8

const (
	noTime timeKind = iota
	responseTime
	serviceTime
)

func (k timeKind) of(t *loadgen.Totals) *loadgen.Histogram {
	if k == serviceTime {
		return &t.Service
	}
	return &t.Response
}

// comparedMetric is a number of a run. Times are in seconds, shares from 0 to 1.
type comparedMetric struct {
	name  string
	unit  string
	scale float64 // to the unit
	fewer bool    // whether less is worse
	time  timeKind
	q     float64
	mean  bool
	value func(t *loadgen.Totals, d time.Duration) float64
	// drawn is the value of a run of which each iteration is drawn again.
	drawn func(t *loadgen.Totals, d time.Duration, rng *rand.Rand) float64
}

func comparedMetrics() []comparedMetric {
	var list []comparedMetric
	for _, kind := range []struct {
		name string
		time timeKind
	}{{"response", responseTime}, {"service", serviceTime}} {
		list = append(list, comparedMetric{name: kind.name + " mean", unit: "ms", scale: 1e3, time: kind.time, mean: true})
		for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
			list = append(list, comparedMetric{
				name: fmt.Sprintf("%s p%g", kind.name, 100*q), unit: "ms", scale: 1e3, time: kind.time, q: q,
			})
		}
	}
	return append(list,
		comparedMetric{
			name: "rate", unit: "/s", scale: 1, fewer: true,
			value: func(t *loadgen.Totals, d time.Duration) float64 { return perSecond(t.Iterations, d) },
			drawn: func(t *loadgen.Totals, d time.Duration, rng *rand.Rand) float64 {
				n := float64(t.Iterations)
				return max(n+math.Sqrt(n)*rng.NormFloat64(), 0) / max(d.Seconds(), 1e-9)
			},
		},
		comparedMetric{
			name: "error rate", unit: "%", scale: 100,
			value: func(t *loadgen.Totals, _ time.Duration) float64 { return errorRate(t) },
			drawn: func(t *loadgen.Totals, _ time.Duration, rng *rand.Rand) float64 {
				failed, all := t.FailedIterations, t.Iterations
				if share(t.FailedRequests, t.Requests) > share(failed, all) {
					failed, all = t.FailedRequests, t.Requests
				}
				return beta(rng, float64(failed)+0.5, float64(all-min(failed, all))+0.5)
			},
		})
}

// Compare tells what has changed from one run to another: percentiles and means of
// response and service time, the rate of iterations, and the error rate, of the whole
// run and, less of them, of each task.
//
// Each has a percentile interval by the bootstrap (Efron and Tibshirani, An Introduction
// to the Bootstrap, 1993, chapter 13): both runs are drawn again with replacement, and the
// middle 95 % of the changes between resamples are the interval. Changes of times and of the
// rate are ratios, which no chance makes smaller than 0; those of the error rate are
// differences. What is drawn are whole intervals (blocks that do not overlap: Carlstein,
// The use of subseries values for estimating the variance, 1986), since times that are close
// together are alike. The interval of a percentile is then widened by the error of the
// histograms, 1/128. A difference counts if 0 is outside.
//
// That tells a difference between runs from chance within them. What differs from run
// to run for other reasons, another machine or another hour, it cannot know.
//
// The error says which option cannot be, or that a run has no iterations.
func Compare(before, after *Report, o CompareOptions) (*Comparison, error) {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.Resamples == 0 {
		o.Resamples = 2000
	}
	switch {
	case !(o.Confidence > 0.5 && o.Confidence < 1):
		return nil, fmt.Errorf("report: the confidence must be above 0.5 and below 1, not %g", o.Confidence)
	case o.Resamples < 100 || o.Resamples > 100_000:
		return nil, fmt.Errorf("report: the number of resamples must be from 100 to 100000, not %d", o.Resamples)
	case before.Snapshot.Response.Count() == 0 || after.Snapshot.Response.Count() == 0:
		return nil, errors.New("report: a run without iterations cannot be compared")
	}
	var metrics []comparedMetric
	for _, m := range comparedMetrics() {
		if m.time == noTime || m.time.of(&before.Snapshot.Totals).Count() > 0 && m.time.of(&after.Snapshot.Totals).Count() > 0 {
			metrics = append(metrics, m)
		}
	}
	byIntervals := len(before.Intervals) >= minBlocks && len(after.Intervals) >= minBlocks
	c := &Comparison{Confidence: o.Confidence, Resamples: o.Resamples, By: "iterations", Doubts: doubts(before, after)}
	if byIntervals {
		c.By = "intervals"
	}
	c.Different = before.Config.ScenarioName != after.Config.ScenarioName
	from := newDrawer(before, metrics, rand.New(rand.NewPCG(o.Seed, 1)), byIntervals)
	to := newDrawer(after, metrics, rand.New(rand.NewPCG(o.Seed, 2)), byIntervals)
	c.Metrics = differences(metrics, whole(before.Snapshot), whole(after.Snapshot), from, to, o.Resamples, o.Confidence)
	c.Tasks = compareTasks(before.Snapshot, after.Snapshot, o)
	return c, nil
}

// measured is what was counted, and for how long.
type measured struct {
	*loadgen.Totals
	length time.Duration
}

func whole(s *loadgen.Snapshot) measured {
	return measured{&s.Totals, cmp.Or(s.LoadDuration, s.Elapsed)}
}

// differences resamples two runs, or parts of them, and compares.
func differences(metrics []comparedMetric, before, after measured, from, to drawer, resamples int, confidence float64) []Difference {
	changes := make([][]float64, len(metrics))
	a, b := make([]float64, len(metrics)), make([]float64, len(metrics))
	for range resamples {
		from.draw(a)
		to.draw(b)
		for i := range metrics {
			changes[i] = append(changes[i], metrics[i].change(a[i], b[i]))
		}
	}
	list := make([]Difference, len(metrics))
	for i := range metrics {
		list[i] = metrics[i].difference(before, after, changes[i], confidence)
	}
	return list
}

// change is how one resample differs from another: as a ratio less one, if the metric
// is one of times or rates, else by how much.
func (m *comparedMetric) change(a, b float64) float64 {
	switch {
	case m.unit == "%":
		return b - a
	case a <= 0 && b <= 0:
		return 0
	case a <= 0:
		return math.Inf(1)
	}
	return b/a - 1
}

// of is the metric of a run, or of a part of it.
func (m *comparedMetric) of(s measured) float64 {
	switch {
	case m.time != noTime && m.mean:
		return m.time.of(s.Totals).Mean().Seconds()
	case m.time != noTime:
		return m.time.of(s.Totals).Quantile(m.q).Seconds()
	}
	return m.value(s.Totals, s.length)
}

func (m *comparedMetric) difference(before, after measured, changes []float64, confidence float64) Difference {
	slices.Sort(changes)
	at := func(q float64) float64 { return changes[int(math.Round(q*float64(len(changes)-1)))] }
	a, b := m.of(before), m.of(after)
	low, high := at((1-confidence)/2), at((1+confidence)/2)
	if m.unit != "%" {
		low, high = a*low, a*high
		if a == 0 { // of which nothing is a multiple
			low, high = b-a, b-a
		}
		high = min(high, math.MaxFloat64/m.scale)
	}
	if m.time != noTime && !m.mean { // what the histograms do not know
		blur := max(max(a, b)*before.Response.ErrorBound(), 1e-6)
		low, high = max(low-blur, -a), high+blur
	}
	d := Difference{
		Metric: m.name, Unit: m.unit, Before: m.scale * a, After: m.scale * b,
		Change: m.scale * (b - a), Low: m.scale * low, High: m.scale * high, Outcome: Same,
	}
	switch {
	case a != 0:
		d.Relative = (b - a) / a
	case b != 0:
		d.Relative = math.Inf(1)
	}
	more, less := Worse, Better
	if m.fewer {
		more, less = Better, Worse
	}
	if low > 0 {
		d.Outcome = more
	}
	if high < 0 {
		d.Outcome = less
	}
	if d.Outcome != Same && m.time != noTime && !m.enough(min(m.time.of(before.Totals).Count(), m.time.of(after.Totals).Count())) {
		d.Outcome = TooFew
	}
	return d
}

// enough tells whether n times can be compared.
func (m *comparedMetric) enough(n uint64) bool {
	return n >= minTimes && (m.mean || float64(n)*(1-m.q) >= 1-1e-9)
}

// doubts are reasons why two runs may not be comparable.
func doubts(before, after *Report) []string {
	var list []string
	a, b := &before.Config, &after.Config
	different := func(what string, x, y any) {
		if x != y {
			list = append(list, fmt.Sprintf("the runs have different %s: %v and %v", what, x, y))
		}
	}
	different("scenarios", a.ScenarioName, b.ScenarioName)
	for _, r := range []struct {
		name string
		s    *loadgen.Snapshot
	}{{"before", before.Snapshot}, {"after", after.Snapshot}} {
		if !r.s.Valid {
			list = append(list, "the run "+r.name+" is not valid: "+strings.Join(r.s.Invalid, "; "))
		}
		if n := r.s.Response.Count(); n < 100 {
			list = append(list, fmt.Sprintf("the run %s has only %d iterations", r.name, n))
		}
	}
	different("rates", a.Rate.String(), b.Rate.String())
	different("delays", a.Delay, b.Delay)
	if a.Rate.IsZero() && b.Rate.IsZero() {
		different("numbers of workers", a.Workers, b.Workers)
	}
	if !slices.Equal(a.Stages, b.Stages) {
		list = append(list, "the runs have different stages")
	}
	return list
}

// WorseThan are the metrics that have become worse, and by more than a share of what
// they were: of 5 %, at 0.05.
func (c *Comparison) WorseThan(tolerance float64) []Difference {
	var list []Difference
	for _, d := range c.Metrics {
		if d.Outcome == Worse && math.Abs(d.Relative) > tolerance {
			list = append(list, d)
		}
	}
	return list
}
