// Package command runs programs made of commands: their flags, help, environment, signals and
// exit codes.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Command is a first argument of the command line, and what it does.
type Command struct {
	Name    string
	Args    string // what it takes besides flags, for instance "NAME|FILE"; "": nothing
	Summary string // its line in the list of commands
	Example string // a line that works as it stands
	// Flags are read before run is called, wherever they stand among the arguments.
	// nil: there are none.
	Flags *flag.FlagSet
	Brief []string // the flags that -h shows, in this order; nil: all
	Env   func(flagName string) string
	More  string // what the full help says at the end
	// Run does the work; args are what is left without the flags. An error made with
	// usageErrorf ends the program with exit code 2, others with 1.
	Run func(ctx context.Context, sys *System, args []string) error
}

// NewFlags is a set for the flags of a command; messages about them are run's.
func NewFlags() *flag.FlagSet {
	fs := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// call reads the flags and runs the command.
func (c *Command) call(ctx context.Context, sys *System, args []string) error {
	if c.Flags == nil {
		c.Flags = NewFlags()
	}
	rest, err := Parse(c.Flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return Write(sys.Stdout, c.Help(true))
	case err != nil:
		return UsageErrorf("%w%s (see loadgen %s -h)", err, c.misspelled(err), c.Name)
	case c.Args == "" && len(rest) > 0:
		return UsageErrorf("unexpected argument %q (see loadgen %s -h)", rest[0], c.Name)
	}
	return c.Run(ctx, sys, rest)
}

// Parse reads flags, also those after other arguments, which it returns. All that
// follows "--" is no flag.
func Parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		left := fs.Args()
		read := len(args) - len(left)
		if len(left) == 0 || read > 0 && args[read-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// elsewhere is what other load generators (hey, wrk, k6, fortio, Molotov, Locust) call a
// flag, where they agree on what that means.
func elsewhere(name string) string {
	switch name {
	case "c", "w", "u", "vus", "users", "concurrency", "connections":
		return "workers"
	case "n", "iterations", "requests":
		return "max-iterations"
	case "d", "z", "run-time":
		return "duration"
	case "q", "qps", "rps":
		return "rate"
	case "H":
		return "header"
	case "k":
		return "insecure"
	case "x":
		return "proxy"
	case "o", "output":
		return "out"
	}
	return ""
}

// misspelled suggests a flag, if the error is about one that does not exist.
func (c *Command) misspelled(err error) string {
	_, name, ok := strings.Cut(err.Error(), "provided but not defined: -")
	if !ok {
		return ""
	}
	if here := elsewhere(name); c.Flags.Lookup(here) != nil {
		return fmt.Sprintf(" (here it is -%s)", here)
	}
	var known []string
	c.Flags.VisitAll(func(f *flag.Flag) { known = append(known, "-"+f.Name) })
	return textkit.DidYouMean("-"+name, known)
}

// Help is the text of -h, or, not brief, of "loadgen help NAME".
func (c *Command) Help(brief bool) string {
	var b strings.Builder
	usage := "loadgen " + c.Name
	rows := Table(c.Flags, c.Env)
	if len(rows) > 0 {
		usage += " [FLAGS]"
	}
	if c.Args != "" {
		usage += " " + c.Args
	}
	fmt.Fprintf(&b, "%s: %s\n\nUsage: %s\n", c.Name, c.Summary, usage)
	brief = brief && c.Brief != nil
	if brief {
		rows = pick(rows, c.Brief)
	}
	if len(rows) > 0 {
		b.WriteString("\n")
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(tw, "  %s\t", r.Flag)
		if c.Env != nil && !brief {
			fmt.Fprintf(tw, "%s\t", r.Env)
		}
		fmt.Fprint(tw, r.Usage)
		if r.Def != "" {
			fmt.Fprintf(tw, " (default %s)", r.Def)
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush()
	switch {
	case brief:
		fmt.Fprintf(&b, "\nThere are more: loadgen help %s lists them all.\n", c.Name)
	case c.More != "":
		fmt.Fprintf(&b, "\n%s", c.More)
	}
	if c.Example != "" {
		fmt.Fprintf(&b, "\nExample: %s\n", c.Example)
	}
	return b.String()
}

// Setting is one flag in a table.
type Setting struct{ name, Flag, Env, Def, Usage string }

// Table describes flags by name; env, if not nil, knows their environment variables.
func Table(fs *flag.FlagSet, env func(string) string) []Setting {
	var rows []Setting
	if fs == nil {
		return nil
	}
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		s := Setting{name: f.Name, Flag: "-" + f.Name, Usage: usage, Def: f.DefValue}
		if arg != "" {
			s.Flag += " " + arg
		}
		if slices.Contains([]string{"false", "0s", "0"}, s.Def) {
			s.Def = ""
		}
		if env != nil {
			s.Env = env(f.Name)
		}
		rows = append(rows, s)
	})
	return rows
}

// pick returns the rows of some names, in the order of these.
func pick(rows []Setting, names []string) []Setting {
	var some []Setting
	for _, name := range names {
		for _, r := range rows {
			if r.name == name {
				some = append(some, r)
			}
		}
	}
	return some
}

// Version is the module version that the binary was built from, with the commit
// where the build knows it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}

// Write writes text to w.
func Write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
