package client

import (
	"fmt"
	"syscall"
)

// spare refuses a socket whose descriptor is one of the reserve. A new descriptor has
// the lowest number that is free (POSIX), so that all below are in use.
func (e *Network) spare(_, _ string, c syscall.RawConn) error {
	var used int
	if err := c.Control(func(fd uintptr) { used = int(fd) }); err != nil {
		return err
	}
	if used < e.Descriptors {
		return nil
	}
	return fmt.Errorf("%w: jobs may have %d, and the rest is kept for the service; raise the limit (ulimit -n)", syscall.EMFILE, e.Descriptors)
}
