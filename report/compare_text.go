package report

import (
	"fmt"
	"io"
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

// writeTasks adds the rows of the tasks.
func (c *Comparison) writeTasks(b *strings.Builder) {
	if len(c.Tasks) == 0 {
		return
	}
	b.WriteString("\n  By task, from resamples by iterations, with the confidence divided among the tasks:\n")
	for i := range c.Tasks {
		t := &c.Tasks[i]
		fmt.Fprintf(b, "\n  %s", taskName(t.Task))
		if t.Only != "" {
			fmt.Fprintf(b, ": only in the run %s\n", t.Only)
			continue
		}
		b.WriteString("\n")
		for j := range t.Metrics {
			t.Metrics[j].write(b)
		}
	}
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
