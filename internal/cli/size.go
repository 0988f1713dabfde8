package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/sizing"
)

// sizer is one call of the command size.
type sizer struct {
	subject
	sizing.Search
}

func sizeCommand() *command.Command {
	s := &sizer{subject: subject{command: "size"}}
	fs := command.NewFlags()
	s.flags(fs, append(targetFlags(), "delay", "max-workers", "threshold")...)
	fs.StringVar((*string)(&s.By), "by", string(sizing.Workers), "`WHAT` to vary: workers, or rate, iterations per second")
	command.CountVar(fs, &s.Min, "min", 1, "`N` to begin with")
	command.CountVar(fs, &s.Max, "max", sizing.DefaultMax, "`N` to end with at the latest")
	command.TimeVar(fs, &s.Step, "step", sizing.DefaultStep, "`TIME` that each load runs")
	command.TimeVar(fs, &s.WarmUp, "warm-up", 0, "`TIME` at its beginning that is not judged (default a fifth of -step)")
	s.Precision = sizing.DefaultPrecision
	fs.Func("precision", "`SHARE` that the result may be off (default 5%)", func(text string) (err error) {
		s.Precision, err = parseShare(text)
		return err
	})
	return &command.Command{
		Name: "size", Args: "NAME|FILE|URL", Summary: "find the largest load under which thresholds hold",
		Flags:   fs,
		Brief:   []string{"url", "by", "threshold", "min", "max", "step", "warm-up", "precision", "delay", "max-workers", "var"},
		Example: "loadgen size shop.yaml -url http://localhost:8000 -by rate -min 50 -threshold 'p95 < 200ms'",
		More: "The load doubles until a threshold does not hold; then the distance is halved, until it is\n" +
			"within -precision. Exit codes: 0 found, 1 not even -min holds, 2 wrong usage,\n" +
			"3 the generator, not the target, was the limit.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			s.System = sys
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
		_ = command.Write(s.Stdout, fmt.Sprintf("%s %d: %.5g requests/s, p95 %s, %d failed: %s\n", s.By, t.Load,
			snap.RateOf(snap.Requests), snap.Response.P95().Round(10*time.Microsecond), snap.FailedRequests, word))
	}
	found, err := s.Search.Run(ctx, opts...)
	switch {
	case errors.Is(err, context.Canceled):
		_ = command.Write(s.Stdout, fmt.Sprintf("stopped; so far: %s\n", found))
		return errors.New("stopped before the end of the search")
	case err != nil:
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	if err := command.Write(s.Stdout, found.String()+"\n"); err != nil {
		return err
	}
	if found.Limited() {
		return &command.ExitError{Code: command.ExitInvalid, Err: errors.New("the generator was the limit, not the target")}
	}
	if found.Best == 0 {
		return errors.New("the thresholds hold under no load that was tried")
	}
	return nil
}
