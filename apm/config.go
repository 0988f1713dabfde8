package apm

import (
	"fmt"
	"time"
)

// Defaults that stand in for a zero field of [LedgerConfig].
const (
	DefaultGrace       = 30 * time.Second
	DefaultTolerance   = 10 * time.Millisecond
	DefaultMaxRequests = 200_000
	DefaultQuiet       = 12 * time.Second
)

// ErrorPolicy says which requests that were answered with a status of 500 and above
// must have an error in their trace: an error document of Elastic APM, an exception event
// of OpenTelemetry.
type ErrorPolicy string

// The policies.
const (
	// ErrorsLearned takes what most such requests of a task have for what all must have.
	ErrorsLearned ErrorPolicy = "learned"
	ErrorsAlways  ErrorPolicy = "always"
	ErrorsNever   ErrorPolicy = "never"
)

// LedgerConfig says how a [Ledger] judges, and how much it keeps. The zero value is the
// default.
type LedgerConfig struct {
	// Grace is how long after its response a request may wait for its documents before
	// they are missing, or, if they come after all, late. Agents send about every ten
	// seconds. Default: DefaultGrace.
	Grace time.Duration
	// Tolerance is by how much a document may say that the work took longer than the
	// client saw: a service may end its transaction after the last byte was read.
	// Default: DefaultTolerance.
	Tolerance time.Duration
	// MaxRequests is how many requests are followed at a time. Each takes about 350 bytes,
	// and 64 for each of its documents. Where more are sent within the grace time, the
	// others are counted as untracked. Default: DefaultMaxRequests.
	MaxRequests int
	// Quiet is for how long no document may have come before [Ledger.Settle] takes it that
	// none will, if nothing is missed: a second service may have said nothing yet. Default:
	// DefaultQuiet.
	Quiet time.Duration
	// Names are the transaction names that tasks must have. That of a task without one is
	// learned: it is what most of its transactions are named.
	Names map[string]string
	// Services are those that each trace of a task must have passed. Those of a task
	// without are learned: they are those of most of its traces.
	Services map[string][]string
	// Errors is ErrorsLearned by default.
	Errors ErrorPolicy
}

func (c LedgerConfig) fill() (LedgerConfig, error) {
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Tolerance == 0 {
		c.Tolerance = DefaultTolerance
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.Quiet == 0 {
		c.Quiet = DefaultQuiet
	}
	if c.Errors == "" {
		c.Errors = ErrorsLearned
	}
	switch {
	case c.Grace < 0:
		return c, fmt.Errorf("apm: the grace time must not be negative, as %s is", c.Grace)
	case c.Tolerance < 0:
		return c, fmt.Errorf("apm: the tolerance must not be negative, as %s is", c.Tolerance)
	case c.Quiet < 0:
		return c, fmt.Errorf("apm: the quiet time must not be negative, as %s is", c.Quiet)
	case c.MaxRequests < 0:
		return c, fmt.Errorf("apm: there must be room for at least one request, not %d", c.MaxRequests)
	case c.Errors != ErrorsLearned && c.Errors != ErrorsAlways && c.Errors != ErrorsNever:
		return c, fmt.Errorf("apm: the policy of errors must be %s, %s or %s, not %q", ErrorsLearned, ErrorsAlways, ErrorsNever, c.Errors)
	}
	return c, nil
}
