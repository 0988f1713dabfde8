package feed

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/textkit"
)

// The orders of a feeder, and what happens at its end.
const (
	orderSequential = "sequential"
	orderRandom     = "random"
	orderUnique     = "unique"
	atEndCycle      = "cycle"
	atEndStop       = "stop"
)

// Definition says which file a feeder reads, and how. Empty texts stand for the
// defaults.
type Definition struct {
	Name      string
	Folder    fs.FS  // nil: there is none to look for the file in
	File      string // within the folder
	Format    string // csv or jsonl; else by the name of the file
	Delimiter rune   // of CSV
	Order     string
	AtEnd     string
}

// Check says what is wrong with the definition of a feeder, or "".
func (d *Definition) Check() string {
	if msg := checkFileName(d.File); msg != "" {
		return msg
	}
	format := d.fileFormat()
	switch {
	case format == "":
		return fmt.Sprintf("the name %q does not tell its format: expected a name in .csv, .tsv, .jsonl or .ndjson, or format: csv or jsonl", textkit.Shorten(d.File))
	case format != "csv" && format != "jsonl":
		return fmt.Sprintf("expected the format csv or jsonl, found %q", textkit.Shorten(format))
	case d.Delimiter != 0 && format != "csv":
		return "JSON lines have no delimiter"
	case d.Delimiter != 0 && (d.Delimiter >= utf8.RuneSelf || strings.ContainsRune("\"\r\n\x00", d.Delimiter)):
		return fmt.Sprintf("expected one character such as ; as the delimiter, found %q", d.Delimiter)
	}
	if !slices.Contains([]string{"", orderSequential, orderRandom, orderUnique}, d.Order) {
		return fmt.Sprintf("expected the order sequential, random or unique, found %q", textkit.Shorten(d.Order))
	}
	switch d.AtEnd {
	case "", atEndCycle, atEndStop:
	default:
		return fmt.Sprintf("expected cycle or stop as what happens at the end, found %q", textkit.Shorten(d.AtEnd))
	}
	if d.Order == orderRandom && d.AtEnd == atEndStop {
		return "rows in random order have no end to stop at"
	}
	return ""
}

// CheckWithout is check for a definition without one of its keys, to find the key
// that is at fault.
func (d Definition) CheckWithout(key string) string {
	switch key {
	case "format":
		if d.Format = ""; d.fileFormat() == "" {
			d.Format = "csv"
		}
	case "delimiter":
		d.Delimiter = 0
	case "order":
		d.Order = ""
	case "at_end":
		d.AtEnd = ""
	}
	return d.Check()
}

func (d *Definition) fileFormat() string {
	if d.Format != "" {
		return d.Format
	}
	name := strings.ToLower(d.File)
	for suffix, format := range map[string]string{".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"} {
		if strings.HasSuffix(name, suffix) {
			return format
		}
	}
	return ""
}

func (d *Definition) comma() byte {
	switch {
	case d.Delimiter != 0:
		return byte(d.Delimiter)
	case strings.HasSuffix(strings.ToLower(d.File), ".tsv"):
		return '\t'
	}
	return ','
}

// cycles tells whether the feeder begins again at its end.
func (d *Definition) cycles() bool {
	return d.AtEnd == atEndCycle || d.AtEnd == "" && d.Order != orderUnique
}

// ErrNoMoreRows is what a feeder that stops at its end returns there.
var ErrNoMoreRows = errors.New("no more rows")

// EndError is errNoMoreRows with the feeder that has none.
type EndError struct{ Text string }

// Error implements error.
func (e *EndError) Error() string { return ErrNoMoreRows.Error() + ": " + e.Text }

// Is makes it an errNoMoreRows.
func (e *EndError) Is(target error) bool { return target == ErrNoMoreRows }

// rowsFault is a fault in a file of rows.
type rowsFault struct {
	file         string
	line, column int // from 1, the column in characters
	message      string
}

// Error implements error.
func (e *rowsFault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.file, e.line, e.column, e.message)
}
