// Package httpapi is the HTTP API of a [loadgen.Manager]: it starts, changes, stops
// and lists jobs. Clients of the Python load generator that came before work with
// it unchanged.
//
//	api := httpapi.New(manager, httpapi.WithTarget("http://toxi:{port}"))
//	mux.Handle("/", api)
//
// An [API] is an [http.Handler] for any program to mount, also under a prefix with
// [http.StripPrefix]. These are its routes; the method behind each says what it
// takes and gives, and docs/openapi.yaml has it all for machines:
//
//	POST   /api/start         [API.Start]
//	POST   /api/update        [API.Update]
//	POST   /api/stop          [API.Stop]
//	GET    /api/stop?job=     [API.Stop]
//	GET    /api/list          [API.List]
//	GET    /api/scenarios     [API.Scenarios]
//	GET    /api/catalogue     [API.Catalogue]
//	GET    /api/splays        [API.Splays]
//	GET    /api/stats         [API.Stats]
//	GET    /api/jobs          [API.Jobs]
//	GET    /api/jobs/{name}   [API.Job]
//	DELETE /api/jobs/{name}   [API.Remove]
//	POST   /api/jobs/{name}/renew [API.Renew]
//	POST   /api/stop-all      [API.StopAll]
//	GET    /api/limits        [API.Limits]
//	GET    /api/jobs/{name}/history       [API.History]
//	GET    /api/jobs/{name}/distribution  [API.Distribution]
//	GET    /api/jobs/{name}/apm           [API.APM]
//	GET    /api/jobs/{name}/traces        [API.Traces]
//	GET    /api/catalogue/{name}          [API.Scenario]
//	GET    /api/runs          [API.Runs]
//	GET    /api/runs/{id}     [API.Run]
//	GET    /healthz           {"status":"ok"}
//
// What is wrong with a request is told by an [Error]. Another transport, such as a
// socket, gets the same calls from [API.Call].
package httpapi

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/origins"
)

// Limits of what the API takes.
const (
	MaxBody = 1 << 20 // bytes of a request's body
	MaxJobs = 1000    // jobs that exist, beyond which the API makes no new ones
)

// DefaultTarget is where jobs that are started by port lead, unless [WithTarget]
// says otherwise.
const DefaultTarget = "http://localhost:{port}"

// API serves a Manager over HTTP. It is safe for concurrent use. It needs no
// closing, and does not close its Manager.
type API struct {
	m       *loadgen.Manager
	target  string
	origins origins.List
	log     *slog.Logger
	router  *httprouter.Router
	started time.Time

	mu   sync.Mutex // serialises changes of jobs through this API
	held map[string]*held

	store Store // nil: none
	runs  Runs  // nil: none

	documents Documents               // nil: none
	traces    *loadgen.TraceExemplars // nil: none

	recording sync.Mutex
	records   map[string]*record // by job; see Record
}

// Option configures an API.
type Option func(*API)

// WithTarget sets the base URL of jobs that are started by port: {port} in it
// stands for the port. Default: [DefaultTarget].
func WithTarget(template string) Option { return func(a *API) { a.target = template } }

// WithOrigins sets the origins whose pages may use the API from a browser, for
// instance "http://example.com:9000". A port of * stands for any port or none, and
// the origin * for any origin. Without this option these are localhost, 127.0.0.1
// and [::1] on any port. Pages that come from the API's own address may always.
func WithOrigins(patterns ...string) Option {
	return func(a *API) { a.origins = origins.Parse(patterns...) }
}

// WithLogger logs errors that are the API's own fault. Default: none is logged.
func WithLogger(logger *slog.Logger) Option { return func(a *API) { a.log = logger } }

// New returns the API of a Manager.
func New(m *loadgen.Manager, opts ...Option) *API {
	a := &API{
		m: m, target: DefaultTarget, origins: origins.Local(), log: slog.New(slog.DiscardHandler), started: time.Now().UTC(),
		held: map[string]*held{}, records: map[string]*record{},
	}
	for _, opt := range opts {
		opt(a)
	}
	if err := a.remember(); err != nil {
		a.log.Error("what the API held about jobs cannot be read", "error", err)
	}
	a.router = a.newRouter()
	return a
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			a.refuse(w, a.panicked(p))
		}
	}()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	a.origins.Mark(h, r)
	a.router.ServeHTTP(w, r)
}

// panicked is the error for a panic, which is a mistake in this program.
func (a *API) panicked(p any) *Error {
	a.log.Error("a call of the API panicked", "panic", p, "stack", string(debug.Stack()))
	return internalError()
}
