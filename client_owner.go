package loadgen

import (
	"context"
	"crypto/tls"
	"net"
)

// owner is the virtual user whose requests a client sends. Its methods are called on the
// goroutine that uses the client.
type owner interface {
	// newest is what the next request is sent to, and the revision that it is of.
	newest() (t *target, revision uint64)
	// caller says where a traced request comes from; begins, if it is no hop of a redirect.
	caller(begins bool) caller
	// observed tells whether measurements need a URL.
	observed() bool
	// measured takes the measurement of one request. m is valid until it returns.
	measured(m *measurement)
}

// caller is where a traced request comes from.
type caller struct {
	stream    uint64 // of the owner's trace ids
	iteration uint64
	step      uint64 // which request of the iteration it is
	task      string // "" for none
	revision  uint64
}

// network is what all clients have in common.
type network struct {
	dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the system's
	tls      *tls.Config
	resolver resolver
	targets  *TargetRules // nil: anything
	buffers  *buffers
	throttle *throttle // nil: no limit

	descriptors int                    // that connections may have; 0: any
	unixSocket  func(path string) bool // nil: none
}
