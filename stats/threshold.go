package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/textkit"
)

// MaxThresholds is how many thresholds a job, and a scenario, may have.
const MaxThresholds = 100

// maxThresholdLen bounds the text of a threshold in bytes.
const maxThresholdLen = 1000

// maxAbortAfter bounds AbortAfter: a hundred years.
const maxAbortAfter = 100 * 365 * 24 * time.Hour

// Threshold is a verdict on the statistics of a job: a metric compared to a bound.
// In JSON and YAML it is text, which [ParseThreshold] reads. The zero value is none.
//
// A Threshold is plain data and can be compared with ==.
type Threshold struct {
	// Metric is the name of a number: see [ParseThreshold].
	Metric string
	// Task, Group, Class and Status narrow the metric down; empty for all. Task is the
	// name of a task; Group that of a group, in whichever tasks it is, and goes with
	// times and error_rate; Class goes with failures; Status, such as "404" or "5xx",
	// with requests.
	Task   string
	Group  string
	Class  failure.Class
	Status string
	// Compare is one of < <= > >=, and of counts also == !=.
	Compare string
	// Bound is what the metric is compared to: a time in seconds, a share from 0 to
	// 1, a rate per second, or a count.
	Bound float64
	// Against is the name of another metric, which takes the place of Bound: of the same
	// task, if Task is set. Empty for none.
	Against string
	// Abort ends the job as failed as soon as nothing that is still to come under its
	// configuration could make the threshold hold: a count is above its bound, or so
	// many iterations were slow that even if all others were fast the percentile
	// would not do. The latter needs a job that says how many iterations it has, by
	// MaxIterations, or by a rate with a duration or stages.
	Abort bool
	// AbortAfter, if not zero, also ends a job that has run for this long, when the
	// threshold does not hold then or at any time later: when that is certain in
	// spite of the error of percentiles, and, of a time or a share, stands on at least 100
	// samples.
	AbortAfter time.Duration
}

// ParseThreshold reads a threshold:
//
//	METRIC [{LABEL=VALUE, …}] COMPARISON BOUND|METRIC [abort [after DURATION]]
//
// for instance
//
//	p99 < 200ms
//	p99{task=checkout} <= 1.5s
//	p99{group=payment} < 800ms
//	error_rate < 1% abort
//	failures{class=timeout} == 0
//	rate >= 100/s
//	apm.error_docs == expected_errors
//
// Metrics are min, mean, max and percentiles of the response time (p50, p99, p99.9,
// which may be written p999), the same of the service time (service.p99) and of the
// schedule's lag (lag.p99); error_rate, the share of iterations that failed, or that
// of requests if it is larger; rate and iteration_rate per second; and the counts
// iterations, failed_iterations, interrupted, requests, failed_requests, failures
// (each failed request, and each iteration that failed without one), expected_errors
// (requests that were answered with a status of 500 and above: errors that an APM agent
// must know of), starved and dropped. A name with another first part and a dot, such as apm.missing, is a
// metric of another package, which [WithMetrics] makes known.
//
// Labels are task, of all metrics but lag, starved and dropped; group, of min, mean,
// max, percentiles and error_rate, which are then those of a group (see [VU.Group])
// instead of iterations; class, of failures; and status, of requests (404 or 5xx). A
// value needs quotes if it has anything but letters, digits and -._/ in it. A threshold
// about a group that was never measured is not held.
//
// The bound of a time is a Go duration, that of error_rate a number from 0 to 1 or a
// percentage, that of a rate a number, by default per second; /m and /h do as well.
// Only counts can be compared with == and !=. The bound may also be another metric, of
// the same kind, without labels; a task of the first is that of both. Then abort needs
// after, since nobody knows what is still to come. What abort means is said at
// [Threshold].
func ParseThreshold(text string) (Threshold, error) {
	t, err := parseThreshold(text)
	if err != nil {
		return Threshold{}, fmt.Errorf("threshold %q: %w", textkit.Shorten(text), err)
	}
	return t, nil
}

// MustThresholds reads thresholds that are written in a program, and panics if one
// cannot be read.
func MustThresholds(texts ...string) []Threshold {
	list := make([]Threshold, len(texts))
	for i, text := range texts {
		t, err := ParseThreshold(text)
		if err != nil {
			panic("loadgen: " + err.Error())
		}
		list[i] = t
	}
	return list
}

func comparisons() []string { return []string{"<=", ">=", "==", "!=", "<", ">"} }

var errThreshold = errors.New(`must be a metric, a comparison and a bound, for instance "p99 < 200ms"`)

