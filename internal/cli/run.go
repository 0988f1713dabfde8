package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/serve"
	"github.com/opbeans/loadgen/report"
)

// runner is one call of the command run.
type runner struct {
	subject
	outputs  []report.Output
	interval time.Duration
	progress time.Duration
	quiet    bool
	dryRun   bool
	apm      serve.ApmFlags
}

func runCommand() *command.Command {
	r := &runner{subject: subject{command: "run"}}
	fs := command.NewFlags()
	r.flags(fs)
	outFlag(fs, &r.outputs)
	command.TimeVar(fs, &r.interval, "interval", time.Second, "`TIME` of an interval in reports; long runs have longer ones")
	command.TimeVar(fs, &r.progress, "progress", 5*time.Second, "how often to print a line where there is no terminal, `TIME`")
	command.BoolVar(fs, &r.quiet, "quiet", false, "print errors alone")
	command.BoolVar(fs, &r.verbose, "verbose", false, "log what the job does, and its failures, instead of the block of progress")
	r.apm.Register(fs)
	command.BoolVar(fs, &r.dryRun, "dry-run", false, "print the effective settings, and start nothing")
	return &command.Command{
		Name: "run", Args: "NAME|FILE|URL", Summary: "run one job, show its progress, and end with a verdict",
		Flags: fs,
		Brief: []string{
			"url", "workers", "delay", "rate", "stages", "ramp-up", "duration", "max-iterations", "var", "weight", "header",
			"threshold", "out", "quiet", "dry-run",
		},
		Example: "loadgen run shop.yaml -url http://localhost:8000 -rate 100/s -duration 1m -out run.html",
		More: "NAME is a scenario that is built in or in -scenarios, FILE one in YAML (- for standard input),\n" +
			"URL a page to get. A TIME is 1m30s or a number of seconds.\n\n" +
			"Exit codes: 0 fine, 1 a threshold or the job failed, 2 wrong usage, 3 the generator, not the\n" +
			"target, was the limit. The first Ctrl-C stops softly, the second interrupts.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			r.System = sys
			return r.run(ctx, args)
		},
	}
}

// outFlag registers the flag that says where reports go.
func outFlag(fs *flag.FlagSet, outputs *[]report.Output) {
	fs.Func("out", "`FILE` to write a report to: .json .html .csv .xml .hlog .txt, or json:FILE; may be repeated", func(s string) error {
		o, err := report.ParseOutput(s)
		*outputs = append(*outputs, o)
		return err
	})
}

