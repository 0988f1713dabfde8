package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/overhead"
)

// overheadRun is one call of the command overhead.
type overheadRun struct {
	subject
	overhead.Measurement
	limit  time.Duration // negative: none
	asJSON bool
}

func overheadCommand() *command.Command {
	o := &overheadRun{subject: subject{command: "overhead"}, limit: -1}
	o.Confidence = overhead.DefaultConfidence
	fs := command.NewFlags()
	of := slices.DeleteFunc(targetFlags(), func(name string) bool { return name == "url" })
	o.flags(fs, append(of, "workers")...)
	fs.StringVar(&o.Off.URL, "off", "", "base `URL` of the target without the agent (default that of a URL argument, or of -config)")
	fs.StringVar(&o.On.URL, "on", "", "base `URL` of the target with the agent")
	command.CountVar(fs, &o.Pairs, "pairs", overhead.DefaultPairs, "measure `N` pairs of iterations")
	command.CountVar(fs, &o.WarmUp, "warm-up", overhead.DefaultWarmUp, "run `N` pairs before, which do not count")
	fs.Func("fail-above", "exit with 1 if the median overhead of a task is above this `TIME`, with 3 if that is uncertain", func(s string) (err error) {
		o.limit, err = command.ParseSpan(s)
		return err
	})
	fs.Func("confidence", "`SHARE` of certainty of the intervals (default 95%)", func(s string) (err error) {
		if o.Confidence, err = parseShare(s); err == nil && (o.Confidence <= 0.5 || o.Confidence >= 1) {
			err = errors.New("must be above 50% and below 100%")
		}
		return err
	})
	command.CountVar(fs, &o.Resamples, "resamples", overhead.DefaultResamples, "draw the pairs again `N` times")
	command.CountVar(fs, &o.Off.PID, "off-pid", 0, "`PID` of the process without the agent; without it, whoever listens on a loopback port")
	command.CountVar(fs, &o.On.PID, "on-pid", 0, "`PID` of the process with the agent")
	command.BoolVar(fs, &o.asJSON, "json", false, "print JSON")
	return &command.Command{
		Name: "overhead", Args: "NAME|FILE|URL", Summary: "tell what an agent costs, by the difference between two targets",
		Flags:   fs,
		Brief:   []string{"off", "on", "pairs", "warm-up", "workers", "fail-above", "confidence", "json", "var"},
		Example: "loadgen overhead shop.yaml -off http://localhost:8000 -on http://localhost:8001 -fail-above 1ms",
		More: "Both targets get the same requests; of each pair one runs after the other, in random order.\n" +
			"CPU time and memory are those of local processes, on Linux. Exit codes: 0 measured, and not\n" +
			"above -fail-above, 1 above it, 2 wrong usage, 3 uncertain: more -pairs would tell.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			o.System = sys
			return o.run(ctx, args)
		},
	}
}

func (o *overheadRun) run(ctx context.Context, args []string) error {
	cfg, opts, done, err := o.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	o.Job = cfg
	o.Off.URL = cmp.Or(o.Off.URL, cfg.BaseURL)
	if o.Off.URL == "" || o.On.URL == "" {
		return command.UsageErrorf("two targets are needed: -off URL without the agent, -on URL with it")
	}
	if o.WarmUp == 0 {
		o.WarmUp = -1
	}
	if o.Pairs == 0 {
		return command.UsageErrorf("-pairs must be at least 1")
	}
	o.Progress = func(done, of int) {
		if step := max(1, of/10); done > 0 && done%step == 0 && done < of {
			_ = command.Write(o.Stderr, fmt.Sprintf("%d of %d pairs\n", done, of))
		}
	}
	r, err := o.Measurement.Run(ctx, opts...)
	if r == nil {
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	if o.asJSON {
		_ = json.NewEncoder(o.Stdout).Encode(r)
	} else if werr := r.WriteText(o.Stdout); werr != nil {
		return werr
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("stopped before the last pair")
	case err != nil:
		return err
	}
	return o.judge(r)
}

func (o *overheadRun) judge(r *overhead.Result) error {
	all := r.Tasks[len(r.Tasks)-1]
	if all.Pairs == 0 {
		return fmt.Errorf("no pair counts: %d iterations failed without the agent, %d with it", all.FailedOff, all.FailedOn)
	}
	if o.limit < 0 {
		return nil
	}
	switch outcome, task := r.Judge(o.limit); outcome {
	case overhead.Exceeds:
		return fmt.Errorf("the median overhead of %s is %s, above %s", task.Task, task.P50, o.limit)
	case overhead.Unsure:
		return &command.ExitError{Code: command.ExitInvalid, Err: fmt.Errorf("the median overhead of %s is %s, which may be above %s or not: measure more -pairs", task.Task, task.P50, o.limit)}
	}
	return nil
}