func parseThreshold(text string) (Threshold, error) {
	var t Threshold
	if len(text) > maxThresholdLen {
		return t, fmt.Errorf("must be at most %d bytes long", maxThresholdLen)
	}
	rest := strings.TrimSpace(text)
	end := strings.IndexFunc(rest, func(r rune) bool { return !isMetricRune(r) })
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return t, errThreshold
	}
	t.Metric, rest = rest[:end], strings.TrimSpace(rest[end:])
	m, err := findMetric(t.Metric)
	if err != nil {
		return t, err
	}
	t.Metric = m.name
	if labels, ok := strings.CutPrefix(rest, "{"); ok {
		if rest, err = t.labels(labels); err != nil {
			return t, err
		}
	}
	for _, c := range comparisons() {
		if after, ok := strings.CutPrefix(rest, c); ok {
			t.Compare, rest = c, after
			break
		}
	}
	if t.Compare == "" {
		return t, fmt.Errorf("a comparison (%s) must follow %s", strings.Join(comparisons(), " "), t.Metric)
	}
	words := strings.Fields(rest)
	bound := words
	if i := slices.Index(words, "abort"); i >= 0 {
		bound = words[:i]
		if err := t.abort(words[i+1:]); err != nil {
			return t, err
		}
	}
	if t.Against = metricNamed(bound); t.Against != "" {
		return t, t.Validate()
	}
	if t.Bound, err = m.parse(strings.Join(bound, "")); err != nil {
		return t, err
	}
	return t, t.Validate()
}

// metricNamed is the metric that a bound names, or empty.
func metricNamed(bound []string) string {
	if len(bound) != 1 || strings.ContainsFunc(bound[0], func(r rune) bool { return !isMetricRune(r) }) {
		return ""
	}
	m, err := findMetric(bound[0])
	if err != nil || '0' <= bound[0][0] && bound[0][0] <= '9' {
		return ""
	}
	return m.name
}

func isMetricRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '.'
}

// labels reads what follows an opening brace, and returns what follows the closing
// one.
func (t *Threshold) labels(rest string) (string, error) {
	seen := map[string]bool{}
	for {
		name, after, ok := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, `{}<>",`) {
			return "", errors.New("labels must be written {task=NAME}")
		}
		value, after, err := labelValue(strings.TrimLeft(after, " \t"))
		switch {
		case err != nil:
			return "", fmt.Errorf("label %s: %w", name, err)
		case seen[name]:
			return "", fmt.Errorf("the label %s is there twice", name)
		}
		seen[name] = true
		switch name {
		case "task":
			t.Task = value
		case "group":
			t.Group = value
		case "class":
			t.Class = failure.Class(value)
		case "status":
			t.Status = value
		default:
			return "", fmt.Errorf("there is no label %q, only task, group, class and status", textkit.Shorten(name))
		}
		after = strings.TrimLeft(after, " \t")
		switch {
		case strings.HasPrefix(after, "}"):
			return strings.TrimSpace(after[1:]), nil
		case strings.HasPrefix(after, ","):
			rest = after[1:]
		default:
			return "", fmt.Errorf("a comma or } must follow the value of the label %s", name)
		}
	}
}

func labelValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", errors.New("its value has no closing quote")
		}
		if value, err = strconv.Unquote(quoted); err != nil || value == "" {
			return "", "", errors.New("its value is empty")
		}
		return value, s[len(quoted):], nil
	}
	end := 0
	for end < len(s) && textkit.IsPlain(s[end], "-._/") {
		end++
	}
	if end == 0 {
		return "", "", errors.New("its value is empty, or needs quotes")
	}
	return s[:end], s[end:], nil
}

func (t *Threshold) abort(words []string) error {
	t.Abort = true
	switch {
	case len(words) == 0:
		return nil
	case words[0] != "after" || len(words) != 2:
		return errors.New("abort stands at the end, or is followed by \"after\" and a duration")
	}
	d, err := time.ParseDuration(words[1])
	if err := textkit.MissingUnit(words[1]); err != nil {
		return fmt.Errorf("the duration %q after abort %w", textkit.Shorten(words[1]), err)
	}
	if err != nil || d <= 0 || d > maxAbortAfter {
		return fmt.Errorf("abort after needs a duration above 0, for instance 30s, not %q", textkit.Shorten(words[1]))
	}
	t.AbortAfter = d
	return nil
}

// Validate finds what is wrong with a threshold, however it was made.
func (t *Threshold) Validate() error {
	m, err := findMetric(t.Metric)
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(comparisons(), t.Compare):
		return fmt.Errorf("the comparison must be one of %s, not %q", strings.Join(comparisons(), " "), t.Compare)
	case (t.Compare == "==" || t.Compare == "!=") && m.kind != metricCount && m.kind != metricOther:
		return fmt.Errorf("%s cannot be compared with %s, only counts can: take < or >", t.Metric, t.Compare)
	case t.Task != "" && m.ofJob:
		return fmt.Errorf("%s is of the whole job and takes no label", t.Metric)
	case len(t.Task) > textkit.MaxNameLen:
		return fmt.Errorf("the name of the task must be at most %d bytes long", textkit.MaxNameLen)
	case t.Group != "":
		if err := t.checkGroup(&m); err != nil {
			return err
		}
	}
	switch {
	case t.Class != "" && t.Metric != "failures":
		return errors.New("the label class goes with failures")
	case t.Class != "" && !slices.Contains(errorClassList(), t.Class):
		return fmt.Errorf("there is no class %q of failures, only %v", t.Class, errorClassList())
	case t.Status != "" && t.Metric != "requests":
		return errors.New("the label status goes with requests")
	case t.Status != "" && !isStatus(t.Status):
		return fmt.Errorf("the status must be one like 404 or 5xx, not %q", textkit.Shorten(t.Status))
	case t.AbortAfter < 0 || t.AbortAfter > maxAbortAfter:
		return fmt.Errorf("abort after must be from 0 to %s, not %s", maxAbortAfter, t.AbortAfter)
	case t.AbortAfter > 0 && !t.Abort:
		return errors.New("abort after without abort")
	case t.Against != "":
		return t.checkAgainst(&m)
	}
	return m.checkBound(t.Bound)
}

