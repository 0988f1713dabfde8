package command

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// timeFlag is a flag for a time, in the same form for all of them: 1m30s, or a number of
// seconds.
type timeFlag time.Duration

func (f *timeFlag) String() string { return time.Duration(*f).String() }

func (f *timeFlag) Set(text string) error {
	d, err := ParseSpan(text)
	if err == nil {
		*f = timeFlag(d)
	}
	return err
}

// TimeVar defines a flag for a duration.
func TimeVar(fs *flag.FlagSet, at *time.Duration, name string, def time.Duration, usage string) {
	*at = def
	fs.Var((*timeFlag)(at), name, usage)
}

// countFlag is a flag for a whole number.
type countFlag int

func (c *countFlag) String() string { return strconv.Itoa(int(*c)) }

func (c *countFlag) Set(text string) error {
	n, err := ParseInt(text)
	if err == nil {
		*c = countFlag(n)
	}
	return err
}

// CountVar defines a flag for a whole number.
func CountVar(fs *flag.FlagSet, at *int, name string, def int, usage string) {
	*at = def
	fs.Var((*countFlag)(at), name, usage)
}

// boolFlag is a flag for yes or no, which alone is yes.
type boolFlag bool

func (b *boolFlag) String() string { return strconv.FormatBool(bool(*b)) }

func (b *boolFlag) Set(text string) error {
	v, err := ParseBool(text)
	if err == nil {
		*b = boolFlag(v)
	}
	return err
}

// ParseBool reads yes or no as flags and environment variables give it.
func ParseBool(text string) (bool, error) {
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("must be true or false")
	}
	return v, nil
}

func (b *boolFlag) IsBoolFlag() bool { return true }

// BoolVar defines a flag for yes or no.
func BoolVar(fs *flag.FlagSet, at *bool, name string, def bool, usage string) {
	*at = def
	fs.Var((*boolFlag)(at), name, usage)
}

// TaskFlag is a repeatable flag that says something of a task; a variable of the
// environment has a line for each.
type TaskFlag map[string]string

func (f *TaskFlag) String() string {
	var lines []string
	for _, task := range slices.Sorted(maps.Keys(*f)) {
		lines = append(lines, task+"="+(*f)[task])
	}
	return strings.Join(lines, "\n")
}

// Set reads TASK=VALUE, or several such lines.
func (f *TaskFlag) Set(text string) error {
	for line := range strings.Lines(text) {
		task, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		task, value = strings.TrimSpace(task), strings.TrimSpace(value)
		_, twice := (*f)[task]
		switch {
		case task == "" && value == "":
			continue
		case task == "" || strings.Trim(value, ", ") == "":
			return errors.New("must be the name of a task, =, and what is expected of it")
		case twice:
			return fmt.Errorf("the task %q was named before", task)
		case *f == nil:
			*f = TaskFlag{}
		}
		(*f)[task] = value
	}
	return nil
}

// FlagFaults says what is wrong with a job's configuration in the words of the command
// line.
func FlagFaults(err error) error { return FaultsOf(err, "-") }

// FaultsOf returns the faults of a job's configuration, one a line, each field with prefix before
// its name.
func FaultsOf(err error, prefix string) error {
	var invalid *loadgen.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	singular := map[string]string{"variables": "var", "weights": "weight", "headers": "header", "job": "name", "thresholds": "threshold", "ca_certs": "cacert"}
	var lines []string
	for _, f := range invalid.Fields {
		name := f.Field
		if prefix != "" && f.Field != "scenario" && !strings.HasPrefix(f.Field, "secrets") { // which are no flags
			key, rest, dotted := strings.Cut(name, ".")
			if s, ok := singular[key]; ok {
				key = s
			}
			if name = prefix + strings.ReplaceAll(key, "_", "-"); dotted {
				name += " " + rest
			}
		}
		lines = append(lines, name+": "+f.Message)
	}
	return errors.New(strings.Join(lines, "\n  "))
}

// ParseInt reads a whole number, and says so if it is none.
func ParseInt(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	return n, nil
}

// ParseSpan reads a Go duration, or a number of seconds, as the API takes both.
func ParseSpan(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, notNegative(d)
	}
	if err := textkit.MissingUnit(s); err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		return 0, errors.New("must be a duration such as 1m30s, or a number of seconds")
	}
	return d, notNegative(d)
}

func notNegative(d time.Duration) error {
	if d < 0 {
		return errors.New("must not be negative")
	}
	return nil
}
