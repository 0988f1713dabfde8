package loadgen

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
)

// environment is what the options of New set up, shared by all jobs.
type environment struct {
	dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the system's
	tls      *tls.Config
	resolver resolver
	targets  *TargetRules // nil: anything
	buffers  *buffers
	limits   Limits
	throttle *throttle    // nil without a MaxRate
	workers  atomic.Int64 // VUs that exist, or are about to

	descriptors int // that connections may have; 0: any

	unixSocket func(path string) bool // nil: none
	logger     *slog.Logger
	lookupEnv  func(string) (string, bool)
	catalogue  *Catalogue
	observers  []Observer
	metrics    []metricSource
	exemplars  int // requests that each job keeps
	exactTimes bool
	onEnd      []func(*Job)
}

// Option configures a Manager. The order of options does not matter, except that
// those which add to a list add in their order.
type Option func(*environment)

// WithScenarios adds folders of YAML files to the catalogue. Where two hold a
// scenario of the same name, the later folder's is used. Folders are read when
// asked for, so that a new or changed file counts at the next start.
func WithScenarios(folders ...fs.FS) Option {
	return func(e *environment) { e.catalogue = NewCatalogue(append(e.catalogue.folders, folders...)...) }
}

// WithDialContext replaces the network: every connection of every job is made
// with it. It must be safe for concurrent use.
func WithDialContext(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(e *environment) {
		if dial != nil {
			e.dial = dial
		}
	}
}

// WithTLSConfig sets the TLS configuration for https targets. It is copied. The
// default verifies certificates against the system's roots.
func WithTLSConfig(config *tls.Config) Option {
	return func(e *environment) { e.tls = config.Clone() }
}

// WithLogger makes the Manager log what jobs do: start, update, stop, and failures
// (rate-limited). Without it nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(e *environment) {
		if logger != nil {
			e.logger = logger
		}
	}
}

// WithEnv lets variables that a scenario declares be overridden by an environment,
// for instance [os.LookupEnv]; a job's own variables win over it. Without it no
// environment is looked at.
func WithEnv(lookup func(name string) (string, bool)) Option {
	return func(e *environment) {
		if lookup != nil {
			e.lookupEnv = lookup
		}
	}
}

// WithObserver adds an observer of every measured request of every job.
func WithObserver(o Observer) Option {
	return func(e *environment) { e.observers = append(e.observers, o) }
}

// WithOnEnd adds a function that is called with each job that has ended, before
// [Job.Done] tells: to keep what its run has come to. It is called on the job's own
// goroutine, for several jobs at a time, and [Manager.Close] waits for it. A panic in it
// is logged.
func WithOnEnd(f func(*Job)) Option {
	return func(e *environment) { e.onEnd = append(e.onEnd, f) }
}

// tellEnded calls what WithOnEnd has added.
func (e *environment) tellEnded(j *Job) {
	for _, f := range e.onEnd {
		e.tell(f, j)
	}
}

func (e *environment) tell(f func(*Job), j *Job) {
	defer func() {
		if p := recover(); p != nil {
			e.logger.Error("a function of WithOnEnd panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f(j)
}
