// Package serve is the server: the API, the page and the streams around one Manager, with their
// flags.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/access"
	"github.com/opbeans/loadgen/dashboard"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/rlimit"
	"github.com/opbeans/loadgen/metrics"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
	"github.com/opbeans/loadgen/state"
	"github.com/opbeans/loadgen/statsd"
)

// App is one run of the server.
type App struct {
	*command.System
	Settings
	log       *slog.Logger
	tracing   *Tracing
	manager   *loadgen.Manager
	datagrams *statsd.Observer     // nil without -statsd
	bridge    *statsd.Bridge       // nil without -statsd-bridge
	page      *statsd.BridgeServer // likewise
	wg        sync.WaitGroup       // goroutines of this run
	store     *state.Store         // nil without -state
	runs      endedRuns
}

// serve runs the service, or standalone jobs.
func (a *App) serve(ctx context.Context) error {
	a.log = slog.New(a.logHandler())
	folders, closeFolders, err := ScenarioFolders(a.scenarios)
	if err != nil {
		return err
	}
	defer closeFolders()
	if IsStandalone(a.LookupEnv) {
		folders = append([]fs.FS{scenarios.Standalone()}, folders...) // a file of the user's wins
	}
	rules, err := a.targetRules()
	if err != nil {
		return command.UsageErrorf("-target: %w; -allow-target says where jobs may connect to", err)
	}
	opts := []loadgen.Option{
		loadgen.WithLogger(a.log),
		loadgen.WithTargetRules(rules),
		loadgen.WithLimits(a.limits),
		loadgen.WithDescriptorReserve(maxClients() + reservedFiles),
		loadgen.WithScenarios(folders...),
		loadgen.WithEnv(func(name string) (string, bool) {
			value := a.Getenv(name)
			return value, value != ""
		}),
	}
	if a.statsd != "" {
		//nolint:contextcheck // it lives until Close, whatever the signals say
		if a.datagrams, err = statsd.New(a.statsd, statsd.WithNames(statsd.Names(a.statsdNames.value))); err != nil {
			return command.UsageErrorf("-statsd: %w", err)
		}
		defer a.closeStatsD() // after the Manager, which feeds it
		if err := a.datagrams.Unreached(); err != nil {
			a.log.Warn("the StatsD server is not there yet; its name is looked up again while there is load", "addr", a.statsd, "error", err)
		}
		opts = append(opts, loadgen.WithObserver(a.datagrams))
	}
	if a.statsdBridge != "" {
		if a.bridge, err = statsd.NewBridge(); err != nil {
			return command.UsageErrorf("-statsd-bridge: %w", err)
		}
		defer a.bridge.Close() // likewise
		opts = append(opts, loadgen.WithObserver(a.bridge))
	}
	if a.tracing, err = NewTracing(&a.apm, a.log); err != nil {
		return err
	}
	opts = append(opts, a.tracing.Options()...)
	closeState, err := a.openState()
	if err != nil {
		return err
	}
	defer closeState() // after the Manager, whose jobs it keeps
	opts = append(opts, loadgen.WithOnEnd(a.runs.Ended))
	running, cancel := context.WithCancel(ctx)
	if a.tracing.Ledger != nil {
		opts = append(opts, loadgen.WithOnEnd(func(j *loadgen.Job) { a.hear(running, j) }))
	}
	a.manager = loadgen.New(opts...)
	defer a.wg.Wait()
	defer cancel()
	defer a.manager.Close()
	if a.datagrams != nil {
		a.datagrams.Watch(ctx, a.manager)
	}
	a.tracing.Bind(a.manager)
	stopProfiles, err := a.startProfiles(ctx)
	if err != nil {
		return err
	}
	defer stopProfiles()
	stopBridge, err := a.startBridge(ctx)
	if err != nil {
		return err
	}
	defer stopBridge()
	stopAPM, err := a.startAPM(ctx)
	if err != nil {
		return err
	}
	defer stopAPM()
	if IsStandalone(a.LookupEnv) {
		return a.standalone(ctx)
	}
	return a.service(ctx)
}

// closeStatsD sends what is left, and says what could not be sent.
func (a *App) closeStatsD() {
	a.datagrams.Close()
	if a.manager == nil {
		return // which has never begun
	}
	if dropped, missed := a.datagrams.Dropped(), a.manager.DroppedSamples(); dropped > 0 || missed > 0 {
		a.log.Warn("StatsD did not get everything", "sent", a.datagrams.Sent(), "dropped", dropped, "missed", missed)
	}
}

func (a *App) logHandler() slog.Handler {
	opts := &slog.HandlerOptions{Level: a.logLevel}
	if a.logFormat.value == "json" {
		return slog.NewJSONHandler(a.Stdout, opts)
	}
	return slog.NewTextHandler(a.Stdout, opts)
}

