package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// WriteText writes the comparison as a table for people.
func (c *Comparison) WriteText(w io.Writer) error {
	var b strings.Builder
	if c.Different {
		b.WriteString("  These runs had different scenarios: their numbers are of different work, and say\n  nothing about what has changed in the target.\n")
	}
	for _, doubt := range c.Doubts {
		fmt.Fprintf(&b, "  Doubt: %s\n", doubt)
	}
	if len(c.Doubts) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  %-14s %10s %10s %10s   with %g %% confidence\n", "", "before", "after", "change", 100*c.Confidence)
	for i := range c.Metrics {
		c.Metrics[i].write(&b)
	}
	fmt.Fprintf(&b, "\n  From %d resamples by %s; the error of the histograms is within the intervals.\n", c.Resamples, c.By)
	c.writeTasks(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// write adds a row.
func (d *Difference) write(b *strings.Builder) {
	outcome := string(d.Outcome)
	switch d.Outcome {
	case Same:
		outcome = "no difference to be told"
	case TooFew:
		outcome = "too few to tell"
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
	if d.Outcome == TooFew {
		between = ""
	}
	between = strings.Replace(between, "-100.0 % to +Inf %", "any", 1)
	fmt.Fprintf(b, "  %-14s %10s %10s %10s   %-24s %s\n", d.Metric, d.show(d.Before), d.show(d.After), change, between, outcome)
}

// writeTasks adds the rows of the tasks that are better or worse, and the names of the
// others.
func (c *Comparison) writeTasks(b *strings.Builder) {
	if len(c.Tasks) == 0 {
		return
	}
	b.WriteString("\n  By task, from resamples by iterations, with the confidence divided among the tasks:\n")
	others := map[string][]string{}
	for i := range c.Tasks {
		t := &c.Tasks[i]
		name := taskName(t.Task)
		switch {
		case t.Only != "":
			others[t.Only] = append(others[t.Only], name)
		case !slices.ContainsFunc(t.Metrics, func(d Difference) bool { return d.Outcome == Better || d.Outcome == Worse }):
			others[""] = append(others[""], name)
		default:
			fmt.Fprintf(b, "\n  %s\n", name)
			for j := range t.Metrics {
				t.Metrics[j].write(b)
			}
		}
	}
	writeNames(b, "no difference to be told", others[""])
	writeNames(b, "only in the run before", others["before"])
	writeNames(b, "only in the run after", others["after"])
}

// writeNames adds a list, in lines of about a hundred characters.
func writeNames(b *strings.Builder, what string, names []string) {
	if len(names) == 0 {
		return
	}
	line := "  " + what + ":"
	b.WriteString("\n")
	for i, name := range names {
		if i > 0 {
			line += ","
		}
		if len(line)+len(name) > 100 {
			b.WriteString(line + "\n")
			line = "   "
		}
		line += " " + name
	}
	b.WriteString(line + "\n")
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
