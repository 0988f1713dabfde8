//go:build unix

package locust

import (
	"syscall"
	"time"
)

// processTimes asks the kernel for the time, and for how long the process has computed.
func processTimes() (now, busy time.Duration) {
	var clock syscall.Timeval
	var use syscall.Rusage
	if syscall.Gettimeofday(&clock) != nil || syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0, 0
	}
	return time.Duration(clock.Nano()), time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
