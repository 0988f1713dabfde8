package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/opbeans/loadgen"
)

// agents is what reports show of a verdict of package apm, from its JSON.
type agents struct {
	OK       bool                                `json:"ok"`
	Settled  bool                                `json:"settled"`
	Doubts   []struct{ Why string }              `json:"doubts"`
	Examples []struct{ Fault, Task, Why string } `json:"examples"`
	Counts   [][2]string                         `json:"-"` // name and number; those that are 0 left out but for the first
}

// agentCounts are shown in this order, the first three also if they are 0.
func agentCounts() []string {
	return []string{
		"sent", "found", "missing", "pending", "unanswered", "late", "duplicated", "orphaned", "wrong_name", "wrong_outcome", "no_error",
		"too_long", "broken", "wrong_sampled", "unsampled_found", "untracked", "error_docs", "expected_errors",
	}
}

// agents is nil if there is no verdict, or none of this form.
func (r *Report) agents() *agents {
	var a agents
	var numbers map[string]json.RawMessage
	if len(r.Agents) == 0 || json.Unmarshal(r.Agents, &a) != nil || json.Unmarshal(r.Agents, &numbers) != nil {
		return nil
	}
	for i, name := range agentCounts() {
		var n uint64
		if json.Unmarshal(numbers[name], &n) == nil && (n > 0 || i < 3) {
			a.Counts = append(a.Counts, [2]string{strings.ReplaceAll(name, "_", " "), fmt.Sprint(n)})
		}
	}
	return &a
}

// wrong tells whether a count is not 0 that says that agents are wrong.
func (a *agents) wrong() bool {
	return slices.ContainsFunc(a.Counts, func(c [2]string) bool {
		switch c[0] {
		case "sent", "found", "unanswered", "no error", "unsampled found", "untracked", "error docs", "expected errors":
			return false
		}
		return c[1] != "0"
	})
}

// Line is the verdict in words.
func (a *agents) Line() string {
	var parts []string
	for _, c := range a.Counts {
		parts = append(parts, c[1]+" "+c[0])
	}
	text := strings.Join(parts, ", ")
	if !a.Settled {
		text += "; not all that agents have to say has come"
	}
	if len(a.Doubts) > 0 {
		text += "; inconclusive: " + a.Doubts[0].Why
	}
	return text
}

// traceRow is a request behind a percentile.
type traceRow struct{ Percentile, Task, Service, Time, Status, ID, URL string }

func (r *Report) traceRows() []traceRow {
	var rows []traceRow
	for i := range r.Traces {
		e := &r.Traces[i]
		rows = append(rows, traceRow{
			e.Percentile, taskName(e.Task), Duration(e.Service), e.Time.UTC().Format("15:04:05.000"), fmt.Sprint(e.Status), e.TraceID.String(), e.URL,
		})
	}
	return rows
}

// writeTraces says what agents tell, and names the trace of the highest percentile but the
// maximum.
func (r *Report) writeTraces(b *strings.Builder) {
	if a := r.agents(); a != nil {
		fmt.Fprintf(b, "    %-11s %s\n", "agents", cut(a.Line()))
	}
	var e *loadgen.TraceExemplar
	for i := range r.Traces {
		if e == nil || r.Traces[i].Percentile != "max" {
			e = &r.Traces[i]
		}
	}
	if e == nil {
		return
	}
	where := e.URL
	if where == "" {
		where = e.TraceID.String()
	}
	fmt.Fprintf(b, "    %-11s %s of %s: %s\n", "trace", Duration(e.Service), cut(taskName(e.Task)), where)
}
