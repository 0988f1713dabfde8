package command

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

	"github.com/opbeans/loadgen/internal/textkit"
)

// Program is a set of commands, the first of which runs if the first argument names none.
type Program []*Command

// gcPercent is how much the heap may grow before it is collected, unless GOGC says
// otherwise. The engine makes next to no garbage, so that half of Go's default costs
// nothing that could be measured, and saves memory where jobs are many.
const gcPercent = 50

// Main runs the program on the arguments, environment and signals of this process, and
// exits.
func (p Program) Main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	sys := &System{
		LookupEnv: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Hard: &HardStop{Signal: make(chan os.Signal, 1)},
	}
	go func() {
		cancel(fmt.Errorf("received %s", <-signals))
		last := <-signals
		if sys.Hard.expected.Load() {
			sys.Hard.Signal <- last
			last = <-signals
		}
		fmt.Fprintf(os.Stderr, "loadgen: received %s again, exiting at once\n", last)
		os.Exit(SignalCode(last))
	}()
	err := p.Run(ctx, sys, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
	}
	os.Exit(ExitCode(err))
}

// Run runs the command that args name until it is done or ctx is. It takes no
// signals and never exits, so that tests can call it.
func (p Program) Run(ctx context.Context, sys *System, args []string) error {
	name := p[0].Name
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

// All are the commands with those that every program has.
func (p Program) All() Program {
	return append(slices.Clip(p), p.helpCommand(), VersionCommand())
}

func (p Program) find(name string) (*Command, error) {
	var known []string
	for _, c := range p.All() {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return nil, UsageErrorf("there is no command %q%s, only: %s; loadgen help says what they do",
		name, textkit.DidYouMean(name, known), strings.Join(known, ", "))
}

func (p Program) helpCommand() *Command {
	return &Command{
		Name: "help", Args: "[COMMAND]", Summary: "list the commands, or all flags of one",
		Example: "loadgen help serve",
		Run: func(_ context.Context, sys *System, args []string) error {
			if len(args) == 0 {
				return Write(sys.Stdout, p.overview())
			}
			c, err := p.find(args[0])
			if err != nil {
				return err
			}
			return Write(sys.Stdout, c.Help(false))
		},
	}
}

// overview lists the commands.
func (p Program) overview() string {
	var b strings.Builder
	b.WriteString("loadgen generates HTTP load.\n\nUsage: loadgen [COMMAND] [FLAGS] [ARGUMENTS]\n\n")
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range p.All() {
		fmt.Fprintf(tw, "  %s\t%s\n", c.Name, c.Summary)
	}
	_ = tw.Flush()
	fmt.Fprintf(&b, "\nWithout a command it is %s. loadgen COMMAND -h shows the flags of one.\n", p[0].Name)
	return b.String()
}

// VersionCommand returns the command that prints the version.
func VersionCommand() *Command {
	return &Command{
		Name: "version", Summary: "print the version", Example: "loadgen version",
		Run: func(_ context.Context, sys *System, _ []string) error {
			return Write(sys.Stdout, "loadgen "+Version()+"\n")
		},
	}
}

// SignalCode is the exit code of a process that a signal ended.
func SignalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignal + int(n)
	}
	return ExitFailed
}

// ExitCode is the exit code of a process that ended with err.
func ExitCode(err error) int {
	var e *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	default:
		return ExitFailed
	}
}