func (r *runner) run(ctx context.Context, args []string) error {
	if r.interval <= 0 || r.progress <= 0 {
		return command.UsageErrorf("-interval and -progress must be above 0")
	}
	if err := r.apm.Check(); err != nil {
		return err
	}
	traces, err := serve.NewTracing(&r.apm, nil)
	if err != nil {
		return err
	}
	cfg, opts, done, err := r.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	cfg.Trace.Enabled = cfg.Trace.Enabled || r.apm.Addr != ""
	opts = append(opts, traces.Options()...)
	m := loadgen.New(opts...)
	defer m.Close()
	if err := r.apm.CheckTasks(m, cfg); err != nil {
		return err
	}
	if r.dryRun {
		return r.show(m, cfg)
	}
	for _, o := range r.outputs {
		if err := o.Check(); err != nil {
			return command.UsageErrorf("-out: %w", err)
		}
	}
	if traces.Ledger != nil {
		traces.Bind(m)
		where, stop, err := traces.ServeAPM(ctx, r.apm.Addr)
		if err != nil {
			return err
		}
		defer stop()
		if !r.quiet {
			_, _ = fmt.Fprintf(r.Stderr, "receiving from APM agents at %s\n", where)
		}
	}
	job, err := m.Start(ctx, cfg)
	if err != nil {
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	rec := report.NewRecorder(job, r.interval)
	var recording sync.WaitGroup
	recording.Go(func() { rec.Record(context.WithoutCancel(ctx)) }) // it ends with the job
	cut := r.watch(ctx, m, job)
	recording.Wait()
	if traces.Ledger != nil && cut == nil {
		r.settle(ctx, traces, job.Name())
	}
	rep := rec.Report()
	rep.Tool = "loadgen " + command.Version()
	if rep.Agents, err = traces.Report(job.Name()); err != nil {
		return err
	}
	rep.Traces = traces.Exemplars.Of(rep.Snapshot)
	return r.conclude(rep, cut)
}

// show prints what would run.
func (r *runner) show(m *loadgen.Manager, cfg loadgen.JobConfig) error {
	preview, err := m.Preview(cfg)
	if err == nil {
		err = preview.Refused
	}
	if err != nil {
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	text, err := json.MarshalIndent(report.Redact(preview.Config), "", "  ")
	if err != nil {
		return err
	}
	return command.Write(r.Stdout, string(text)+"\n")
}

// watch shows the progress until the job has ended. A first signal, which ends ctx,
// stops it softly; cut is the second one, which interrupts it, or nil.
func (r *runner) watch(ctx context.Context, m *loadgen.Manager, job *loadgen.Job) (cut os.Signal) {
	hard := r.Hard.Expect()
	v := newView(r, job)
	defer v.end()
	tick := time.NewTicker(v.every)
	defer tick.Stop()
	v.show()
	soft := ctx.Done()
	for {
		select {
		case <-job.Done():
			return cut
		case <-soft:
			soft = nil
			v.note(fmt.Sprintf("stopping: running iterations have %s to end; another Ctrl-C interrupts them", max(job.Config().Grace, 0)))
			job.Stop()
		case cut = <-hard:
			m.Close()
			return cut
		case <-tick.C:
			v.show()
		}
	}
}

// conclude shows and writes the results, and says with which code to exit.
func (r *runner) conclude(rep *report.Report, cut os.Signal) error {
	if err := publish(r.System, rep, r.outputs, r.quiet); err != nil {
		return err
	}
	if cut != nil {
		return &command.ExitError{Code: command.SignalCode(cut), Err: fmt.Errorf("received %s again, running iterations were interrupted", cut)}
	}
	return judge(rep, r.quiet)
}

// publish writes the summary, unless that is not wanted, and the reports.
func publish(sys *command.System, rep *report.Report, outputs []report.Output, quiet bool) error {
	text := sys.Stdout
	for _, o := range outputs {
		if o.File == "-" {
			text = sys.Stderr // the other is for a program
		}
	}
	var errs []error
	if !quiet {
		errs = append(errs, rep.WriteText(text))
	}
	for _, o := range outputs {
		if err := o.Write(rep, sys.Stdout); err != nil {
			errs = append(errs, fmt.Errorf("-out: %w", err))
		}
	}
	return errors.Join(errs...)
}

// judge says with which code results make the program exit. The thresholds of a segment
// are judged when all are merged: a tenth of the requests is not what they are about.
// quiet says that no summary has told which thresholds were not held.
func judge(rep *report.Report, quiet bool) error {
	s := rep.Snapshot
	failed := s.FailedVerdicts()
	if rep.Config.Segment.Count > 1 {
		failed = nil
	}
	switch {
	case len(failed) > 0:
		return thresholdsError(failed, len(s.Verdicts), quiet)
	case s.State == loadgen.StateFailed:
		return fmt.Errorf("the job failed: %s", s.Reason)
	case s.AllFailed():
		return fmt.Errorf("every iteration failed%s; if that is fine, -threshold 'error_rate <= 100%%' says so", firstError(s))
	case !s.Valid:
		return &command.ExitError{Code: command.ExitInvalid, Err: fmt.Errorf("the generator was the limit, not the target: %s", strings.Join(s.Invalid, "; "))}
	}
	return nil
}

// thresholdsError says which thresholds were not held, unless the summary has.
func thresholdsError(failed []loadgen.Verdict, all int, quiet bool) error {
	text := fmt.Sprintf("%d of %d thresholds not held", len(failed), all)
	if quiet {
		for _, v := range failed {
			text += "\n  " + v.Message
		}
	}
	return errors.New(text)
}

// firstError is a failure of the most frequent class, for instance.
func firstError(s *loadgen.Snapshot) string {
	var most loadgen.ErrorStat
	for _, class := range serve.SortedKeys(s.Errors) {
		if e := s.Errors[class]; e.Count > most.Count {
			most = e
		}
	}
	if most.Sample == "" {
		return ""
	}
	return ", for instance: " + most.Sample
}
