package cli

import (
	"context"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/report"
)

func mergeCommand() *command.Command {
	var outputs []report.Output
	var o report.MergeOptions
	var quiet bool
	fs := command.NewFlags()
	outFlag(fs, &outputs)
	command.BoolVar(fs, &o.Partial, "partial", false, "merge what there is, even if segments are missing; that is not valid")
	command.BoolVar(fs, &quiet, "quiet", false, "print errors alone")
	return &command.Command{
		Name: "merge", Args: "SEGMENT.json...", Summary: "make one report of the segments of a run, and judge it",
		Example: "loadgen merge segment-*.json -out run.html",
		Flags:   fs,
		More: "The reports are the JSON of loadgen run -segment, in any order. Thresholds are judged on the\n" +
			"sum. Exit codes: 0 fine, 1 a threshold or a segment failed, 2 what does not belong together,\n" +
			"3 the generator, not the target, was the limit, or a segment is missing.\n",
		Run: func(_ context.Context, sys *command.System, args []string) error {
			if len(args) == 0 {
				return command.UsageErrorf("the JSON of the segments is missing (see loadgen merge -h)")
			}
			var parts []*report.Report
			for _, file := range args {
				r, err := readReport(file)
				if err != nil {
					return err
				}
				parts = append(parts, r)
			}
			o.Names = args
			rep, err := report.Merge(parts, o)
			if err != nil {
				return command.UsageErrorf("%w", err)
			}
			if err := publish(sys, rep, outputs, quiet); err != nil {
				return err
			}
			return judge(rep, quiet)
		},
	}
}
