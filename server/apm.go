package main

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
	"github.com/opbeans/loadgen/internal/suggest"
)

// apmFlags say whether, and how, the program receives what the agents of a target send.
type apmFlags struct {
	addr        string
	forward     string
	grace       time.Duration
	secretToken string
	names       taskFlag
	services    taskFlag
	errors      choice
	traceURL    traceURL
}

func (f *apmFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.addr, "apm", "", "`HOST:PORT` that receives what APM agents and OpenTelemetry exporters send, such as :8200, for a verdict on traced jobs")
	fs.StringVar(&f.forward, "apm-forward", "", "with -apm: `URL` of the APM server that gets everything unchanged, and whose answers agents get")
	timeVar(fs, &f.grace, "apm-grace", apm.DefaultGrace, "with -apm: how long after its response a request may wait for what agents say of it, `TIME`")
	fs.StringVar(&f.secretToken, "apm-secret-token", "", "with -apm: `TOKEN` that agents must send, unless -apm-forward leaves that to the other server; better set by the environment")
	fs.Var(&f.names, "apm-name", "with -apm: `TASK=NAME` that the transactions of a task must have; repeatable; of other tasks it is the name that most have")
	fs.Var(&f.services, "apm-services", "with -apm: `TASK=A,B`, the services that each trace of a task must pass; repeatable; of other tasks it is those that most pass")
	f.errors = choice{string(apm.ErrorsLearned), []string{string(apm.ErrorsLearned), string(apm.ErrorsAlways), string(apm.ErrorsNever)}}
	fs.Var(&f.errors, "apm-errors", "with -apm: `WHEN` an answer of 500 and above must have an error in its trace: always, never, or learned: as most of its task have")
	fs.Var(&f.traceURL, "trace-url", "`URL` of a trace in a user interface, with {trace_id} in it, that reports and the API link to")
}

func (f *apmFlags) check() error {
	switch {
	case f.addr == "" && f.forward != "":
		return usageErrorf("-apm-forward needs -apm, the address that agents send to")
	case f.addr == "" && f.secretToken != "":
		return usageErrorf("-apm-secret-token needs -apm, the address that agents send to")
	case f.addr == "" && (len(f.names) > 0 || len(f.services) > 0 || f.errors.value != f.errors.of[0]):
		return usageErrorf("-apm-name, -apm-services and -apm-errors need -apm, the address that agents send to")
	case f.grace <= 0:
		return usageErrorf("-apm-grace must be above 0, not %s", f.grace)
	}
	return nil
}

// checkTasks finds the tasks that are named, but that the scenario does not have.
func (f *apmFlags) checkTasks(m *loadgen.Manager, cfg loadgen.JobConfig) error {
	if len(f.names) == 0 && len(f.services) == 0 {
		return nil
	}
	p, err := m.Preview(cfg)
	if err != nil {
		return usageErrorf("%w", flagFaults(err))
	}
	known := p.Scenario.TaskNames()
	for _, task := range append(slices.Sorted(maps.Keys(f.names)), slices.Sorted(maps.Keys(f.services))...) {
		if !slices.Contains(known, task) {
			return usageErrorf("-apm-name, -apm-services: the scenario has no task %q%s", task, suggest.DidYouMean(task, known))
		}
	}
	return nil
}

// ledgerConfig is how the verdict is to be made.
func (f *apmFlags) ledgerConfig() apm.LedgerConfig {
	services := map[string][]string{}
	for task, list := range f.services {
		for service := range strings.SplitSeq(list, ",") {
			if service = strings.TrimSpace(service); service != "" {
				services[task] = append(services[task], service)
			}
		}
	}
	return apm.LedgerConfig{Grace: f.grace, Names: f.names, Services: services, Errors: apm.ErrorPolicy(f.errors.value)}
}

// traceURL is a template that loadgen.NewTraceExemplars takes.
type traceURL string

func (u *traceURL) String() string { return string(*u) }

func (u *traceURL) Set(s string) error {
	_, err := loadgen.NewTraceExemplars(s)
	*u = traceURL(s)
	return err
}

