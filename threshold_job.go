package loadgen

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/jsonform"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// metricSource is what WithMetrics was given.
type metricSource struct {
	names []string
	read  func(s *Snapshot) (metrics map[string]float64, final bool)
}

// WithMetrics lets thresholds be about numbers of another package. Their names have a
// first part of their own and a dot, such as apm.missing. With each snapshot of a job,
// read is asked for those that it has for that run of the job, and they are in
// [Snapshot.Metrics]; final says, of a job that has ended, that they will not change: until
// then no verdict on them is final. It is given the rest of the snapshot, which it must not
// change, must be quick and safe for concurrent use, and must not call the job.
func WithMetrics(names []string, read func(s *Snapshot) (metrics map[string]float64, final bool)) Option {
	return func(e *environment) {
		e.metrics = append(e.metrics, metricSource{names: slices.Clone(names), read: read})
	}
}

func checkThresholds(list []Threshold, f *fault.List) {
	if len(list) > MaxThresholds {
		f.Add("thresholds", "must be at most %d, not %d", MaxThresholds, len(list))
		return
	}
	for i := range list {
		if err := list[i].Validate(); err != nil {
			f.Add("thresholds", "threshold %q: %v", textkit.Shorten(list[i].String()), err)
		}
	}
}

// thresholdsField reads a list that replaces the one before as a whole.
func thresholdsField() configField {
	return configField{
		Name: "thresholds",
		Write: func(c *JobConfig) any {
			if len(c.Thresholds) == 0 {
				return nil
			}
			return c.Thresholds
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			var texts []string
			if json.Unmarshal(raw, &texts) != nil {
				f.Add("thresholds", "must be a list of texts such as \"p99 < 200ms\", not %s", textkit.Shorten(string(raw)))
				return
			}
			c.Thresholds = nil
			for _, text := range texts {
				t, err := ParseThreshold(text)
				if err != nil {
					f.Add("thresholds", "%v", err)
					continue
				}
				c.Thresholds = append(c.Thresholds, t)
			}
		},
	}
}

// judge makes the thresholds of the configuration and of the scenario those of the
// plan.
func (p *plan) judge(scenario *Scenario, env *environment, f *fault.List) {
	p.verdicts = stats.MergeThresholds(p.cfg.Thresholds, scenario.thresholds)
	tasks := scenario.TaskNames()
	var others []string
	for _, source := range env.metrics {
		others = append(others, source.names...)
	}
	for i := range p.verdicts {
		t := &p.verdicts[i]
		field := "thresholds"
		if i >= len(p.cfg.Thresholds) {
			field = "scenario"
		}
		unknown := slices.DeleteFunc(t.OtherMetrics(), func(name string) bool { return slices.Contains(others, name) })
		switch {
		case len(unknown) > 0:
			f.Add(field, "threshold %q: nobody measures %s%s", textkit.Shorten(t.String()), unknown[0], textkit.List("; there are ", others))
		case t.Task != "" && !slices.Contains(tasks, t.Task):
			f.Add(field, "threshold %q: scenario %q has no such task%s", textkit.Shorten(t.String()), scenario.name, textkit.DidYouMean(t.Task, tasks))
		case t.Group != "":
			if hint, lacks := scenario.lacksGroup(t.Group); lacks {
				f.Add(field, "threshold %q: scenario %q has no such group%s", textkit.Shorten(t.String()), scenario.name, hint)
			}
		}
	}
}

// mayAbort tells whether a threshold may end the job.
func (p *plan) mayAbort() bool {
	return slices.ContainsFunc(p.verdicts, func(t Threshold) bool { return t.Abort })
}

// judge adds the verdicts to a snapshot.
func (j *Job) judge(s *Snapshot, tripped *Verdict) {
	for _, source := range j.m.env.metrics {
		metrics, final := source.read(s)
		s.MetricsOpen = s.MetricsOpen || !final
		for name, x := range metrics {
			if s.Metrics == nil {
				s.Metrics = map[string]float64{}
			}
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				s.Metrics[name] = x
			}
		}
	}
	p := j.plan.Load()
	if len(p.verdicts) == 0 {
		return
	}
	most := j.most(p)
	for _, t := range p.verdicts {
		v := t.EvaluateAtMost(s, most)
		if tripped != nil && tripped.Threshold == t {
			v = *tripped
		}
		s.Verdicts = append(s.Verdicts, v)
	}
}

// most is a number of iterations that the job will not exceed under a plan; 0 if there
// is none.
func (j *Job) most(p *plan) uint64 {
	most := p.iterations()
	if p.sched == nil || p.end == math.MaxInt64 {
		return most
	}
	n := p.sched.DueBefore(p.end)
	if !p.sched.First() {
		// There was another schedule before. Read in this order, no iteration is missed on
		// its way from unclaimed over claimed to begun.
		n = p.sched.Unclaimed(p.end)
		n += uint64(max(0, j.live.Load()))
		n += j.begun.Load()
	}
	if most == 0 || n < most {
		most = n
	}
	return most
}

// guardEvery is how often thresholds that may end a job are looked at, at first.
const guardEvery = 100 * time.Millisecond

// guard ends the job if a threshold says so, and returns how long to wait with the next
// look: guardEvery, and for a long job a thousandth of its age.
func (j *Job) guard() time.Duration {
	s := j.Snapshot()
	for _, v := range s.Verdicts {
		t := v.Threshold
		if !t.Abort || v.Outcome != OutcomeFail || s.State != StateRunning {
			continue
		}
		late := t.AbortAfter > 0 && s.Elapsed >= t.AbortAfter && v.Certain && v.EnoughSamples()
		if v.Final || late {
			j.trip(v)
			break
		}
	}
	return max(guardEvery, s.Elapsed/1000)
}

// trip ends the job because of a verdict.
func (j *Job) trip(v Verdict) {
	v.Aborted, v.Final = true, true
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State != StateRunning {
		return
	}
	j.tripped = &v
	j.end(endHalted, StateFailed, fmt.Sprintf("threshold %s: %s", v.Threshold, v.Message))
}
