package loadgen

import (
	"fmt"
	"syscall"

	"github.com/opbeans/loadgen/internal/rlimit"
)

// WithDescriptorReserve keeps the last n file descriptors that the process may have
// from connections of jobs, so that other parts of the program can still open files
// and take connections when jobs have used up all others. A connection that would need
// one fails with class dial, and statistics are invalid with that reason. It works on
// Unix systems, and not with [WithDialContext].
func WithDescriptorReserve(n int) Option {
	return func(e *environment) {
		if limit := rlimit.OpenFiles(); limit > 0 {
			e.descriptors = max(limit-n, limit/2)
		}
	}
}

// spare refuses a socket whose descriptor is one of the reserve. A new descriptor has
// the lowest number that is free (POSIX), so that all below are in use.
func (e *environment) spare(_, _ string, c syscall.RawConn) error {
	var used int
	if err := c.Control(func(fd uintptr) { used = int(fd) }); err != nil {
		return err
	}
	if used < e.descriptors {
		return nil
	}
	return fmt.Errorf("%w: jobs may have %d, and the rest is kept for the service; raise the limit (ulimit -n)", syscall.EMFILE, e.descriptors)
}
