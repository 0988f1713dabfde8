package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Exit codes.
const (
	exitFailed  = 1   // a job or a threshold failed, or standalone settings cannot be
	exitUsage   = 2   // a flag, a port, a file: nothing was started
	exitInvalid = 3   // the generator, not the target, was the limit
	exitSignal  = 128 // plus the signal's number: a second signal cut the end short
)

// system is what a command sees of the world around it. The first signal ends the
// command's context.
type system struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	hard           *hardStop
}

// hardStop is the second signal. It ends the program at once, unless the command
// expects it because it has something to save first; then the third does.
type hardStop struct {
	expected atomic.Bool
	signal   chan os.Signal
}

// expect returns the channel that the second signal comes on from now on.
func (h *hardStop) expect() <-chan os.Signal {
	h.expected.Store(true)
	return h.signal
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}
