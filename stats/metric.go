package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/textkit"
)

// metricKind says what the numbers of a metric are.
type metricKind uint8

const (
	metricTime  metricKind = iota // in seconds
	metricShare                   // 0 to 1
	metricRate                    // per second
	metricCount
	metricOther // of another package
)

// maxTimeBound is the largest bound of a time: what a float64 of seconds holds to the
// nanosecond, and far above what a histogram does.
const maxTimeBound = 7 * 24 * time.Hour

// metric is a number that a threshold can be about. Times have hist and either q or
// of; counts have count; what is left has its case in observe.
type metric struct {
	name  string // canonical
	kind  metricKind
	ofJob bool // there is none for a task
	hist  func(s *Snapshot, t *Totals) *histogram.Histogram
	q     float64                                  // of a percentile, from 0 to 1
	of    func(*histogram.Histogram) time.Duration // of min, mean, max
	count func(s *Snapshot, t *Totals) uint64
}

// plainMetrics are those that are not times.
func plainMetrics() []metric {
	job := func(name string, count func(s *Snapshot) uint64) metric {
		return metric{name: name, kind: metricCount, ofJob: true, count: func(s *Snapshot, _ *Totals) uint64 { return count(s) }}
	}
	task := func(name string, count func(t *Totals) uint64) metric {
		return metric{name: name, kind: metricCount, count: func(_ *Snapshot, t *Totals) uint64 { return count(t) }}
	}
	return []metric{
		{name: "error_rate", kind: metricShare},
		{name: "rate", kind: metricRate, count: func(_ *Snapshot, t *Totals) uint64 { return t.Requests }},
		{name: "iteration_rate", kind: metricRate, count: func(_ *Snapshot, t *Totals) uint64 { return t.Iterations }},
		task("iterations", func(t *Totals) uint64 { return t.Iterations }),
		task("failed_iterations", func(t *Totals) uint64 { return t.FailedIterations }),
		task("interrupted", func(t *Totals) uint64 { return t.Interrupted }),
		task("requests", func(t *Totals) uint64 { return t.Requests }),
		task("failed_requests", func(t *Totals) uint64 { return t.FailedRequests }),
		task("failures", (*Totals).failures),
		task("expected_errors", (*Totals).expectedErrors),
		job("starved", func(s *Snapshot) uint64 { return s.LateStarts }),
		job("dropped", func(s *Snapshot) uint64 { return s.Dropped }),
	}
}

// failures counts each failed request, and each iteration that failed without one.
func (t *Totals) failures() uint64 {
	var n uint64
	for _, e := range t.Errors {
		n += e.Count
	}
	return n
}

// expectedErrors counts the requests that were answered with a status of 500 and above.
func (t *Totals) expectedErrors() uint64 {
	var n uint64
	for status, count := range t.Status {
		if status >= 500 {
			n += count
		}
	}
	return n
}

// findMetric looks a metric up by a name of it.
func findMetric(name string) (metric, error) {
	prefix, stat, dotted := strings.Cut(name, ".")
	hist, ofJob := func(_ *Snapshot, t *Totals) *histogram.Histogram { return &t.Response }, false
	switch {
	case dotted && prefix == "service":
		hist = func(_ *Snapshot, t *Totals) *histogram.Histogram { return &t.Service }
	case dotted && prefix == "lag":
		hist, ofJob = func(s *Snapshot, _ *Totals) *histogram.Histogram { return &s.Lag }, true
	case dotted && !isPercentile(prefix):
		if !textkit.IsIdentifier(prefix) || stat == "" || strings.HasSuffix(stat, ".") || strings.Contains(stat, "..") || stat[0] == '.' {
			return metric{}, unknownMetric(name)
		}
		return metric{name: name, kind: metricOther}, nil
	default:
		prefix, stat = "", name
	}
	m := metric{name: name, kind: metricTime, ofJob: ofJob, hist: hist}
	switch stat {
	case "min":
		m.of = (*histogram.Histogram).Min
	case "mean":
		m.of = (*histogram.Histogram).Mean
	case "max":
		m.of = (*histogram.Histogram).Max
	default:
		if isPercentile(stat) {
			percent, err := percentile(stat)
			if err != nil {
				return metric{}, err
			}
			m.q, m.name = percent/100, "p"+strconv.FormatFloat(percent, 'f', -1, 64)
			if prefix != "" {
				m.name = prefix + "." + m.name
			}
			return m, nil
		}
		all := plainMetrics()
		if i := slices.IndexFunc(all, func(m metric) bool { return m.name == name }); i >= 0 {
			return all[i], nil
		}
		return metric{}, unknownMetric(name)
	}
	return m, nil
}

