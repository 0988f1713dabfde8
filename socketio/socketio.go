// Package socketio streams what happens in the jobs of a [loadgen.Manager] to
// Socket.IO clients, as it happens, and takes calls from them. It never slows a job
// down.
//
//	live := socketio.New(manager, socketio.WithCalls(api.Call))
//	defer live.Close()
//	mux.Handle("/socket.io/", live)
//
// Every official client since 2.x connects with its defaults: over long-polling, a
// WebSocket, or the upgrade from one to the other. There are the default namespace,
// events and acknowledgements, and no binary data.
//
// # Events for clients
//
//   - service_state {"data":{JOB:"start"|"stop"|"update"}}: to everyone, whenever a
//     job was started, changed, or has come to an end for whatever reason.
//   - job [JobMessage]: the full state of a job, whenever it changes, and of every
//     job on connect.
//   - stats [StatsMessage]: each second for each running job, and once more when it
//     has ended. A client that does not keep up misses some of these, and nothing
//     else; the totals in the next make up for it.
//   - apm: what APM agents say of a job's traced requests, with [WithVerdicts]; each
//     second while it changes, also after the end of the job, and on connect.
//   - job_error [JobErrorMessage]: what went wrong in a job after its start was
//     answered.
//
// A client that is too slow even for the state of jobs is disconnected, and hears
// it anew when it comes back.
//
// # Events from clients
//
//   - start, update, stop, stop-all, renew, list, scenarios: the calls of [WithCalls],
//     with the body as their argument, acknowledged with the answer or {"error":{…}}.
//     Those of one client are done in their order.
//   - subscribe JOB or [JOB, …]: from then on job, stats, apm and job_error come for the
//     chosen jobs only. unsubscribe JOB takes one back; without an argument, or with
//     the last one, the client gets those of all jobs again. Both are acknowledged
//     with {"jobs":[…]}, the chosen ones.
//
// Anything else is acknowledged with an error, if it is to be acknowledged.
//
// A message in the standard form of gosf ({"id":…, "text":…, "body":{…}, …}) carries
// its argument in body, and is answered in that form with its id: by the
// acknowledgement, or else by an event of the same name.
package socketio

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/origins"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/socket"
)

// Limits and times of a [Server].
const (
	// DefaultMaxSessions is how many clients may be connected, unless
	// [WithMaxSessions] says otherwise.
	DefaultMaxSessions = 10_000
	// DefaultPingInterval and DefaultPingTimeout are those of [WithPing]. Clients of
	// gosf ping every 30 s, which must be less than both together.
	DefaultPingInterval = 25 * time.Second
	DefaultPingTimeout  = 20 * time.Second
	// MaxPayload is the largest message from a client, in bytes.
	MaxPayload = 1 << 20
	// MaxQueue and MaxQueueBytes are how much may wait for a client. Statistics use
	// half of it at most; a client for which state does not fit is disconnected.
	MaxQueue      = 8192
	MaxQueueBytes = 8 << 20
	// MaxSubscriptions is how many jobs a client can choose.
	MaxSubscriptions = 1000
)

const (
	statsEvery     = time.Second
	upgradeTimeout = 10 * time.Second
)

// Calls does a call by its name, as httpapi's API.Call does: the body is JSON, or
// nothing; the result can be written as JSON, and so can the error, or else its
// text is shown. It must be safe for concurrent use, and end soon after ctx does.
type Calls func(ctx context.Context, name string, body json.RawMessage) (any, error)

// Option configures a [Server].
type Option func(*options)

type options struct {
	calls        Calls
	verdicts     Verdicts
	origins      origins.List
	log          *slog.Logger
	maxSessions  int
	pingInterval time.Duration
	pingTimeout  time.Duration
}

// WithCalls lets clients call. Without it they can only listen.
func WithCalls(calls Calls) Option { return func(o *options) { o.calls = calls } }

