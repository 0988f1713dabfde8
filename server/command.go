package main

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

	"github.com/opbeans/loadgen/internal/suggest"
)

// command is a first argument of the command line, and what it does.
type command struct {
	name    string
	args    string // what it takes besides flags, for instance "NAME|FILE"; "": nothing
	summary string // its line in the list of commands
	example string // a line that works as it stands
	// flags are read before run is called, wherever they stand among the arguments.
	// nil: there are none.
	flags *flag.FlagSet
	brief []string // the flags that -h shows, in this order; nil: all
	env   func(flagName string) string
	more  string // what the full help says at the end
	// run does the work; args are what is left without the flags. An error made with
	// usageErrorf ends the program with exit code 2, others with 1.
	run func(ctx context.Context, sys *system, args []string) error
}

// newFlags is a set for the flags of a command; messages about them are run's.
func newFlags() *flag.FlagSet {
	fs := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// call reads the flags and runs the command.
func (c *command) call(ctx context.Context, sys *system, args []string) error {
	if c.flags == nil {
		c.flags = newFlags()
	}
	rest, err := parse(c.flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return write(sys.stdout, c.help(true))
	case err != nil:
		return usageErrorf("%w%s (see loadgen %s -h)", err, c.misspelled(err), c.name)
	case c.args == "" && len(rest) > 0:
		return usageErrorf("unexpected argument %q (see loadgen %s -h)", rest[0], c.name)
	}
	return c.run(ctx, sys, rest)
}

// parse reads flags, also those after other arguments, which it returns. All that
// follows "--" is no flag.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
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
func (c *command) misspelled(err error) string {
	_, name, ok := strings.Cut(err.Error(), "provided but not defined: -")
	if !ok {
		return ""
	}
	if here := elsewhere(name); c.flags.Lookup(here) != nil {
		return fmt.Sprintf(" (here it is -%s)", here)
	}
	var known []string
	c.flags.VisitAll(func(f *flag.Flag) { known = append(known, "-"+f.Name) })
	return suggest.DidYouMean("-"+name, known)
}

// help is the text of -h, or, not brief, of "loadgen help NAME".
func (c *command) help(brief bool) string {
	var b strings.Builder
	usage := "loadgen " + c.name
	rows := table(c.flags, c.env)
	if len(rows) > 0 {
		usage += " [FLAGS]"
	}
	if c.args != "" {
		usage += " " + c.args
	}
	fmt.Fprintf(&b, "%s: %s\n\nUsage: %s\n", c.name, c.summary, usage)
	brief = brief && c.brief != nil
	if brief {
		rows = pick(rows, c.brief)
	}
	if len(rows) > 0 {
		b.WriteString("\n")
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(tw, "  %s\t", r.flag)
		if c.env != nil && !brief {
			fmt.Fprintf(tw, "%s\t", r.env)
		}
		fmt.Fprint(tw, r.usage)
		if r.def != "" {
			fmt.Fprintf(tw, " (default %s)", r.def)
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush()
	switch {
	case brief:
		fmt.Fprintf(&b, "\nThere are more: loadgen help %s lists them all.\n", c.name)
	case c.more != "":
		fmt.Fprintf(&b, "\n%s", c.more)
	}
	if c.example != "" {
		fmt.Fprintf(&b, "\nExample: %s\n", c.example)
	}
	return b.String()
}

// setting is one flag in a table.
type setting struct{ name, flag, env, def, usage string }

// table describes flags by name; env, if not nil, knows their environment variables.
func table(fs *flag.FlagSet, env func(string) string) []setting {
	var rows []setting
	if fs == nil {
		return nil
	}
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		s := setting{name: f.Name, flag: "-" + f.Name, usage: usage, def: f.DefValue}
		if arg != "" {
			s.flag += " " + arg
		}
		if slices.Contains([]string{"false", "0s", "0"}, s.def) {
			s.def = ""
		}
		if env != nil {
			s.env = env(f.Name)
		}
		rows = append(rows, s)
	})
	return rows
}

// pick returns the rows of some names, in the order of these.
func pick(rows []setting, names []string) []setting {
	var some []setting
	for _, name := range names {
		for _, r := range rows {
			if r.name == name {
				some = append(some, r)
			}
		}
	}
	return some
}

// version is the module version that the binary was built from, with the commit
// where the build knows it.
func version() string {
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

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
