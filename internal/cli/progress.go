package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/serve"
	"github.com/opbeans/loadgen/report"
)

const (
	redrawEvery  = 250 * time.Millisecond
	recentLength = 5 * time.Second // what "now" means
)

// view shows the progress of a job: as a block on a terminal, as lines elsewhere, or not
// at all.
type view struct {
	job     *loadgen.Job
	cfg     loadgen.JobConfig
	every   time.Duration
	block   *block
	lines   io.Writer // nil: none
	message string
	begun   bool
	recent  []*loadgen.Snapshot // at least a second apart, some seconds back
}

func newView(r *runner, job *loadgen.Job) *view {
	v := &view{job: job, cfg: report.Redact(job.Config()), every: r.progress}
	switch {
	case r.quiet:
		return v
	case !r.verbose:
		v.block = newBlock(r.Stderr, r.Getenv)
	}
	if v.block != nil {
		v.every = redrawEvery
	} else {
		v.lines = r.Stderr
	}
	return v
}

// show shows how things are now.
func (v *view) show() {
	switch {
	case v.block != nil:
		s := v.job.Snapshot()
		v.block.draw(blockLines(v.cfg, s, v.window(s), v.message))
	case v.lines != nil && !v.begun:
		v.begun = true
		_, _ = fmt.Fprintf(v.lines, "%s: %s\n", v.cfg.Name, describe(v.cfg))
	case v.lines != nil:
		s := v.job.Snapshot()
		_, _ = fmt.Fprintln(v.lines, plainLine(v.cfg, s, v.window(s)))
	}
}

// note says something that the user should know now.
func (v *view) note(message string) {
	v.message = message
	if v.block != nil {
		v.show()
	} else if v.lines != nil {
		_, _ = fmt.Fprintln(v.lines, message)
	}
}

// end makes room for the summary.
func (v *view) end() {
	if v.block != nil {
		v.block.clear()
	}
}

// window is what happened in the last seconds before s.
func (v *view) window(s *loadgen.Snapshot) *loadgen.Snapshot {
	if n := len(v.recent); n == 0 || s.Elapsed-v.recent[n-1].Elapsed >= time.Second {
		v.recent = append(v.recent, s)
	}
	for len(v.recent) > 1 && s.Elapsed-v.recent[1].Elapsed >= recentLength {
		v.recent = v.recent[1:]
	}
	if v.recent[0] == s {
		return s // the first
	}
	return s.Since(v.recent[0])
}