// checkAgainst looks at the metric on the right side. One of another package may be
// compared with a count.
func (t *Threshold) checkAgainst(m *metric) error {
	o, err := findMetric(t.Against)
	plain := func(m *metric) bool { return m.kind == metricCount || m.kind == metricOther }
	switch {
	case err != nil:
		return err
	case o.kind != m.kind && !(plain(m) && plain(&o)):
		return fmt.Errorf("%s and %s cannot be compared: one needs %s, the other %s", m.name, o.name, m.example(), o.example())
	case t.Group != "":
		return fmt.Errorf("the label group goes with a number as the bound, not with %s", o.name)
	case t.Task != "" && o.ofJob:
		return fmt.Errorf("%s is of the whole job, and cannot be the bound for a task", o.name)
	case t.Bound != 0:
		return errors.New("a bound that is a metric cannot be a number as well")
	case t.Abort && t.AbortAfter == 0:
		return fmt.Errorf("abort needs a number as the bound: both %s and %s may still change; abort after a time does", m.name, o.name)
	}
	return nil
}

func errorClassList() []failure.Class {
	all := failure.Classes()
	return all[1:]
}

func isStatus(s string) bool {
	return len(s) == 3 && '1' <= s[0] && s[0] <= '5' &&
		(s[1:] == "xx" || '0' <= s[1] && s[1] <= '9' && '0' <= s[2] && s[2] <= '9')
}

// IsZero tells whether t is none.
func (t Threshold) IsZero() bool { return t == Threshold{} }

// String is the text that [ParseThreshold] reads.
func (t Threshold) String() string {
	if t.IsZero() {
		return ""
	}
	m, err := findMetric(t.Metric)
	if err != nil {
		m = metric{name: t.Metric, kind: metricOther}
	}
	s := t.subject() + " " + t.Compare + " "
	if t.Against != "" {
		s += t.Against
	} else {
		s += m.exact(t.Bound)
	}
	if t.Abort {
		s += " abort"
	}
	if t.AbortAfter != 0 {
		s += " after " + t.AbortAfter.String()
	}
	return s
}

// subject is the metric with its labels.
func (t *Threshold) subject() string {
	var labels []string
	for _, l := range [][2]string{{"task", t.Task}, {"group", t.Group}, {"class", string(t.Class)}, {"status", t.Status}} {
		name, value := l[0], l[1]
		if value == "" {
			continue
		}
		for i := range len(value) {
			if !textkit.IsPlain(value[i], "-._/") {
				value = strconv.Quote(value)
				break
			}
		}
		labels = append(labels, name+"="+value)
	}
	if len(labels) == 0 {
		return t.Metric
	}
	return t.Metric + "{" + strings.Join(labels, ", ") + "}"
}

// MarshalText gives the form of String.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what [ParseThreshold] reads.
func (t *Threshold) UnmarshalText(text []byte) (err error) {
	*t, err = ParseThreshold(string(text))
	return err
}

// upper tells whether the threshold is about too much, rather than too little.
func (t *Threshold) upper() bool { return t.Compare == "<" || t.Compare == "<=" }

// holds tells whether a number is as the threshold wants it.
func (t *Threshold) holds(x float64) bool {
	switch t.Compare {
	case "<":
		return x < t.Bound
	case "<=":
		return x <= t.Bound
	case ">":
		return x > t.Bound
	case ">=":
		return x >= t.Bound
	case "==":
		return x == t.Bound
	case "!=":
		return x != t.Bound
	}
	return false
}

// aim is what a threshold is about. Of two with the same aim, the job's counts, not
// the scenario's.
func (t *Threshold) aim() Threshold {
	side := t.Compare[:1]
	return Threshold{Metric: t.Metric, Task: t.Task, Group: t.Group, Class: t.Class, Status: t.Status, Compare: side}
}

// MergeThresholds adds to a job's thresholds those of its scenario that it does not
// replace.
func MergeThresholds(own, scenario []Threshold) []Threshold {
	out := slices.Clone(own)
	for _, t := range scenario {
		if !slices.ContainsFunc(own, func(o Threshold) bool { return o.aim() == t.aim() }) {
			out = append(out, t)
		}
	}
	return out
}

// thresholdLimit keeps counts within what a float64 holds exactly.
const thresholdLimit = math.MaxInt64 / 1e3
