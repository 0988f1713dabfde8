package client

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/opbeans/loadgen/egress"
)

// owner is the virtual user whose requests a client sends. Its methods are called on the
// goroutine that uses the client.
type owner interface {
	// Newest is what the next request is sent to, and the revision that it is of.
	Newest() (t *Target, revision uint64)
	// Caller says where a traced request comes from; begins, if it is no hop of a redirect.
	Caller(begins bool) Caller
	// Secret reports whether a text holds a secret that the owner's scenario declares.
	Secret(text []byte) bool
	// Observed tells whether measurements need a URL.
	Observed() bool
	// Measured takes the measurement of one request. m is valid until it returns.
	Measured(m *Measurement)
}

// Caller is where a traced request comes from.
type Caller struct {
	Stream    uint64 // of the owner's trace ids
	Iteration uint64
	Step      uint64 // which request of the iteration it is
	Task      string // "" for none
	Revision  uint64
}

// Network is what all clients have in common.
type Network struct {
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the system's
	TLS      *tls.Config
	Resolver resolver
	Targets  *egress.Rules // nil: anything
	Buffers  *Buffers
	Throttle *Throttle // nil: no limit

	Descriptors int                    // that connections may have; 0: any
	UnixSocket  func(path string) bool // nil: none
}
