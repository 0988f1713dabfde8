package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
)

// Comparison is what has changed from one run to another.
type Comparison struct {
	Confidence float64 `json:"confidence"`
	Resamples  int     `json:"resamples"`
	// By says what was resampled: "intervals", or "iterations" where a run has fewer
	// than 20 intervals. Iterations that are close in time are alike, which the latter
	// cannot know: its intervals are narrower than they should be.
	By      string       `json:"by"`
	Metrics []Difference `json:"metrics"`
	// Doubts are reasons why the runs may not be comparable.
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
	// High.
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
// response and service time, the rate of iterations, and the error rate, each with an
// interval by the bootstrap (Efron: the 2.5th and 97.5th percentile of the change
// between resamples). A difference counts if the interval excludes zero by more than the
// error of the histograms, of 1/128.
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
	from := newDrawer(before, metrics, rand.New(rand.NewPCG(o.Seed, 1)), byIntervals)
	to := newDrawer(after, metrics, rand.New(rand.NewPCG(o.Seed, 2)), byIntervals)
	changes := make([][]float64, len(metrics))
	a, b := make([]float64, len(metrics)), make([]float64, len(metrics))
	for range o.Resamples {
		from.draw(a)
		to.draw(b)
		for i := range metrics {
			changes[i] = append(changes[i], b[i]-a[i])
		}
	}
	for i := range metrics {
		c.Metrics = append(c.Metrics, metrics[i].difference(before.Snapshot, after.Snapshot, changes[i], o.Confidence))
	}
	return c, nil
}

// of is the metric of a whole run.
func (m *comparedMetric) of(s *loadgen.Snapshot) float64 {
	switch {
	case m.time != noTime && m.mean:
		return m.time.of(&s.Totals).Mean().Seconds()
	case m.time != noTime:
		return m.time.of(&s.Totals).Quantile(m.q).Seconds()
	}
	return m.value(&s.Totals, s.Elapsed)
}

func (m *comparedMetric) difference(before, after *loadgen.Snapshot, changes []float64, confidence float64) Difference {
	slices.Sort(changes)
	at := func(q float64) float64 { return changes[int(math.Round(q*float64(len(changes)-1)))] }
	a, b := m.of(before), m.of(after)
	low, high := at((1-confidence)/2), at((1+confidence)/2)
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
	var blur float64 // what the histograms do not know
	if m.time != noTime && !m.mean {
		blur = max(max(a, b)*before.Response.ErrorBound(), 1e-6)
	}
	more, less := Worse, Better
	if m.fewer {
		more, less = Better, Worse
	}
	if low > blur {
		d.Outcome = more
	}
	if high < -blur {
		d.Outcome = less
	}
	return d
}

// doubts are reasons why two runs may not be comparable.
func doubts(before, after *Report) []string {
	var list []string
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
	a, b := &before.Config, &after.Config
	different := func(what string, x, y any) {
		if x != y {
			list = append(list, fmt.Sprintf("the runs have different %s: %v and %v", what, x, y))
		}
	}
	different("scenarios", a.ScenarioName, b.ScenarioName)
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

// WriteText writes the comparison as a table for people.
func (c *Comparison) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-14s %10s %10s %10s   with %g %% confidence\n", "", "before", "after", "change", 100*c.Confidence)
	for _, d := range c.Metrics {
		outcome := string(d.Outcome)
		if d.Outcome == Same {
			outcome = "no difference to be told"
		}
		change, between := "", ""
		switch {
		case d.Unit == "%":
			change = fmt.Sprintf("%+.2f pts", d.Change)
			between = fmt.Sprintf("%+.2f to %+.2f pts", d.Low, d.High)
		case d.Before != 0:
			change = fmt.Sprintf("%+.1f %%", 100*d.Relative)
			between = fmt.Sprintf("%+.1f %% to %+.1f %%", 100*d.Low/d.Before, 100*d.High/d.Before)
		}
		fmt.Fprintf(&b, "  %-14s %10s %10s %10s   %-24s %s\n", d.Metric, d.show(d.Before), d.show(d.After), change, between, outcome)
	}
	fmt.Fprintf(&b, "\n  From %d resamples by %s.\n", c.Resamples, c.By)
	for _, doubt := range c.Doubts {
		fmt.Fprintf(&b, "  Doubt: %s\n", doubt)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Difference) show(v float64) string {
	switch d.Unit {
	case "ms":
		return Duration(time.Duration(v * float64(time.Millisecond)))
	case "%":
		return percent(v / 100)
	}
	return Rate(v) + d.Unit
}