// describe says in a line what a job does.
func describe(cfg loadgen.JobConfig) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case len(cfg.Stages) > 0:
		add("%s", plural(len(cfg.Stages), "stage"))
	case !cfg.Rate.IsZero():
		add("%s", cfg.Rate)
	default:
		add("%s", plural(cfg.Workers, "worker"))
	}
	if cfg.Delay > 0 && cfg.Rate.IsZero() {
		add("delay %s", cfg.Delay)
	}
	switch total := length(cfg); {
	case total > 0:
		add("for %s", total)
	case cfg.MaxIterations == 0:
		add("until Ctrl-C")
	}
	if cfg.MaxIterations > 0 {
		add("at most %d iterations", cfg.MaxIterations)
	}
	if !cfg.Segment.IsZero() {
		add("segment %s", cfg.Segment)
	}
	return cfg.BaseURL + ", " + strings.Join(parts, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// length is how long a job is to run; 0 if nobody knows.
func length(cfg loadgen.JobConfig) time.Duration {
	var stages time.Duration
	for _, s := range cfg.Stages {
		stages += s.Duration
	}
	return cmp.Or(cfg.Duration, stages)
}

// blockLines are the lines of a terminal's block: all of a job so far, and what happened
// in the last seconds.
func blockLines(cfg loadgen.JobConfig, s, now *loadgen.Snapshot, message string) []line {
	state := style(green)
	if s.State != loadgen.StateRunning {
		state = yellow
	}
	lines := []line{
		{{bold, cfg.Name}, {plain, "  " + describe(cfg) + "  "}, {state, string(s.State)}},
		courseLine(cfg, s),
		{{dim, "now       "}, {plain, rateText(now)}},
		{{dim, "so far    "}, {plain, rateText(s)}},
		{{dim, "total     "}, {plain, fmt.Sprintf("%d requests, %d iterations, %s, %d of them busy", s.Requests, s.Iterations, plural(s.VUs, "VU"), s.Active)}},
		failureLine(s),
	}
	for _, v := range s.Verdicts {
		mark := style(green)
		if v.Outcome != loadgen.OutcomePass {
			mark = red
		}
		if v.Outcome == loadgen.OutcomeUnknown {
			mark = dim
		}
		lines = append(lines, line{{dim, "threshold "}, {mark, fmt.Sprintf("%-8s", v.Outcome)}, {plain, v.Message}})
	}
	if s.Valid {
		lines = append(lines, line{{dim, "generator "}, {green, "keeps up"}})
	}
	for _, why := range s.Invalid {
		lines = append(lines, line{{dim, "generator "}, {yellow, "is the limit: " + why}})
	}
	if message != "" {
		lines = append(lines, line{{yellow, message}})
	}
	return lines
}

// courseLine says how far a job is.
func courseLine(cfg loadgen.JobConfig, s *loadgen.Snapshot) line {
	const width = 40
	text, part := clock(s.Elapsed), -1.0
	if total := length(cfg); total > 0 {
		left := max(total-s.Elapsed, 0)
		text += fmt.Sprintf(" of %s, %s left", clock(total), clock(left))
		part = s.Elapsed.Seconds() / total.Seconds()
	}
	if most := cfg.MaxIterations; most > 0 {
		text += fmt.Sprintf(", %d of %d iterations", s.Iterations, most)
		part = max(part, float64(s.Iterations)/float64(most))
	}
	if part < 0 {
		return line{{plain, text}}
	}
	full := int(min(part, 1) * width)
	return line{{cyan, strings.Repeat("━", full)}, {dim, strings.Repeat("─", width-full)}, {plain, " " + text}}
}

// failureLine says how much failed, and as what.
func failureLine(s *loadgen.Snapshot) line {
	l := line{{dim, "failures  "}}
	if s.FailedRequests+s.FailedIterations == 0 {
		return append(l, span{green, "none"})
	}
	l = append(l, span{red, fmt.Sprintf("%d requests, %d iterations", s.FailedRequests, s.FailedIterations)})
	var classes []string
	for _, class := range serve.SortedKeys(s.Errors) {
		classes = append(classes, fmt.Sprintf("%s %d", class, s.Errors[class].Count))
	}
	return append(l, span{plain, " (" + strings.Join(classes, ", ") + ")"})
}

// rateText is how much there was, and how long it took.
func rateText(s *loadgen.Snapshot) string {
	text := fmt.Sprintf("%9s requests/s", report.Rate(serve.PerSecond(s.Requests, s.Elapsed)))
	if h := &s.Response; h.Count() > 0 {
		text += fmt.Sprintf("  p50 %-8s p90 %-8s p99 %-8s max %s",
			report.Duration(h.P50()), report.Duration(h.P90()), report.Duration(h.P99()), report.Duration(h.Max()))
	}
	return text
}

// plainLine is the progress as a line of a log.
func plainLine(cfg loadgen.JobConfig, s, now *loadgen.Snapshot) string {
	var b strings.Builder
	b.WriteString(clock(s.Elapsed))
	if total := length(cfg); total > 0 {
		b.WriteString(" of " + clock(total))
	}
	fmt.Fprintf(&b, "  %d requests, %s/s now, %d failed", s.Requests, report.Rate(serve.PerSecond(now.Requests, now.Elapsed)), s.FailedRequests)
	if h := &now.Response; h.Count() > 0 {
		fmt.Fprintf(&b, ", p50 %s, p99 %s", report.Duration(h.P50()), report.Duration(h.P99()))
	}
	if n := len(s.FailedVerdicts()); n > 0 {
		fmt.Fprintf(&b, ", %s not held", plural(n, "threshold"))
	}
	if !s.Valid {
		b.WriteString(", the generator is the limit")
	}
	return b.String()
}

// clock is a time as a clock shows it: 0:05, 12:34, 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