// Verdicts tells what agents say of a job's requests: what can be written as JSON, and a
// mark that changes whenever that does; nil for nothing. A final one does not change any
// more. It must be safe for concurrent use, and quick.
type Verdicts func(job string) (verdict any, mark string, final bool)

// WithVerdicts sends clients the verdicts on jobs as the event apm.
func WithVerdicts(v Verdicts) Option { return func(o *options) { o.verdicts = v } }

// WithOrigins sets the origins whose pages may connect from a browser, for instance
// "http://example.com:9000". A port of * stands for any port or none, and the origin
// * for any origin. Without this option these are localhost, 127.0.0.1 and [::1] on
// any port. Pages that come from the server's own address may always.
func WithOrigins(patterns ...string) Option {
	return func(o *options) { o.origins = origins.Parse(patterns...) }
}

// WithLogger logs what is the server's own fault. Default: nothing is logged.
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.log = logger } }

// WithMaxSessions sets how many clients may be connected; more are refused with
// status 503.
func WithMaxSessions(n int) Option { return func(o *options) { o.maxSessions = n } }

// WithPing sets how often client and server make sure of each other, and how long
// the other has for an answer. A client that is gone without a word is noticed
// after both together at the latest.
func WithPing(interval, timeout time.Duration) Option {
	return func(o *options) { o.pingInterval, o.pingTimeout = interval, timeout }
}

// Server is an [http.Handler] that serves Socket.IO clients. Its methods are safe
// for concurrent use. It must be closed.
type Server struct {
	m      *loadgen.Manager
	calls  Calls
	log    *slog.Logger
	socket *socket.Server
	feed   *feed

	ctx    context.Context // of calls, and of the feed
	cancel context.CancelFunc
	work   sync.WaitGroup // the feed
}

// New returns a server that tells of the jobs of a Manager. It is to be mounted
// under /socket.io/, where clients look for it; it does not look at the path itself.
func New(m *loadgen.Manager, opts ...Option) *Server {
	o := options{
		log: slog.New(slog.DiscardHandler), maxSessions: DefaultMaxSessions,
		pingInterval: DefaultPingInterval, pingTimeout: DefaultPingTimeout,
		origins: origins.Local(),
	}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Server{m: m, calls: o.calls, log: o.log}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.socket = socket.New(engine.Config{
		Allow:        func(r *http.Request) bool { return !o.origins.Foreign(r) },
		PingInterval: o.pingInterval, PingTimeout: o.pingTimeout, UpgradeTimeout: upgradeTimeout,
		MaxPayload: MaxPayload, MaxSessions: o.maxSessions,
		MaxQueue: MaxQueue, MaxQueueBytes: MaxQueueBytes,
	}, handler{s})
	events := m.Subscribe(s.ctx)
	s.feed = newFeed(m, s.socket, o.log)
	s.feed.verdicts = o.verdicts
	s.work.Go(func() { s.feed.run(events) })
	return s
}

// ServeHTTP serves one request of a client. A request for a WebSocket or for
// long-polling takes as long as the client stays, or until something happens: the
// http.Server must not have a WriteTimeout below the time between two pings.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.socket.ServeHTTP(w, r) }

// Sessions is how many clients are connected, or about to be.
func (s *Server) Sessions() int { return s.socket.Sessions() }

// Close tells all clients of what has happened so far, and that the server stops;
// they try to come back, for it may be about to start again. It interrupts calls,
// and returns when no goroutine of the server is left, which takes a second at most
// if clients do not listen. Later requests are refused. Closing twice is fine.
//
// Close a Server after its Manager, so that clients hear how jobs ended, and before
// [http.Server.Shutdown], which waits for requests that only Close ends.
func (s *Server) Close() {
	s.cancel()
	s.work.Wait()
	s.socket.Close()
}

// handler is what the socket layer calls.
type handler struct{ s *Server }

func (h handler) Connect(c *socket.Socket)               { h.s.feed.welcome(c) }
func (h handler) Event(c *socket.Socket, e socket.Event) { h.s.event(c, e) }
func (h handler) Disconnect(*socket.Socket, string)      {}
