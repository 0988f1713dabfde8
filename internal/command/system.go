package command

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Exit codes.
const (
	ExitFailed  = 1   // a job or a threshold failed, or standalone settings cannot be
	ExitUsage   = 2   // a flag, a port, a file: nothing was started
	ExitInvalid = 3   // the generator, not the target, was the limit
	exitSignal  = 128 // plus the signal's number: a second signal cut the end short
)

// System is what a command sees of the world around it. The first signal ends the
// command's context.
type System struct {
	LookupEnv      func(string) (string, bool)
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Hard           *HardStop
}

// Getenv returns a variable of the environment, or "".
func (s *System) Getenv(name string) string {
	if s.LookupEnv == nil {
		return ""
	}
	v, _ := s.LookupEnv(name)
	return v
}

// HardStop is the second signal. It ends the program at once, unless the command
// expects it because it has something to save first; then the third does.
type HardStop struct {
	expected atomic.Bool
	Signal   chan os.Signal
}

// Expect returns the channel that the second signal comes on from now on.
func (h *HardStop) Expect() <-chan os.Signal {
	h.expected.Store(true)
	return h.Signal
}

// ExitError is an error with an exit code of its own.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// UsageErrorf returns an error with the exit code for wrong usage.
func UsageErrorf(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}
