package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a way to write a report.
type Format struct {
	Name       string
	Extensions []string // of files of this format, with the dot
	Summary    string
	write      func(*Report, io.Writer) error
}

// Formats are all there are.
func Formats() []Format {
	return []Format{
		{"json", []string{".json"}, "everything, without loss", (*Report).WriteJSON},
		{"html", []string{".html", ".htm"}, "one page with charts", (*Report).WriteHTML},
		{"csv", []string{".csv"}, "a line for each interval", (*Report).WriteCSV},
		{"junit", []string{".xml"}, "JUnit XML: thresholds and tasks as test cases", (*Report).WriteJUnit},
		{"hlog", []string{".hlog"}, "an HdrHistogram log", (*Report).WriteHLog},
		{"text", []string{".txt"}, "the summary", (*Report).WriteText},
	}
}

// Output is where a report is to go, and as what.
type Output struct {
	Format Format
	File   string // "-" is standard output
}

// ParseOutput reads FORMAT:FILE, or FILE, whose extension then says the format. "-" is
// standard output, and JSON.
func ParseOutput(spec string) (Output, error) {
	var names, extensions []string
	for _, f := range Formats() {
		names = append(names, f.Name)
		extensions = append(extensions, f.Extensions...)
	}
	if name, file, ok := strings.Cut(spec, ":"); ok {
		if at := slices.Index(names, name); at >= 0 {
			if file == "" {
				return Output{}, fmt.Errorf("a file must follow %q", name+":")
			}
			return Output{Formats()[at], file}, nil
		}
	}
	if spec == "-" {
		return Output{Formats()[0], spec}, nil
	}
	ext := strings.ToLower(filepath.Ext(spec))
	for _, f := range Formats() {
		if slices.Contains(f.Extensions, ext) {
			return Output{f, spec}, nil
		}
	}
	return Output{}, fmt.Errorf("%q does not say a format: end it in %s, or put one of %s and a colon before it",
		spec, strings.Join(extensions, ", "), strings.Join(names, ", "))
}

// Check tells whether the output can be written, as far as that can be known, so that a
// run does not end with nowhere to go.
func (o Output) Check() error {
	if o.File == "-" {
		return nil
	}
	info, err := os.Stat(o.File)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder", o.File)
	case err == nil && !info.Mode().IsRegular():
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(o.File), tempPattern)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", o.File, plainReason(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// plainReason is why a file cannot be made, without the name of the temporary one.
func plainReason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// Write writes a report to the output; stdout is for "-".
func (o Output) Write(r *Report, stdout io.Writer) error {
	if o.File == "-" {
		return o.Format.write(r, stdout)
	}
	return writeFile(o.File, func(w io.Writer) error { return o.Format.write(r, w) })
}

// WriteFile writes the report to a file, in the format that its extension says: see
// [Formats]. The file is there as a whole or, if there is an error, as it was before.
func (r *Report) WriteFile(path string) error {
	o, err := ParseOutput(path)
	if err != nil {
		return err
	}
	return o.Write(r, os.Stdout)
}

const tempPattern = ".loadgen-*"

// writeFile writes a file beside its place and then moves it there. What is no regular
// file, such as a pipe or a device, is written to as it is.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link stays
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, plainReason(err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if err := errors.Join(write(f), f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
