package main

import (
	"errors"
	"flag"
	"strconv"
	"time"
)

// timeFlag is a flag for a time, in the same form for all of them: 1m30s, or a number of
// seconds.
type timeFlag time.Duration

func (f *timeFlag) String() string { return time.Duration(*f).String() }

func (f *timeFlag) Set(text string) error {
	d, err := parseSpan(text)
	if err == nil {
		*f = timeFlag(d)
	}
	return err
}

func timeVar(fs *flag.FlagSet, at *time.Duration, name string, def time.Duration, usage string) {
	*at = def
	fs.Var((*timeFlag)(at), name, usage)
}

// countFlag is a flag for a whole number.
type countFlag int

func (c *countFlag) String() string { return strconv.Itoa(int(*c)) }

func (c *countFlag) Set(text string) error {
	n, err := strconvAtoi(text)
	if err == nil {
		*c = countFlag(n)
	}
	return err
}

func countVar(fs *flag.FlagSet, at *int, name string, def int, usage string) {
	*at = def
	fs.Var((*countFlag)(at), name, usage)
}

// boolFlag is a flag for yes or no, which alone is yes.
type boolFlag bool

func (b *boolFlag) String() string { return strconv.FormatBool(bool(*b)) }

func (b *boolFlag) Set(text string) error {
	v, err := parseBool(text)
	if err == nil {
		*b = boolFlag(v)
	}
	return err
}

func parseBool(text string) (bool, error) {
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("must be true or false")
	}
	return v, nil
}

func (b *boolFlag) IsBoolFlag() bool { return true }

func boolVar(fs *flag.FlagSet, at *bool, name string, def bool, usage string) {
	*at = def
	fs.Var((*boolFlag)(at), name, usage)
}
