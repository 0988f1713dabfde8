package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opbeans/loadgen"
)

const barWidth = 40

// faults says what is wrong with a run; nothing if nothing is.
func (r *result) faults() string {
	s := r.snap
	failed, aborted := len(s.FailedVerdicts()), false
	for _, v := range s.Verdicts {
		aborted = aborted || v.Aborted
	}
	var why []string
	if failed > 0 {
		why = append(why, fmt.Sprintf("%d of %s not hold", failed, plural(len(s.Verdicts), "threshold does", "thresholds do")))
	}
	switch {
	case r.cut != "":
		why = append(why, fmt.Sprintf("the job was ended by %s after %s", r.cut, show(s.Elapsed)))
	case s.State == loadgen.StateFailed && !aborted:
		why = append(why, "the job failed: "+s.Reason)
	case s.Iterations == 0:
		why = append(why, "no iteration has ended")
	case s.AllFailed():
		why = append(why, "every iteration failed, and no threshold is about failures")
	}
	return strings.Join(why, "; ")
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// block is the message of a failure.
func (r *result) block(why string) string {
	var b strings.Builder
	s := r.snap
	fmt.Fprintf(&b, "loadtest: %s\n", why)
	b.WriteString(verdicts(s.Verdicts))
	fmt.Fprintf(&b, "\n  %s: %s after %s", s.Job, s.State, show(s.Elapsed))
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", s.Reason)
	}
	fmt.Fprintf(&b, ", seed %d\n", s.Seed)
	table(&b, [][]string{
		{"iterations", fmt.Sprintf("%d, %s/s, %d failed, %d interrupted", s.Iterations, perSecond(s, s.Iterations), s.FailedIterations, s.Interrupted)},
		{"requests", fmt.Sprintf("%d, %s/s, %d failed%s", s.Requests, perSecond(s, s.Requests), s.FailedRequests, statuses(s.Status))},
		{"response", percentiles(&s.Response)},
		{"service", percentiles(&s.Service)},
	})
	for _, why := range s.Invalid {
		fmt.Fprintf(&b, "  the generator was the limit: %s\n", why)
	}
	if chart := histogram(&s.Response); chart != "" {
		b.WriteString("\n  response times\n" + chart)
	}
	r.slowest(&b)
	r.errors(&b)
	return strings.TrimRight(b.String(), "\n")
}

func verdicts(list []loadgen.Verdict) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n")
	var rows [][]string
	for _, v := range list {
		word := "pass"
		if v.Outcome != loadgen.OutcomePass {
			word = "FAIL"
		}
		rows = append(rows, []string{word, v.Threshold.String(), v.Message})
	}
	table(&b, rows)
	return b.String()
}

func (r *result) slowest(b *strings.Builder) {
	if len(r.exemplars.Slowest) == 0 {
		return
	}
	b.WriteString("\n  slowest requests\n")
	for _, e := range r.exemplars.Slowest {
		status := fmt.Sprint(e.Status)
		if e.Status == 0 {
			status = string(e.Class)
		}
		fmt.Fprintf(b, "    %s  %s  %s  %s\n", show(e.Service), status, e.Task, e.Curl())
	}
}

func (r *result) errors(b *strings.Builder) {
	if len(r.snap.Errors) == 0 {
		return
	}
	b.WriteString("\n  failures by class\n")
	for _, class := range slices.Sorted(maps.Keys(r.snap.Errors)) {
		stat := r.snap.Errors[class]
		fmt.Fprintf(b, "    %s  %d, for instance: %s\n", class, stat.Count, stat.Sample)
		for _, e := range r.exemplars.Failed {
			if e.Class == class {
				fmt.Fprintf(b, "      %s\n", e.Curl())
			}
		}
	}
}

// histogram draws a distribution, with rows that begin at 1, 2 and 5 times a power of
// ten.
func histogram(h *loadgen.Histogram) string {
	if h.Count() == 0 {
		return ""
	}
	type row struct {
		from, to time.Duration
		n        uint64
	}
	var rows []row
	for bucket := range h.Buckets() {
		from, to := step(bucket.From)
		if last := len(rows) - 1; last >= 0 && rows[last].from == from {
			rows[last].n += bucket.Count
			continue
		}
		for last := len(rows) - 1; last >= 0 && rows[last].to < from; last++ { // rows of none
			begin, end := step(rows[last].to)
			rows = append(rows, row{from: begin, to: end})
		}
		rows = append(rows, row{from: from, to: to, n: bucket.Count})
	}
	var most uint64
	for _, r := range rows {
		most = max(most, r.n)
	}
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		share := fmt.Sprintf("%.2f%%", 100*float64(r.n)/float64(h.Count()))
		fmt.Fprintf(tw, "    \t%s to %s\t%d\t%s\t  %s\n", r.from, r.to, r.n, share, bar(r.n, most))
	}
	_ = tw.Flush()
	return trimLines(b.String())
}

// step is the row of a histogram that a duration falls into.
func step(d time.Duration) (from, to time.Duration) {
	if d < time.Microsecond {
		return 0, time.Microsecond
	}
	ten := time.Microsecond
	for ten <= d/10 {
		ten *= 10
	}
	switch {
	case d < 2*ten:
		return ten, 2 * ten
	case d < 5*ten:
		return 2 * ten, 5 * ten
	}
	return 5 * ten, 10 * ten
}

// bar is as long as n compared to most; what is not nothing shows.
func bar(n, most uint64) string {
	length := int(float64(n) / float64(most) * barWidth)
	if n > 0 {
		length = max(length, 1)
	}
	return strings.Repeat("#", length)
}

func percentiles(h *loadgen.Histogram) string {
	if h.Count() == 0 {
		return "none"
	}
	return fmt.Sprintf("min %s, mean %s, p50 %s, p90 %s, p95 %s, p99 %s, p99.9 %s, max %s",
		show(h.Min()), show(h.Mean()), show(h.P50()), show(h.P90()), show(h.P95()), show(h.P99()), show(h.P999()), show(h.Max()))
}

// statuses lists how many requests had which status.
func statuses(counts map[int]uint64) string {
	var list []string
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d × %d", counts[code], code))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func perSecond(s *loadgen.Snapshot, n uint64) string {
	return fmt.Sprintf("%.4g", s.RateOf(n))
}

// show is a duration with three or four significant digits.
func show(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 10_000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// table aligns rows, indented.
func table(b *strings.Builder, rows [][]string) {
	var out strings.Builder
	tw := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tw, "  "+strings.Join(row, "\t"))
	}
	_ = tw.Flush()
	b.WriteString(trimLines(out.String()))
}

// trimLines takes the blanks at the ends of lines away.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
