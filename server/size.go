package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opbeans/loadgen/sizing"
)

// sizer is one call of the command size.
type sizer struct {
	subject
	sizing.Search
}

func sizeCommand() *command {
	s := &sizer{subject: subject{command: "size"}}
	fs := newFlags()
	s.flags(fs, append(targetFlags(), "delay", "max-workers", "threshold")...)
	fs.StringVar((*string)(&s.By), "by", string(sizing.Workers), "`WHAT` to vary: workers, or rate, iterations per second")
	countVar(fs, &s.Min, "min", 1, "`N` to begin with")
	countVar(fs, &s.Max, "max", sizing.DefaultMax, "`N` to end with at the latest")
	timeVar(fs, &s.Step, "step", sizing.DefaultStep, "`TIME` that each load runs")
	timeVar(fs, &s.WarmUp, "warm-up", 0, "`TIME` at its beginning that is not judged (default a fifth of -step)")
	s.Precision = sizing.DefaultPrecision
	fs.Func("precision", "`SHARE` that the result may be off (default 5%)", func(text string) (err error) {
		s.Precision, err = parseShare(text)
		return err
	})
	return &command{
		name: "size", args: "NAME|FILE|URL", summary: "find the largest load under which thresholds hold",
		flags:   fs,
		brief:   []string{"url", "by", "threshold", "min", "max", "step", "warm-up", "precision", "delay", "max-workers", "var"},
		example: "loadgen size shop.yaml -url http://localhost:8000 -by rate -min 50 -threshold 'p95 < 200ms'",
		more: "The load doubles until a threshold does not hold; then the distance is halved, until it is\n" +
			"within -precision. Exit codes: 0 found, 1 not even -min holds, 2 wrong usage,\n" +
			"3 the generator, not the target, was the limit.\n",
		run: func(ctx context.Context, sys *system, args []string) error {
			s.system = sys
			return s.run(ctx, args)
		},
	}
}

func (s *sizer) run(ctx context.Context, args []string) error {
	cfg, opts, done, err := s.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	s.Job = cfg
	s.Progress = func(t sizing.Trial) {
		word := "holds"
		if !t.OK {
			word = t.Why
		}
		snap := t.Snapshot
		_ = write(s.stdout, fmt.Sprintf("%s %d: %.5g requests/s, p95 %s, %d failed: %s\n", s.By, t.Load,
			snap.RateOf(snap.Requests), snap.Response.P95().Round(10*time.Microsecond), snap.FailedRequests, word))
	}
	found, err := s.Search.Run(ctx, opts...)
	switch {
	case errors.Is(err, context.Canceled):
		_ = write(s.stdout, fmt.Sprintf("stopped; so far: %s\n", found))
		return errors.New("stopped before the end of the search")
	case err != nil:
		return usageErrorf("%w", flagFaults(err))
	}
	if err := write(s.stdout, found.String()+"\n"); err != nil {
		return err
	}
	if found.Limited() {
		return &exitError{exitInvalid, errors.New("the generator was the limit, not the target")}
	}
	if found.Best == 0 {
		return errors.New("the thresholds hold under no load that was tried")
	}
	return nil
}
