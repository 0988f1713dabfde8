package report

import (
	"math/rand/v2"
	"slices"

	"github.com/opbeans/loadgen"
)

// TaskDifference is what has changed in one task.
type TaskDifference struct {
	Task string `json:"task"`
	// Only is "before" or "after" if the task has run in that run alone; it has no
	// Metrics then.
	Only    string       `json:"only,omitempty"`
	Metrics []Difference `json:"metrics,omitempty"`
}

// taskMetrics are those that are told of a task: of all, those that most people ask for.
func taskMetrics() []comparedMetric {
	names := []string{"response p50", "response p95", "rate", "error rate"}
	return slices.DeleteFunc(comparedMetrics(), func(m comparedMetric) bool { return !slices.Contains(names, m.name) })
}

// ran are the tasks of a run that had iterations, by name.
func ran(s *loadgen.Snapshot) (names []string, totals map[string]*loadgen.Totals) {
	totals = map[string]*loadgen.Totals{}
	for i := range s.Tasks {
		if t := &s.Tasks[i]; t.Response.Count() > 0 {
			names = append(names, t.Task)
			totals[t.Task] = &t.Totals
		}
	}
	return names, totals
}

// compareTasks compares the tasks of two runs. Where there is but one and the same, it is
// the whole run.
func compareTasks(before, after *loadgen.Snapshot, o CompareOptions) []TaskDifference {
	was, old := ran(before)
	names, now := ran(after)
	for _, name := range was {
		if now[name] == nil {
			names = append(names, name)
		}
	}
	if len(names) < 2 {
		return nil
	}
	both := 0
	for _, name := range names {
		if old[name] != nil && now[name] != nil {
			both++
		}
	}
	// By Bonferroni's inequality: a chance of 5 % in all, whatever depends on what.
	confidence := 1 - (1-o.Confidence)/float64(max(both, 1))
	var list []TaskDifference
	metrics := taskMetrics()
	for i, name := range names {
		switch {
		case old[name] == nil:
			list = append(list, TaskDifference{Task: name, Only: "after"})
			continue
		case now[name] == nil:
			list = append(list, TaskDifference{Task: name, Only: "before"})
			continue
		}
		a, b := measured{old[name], whole(before).length}, measured{now[name], whole(after).length}
		stream := 2 * uint64(i+2)
		from := &singleDrawer{of: a, metrics: metrics, rng: rand.New(rand.NewPCG(o.Seed, stream-1))}
		to := &singleDrawer{of: b, metrics: metrics, rng: rand.New(rand.NewPCG(o.Seed, stream))}
		list = append(list, TaskDifference{Task: name, Metrics: differences(metrics, a, b, from, to, o.Resamples, confidence)})
	}
	return list
}
