// Package sizing finds out how much load a target takes: the largest number of virtual
// users, or of iterations per second, under which thresholds such as p95 < 200ms still
// hold.
package sizing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// By is what a search varies.
type By string

// What a search can vary.
const (
	Workers By = "workers" // the number of virtual users; closed model
	Rate    By = "rate"    // iterations per second; open model
)

// Defaults that stand in for a zero field of [Search].
const (
	DefaultStep      = 10 * time.Second
	DefaultPrecision = 0.05
	DefaultMax       = 10_000
)

// Search doubles the load, from Min on, until a threshold does not hold, and then
// halves the distance between the largest load that held and the smallest that did not.
// It takes for granted that what a load breaks, a larger one breaks, too. A load under
// which every iteration fails does not hold, unless a threshold is about failures.
//
// Each load is a job of its own, so that the backlog of one does not burden the next.
type Search struct {
	// Job is what to run. Its Thresholds, with those of the scenario, are the bounds;
	// there must be one. Workers, Rate, Stages, RampUp, Duration and MaxIterations are
	// the search's.
	Job loadgen.JobConfig
	By  By
	// Min and Max bound the search. Defaults: 1 and DefaultMax.
	Min, Max int
	// Step is how long each load runs. Default: DefaultStep.
	Step time.Duration
	// WarmUp is the part of Step, at its beginning, that is not judged. Default: a fifth
	// of Step.
	WarmUp time.Duration
	// Precision is how far the result may be from the bound, as a share of it. Default:
	// DefaultPrecision. It is never closer than 1.
	Precision float64
	// Progress, if not nil, is called after each load.
	Progress func(Trial)
}

// Trial is one load and what it came to.
type Trial struct {
	Load int
	OK   bool
	Why  string // why it is not; empty if it is
	// Generator is true if thresholds held, but the load was not what it should have
	// been: this process, not the target, was the limit.
	Generator bool
	// Snapshot is what was measured after the warm-up, with the verdicts on it.
	Snapshot *loadgen.Snapshot
}

// Result is what a search has found.
type Result struct {
	By     By
	Best   int // the largest load that held; 0 if none did
	Broken int // the smallest load that did not; 0 if all up to Max did
	Trials []Trial
}

// Limited tells whether the search ended where this process, not the target, was the
// limit: the target may take more.
func (r *Result) Limited() bool {
	return slices.ContainsFunc(r.Trials, func(t Trial) bool { return t.Load == r.Broken && t.Generator })
}

// String says the result in a line.
func (r *Result) String() string {
	if r.Limited() {
		return fmt.Sprintf("%s (there the generator was the limit: the target may take more)", r.text())
	}
	return r.text()
}

func (r *Result) text() string {
	unit := "workers"
	if r.By == Rate {
		unit = "iterations per second"
	}
	switch {
	case r.Best == 0 && r.Broken == 0:
		return "nothing was found out"
	case r.Best == 0:
		return fmt.Sprintf("even %d %s are too many", r.Broken, unit)
	case r.Broken == 0:
		return fmt.Sprintf("at least %d %s, the most that was tried", r.Best, unit)
	}
	return fmt.Sprintf("%d %s; %d are too many", r.Best, unit, r.Broken)
}

// Run searches. When ctx is done it returns what it knows so far, and the error of ctx.
// Any other error means that a job cannot start, or that a task ended one.
func (s Search) Run(ctx context.Context, opts ...loadgen.Option) (*Result, error) {
	if err := s.fill(); err != nil {
		return nil, err
	}
	m := loadgen.New(opts...)
	defer m.Close()
	r := &Result{By: s.By}
	try := func(load int) error {
		t, err := s.try(ctx, m, load)
		if err != nil {
			return err
		}
		if r.Trials = append(r.Trials, t); t.OK {
			r.Best = max(r.Best, load)
		} else if r.Broken == 0 || load < r.Broken {
			r.Broken = load
		}
		if s.Progress != nil {
			s.Progress(t)
		}
		return nil
	}
	for load := s.Min; r.Broken == 0; load = min(2*load, s.Max) {
		if err := try(load); err != nil {
			return r, err
		}
		if load == s.Max {
			break
		}
	}
	for r.Best > 0 && r.Broken-r.Best > max(1, int(s.Precision*float64(r.Best))) {
		if err := try(r.Best + (r.Broken-r.Best)/2); err != nil {
			return r, err
		}
	}
	return r, nil
}

