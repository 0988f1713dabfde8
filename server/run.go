package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

// runner is one call of the command run.
type runner struct {
	*system
	jobFlags
	scenarios string
	cert, key string
	outputs   []report.Output
	interval  time.Duration
	progress  time.Duration
	quiet     bool
	verbose   bool
	dryRun    bool
}

func runCommand() *command {
	r := &runner{}
	fs := newFlags()
	r.register(fs)
	fs.StringVar(&r.scenarios, "scenarios", "", "`DIR` of more scenario files")
	fs.StringVar(&r.cert, "cert", "", "`FILE` with the certificate of the client, in PEM form; -key has its key")
	fs.StringVar(&r.key, "key", "", "`FILE` with the private key of -cert")
	outFlag(fs, &r.outputs)
	fs.DurationVar(&r.interval, "interval", time.Second, "`TIME` of an interval in reports; long runs have longer ones")
	fs.DurationVar(&r.progress, "progress", 5*time.Second, "how often to print a line where there is no terminal, `TIME`")
	fs.BoolVar(&r.quiet, "quiet", false, "print errors alone")
	fs.BoolVar(&r.verbose, "verbose", false, "log what the job does, and its failures, instead of the block of progress")
	fs.BoolVar(&r.dryRun, "dry-run", false, "print the effective settings, and start nothing")
	return &command{
		name: "run", args: "NAME|FILE|URL", summary: "run one job, show its progress, and end with a verdict",
		flags: fs,
		brief: []string{
			"url", "workers", "delay", "rate", "stages", "ramp-up", "duration", "max-iterations", "var", "weight", "header",
			"threshold", "out", "quiet", "dry-run",
		},
		example: "loadgen run shop.yaml -url http://localhost:8000 -rate 100/s -duration 1m -out run.html",
		more: "NAME is a scenario that is built in or in -scenarios, FILE one in YAML (- for standard input),\n" +
			"URL a page to get. A TIME is 1m30s or a number of seconds.\n\n" +
			"Exit codes: 0 fine, 1 a threshold or the job failed, 2 wrong usage, 3 the generator, not the\n" +
			"target, was the limit. The first Ctrl-C stops softly, the second interrupts.\n",
		run: func(ctx context.Context, sys *system, args []string) error {
			r.system = sys
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
	cfg, opts, done, err := r.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	m := loadgen.New(opts...)
	defer m.Close()
	if r.dryRun {
		return r.show(m, cfg)
	}
	for _, o := range r.outputs {
		if err := o.Check(); err != nil {
			return usageErrorf("-out: %w", err)
		}
	}
	job, err := m.Start(ctx, cfg)
	if err != nil {
		return usageErrorf("%w", flagFaults(err))
	}
	rec := report.NewRecorder(job, r.interval)
	var recording sync.WaitGroup
	recording.Go(func() { rec.Record(context.WithoutCancel(ctx)) }) // it ends with the job
	cut := r.watch(ctx, m, job)
	recording.Wait()
	rep := rec.Report()
	rep.Tool = "loadgen " + version()
	return r.conclude(rep, cut)
}

// prepare works out what to run. done is for when it has run.
func (r *runner) prepare(args []string) (cfg loadgen.JobConfig, opts []loadgen.Option, done func(), err error) {
	if r.interval <= 0 || r.progress <= 0 {
		return cfg, nil, nil, usageErrorf("-interval and -progress must be above 0")
	}
	if cfg, err = r.job(); err != nil {
		return cfg, nil, nil, err
	}
	folders, closeFolders, err := scenarioFolders(r.scenarios)
	if err != nil {
		return cfg, nil, nil, err
	}
	done = closeFolders
	switch {
	case len(args) > 1:
		err = usageErrorf("one scenario at a time: unexpected argument %q (see loadgen run -h)", args[1])
	case len(args) == 0 && cfg.ScenarioName == "":
		err = usageErrorf("what to run is missing: the NAME of a scenario, the FILE of one, or a URL (see loadgen run -h)")
	case len(args) == 1:
		var closeFile func()
		if closeFile, err = r.source(args[0], &cfg, &opts); err == nil {
			done = func() { closeFile(); closeFolders() }
		}
	}
	var certs *tls.Config
	if err == nil {
		certs, err = r.certificate()
	}
	if err != nil {
		closeFolders()
		return cfg, nil, nil, err
	}
	if cfg.Name == "" {
		cfg.Name = cfg.ScenarioName
	}
	opts = append([]loadgen.Option{loadgen.WithScenarios(folders...)}, opts...) // what was named comes last, and wins
	if certs != nil {
		opts = append(opts, loadgen.WithTLSConfig(certs))
	}
	opts = append(opts,
		loadgen.WithUnixSockets(func(string) bool { return true }), // they are those of whoever types this
		loadgen.WithEnv(func(name string) (string, bool) {
			value := r.getenv(name)
			return value, value != ""
		}))
	if r.verbose {
		opts = append(opts, loadgen.WithLogger(slog.New(slog.NewTextHandler(r.stderr, nil))))
	}
	return cfg, opts, done, nil
}

// source finds what an argument names.
func (r *runner) source(arg string, cfg *loadgen.JobConfig, opts *[]loadgen.Option) (done func(), err error) {
	done = func() {}
	ext := strings.ToLower(filepath.Ext(arg))
	switch {
	case strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://"):
		return done, page(arg, cfg)
	case arg == "-":
		src, err := io.ReadAll(io.LimitReader(r.stdin, loadgen.MaxScenarioSize+1))
		if err == nil && len(src) > loadgen.MaxScenarioSize {
			err = fmt.Errorf("standard input is larger than %d bytes", loadgen.MaxScenarioSize)
		}
		if err == nil {
			cfg.Scenario, err = loadgen.ParseScenarioFile("stdin", "standard input", src)
		}
		cfg.ScenarioName = "stdin"
		if err != nil {
			return done, usageErrorf("%w", flagFaults(err))
		}
		return done, nil
	case ext == ".yaml" || ext == ".yml" || strings.ContainsAny(arg, `/\`):
		// By its folder, so that files which it names are found.
		root, err := os.OpenRoot(filepath.Dir(arg))
		if err != nil {
			return done, usageErrorf("%w", err)
		}
		if _, err := os.Stat(arg); err != nil {
			_ = root.Close()
			return done, usageErrorf("%w", err)
		}
		if ext != ".yaml" && ext != ".yml" {
			_ = root.Close()
			return done, usageErrorf("%s: the file of a scenario ends in .yaml", arg)
		}
		cfg.ScenarioName = strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg))
		*opts = append(*opts, loadgen.WithScenarios(root.FS()))
		return func() { _ = root.Close() }, nil
	default:
		cfg.ScenarioName = arg
		return done, nil
	}
}

// page makes a scenario of getting one page.
func page(arg string, cfg *loadgen.JobConfig) error {
	u, err := url.Parse(arg)
	if err != nil {
		return usageErrorf("%q is not a URL: %w", arg, err)
	}
	base := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}
	if cfg.BaseURL == "" {
		cfg.BaseURL = base.String()
	}
	path := u.RequestURI()
	cfg.Scenario = loadgen.NewScenario(cmp.Or(u.Hostname(), "page")).
		Task("GET "+u.EscapedPath(), 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, path) })
	cfg.ScenarioName = cfg.Scenario.Name()
	return nil
}

// certificate is the client's, if there is one.
func (r *runner) certificate() (*tls.Config, error) {
	if r.cert == "" && r.key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(r.cert, cmp.Or(r.key, r.cert))
	if err != nil {
		return nil, usageErrorf("-cert, -key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// show prints what would run.
func (r *runner) show(m *loadgen.Manager, cfg loadgen.JobConfig) error {
	cfg, _, err := m.Resolve(cfg)
	if err != nil {
		return usageErrorf("%w", flagFaults(err))
	}
	text, err := json.MarshalIndent(report.Redact(cfg), "", "  ")
	if err != nil {
		return err
	}
	return write(r.stdout, string(text)+"\n")
}

// watch shows the progress until the job has ended. A first signal, which ends ctx,
// stops it softly; cut is the second one, which interrupts it, or nil.
func (r *runner) watch(ctx context.Context, m *loadgen.Manager, job *loadgen.Job) (cut os.Signal) {
	hard := r.hard.expect()
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
	text := r.stdout
	for _, o := range r.outputs {
		if o.File == "-" {
			text = r.stderr // the other is for a program
		}
	}
	var errs []error
	if !r.quiet {
		errs = append(errs, rep.WriteText(text))
	}
	for _, o := range r.outputs {
		if err := o.Write(rep, r.stdout); err != nil {
			errs = append(errs, fmt.Errorf("-out: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s := rep.Snapshot
	failed := s.FailedVerdicts()
	switch {
	case cut != nil:
		return &exitError{signalCode(cut), fmt.Errorf("received %s again, running iterations were interrupted", cut)}
	case len(failed) > 0:
		var lines []string
		for _, v := range failed {
			lines = append(lines, "threshold: "+v.Message)
		}
		return errors.New(strings.Join(lines, "\n  "))
	case s.State == loadgen.StateFailed:
		return fmt.Errorf("the job failed: %s", s.Reason)
	case !s.Valid:
		return &exitError{exitInvalid, fmt.Errorf("the generator was the limit, not the target: %s", strings.Join(s.Invalid, "; "))}
	}
	return nil
}