func unknownMetric(name string) error {
	names := []string{"p50", "p90", "p95", "p99", "p99.9", "min", "mean", "max", "service.p99", "lag.p99"}
	for _, m := range plainMetrics() {
		names = append(names, m.name)
	}
	hint := textkit.DidYouMean(name, names)
	if hint == "" {
		hint = "; there are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("there is no metric %q%s", textkit.Shorten(name), hint)
}

// isPercentile tells whether a name is meant as one: p and a digit.
func isPercentile(name string) bool {
	return len(name) > 1 && name[0] == 'p' && '0' <= name[1] && name[1] <= '9'
}

// percentile reads p50, p99.9, or p999 for the same. Beyond two digits only nines are
// taken for decimals, which nobody can misread.
func percentile(name string) (float64, error) {
	digits := name[1:]
	if len(digits) > 2 && strings.Trim(digits, "9") == "" {
		digits = "99." + digits[2:]
	}
	percent, err := strconv.ParseFloat(digits, 64)
	if err != nil || len(digits) > len("99.999999") || strings.Trim(digits, "0123456789.") != "" || percent <= 0 || percent >= 100 {
		return 0, fmt.Errorf("%s must be a percentile above 0 and below 100, such as p95 or p99.9; min and max are the ends", textkit.Shorten(name))
	}
	return percent, nil
}

// parse reads a bound of the metric.
func (m *metric) parse(s string) (float64, error) {
	if s == "" {
		return 0, fmt.Errorf("a bound is missing, for instance %s", m.example())
	}
	fail := fmt.Errorf("the bound of %s must be %s, not %q", m.name, m.example(), textkit.Shorten(s))
	number := func(s string) (float64, error) {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !textkit.IsDecimal(s) {
			return 0, fail
		}
		return x, nil
	}
	switch m.kind {
	case metricTime:
		d, err := time.ParseDuration(s)
		if err := textkit.MissingUnit(s); err != nil {
			return 0, fmt.Errorf("the duration %q %w", textkit.Shorten(s), err)
		}
		if err != nil || len(s) > textkit.MaxNumberLen || strings.ContainsAny(s, "+-") {
			return 0, fail
		}
		return d.Seconds(), nil
	case metricShare:
		if percent, ok := strings.CutSuffix(s, "%"); ok {
			x, err := number(percent)
			return x / 100, err
		}
	case metricRate:
		if n, unit, ok := strings.Cut(s, "/"); ok {
			x, err := number(n)
			per, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
			if err != nil || !known {
				return 0, fail
			}
			return x / per, nil
		}
	}
	return number(s)
}

func (m *metric) example() string {
	switch m.kind {
	case metricTime:
		return "a duration such as 200ms or 1.5s"
	case metricShare:
		return "a share such as 1% or 0.01"
	case metricRate:
		return "a rate such as 100/s"
	case metricCount:
		return "a whole number such as 10"
	}
	return "a number"
}

func (m *metric) checkBound(x float64) error {
	switch {
	case math.IsNaN(x) || math.Abs(x) > thresholdLimit:
		return fmt.Errorf("the bound of %s is too large", m.name)
	case x < 0 && m.kind != metricOther:
		return fmt.Errorf("the bound of %s must not be negative", m.name)
	case m.kind == metricTime && x > maxTimeBound.Seconds():
		return fmt.Errorf("the bound of %s must be at most %s", m.name, maxTimeBound)
	case m.kind == metricShare && x > 1:
		return errors.New("the bound of error_rate must be from 0 to 1, or 0% to 100%")
	case m.kind == metricCount && x != math.Trunc(x):
		return fmt.Errorf("the bound of %s must be a whole number", m.name)
	}
	return nil
}

// exact writes a number of the metric so that parse gives the same.
func (m *metric) exact(x float64) string {
	switch m.kind {
	case metricTime:
		return secondsToDuration(x).String()
	case metricShare:
		percent := strconv.FormatFloat(x*100, 'g', 15, 64)
		if back, err := strconv.ParseFloat(percent, 64); err == nil && back/100 == x {
			return percent + "%"
		}
	case metricRate:
		return strconv.FormatFloat(x, 'f', -1, 64) + "/s"
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func secondsToDuration(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}

// scale is what a number is multiplied with, and the unit that it then has, in a
// [Verdict].
func (m *metric) scale() (float64, string) {
	switch m.kind {
	case metricTime:
		return 1e3, "ms"
	case metricShare:
		return 100, "%"
	case metricRate:
		return 1, "/s"
	}
	return 1, ""
}

// show writes a number with four significant digits or so, for people.
func (m *metric) show(x float64) string {
	switch m.kind {
	case metricTime:
		d := secondsToDuration(x)
		unit := time.Duration(1)
		for d/unit >= 10_000 {
			unit *= 10
		}
		return d.Round(unit).String()
	case metricShare:
		return strconv.FormatFloat(x*100, 'g', 4, 64) + "%"
	case metricRate:
		return strconv.FormatFloat(x, 'g', 5, 64) + "/s"
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
