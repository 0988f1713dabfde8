package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/opbeans/loadgen/internal/suggest"
)

// program is a set of commands, the first of which runs if the first argument names none.
type program []*command

// gcPercent is how much the heap may grow before it is collected, unless GOGC says
// otherwise. The engine makes next to no garbage, so that half of Go's default costs
// nothing that could be measured, and saves memory where jobs are many.
const gcPercent = 50

// main runs the program on the arguments, environment and signals of this process, and
// exits.
func (p program) main() {
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
	err := p.run(ctx, sys, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
	}
	os.Exit(exitCode(err))
}

// run runs the command that args name until it is done or ctx is. It takes no
// signals and never exits, so that tests can call it.
func (p program) run(ctx context.Context, sys *system, args []string) error {
	name := p[0].name
	switch {
	case len(args) == 0:
	case !strings.HasPrefix(args[0], "-"):
		name, args = args[0], args[1:]
	case slices.Contains([]string{"-h", "-help", "--help"}, args[0]):
		name, args = "help", args[1:]
	}
	c, err := p.find(name)
	if err != nil {
		return err
	}
	return c.call(ctx, sys, args)
}

// all are the commands with those that every program has.
func (p program) all() program {
	return append(slices.Clip(p), p.helpCommand(), versionCommand())
}

func (p program) find(name string) (*command, error) {
	var known []string
	for _, c := range p.all() {
		if c.name == name {
			return c, nil
		}
		known = append(known, c.name)
	}
	return nil, usageErrorf("there is no command %q%s, only: %s; loadgen help says what they do",
		name, suggest.DidYouMean(name, known), strings.Join(known, ", "))
}

func (p program) helpCommand() *command {
	return &command{
		name: "help", args: "[COMMAND]", summary: "list the commands, or all flags of one",
		example: "loadgen help serve",
		run: func(_ context.Context, sys *system, args []string) error {
			if len(args) == 0 {
				return write(sys.stdout, p.overview())
			}
			c, err := p.find(args[0])
			if err != nil {
				return err
			}
			return write(sys.stdout, c.help(false))
		},
	}
}

// overview lists the commands.
func (p program) overview() string {
	var b strings.Builder
	b.WriteString("loadgen generates HTTP load.\n\nUsage: loadgen [COMMAND] [FLAGS] [ARGUMENTS]\n\n")
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range p.all() {
		fmt.Fprintf(tw, "  %s\t%s\n", c.name, c.summary)
	}
	_ = tw.Flush()
	fmt.Fprintf(&b, "\nWithout a command it is %s. loadgen COMMAND -h shows the flags of one.\n", p[0].name)
	return b.String()
}

func versionCommand() *command {
	return &command{
		name: "version", summary: "print the version", example: "loadgen version",
		run: func(_ context.Context, sys *system, _ []string) error {
			return write(sys.stdout, "loadgen "+version()+"\n")
		},
	}
}

// signalCode is the exit code of a process that a signal ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignal + int(n)
	}
	return exitFailed
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
