//go:build unix

package wire

import (
	"errors"
	"net"
	"syscall"
)

// Alive tells whether an idle connection can still carry a request: false if its
// peer has closed it, or has sent what nobody asked for. It never waits. A
// connection that is not a socket is taken to be alive.
func Alive(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	alive := true
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
	})
	return err == nil && alive
}
