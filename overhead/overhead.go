// Package overhead finds out what an agent costs: two targets, one without it and one
// with, get the same requests, and the answer is the paired difference of their times.
package overhead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opbeans/loadgen"
)

// Defaults that stand in for a zero field of [Measurement].
const (
	DefaultPairs      = 1000
	DefaultWarmUp     = 50
	DefaultConfidence = 0.95
	DefaultResamples  = 2000
)

// maxPairs bounds what is kept: about 200 bytes a pair.
const maxPairs = 10_000_000

// Target is one of the two.
type Target struct {
	// URL is its base URL.
	URL string
	// PID is that of its process, for CPU time and memory. Zero: whoever listens on the
	// port of a loopback URL. It must be of this machine, and Linux.
	PID int
}

// Measurement says what to compare. The zero value of a field is its default.
//
// Each virtual user has a twin at the other target with the same random source, so that
// both pick the same tasks and make the same requests. Of each pair of iterations one runs
// after the other, in random order: what changes on the machine meanwhile, and whatever
// one leaves to the next, meets both alike.
type Measurement struct {
	// Job is what to run. Its BaseURL, Delay, Rate, Stages, RampUp, Duration, MaxIterations
	// and Thresholds do not count. Workers is how many pairs run at a time; default 1.
	Job     loadgen.JobConfig
	Off, On Target
	// Pairs is how many pairs of iterations are measured, at most 10 million, and WarmUp
	// how many more run before. A negative WarmUp is none. Defaults: DefaultPairs and
	// DefaultWarmUp.
	Pairs, WarmUp int
	// Confidence is that of the intervals, above 0.5 and below 1; Resamples how often the
	// pairs are drawn again for them, from 100 to 100,000. Defaults: DefaultConfidence and
	// DefaultResamples.
	Confidence float64
	Resamples  int
	// Progress, if not nil, is told now and then how many pairs are done, warm-up included.
	Progress func(done, of int)
}

func (m *Measurement) fill() error {
	m.Pairs = cmp.Or(m.Pairs, DefaultPairs)
	if m.WarmUp = cmp.Or(m.WarmUp, DefaultWarmUp); m.WarmUp < 0 {
		m.WarmUp = 0
	}
	m.Confidence = cmp.Or(m.Confidence, DefaultConfidence)
	m.Resamples = cmp.Or(m.Resamples, DefaultResamples)
	m.Job.Workers = cmp.Or(m.Job.Workers, 1)
	switch {
	case m.Pairs < 1 || m.Pairs > maxPairs || m.WarmUp > maxPairs:
		return fmt.Errorf("overhead: there must be from 1 to %d pairs, not %d", maxPairs, m.Pairs)
	case m.Confidence <= 0.5 || m.Confidence >= 1:
		return fmt.Errorf("overhead: the confidence must be above 0.5 and below 1, not %g", m.Confidence)
	case m.Resamples < 100 || m.Resamples > 100_000:
		return fmt.Errorf("overhead: there must be from 100 to 100,000 resamples, not %d", m.Resamples)
	}
	return nil
}

// The names of the jobs, by side.
const (
	off = 0
	on  = 1
)

func names() [2]string { return [2]string{"off", "on"} }

// ofSide makes faults of a job's URL ones of the target's.
func ofSide(err error, side int) error {
	var invalid *loadgen.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	named := &loadgen.ValidationError{Fields: slices.Clone(invalid.Fields)}
	for i := range named.Fields {
		if named.Fields[i].Field == "url" {
			named.Fields[i].Field = names()[side]
		}
	}
	return named
}

// Run measures. If ctx is done before the last pair, it returns what it knows so far, and
// the error of ctx. Any other error means that a job cannot start, or has ended early.
func (m Measurement) Run(ctx context.Context, opts ...loadgen.Option) (*Result, error) {
	if err := m.fill(); err != nil {
		return nil, err
	}
	rec := newRecorder()
	manager := loadgen.New(append(opts, loadgen.WithObserver(rec))...)
	defer manager.Close()
	cfg := m.Job
	cfg.Delay, cfg.Rate, cfg.Stages, cfg.RampUp, cfg.Duration, cfg.MaxIterations, cfg.Thresholds = 0, loadgen.Rate{}, nil, 0, 0, 0, nil
	cfg.Name, cfg.BaseURL = names()[off], m.Off.URL
	preview, err := manager.Preview(cfg)
	if err == nil {
		err = preview.Refused
	}
	if err != nil {
		return nil, ofSide(err, off)
	}
	cfg, scenario := preview.Config, preview.Scenario
	g := newGate(cfg.Seed, m.WarmUp+m.Pairs)
	procs := [2]*process{newProcess(m.Off), newProcess(m.On)}
	defer watch(procs)()
	g.passed = func(done int) {
		if done == m.WarmUp {
			for _, p := range procs {
				p.begin()
			}
		}
		if m.Progress != nil {
			m.Progress(done, m.WarmUp+m.Pairs)
		}
	}
	if m.WarmUp == 0 {
		g.passed(0)
	}
	var jobs [2]*loadgen.Job
	defer g.release()
	for side, url := range [2]string{m.Off.URL, m.On.URL} {
		cfg.Name, cfg.BaseURL = names()[side], url
		cfg.Scenario = scenario.Around(func(ctx context.Context, vu *loadgen.VU, task string, run loadgen.TaskFunc) error {
			return g.turn(ctx, vu.ID(), side, func(pair int) (err error) {
				it := iteration{pair: pair, vu: vu.ID(), task: task, start: time.Now(), failed: true}
				defer func() { rec.ran(side, it) }()
				err = run(ctx, vu)
				it.failed = err != nil
				return err
			})
		})
		if jobs[side], err = manager.Start(ctx, cfg); err != nil {
			return nil, ofSide(err, side)
		}
		defer jobs[side].Stop()
	}
	select {
	case <-g.done:
	case <-ctx.Done():
	case <-jobs[off].Done():
	case <-jobs[on].Done():
	}
	for _, p := range procs {
		p.end()
	}
	g.close()
	why := early(jobs)
	jobs[off].Stop()
	jobs[on].Stop()
	g.release()
	for _, j := range jobs {
		<-j.Done()
	}
	manager.Close() // now the recorder has seen every request
	r := m.result(rec, cfg.Seed, scenario.TaskNames())
	for side, p := range procs {
		r.sides()[side].Process = p.usage(rec.requests(side, m.WarmUp))
	}
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case why != nil:
		return r, why
	case manager.DroppedSamples() > 0:
		return r, fmt.Errorf("overhead: %d requests were not seen: this machine is too slow for that many workers", manager.DroppedSamples())
	}
	return r, nil
}

// early says why a job has ended by itself.
func early(jobs [2]*loadgen.Job) error {
	for side, j := range jobs {
		if s := j.Snapshot(); !s.State.Active() {
			return fmt.Errorf("overhead: the job against the target with the agent %s has ended early: %s", names()[side], cmp.Or(s.Reason, string(s.State)))
		}
	}
	return nil
}

// errOver is that of an iteration that no pair needs any more.
var errOver = errors.New("overhead: all pairs are done")
