package loadgen

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/rlimit"
)

// environment is what the options of New set up, shared by all jobs.
type environment struct {
	client.Network
	limits  Limits
	workers atomic.Int64 // VUs that exist, or are about to

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
			e.Dial = dial
		}
	}
}

// WithTLSConfig sets the TLS configuration for https targets. It is copied. The
// default verifies certificates against the system's roots.
func WithTLSConfig(config *tls.Config) Option {
	return func(e *environment) { e.TLS = config.Clone() }
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

// WithOnEnd adds a function that is called with each job that has ended, before [Job.Done]
// is closed, for instance to store its results. It is called on the job's own
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

// WithResolver makes jobs look names up with r, for instance at a certain server. The
// default is [net.DefaultResolver]. With [WithDialContext] that dialer gets names as
// they are.
func WithResolver(r *net.Resolver) Option {
	return func(e *environment) { e.Resolver.R = r }
}

// WithUnixSockets lets jobs use the Unix sockets whose paths allow returns true for; see
// ClientConfig.ConnectTo. Without it they can use none: a socket is protected by the
// permissions of its file, which are those of this process, and not of whoever starts
// a job. allow must be safe for concurrent use.
func WithUnixSockets(allow func(path string) bool) Option {
	return func(e *environment) { e.UnixSocket = allow }
}

// WithDescriptorReserve keeps the last n file descriptors that the process may have
// from connections of jobs, so that other parts of the program can still open files
// and take connections when jobs have used up all others. A connection that would need
// one fails with class dial, and statistics are invalid with that reason. It works on
// Unix systems, and not with [WithDialContext].
func WithDescriptorReserve(n int) Option {
	return func(e *environment) {
		if limit := rlimit.OpenFiles(); limit > 0 {
			e.Descriptors = max(limit-n, limit/2)
		}
	}
}

// WithTargetRules lets jobs connect only where the rules allow. Without it they may
// connect to anything. With [WithDialContext] an address that the dialer is given is
// checked before, and where the connection has led to after. Unix sockets are for
// [WithUnixSockets].
func WithTargetRules(rules *TargetRules) Option {
	return func(e *environment) { e.Targets = rules }
}
