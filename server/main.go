// Command server is the load generator as a program: a service with the HTTP API
// of httpapi over one Manager, or, given OPBEANS_URLS without WS, a fixed set of
// jobs without it; and commands for people at a terminal and in pipelines.
//
// It is wiring and nothing else: flags, environment, logging, signals, listening
// and exit codes. Run it with -h for its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
)

// Exit codes.
const (
	exitFailed  = 1   // a job or a threshold failed, or standalone settings cannot be
	exitUsage   = 2   // a flag, a port, a file: nothing was started
	exitInvalid = 3   // the generator, not the target, was the limit
	exitSignal  = 128 // plus the signal's number: a second signal cut the end short
)

// gcPercent is how much the heap may grow before it is collected, unless GOGC says
// otherwise. The engine makes next to no garbage, so that half of Go's default costs
// nothing that could be measured, and saves memory where jobs are many.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	sys := &system{
		getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		hard: &hardStop{signal: make(chan os.Signal, 1)},
	}
	go func() {
		cancel(fmt.Errorf("received %s", <-signals))
		last := <-signals
		if sys.hard.expected.Load() {
			sys.hard.signal <- last
			last = <-signals
		}
		fmt.Fprintf(os.Stderr, "loadgen: received %s again, exiting at once\n", last)
		os.Exit(signalCode(last))
	}()
	err := run(ctx, sys, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
	}
	os.Exit(exitCode(err))
}

// signalCode is the exit code of a process that a signal ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignal + int(n)
	}
	return exitFailed
}

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

func exitCode(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	default:
		return exitFailed
	}
}
