//go:build unix

package wire

import (
	"net"
	"syscall"
)

// Probe looks at an idle connection. Its zero value is ready for use with one connection, in the
// hands of one goroutine at a time. Looking does not allocate, except for the first time.
type Probe struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	alive bool
}

// Alive tells whether an idle connection can still carry a request: false if its
// peer has closed it, or has sent what nobody asked for. It never waits. A
// connection that is not a socket is taken to be alive.
func (p *Probe) Alive(nc net.Conn) bool {
	if p.look == nil {
		p.look = func(fd uintptr) { p.alive = silent(int(fd)) }
		if sc, ok := nc.(syscall.Conn); ok {
			p.raw, _ = sc.SyscallConn()
		}
	}
	if p.raw == nil {
		return true
	}
	p.alive = true
	return p.raw.Control(p.look) == nil && p.alive
}
