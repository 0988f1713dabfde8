// Command server is the load generator as a service: the HTTP API of httpapi over
// one Manager, or, given OPBEANS_URLS without WS, a fixed set of jobs without it.
//
// It is wiring and nothing else: flags, environment, logging, signals, listening
// and exit codes. Run it with -h for its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitFailed  = 1   // a job failed, or standalone settings cannot be
	exitUsage   = 2   // a flag, a port, a folder: nothing was started
	exitSignal  = 128 // plus the signal's number: a second signal cut the end short
	defaultName = "serve"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(fmt.Errorf("received %s", <-signals))
		second := <-signals
		fmt.Fprintf(os.Stderr, "loadgen: received %s again, exiting at once\n", second)
		os.Exit(signalCode(second))
	}()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
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

// system is what a command sees of the world around it.
type system struct {
	getenv         func(string) string
	stdout, stderr io.Writer
}

// command is a first argument of the command line, and what it does.
type command struct {
	name, summary string
	run           func(ctx context.Context, sys *system, args []string) error
}

func commands() []command {
	return []command{
		{defaultName, "run the service (the default)", serve},
	}
}

// run runs the command that args name until it is done or ctx is. It takes no
// signals and never exits, so that tests can call it.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	name := defaultName
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	var known []string
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, &system{getenv: getenv, stdout: stdout, stderr: stderr}, args)
		}
		known = append(known, c.name)
	}
	return usageErrorf("there is no command %q, only: %s", name, strings.Join(known, ", "))
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
