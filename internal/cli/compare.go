package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/report"
)

func compareCommand() *command.Command {
	var o report.CompareOptions
	var asJSON bool
	tolerance := -1.0
	o.Confidence, o.Resamples = 0.95, 2000
	fs := command.NewFlags()
	fs.Func("fail-if-worse", "exit with 1 if a metric is worse by more than this `SHARE` of what it was, such as 5%", func(s string) (err error) {
		tolerance, err = parseShare(s)
		return err
	})
	fs.Func("confidence", "`SHARE` of certainty of the intervals (default 95%)", func(s string) (err error) {
		if o.Confidence, err = parseShare(s); err == nil && (o.Confidence <= 0.5 || o.Confidence >= 1) {
			err = errors.New("must be above 50% and below 100%")
		}
		return err
	})
	command.CountVar(fs, &o.Resamples, "resamples", o.Resamples, "draw each run again `N` times")
	fs.Func("seed", "`N` that the resamples come from", func(s string) (err error) {
		o.Seed, err = parseCount(s)
		return err
	})
	command.BoolVar(fs, &asJSON, "json", false, "print JSON")
	return &command.Command{
		Name: "compare", Args: "BEFORE.json AFTER.json", Summary: "tell what has changed from one run to another",
		Example: "loadgen compare before.json after.json -fail-if-worse 5%",
		Flags:   fs,
		Run: func(_ context.Context, sys *command.System, args []string) error {
			if len(args) != 2 {
				return command.UsageErrorf("two reports are compared, not %d (see loadgen compare -h)", len(args))
			}
			before, err := readReport(args[0])
			if err != nil {
				return err
			}
			after, err := readReport(args[1])
			if err != nil {
				return err
			}
			c, err := report.Compare(before, after, o)
			if err != nil {
				return command.UsageErrorf("%w", err)
			}
			if asJSON {
				err = json.NewEncoder(sys.Stdout).Encode(c)
			} else {
				err = c.WriteText(sys.Stdout)
			}
			if err != nil || tolerance < 0 {
				return err
			}
			return worse(c.WorseThan(tolerance))
		},
	}
}

// worse is the error of what has become too bad.
func worse(list []report.Difference) error {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, d := range list {
		names = append(names, d.Metric)
	}
	return fmt.Errorf("worse: %s", strings.Join(names, ", "))
}

// parseShare reads 5% or 0.05.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 100) {
		return 0, errors.New("must be a share such as 5% or 0.05")
	}
	return x, nil
}

func readReport(file string) (*report.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, command.UsageErrorf("%w", err)
	}
	defer func() { _ = f.Close() }()
	r, err := report.ReadJSON(f)
	if err != nil {
		return nil, command.UsageErrorf("%s: %w", file, err)
	}
	return r, nil
}

func reportCommand() *command.Command {
	var outputs []report.Output
	fs := command.NewFlags()
	outFlag(fs, &outputs)
	return &command.Command{
		Name: "report", Args: "RUN.json", Summary: "make other reports of the JSON of a run",
		Example: "loadgen report run.json -out run.html -out run.csv",
		Flags:   fs,
		Run: func(_ context.Context, sys *command.System, args []string) error {
			if len(args) != 1 {
				return command.UsageErrorf("the JSON of one run is needed, not %d arguments (see loadgen report -h)", len(args))
			}
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			if len(outputs) == 0 {
				return r.WriteText(sys.Stdout)
			}
			for _, o := range outputs {
				if err := o.Write(r, sys.Stdout); err != nil {
					return fmt.Errorf("-out: %w", err)
				}
			}
			return nil
		},
	}
}
