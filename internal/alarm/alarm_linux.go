package alarm

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// timer is a timerfd(2), which the runtime's poller waits for.
type timer struct{ file *os.File }

const (
	clockMonotonic = 1
	tfdNonblock    = syscall.O_NONBLOCK
	tfdCloexec     = syscall.O_CLOEXEC
)

// New returns an alarm, or nil if there is none to be had: the system has no file left,
// or time is not the kernel's.
func New() Alarm {
	if virtual() {
		return nil
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, tfdNonblock|tfdCloexec, 0)
	if errno != 0 {
		return nil
	}
	return timer{os.NewFile(fd, "timerfd")}
}

// virtual tells whether Go's clock is that of a test with time of its own, where
// whoever waits for the kernel stops time for good.
func virtual() bool {
	var now syscall.Timeval
	const most = time.Hour
	return syscall.Gettimeofday(&now) != nil || time.Since(time.Unix(0, now.Nano())).Abs() > most
}

// Set implements [Alarm].
func (t timer) Set(d time.Duration) error {
	var spec struct{ every, first syscall.Timespec }
	spec.first = syscall.NsecToTimespec(int64(max(d, 1))) // zero would disarm it
	conn, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	if err := conn.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	}); err != nil {
		return err
	}
	if errno != 0 {
		return os.NewSyscallError("timerfd_settime", errno)
	}
	return nil
}

// Wait implements [Alarm].
func (t timer) Wait() error {
	var times [8]byte
	_, err := t.file.Read(times[:])
	return err
}

// Close implements [Alarm].
func (t timer) Close() error { return t.file.Close() }
