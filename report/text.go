package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opbeans/loadgen"
)

// How much of a list the text shows, so that it fits a screen.
const (
	textErrors     = 3
	textTasks      = 4
	textThresholds = 3
	textInvalid    = 2
	textWidth      = 160 // of a line with somebody else's words in it
)

// WriteText writes a summary for people, that fits a screen of 24 lines.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	writeSummary(&b, r.Snapshot)
	r.writeTraces(&b)
	writeTasks(&b, r.Snapshot)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteSummary is WriteText without the tasks.
func (r *Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	writeSummary(&b, r.Snapshot)
	r.writeTraces(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteSummary writes what became of a job in a few lines.
func WriteSummary(w io.Writer, s *loadgen.Snapshot) error {
	var b strings.Builder
	writeSummary(&b, s)
	_, err := io.WriteString(w, b.String())
	return err
}

// drained tells whether the end of a run without new load was so long that the rates
// would puzzle those who do not know of it.
func drained(s *loadgen.Snapshot) bool {
	return s.LoadDuration > 0 && s.Elapsed-s.LoadDuration > max(s.Elapsed/50, 10*time.Millisecond)
}

func writeSummary(b *strings.Builder, s *loadgen.Snapshot) {
	fmt.Fprintf(b, "  %s: %s after %s", s.Job, s.State, s.Elapsed.Round(time.Millisecond))
	if drained(s) {
		fmt.Fprintf(b, ", with load for %s", s.LoadDuration.Round(time.Millisecond))
	}
	if s.Reason != "" {
		fmt.Fprintf(b, " (%s)", s.Reason)
	}
	b.WriteString("\n")
	fmt.Fprintf(b, "    iterations  %d, %s/s, %d failed, %d interrupted\n",
		s.Iterations, Rate(s.RateOf(s.Iterations)), s.FailedIterations, s.Interrupted)
	fmt.Fprintf(b, "    requests    %d, %s/s, %d failed\n",
		s.Requests, Rate(s.RateOf(s.Requests)), s.FailedRequests)
	writeTimes(b, "response", &s.Response)
	writeTimes(b, "service", &s.Service)
	all := failures(&s.Totals)
	for _, f := range all[:min(len(all), textErrors)] {
		fmt.Fprintf(b, "    %-11s %s\n", f.Class, cut(fmt.Sprintf("%d, for instance: %s", f.Count, f.Sample)))
	}
	if n := len(all) - textErrors; n > 0 {
		fmt.Fprintf(b, "    and %d more classes of errors\n", n)
	}
	writeVerdicts(b, s.Verdicts)
	for _, why := range s.Invalid[:min(len(s.Invalid), textInvalid)] {
		fmt.Fprintf(b, "    not valid   %s\n", why)
	}
}

func writeTimes(b *strings.Builder, name string, h *loadgen.Histogram) {
	if h.Count() == 0 {
		return
	}
	fmt.Fprintf(b, "    %-11s p50 %s, p90 %s, p95 %s, p99 %s, p99.9 %s, max %s, mean %s\n", name,
		Duration(h.P50()), Duration(h.P90()), Duration(h.P95()), Duration(h.P99()), Duration(h.P999()), Duration(h.Max()), Duration(h.Mean()))
}

// writeVerdicts shows thresholds, those that do not hold first.
func writeVerdicts(b *strings.Builder, verdicts []loadgen.Verdict) {
	ordered := slices.Clone(verdicts)
	slices.SortStableFunc(ordered, func(a, b loadgen.Verdict) int { return severity(a) - severity(b) })
	for _, v := range ordered[:min(len(ordered), textThresholds)] {
		fmt.Fprintf(b, "    %-11s %s\n", v.Outcome, cut(v.Message))
	}
	if n := len(ordered) - textThresholds; n > 0 {
		worst := ordered[textThresholds].Outcome
		fmt.Fprintf(b, "    and %d more thresholds, the worst of which is %s\n", n, worst)
	}
}

func severity(v loadgen.Verdict) int {
	return slices.Index([]loadgen.Outcome{loadgen.OutcomeFail, loadgen.OutcomeUnknown, loadgen.OutcomePass}, v.Outcome)
}

// writeTasks is a table of the most frequent tasks, if there is more than one.
func writeTasks(b *strings.Builder, s *loadgen.Snapshot) {
	all := tasks(s)
	if len(all) < 2 {
		return
	}
	shown := all[:min(len(all), textTasks)]
	width := len("task")
	for _, t := range shown {
		width = max(width, utf8.RuneCountInString(taskName(t.Task)))
	}
	fmt.Fprintf(b, "\n    %-*s  %10s %8s %9s %9s %9s %9s\n", width, "task", "iterations", "failed", "p50", "p90", "p99", "max")
	for _, t := range shown {
		h := &t.Response
		fmt.Fprintf(b, "    %-*s  %10d %8d %9s %9s %9s %9s\n", width, taskName(t.Task), t.Iterations, t.FailedIterations,
			Duration(h.P50()), Duration(h.P90()), Duration(h.P99()), Duration(h.Max()))
	}
	if n := len(all) - textTasks; n > 0 {
		fmt.Fprintf(b, "    and %d more tasks\n", n)
	}
}

// taskName is the name of a task for people; requests outside of any have none.
func taskName(name string) string {
	if name == "" {
		return "(no task)"
	}
	return name
}

// cut bounds a line.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= textWidth {
		return s
	}
	return string([]rune(s)[:textWidth-1]) + "…"
}

// Rate is a number per second as people read it, with one decimal.
func Rate(perSecond float64) string {
	if perSecond == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1f", perSecond)
}

// Duration is a time as people read it, with about three significant digits.
func Duration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}