// service runs the HTTP API until ctx is done, then stops jobs softly.
func (a *App) service(ctx context.Context) error {
	ln, err := listen(ctx, a.addr)
	if err != nil {
		return command.UsageErrorf("cannot listen: %w; -addr takes another address", err)
	}
	if err := a.checkExposure(ln.Addr()); err != nil {
		_ = ln.Close()
		return &command.ExitError{Code: command.ExitUsage, Err: err}
	}
	if ln, err = a.secure(ln); err != nil {
		return err
	}
	if err := a.attachState(); err != nil {
		_ = ln.Close()
		return err
	}
	if err := a.writeAddr(ln.Addr()); err != nil {
		_ = ln.Close()
		return command.UsageErrorf("cannot write the address: %w", err)
	}
	failed := make(chan error, 1)
	handler, closeLive := a.handler(ctx)
	if handler, err = a.gate(handler, access.WithLogger(a.log)); err != nil {
		return command.UsageErrorf("-token: %w", err) // cannot be: load has tried it
	}
	stop := a.listenAndServe(ctx, ln, handler, failed)
	defer stop()
	defer closeLive()                                                                                                         // before the server, which waits for polls
	a.log.Info("listening", "addr", ln.Addr().String(), "tls", a.tlsCert != "", "version", command.Version(), "status", "OK") // which the health check of the suite looks for
	a.warnAccess(ln.Addr())

	every := a.progress
	if a.demo {
		every = cmp.Or(every, demoProgress)
		stopShop, err := a.startDemo(ctx, ln.Addr(), failed)
		if err != nil {
			return err
		}
		defer stopShop()
	}
	endProgress := a.startProgress(ctx, every)
	defer endProgress()

	select {
	case <-ctx.Done():
		a.log.Info("stopping", "reason", context.Cause(ctx).Error())
	case err = <-failed:
		a.log.Error("stopping", "reason", err.Error())
	}
	endProgress()
	if a.store != nil {
		a.store.Suspend() // jobs that run now run on after the restart
	}
	a.shutdown(ctx)
	a.summarize()
	return err
}

// shutdown ends all jobs, softly for as long as -stop-timeout says.
func (a *App) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.stopTimeout)
	defer cancel()
	if err := a.manager.Shutdown(ctx); err != nil {
		a.log.Warn("iterations were interrupted, because they took longer than -stop-timeout", "timeout", a.stopTimeout)
	}
}

// handler is what the service answers: the API, live events, metrics, and the page
// that shows and steers it all. Paths go to the API as they came: http.ServeMux would answer
// an unclean one with a redirect.
func (a *App) handler(ctx context.Context) (h http.Handler, closeLive func()) {
	apiOpts := []httpapi.Option{httpapi.WithTarget(string(a.target)), httpapi.WithLogger(a.log), httpapi.WithRuns(a.runs)}
	liveOpts := []socketio.Option{socketio.WithLogger(a.log)}
	if len(a.origins) > 0 {
		apiOpts = append(apiOpts, httpapi.WithOrigins(a.origins...))
		liveOpts = append(liveOpts, socketio.WithOrigins(a.origins...))
	}
	apiOpts = append(apiOpts, httpapi.WithTraces(a.tracing.Exemplars))
	if a.tracing.Ledger != nil {
		apiOpts = append(apiOpts, httpapi.WithDocuments(a.tracing))
		liveOpts = append(liveOpts, socketio.WithVerdicts(a.tracing.live))
	}
	if a.store != nil {
		apiOpts = append(apiOpts, httpapi.WithStore(a.store))
	}
	api := httpapi.New(a.manager, apiOpts...)
	live := socketio.New(a.manager, append(liveOpts, socketio.WithCalls(api.Call))...)
	a.wg.Go(func() { api.Record(ctx) })
	exporter := a.metrics(live)
	page := dashboard.New()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case strings.HasPrefix(r.URL.Path, "/socket.io/"):
			live.ServeHTTP(w, r)
		case reads && r.URL.Path == "/metrics":
			exporter.ServeHTTP(w, r)
		case reads && page.Has(r.URL.Path):
			page.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	}), live.Close
}

// metrics is what Prometheus scrapes.
func (a *App) metrics(live *socketio.Server) http.Handler {
	opts := []metrics.Option{metrics.WithSocketIO(live.Sessions)}
	if a.datagrams != nil {
		opts = append(opts, metrics.WithStatsD(a.datagrams.Sent, a.datagrams.Dropped))
	}
	if a.page != nil {
		opts = append(opts, metrics.WithStatsDBridge(a.page.Sessions, a.bridge.Dropped))
	}
	return metrics.New(a.manager, opts...)
}

// What a client may take of the server, so that none can hold it. A body has its own
// limit, httpapi.MaxBody.
const (
	headerTimeout = 10 * time.Second // for the whole header, however it comes
	readTimeout   = 30 * time.Second // for header and body
	writeTimeout  = 60 * time.Second // for an answer to be taken
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	mostClients   = 16 << 10 // connections at a time
	reservedFiles = 64       // file descriptors for the rest of the server
)

// maxClients is how many connections of clients there are at a time; more wait. Even
// when jobs have used up all file descriptors that they may have, these are left.
func maxClients() int {
	if limit := rlimit.OpenFiles(); limit > 0 {
		return min(mostClients, limit/4)
	}
	return mostClients
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	return listenFew(ctx, addr, maxClients())
}

// listenFew has n connections at a time at most; more wait.
func listenFew(ctx context.Context, addr string, n int) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(ln, n), nil
}

// writeAddr puts the address into the file of -addr-file, whole or not at all.
func (a *App) writeAddr(addr net.Addr) error {
	if a.addrFile == "" {
		return nil
	}
	part := a.addrFile + ".part"
	if err := os.WriteFile(part, []byte(addr.String()+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(part, a.addrFile)
}

// listenAndServe serves h on ln, with a bound on how slow a client may be, until
// the returned function is called; that waits until it is over. ctx does not end
// it. An end for any other reason is sent to failed, if that has room.
func (a *App) listenAndServe(ctx context.Context, ln net.Listener, h http.Handler, failed chan<- error) (stop func()) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	a.wg.Go(func() {
		defer close(done)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			select {
			case failed <- fmt.Errorf("serving %s: %w", ln.Addr(), err):
			default:
			}
		}
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
		<-done
	}
}
