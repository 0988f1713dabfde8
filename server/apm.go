package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

// apmFlags say whether, and how, the program receives what the agents of a target send.
type apmFlags struct {
	addr        string
	forward     string
	grace       time.Duration
	secretToken string
	traceURL    traceURL
}

func (f *apmFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.addr, "apm", "", "`HOST:PORT` that receives what APM agents and OpenTelemetry exporters send, such as :8200, for a verdict on traced jobs")
	fs.StringVar(&f.forward, "apm-forward", "", "with -apm: `URL` of the APM server that gets everything unchanged, and whose answers agents get")
	timeVar(fs, &f.grace, "apm-grace", apm.DefaultGrace, "with -apm: how long after its response a request may wait for what agents say of it, `TIME`")
	fs.StringVar(&f.secretToken, "apm-secret-token", "", "with -apm: `TOKEN` that agents must send, unless -apm-forward leaves that to the other server; better set by the environment")
	fs.Var(&f.traceURL, "trace-url", "`URL` of a trace in a user interface, with {trace_id} in it, that reports and the API link to")
}

func (f *apmFlags) check() error {
	switch {
	case f.addr == "" && f.forward != "":
		return usageErrorf("-apm-forward needs -apm, the address that agents send to")
	case f.addr == "" && f.secretToken != "":
		return usageErrorf("-apm-secret-token needs -apm, the address that agents send to")
	case f.grace <= 0:
		return usageErrorf("-apm-grace must be above 0, not %s", f.grace)
	}
	return nil
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
	if t.ledger, err = apm.NewLedger(apm.LedgerConfig{Grace: f.grace}); err != nil {
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

// JobVerdict implements httpapi.Documents.
func (t *tracing) JobVerdict(job string, from, to time.Time) any {
	if from.IsZero() && to.IsZero() {
		return t.ledger.Verdict(job)
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

// live is the verdict on a job for Socket.IO, and a mark that changes with it: nothing, as
// long as the job has sent no trace.
func (t *tracing) live(job string) (verdict any, mark string, final bool) {
	v := t.ledger.Verdict(job)
	if v.Sent == 0 && v.Untracked == 0 {
		return nil, "", false
	}
	still := *v
	still.Time = time.Time{}
	text, err := json.Marshal(&still)
	if err != nil {
		return nil, "", false
	}
	return v, string(text), v.Settled
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

// settle waits until everything has come that agents have to say of a job, or the grace
// time is over, or one more signal asks for an end.
func (r *runner) settle(ctx context.Context, t *tracing, job string) {
	v := t.ledger.Verdict(job)
	if v.Settled {
		return
	}
	if ctx.Err() != nil { // a first signal has stopped the job; what it has sent still counts
		ctx = context.WithoutCancel(ctx)
	}
	if !r.quiet {
		_, _ = fmt.Fprintf(r.stderr, "waiting for agents, at most %s: %s\n", r.apm.grace, v)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hard := r.hard.expect()
	go func() {
		select {
		case <-hard:
			cancel()
		case <-ctx.Done():
		}
	}()
	t.ledger.Settle(ctx, job)
}