// tracing is what holds the traces of jobs against what agents say.
type tracing struct {
	exemplars *loadgen.TraceExemplars
	ledger    *apm.Ledger   // nil without -apm
	receiver  *apm.Receiver // likewise
	manager   *loadgen.Manager
}

func newTracing(f *apmFlags, log *slog.Logger) (*tracing, error) {
	t := &tracing{}
	var err error
	if t.exemplars, err = loadgen.NewTraceExemplars(string(f.traceURL)); err != nil {
		return nil, usageErrorf("-trace-url: %w", err)
	}
	if f.addr == "" {
		return t, nil
	}
	if t.ledger, err = apm.NewLedger(f.ledgerConfig()); err != nil {
		return nil, usageErrorf("-apm: %w", err)
	}
	t.receiver, err = apm.NewReceiver(t.ledger, apm.ReceiverConfig{Forward: f.forward, SecretToken: f.secretToken, Logger: log})
	if err != nil {
		return nil, usageErrorf("-apm-forward: %w", err)
	}
	return t, nil
}

// options are those of the Manager whose jobs are traced.
func (t *tracing) options() []loadgen.Option {
	opts := []loadgen.Option{loadgen.WithObserver(t.exemplars)}
	if t.ledger != nil {
		opts = append(opts, t.ledger.Options()...)
	}
	return opts
}

// bind lets the ledger know the Manager whose jobs are traced.
func (t *tracing) bind(m *loadgen.Manager) {
	t.manager = m
	if t.ledger != nil {
		t.ledger.Bind(m)
	}
}

// verdict is that on a job, with what its thresholds say of it.
type verdict struct {
	*apm.Verdict
	Thresholds []loadgen.Verdict `json:"thresholds,omitempty"`
}

func (t *tracing) verdict(job string) verdict {
	v := verdict{Verdict: t.ledger.Verdict(job)}
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
func (t *tracing) JobVerdict(job string, from, to time.Time) any {
	if from.IsZero() && to.IsZero() {
		return t.verdict(job)
	}
	return t.ledger.Between(job, from, to)
}

// report is the verdict on a job as JSON; empty without -apm.
func (t *tracing) report(job string) (json.RawMessage, error) {
	if t.ledger == nil {
		return nil, nil
	}
	return json.Marshal(t.ledger.Verdict(job))
}

// said is report, and nothing of a job that has sent no trace.
func (t *tracing) said(job string) json.RawMessage {
	if t.ledger == nil {
		return nil
	}
	if v := t.ledger.Verdict(job); v.Sent == 0 && v.Untracked == 0 {
		return nil
	}
	text, err := t.report(job)
	if err != nil {
		return nil
	}
	return text
}

// live is the verdict on a job for Socket.IO, and a mark that changes with it: nothing, as
// long as the job has sent no trace.
func (t *tracing) live(job string) (said any, mark string, final bool) {
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
func (a *app) hear(ctx context.Context, j *loadgen.Job) {
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
			v := a.tracing.ledger.Verdict(j.Name())
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

func (a *app) sayHeard(j *loadgen.Job, s *loadgen.Snapshot, v *apm.Verdict) {
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
func (a *app) startAPM(ctx context.Context) (stop func(), err error) {
	if a.tracing.receiver == nil {
		return func() {}, nil
	}
	ln, err := listen(ctx, a.apm.addr)
	if err != nil {
		return nil, usageErrorf("-apm: cannot listen: %w", err)
	}
	a.log.Info("receiving from APM agents", "apm", ln.Addr().String(), "forward", cmp.Or(a.apm.forward, "nowhere"))
	return a.listenAndServe(ctx, ln, a.tracing.receiver, nil), nil
}

// serveAPM is startAPM for the command run, which waits for agents when the job has ended.
func (t *tracing) serveAPM(ctx context.Context, addr string) (where string, stop func(), err error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return "", nil, usageErrorf("-apm: cannot listen: %w", err)
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