// fill checks the search, and gives fields their defaults.
func (s *Search) fill() error {
	or := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	or(&s.Min, 1)
	or(&s.Max, max(DefaultMax, s.Min))
	if s.Step == 0 {
		s.Step = DefaultStep
	}
	if s.WarmUp == 0 {
		s.WarmUp = s.Step / 5
	}
	if s.Precision == 0 {
		s.Precision = DefaultPrecision
	}
	switch {
	case s.By != Workers && s.By != Rate:
		return fmt.Errorf("sizing: what to vary must be %s or %s, not %q", Workers, Rate, s.By)
	case s.Min < 1 || s.Max < s.Min || s.Max > loadgen.MaxWorkers:
		return fmt.Errorf("sizing: the loads must be from 1 to %d, and the least not above the most, not %d to %d", loadgen.MaxWorkers, s.Min, s.Max)
	case s.Step < 0 || s.WarmUp < 0 || s.WarmUp >= s.Step:
		return fmt.Errorf("sizing: each load must run longer than its warm-up, not %s with %s of warm-up", s.Step, s.WarmUp)
	case !(s.Precision > 0 && s.Precision < 1):
		return fmt.Errorf("sizing: the precision must be between 0 and 1, not %v", s.Precision)
	}
	if s.Job.Name == "" {
		s.Job.Name = "sizing"
	}
	return nil
}

// try runs one load.
func (s *Search) try(ctx context.Context, m *loadgen.Manager, load int) (Trial, error) {
	t := Trial{Load: load}
	cfg := s.Job
	cfg.Workers, cfg.Rate, cfg.Stages, cfg.RampUp, cfg.MaxIterations = load, loadgen.Rate{}, nil, 0, 0
	if cfg.Duration = s.Step; s.By == Rate {
		cfg.Workers, cfg.Rate = 0, loadgen.PerSecond(uint64(load))
	}
	j, err := m.Start(ctx, cfg)
	if err != nil {
		return t, err
	}
	stop := context.AfterFunc(ctx, j.Stop)
	defer stop()
	warm := time.NewTimer(s.WarmUp)
	defer warm.Stop()
	select {
	case <-warm.C:
	case <-j.Done():
	}
	before := j.Snapshot()
	<-j.Done()
	end := j.Snapshot()
	t.Snapshot = end.Since(before)
	aborted := false
	for _, v := range end.Verdicts {
		if !v.Aborted {
			v = v.Threshold.Evaluate(t.Snapshot)
		}
		aborted = aborted || v.Aborted
		t.Snapshot.Verdicts = append(t.Snapshot.Verdicts, v)
	}
	switch {
	case ctx.Err() != nil:
		return t, ctx.Err()
	case len(end.Verdicts) == 0:
		return t, errors.New("sizing: a threshold is needed that says what is too much, for instance p95 < 200ms or error_rate < 1%")
	case end.State == loadgen.StateFailed && !aborted:
		return t, fmt.Errorf("sizing: the job failed: %s", end.Reason)
	}
	var why []string
	for _, v := range t.Snapshot.FailedVerdicts() {
		why = append(why, v.Message)
	}
	if t.Snapshot.AllFailed() {
		why = append(why, "every iteration failed")
	}
	if len(why) == 0 && len(end.Invalid) > 0 {
		t.Generator = true
		why = append([]string{"the generator was the limit"}, end.Invalid...)
	}
	t.Why = strings.Join(why, "; ")
	t.OK = t.Why == ""
	return t, nil
}
