package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/textkit"
)

// ApmFlags say whether, and how, the program receives what the agents of a target send.
type ApmFlags struct {
	Addr        string
	forward     string
	Grace       time.Duration
	secretToken string
	names       command.TaskFlag
	services    command.TaskFlag
	errors      choice
	traceURL    traceURL
}

// Register defines the flags.
func (f *ApmFlags) Register(fs *flag.FlagSet) {
	fs.StringVar(&f.Addr, "apm", "", "`HOST:PORT` that receives what APM agents and OpenTelemetry exporters send, such as :8200, for a verdict on traced jobs")
	fs.StringVar(&f.forward, "apm-forward", "", "with -apm: `URL` of the APM server that gets everything unchanged, and whose answers agents get")
	command.TimeVar(fs, &f.Grace, "apm-grace", apm.DefaultGrace, "with -apm: how long after its response a request may wait for what agents say of it, `TIME`")
	fs.StringVar(&f.secretToken, "apm-secret-token", "", "with -apm: `TOKEN` that agents must send, unless -apm-forward leaves that to the other server; better set by the environment")
	fs.Var(&f.names, "apm-name", "with -apm: `TASK=NAME` that the transactions of a task must have; repeatable; of other tasks it is the name that most have")
	fs.Var(&f.services, "apm-services", "with -apm: `TASK=A,B`, the services that each trace of a task must pass; repeatable; of other tasks it is those that most pass")
	f.errors = choice{string(apm.ErrorsLearned), []string{string(apm.ErrorsLearned), string(apm.ErrorsAlways), string(apm.ErrorsNever)}}
	fs.Var(&f.errors, "apm-errors", "with -apm: `WHEN` an answer of 500 and above must have an error in its trace: always, never, or learned: as most of its task have")
	fs.Var(&f.traceURL, "trace-url", "`URL` of a trace in a user interface, with {trace_id} in it, that reports and the API link to")
}

// Check reports flags that do not go together.
func (f *ApmFlags) Check() error {
	switch {
	case f.Addr == "" && f.forward != "":
		return command.UsageErrorf("-apm-forward needs -apm, the address that agents send to")
	case f.Addr == "" && f.secretToken != "":
		return command.UsageErrorf("-apm-secret-token needs -apm, the address that agents send to")
	case f.Addr == "" && (len(f.names) > 0 || len(f.services) > 0 || f.errors.value != f.errors.of[0]):
		return command.UsageErrorf("-apm-name, -apm-services and -apm-errors need -apm, the address that agents send to")
	case f.Grace <= 0:
		return command.UsageErrorf("-apm-grace must be above 0, not %s", f.Grace)
	}
	return nil
}

