// Package report keeps what a job has measured, and shows it: as text, JSON, CSV, JUnit
// XML, an HdrHistogram log, and as one HTML page that needs nothing else. It also
// compares two runs.
//
// A [Recorder] follows a running job and makes a [Report] of it, with what happened in
// each interval; [New] makes one of a final snapshot alone. [ReadJSON] reads a report
// back, with every counter of its histograms, so that nothing is lost on the way.
//
//	rec := report.NewRecorder(job, time.Second)
//	rec.Record(ctx) // until the job has ended
//	err := rec.Report().WriteFile("run.html")
package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/opbeans/loadgen"
)

// Report is what is kept of one run of a job. It is plain data; whoever holds it may
// change it. Its methods only read it.
type Report struct {
	// Tool names the program that has measured, with its version. It may be empty.
	Tool string
	// Config is what the job ran with, as [Redact] leaves it.
	Config loadgen.JobConfig
	// Snapshot is the statistics of the whole run. It is never nil.
	Snapshot *loadgen.Snapshot
	// Every is how long an interval is meant to be; the last one, and those around a
	// pause of the program, may be shorter or longer.
	Every time.Duration
	// Intervals are what happened from one moment to the next, without gaps. Their
	// counts add up to those of Snapshot. There may be none.
	Intervals []Interval
	// Traces are requests behind the percentiles of the service time, if they were traced:
	// see [loadgen.TraceExemplars].
	Traces []loadgen.TraceExemplar
	// Agents is the verdict of package apm on what APM agents have told of the run, as JSON;
	// empty without one.
	Agents json.RawMessage
}

// Interval is what happened in one part of a run.
type Interval struct {
	From, To time.Duration // since the job's start
	Offered  time.Duration // how much of it load was offered; see [loadgen.Snapshot]
	VUs      int           // that existed at its end; the most of those, if it was joined of several
	Starved  uint64        // see [loadgen.Snapshot]
	Dropped  uint64
	Lag      loadgen.Histogram
	loadgen.Totals
}

// Length is how long the interval is.
func (i *Interval) Length() time.Duration { return i.To - i.From }

// New returns a report of a run of which only the statistics are known.
func New(cfg loadgen.JobConfig, s *loadgen.Snapshot) *Report {
	return &Report{Config: Redact(cfg), Snapshot: s}
}

// Redact returns cfg without what must not be passed on: see [loadgen.JobConfig.Redacted].
func Redact(cfg loadgen.JobConfig) loadgen.JobConfig { return cfg.Redacted() }

// title is the scenario and where it led, for people.
func (r *Report) title() string {
	name := cmp.Or(r.Snapshot.Job, r.Config.Name, "run")
	if s := r.Config.ScenarioName; s != "" && s != name {
		name += " (" + s + ")"
	}
	return name
}

// perSecond is a rate.
func perSecond(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// share is a part of a whole, from 0 to 1.
func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// errorRate is the share of iterations that failed, or that of requests if it is
// larger: a failed request need not fail its iteration, nor the other way round.
func errorRate(t *loadgen.Totals) float64 {
	return max(share(t.FailedIterations, t.Iterations), share(t.FailedRequests, t.Requests))
}

// ms is a time in milliseconds, to the microsecond.
func ms(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// failure is a class of errors of a run.
type failure struct {
	Class loadgen.ErrorClass
	loadgen.ErrorStat
}

// failures are the classes of errors, the most frequent first.
func failures(t *loadgen.Totals) []failure {
	var list []failure
	for class, e := range t.Errors {
		list = append(list, failure{class, e})
	}
	slices.SortFunc(list, func(a, b failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return list
}

// tasks are the tasks that ran, the most frequent first.
func tasks(s *loadgen.Snapshot) []*loadgen.TaskSnapshot {
	var list []*loadgen.TaskSnapshot
	for i := range s.Tasks {
		if t := &s.Tasks[i]; t.Iterations+t.Interrupted+t.Requests > 0 {
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(a, b *loadgen.TaskSnapshot) int { return cmp.Compare(b.Iterations, a.Iterations) })
	return list
}