// CheckTasks finds the tasks that are named, but that the scenario does not have.
func (f *ApmFlags) CheckTasks(m *loadgen.Manager, cfg loadgen.JobConfig) error {
	if len(f.names) == 0 && len(f.services) == 0 {
		return nil
	}
	p, err := m.Preview(cfg)
	if err != nil {
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	known := p.Scenario.TaskNames()
	for _, task := range append(slices.Sorted(maps.Keys(f.names)), slices.Sorted(maps.Keys(f.services))...) {
		if !slices.Contains(known, task) {
			return command.UsageErrorf("-apm-name, -apm-services: the scenario has no task %q%s", task, textkit.DidYouMean(task, known))
		}
	}
	return nil
}

// ledgerConfig is how the verdict is to be made.
func (f *ApmFlags) ledgerConfig() apm.LedgerConfig {
	services := map[string][]string{}
	for task, list := range f.services {
		for service := range strings.SplitSeq(list, ",") {
			if service = strings.TrimSpace(service); service != "" {
				services[task] = append(services[task], service)
			}
		}
	}
	return apm.LedgerConfig{Grace: f.Grace, Names: f.names, Services: services, Errors: apm.ErrorPolicy(f.errors.value)}
}

// traceURL is a template that loadgen.NewTraceExemplars takes.
type traceURL string

func (u *traceURL) String() string { return string(*u) }

func (u *traceURL) Set(s string) error {
	_, err := loadgen.NewTraceExemplars(s)
	*u = traceURL(s)
	return err
}

// Tracing is what holds the traces of jobs against what agents say.
type Tracing struct {
	Exemplars *loadgen.TraceExemplars
	Ledger    *apm.Ledger   // nil without -apm
	receiver  *apm.Receiver // likewise
	manager   *loadgen.Manager
}

// NewTracing returns what f asks for, with the receiver listening.
func NewTracing(f *ApmFlags, log *slog.Logger) (*Tracing, error) {
	t := &Tracing{}
	var err error
	if t.Exemplars, err = loadgen.NewTraceExemplars(string(f.traceURL)); err != nil {
		return nil, command.UsageErrorf("-trace-url: %w", err)
	}
	if f.Addr == "" {
		return t, nil
	}
	if t.Ledger, err = apm.NewLedger(f.ledgerConfig()); err != nil {
		return nil, command.UsageErrorf("-apm: %w", err)
	}
	t.receiver, err = apm.NewReceiver(t.Ledger, apm.ReceiverConfig{Forward: f.forward, SecretToken: f.secretToken, Logger: log})
	if err != nil {
		return nil, command.UsageErrorf("-apm-forward: %w", err)
	}
	return t, nil
}

// Options are those of the Manager whose jobs are traced.
func (t *Tracing) Options() []loadgen.Option {
	opts := []loadgen.Option{loadgen.WithObserver(t.Exemplars)}
	if t.Ledger != nil {
		opts = append(opts, t.Ledger.Options()...)
	}
	return opts
}

// Bind lets the ledger know the Manager whose jobs are traced.
func (t *Tracing) Bind(m *loadgen.Manager) {
	t.manager = m
	if t.Ledger != nil {
		t.Ledger.Bind(m)
	}
}

// verdict is that on a job, with what its thresholds say of it.
type verdict struct {
	*apm.Verdict
	Thresholds []loadgen.Verdict `json:"thresholds,omitempty"`
}

func (t *Tracing) verdict(job string) verdict {
	v := verdict{Verdict: t.Ledger.Verdict(job)}
	if j, err := t.manager.Get(job); err == nil {
		v.Thresholds = aboutAgents(j.Snapshot())
	}
	return v
}

// aboutAgents are the verdicts of a job's thresholds that are on what agents tell.
func aboutAgents(s *loadgen.Snapshot) []loadgen.Verdict {
	return slices.DeleteFunc(slices.Clone(s.Verdicts), func(v loadgen.Verdict) bool {
		return !v.Threshold.About("apm.")
	})
}

// JobVerdict implements httpapi.Documents.
func (t *Tracing) JobVerdict(job string, from, to time.Time) any {
	if from.IsZero() && to.IsZero() {
		return t.verdict(job)
	}
	return t.Ledger.Between(job, from, to)
}

// Report is the verdict on a job as JSON; empty without -apm.
func (t *Tracing) Report(job string) (json.RawMessage, error) {
	if t.Ledger == nil {
		return nil, nil
	}
	return json.Marshal(t.Ledger.Verdict(job))
}

// said is report, and nothing of a job that has sent no trace.
func (t *Tracing) said(job string) json.RawMessage {
	if t.Ledger == nil {
		return nil
	}
	if v := t.Ledger.Verdict(job); v.Sent == 0 && v.Untracked == 0 {
		return nil
	}
	text, err := t.Report(job)
	if err != nil {
		return nil
	}
	return text
}

// live is the verdict on a job for Socket.IO, and a mark that changes with it: nothing, as
// long as the job has sent no trace.
func (t *Tracing) live(job string) (said any, mark string, final bool) {
	v := t.verdict(job)
	if v.Sent == 0 && v.Untracked == 0 {
		return nil, "", false
	}
	still := *v.Verdict
	still.Time = time.Time{}
	text, err := json.Marshal(verdict{&still, v.Thresholds})
	if err != nil {
		return nil, "", false
	}
	return v, string(text), v.Settled
}

// hear waits until agents have told all of a job that has just ended, or ctx is done, or
// the job starts again, and has the verdict kept in its run.
func (a *App) hear(ctx context.Context, j *loadgen.Job) {
	if !j.Snapshot().MetricsOpen {
		return
	}
	a.wg.Go(func() {
		tick := time.NewTicker(hearEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s := j.Snapshot()
			v := a.tracing.Ledger.Verdict(j.Name())
			if now, err := a.manager.Get(j.Name()); err != nil || now != j {
				return
			}
			if s.MetricsOpen {
				continue
			}
			a.runs.Ended(j)
			if v.Sent > 0 || v.Untracked > 0 {
				a.sayHeard(j, s, v)
			}
			return
		}
	})
}

// hearEvery is how often it is looked whether agents have told all of a job.
const hearEvery = time.Second

func (a *App) sayHeard(j *loadgen.Job, s *loadgen.Snapshot, v *apm.Verdict) {
	r := j.Record()
	a.log.Info("agents have told all", "job", j.Name(), "run", r.RunID(), "ok", v.OK, "verdict", v.String())
	for _, t := range aboutAgents(s) {
		if t.Outcome != loadgen.OutcomePass {
			a.log.Warn("threshold not held", "job", j.Name(), "threshold", t.Threshold.String(), "message", t.Message)
		}
	}
}

// startAPM receives what agents send until the returned function is called. What it does
// with that is to count; agents have no token of this server's to show, only one of their
// own.
func (a *App) startAPM(ctx context.Context) (stop func(), err error) {
	if a.tracing.receiver == nil {
		return func() {}, nil
	}
	ln, err := listen(ctx, a.apm.Addr)
	if err != nil {
		return nil, command.UsageErrorf("-apm: cannot listen: %w", err)
	}
	a.log.Info("receiving from APM agents", "apm", ln.Addr().String(), "forward", cmp.Or(a.apm.forward, "nowhere"))
	return a.listenAndServe(ctx, ln, a.tracing.receiver, nil), nil
}

// ServeAPM is startAPM for the command run, which waits for agents when the job has ended.
func (t *Tracing) ServeAPM(ctx context.Context, addr string) (where string, stop func(), err error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return "", nil, command.UsageErrorf("-apm: cannot listen: %w", err)
	}
	srv := &http.Server{
		Handler: t.receiver, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // until it is closed; agents that find nobody leave requests without documents
	}()
	return ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
		<-done
	}, nil
}
