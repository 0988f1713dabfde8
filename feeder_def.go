package loadgen

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

// feedDefinition says which file a feeder reads, and how. Empty texts stand for the
// defaults.
type feedDefinition struct {
	name      string
	folder    fs.FS  // nil: there is none to look for the file in
	file      string // within the folder
	format    string // csv or jsonl; else by the name of the file
	delimiter rune   // of CSV
	order     string
	atEnd     string
}

// check says what is wrong with the definition of a feeder, or "".
func (d *feedDefinition) check() string {
	if msg := checkFileName(d.file); msg != "" {
		return msg
	}
	format := d.fileFormat()
	switch {
	case format == "":
		return fmt.Sprintf("the name %q does not tell its format: expected a name in .csv, .tsv, .jsonl or .ndjson, or format: csv or jsonl", textkit.Shorten(d.file))
	case format != "csv" && format != "jsonl":
		return fmt.Sprintf("expected the format csv or jsonl, found %q", textkit.Shorten(format))
	case d.delimiter != 0 && format != "csv":
		return "JSON lines have no delimiter"
	case d.delimiter != 0 && (d.delimiter >= utf8.RuneSelf || strings.ContainsRune("\"\r\n\x00", d.delimiter)):
		return fmt.Sprintf("expected one character such as ; as the delimiter, found %q", d.delimiter)
	}
	if !slices.Contains([]string{"", orderSequential, orderRandom, orderUnique}, d.order) {
		return fmt.Sprintf("expected the order sequential, random or unique, found %q", textkit.Shorten(d.order))
	}
	switch d.atEnd {
	case "", atEndCycle, atEndStop:
	default:
		return fmt.Sprintf("expected cycle or stop as what happens at the end, found %q", textkit.Shorten(d.atEnd))
	}
	if d.order == orderRandom && d.atEnd == atEndStop {
		return "rows in random order have no end to stop at"
	}
	return ""
}

// checkWithout is check for a definition without one of its keys, to find the key
// that is at fault.
func (d feedDefinition) checkWithout(key string) string {
	switch key {
	case "format":
		if d.format = ""; d.fileFormat() == "" {
			d.format = "csv"
		}
	case "delimiter":
		d.delimiter = 0
	case "order":
		d.order = ""
	case "at_end":
		d.atEnd = ""
	}
	return d.check()
}

func (d *feedDefinition) fileFormat() string {
	if d.format != "" {
		return d.format
	}
	name := strings.ToLower(d.file)
	for suffix, format := range map[string]string{".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"} {
		if strings.HasSuffix(name, suffix) {
			return format
		}
	}
	return ""
}

func (d *feedDefinition) comma() byte {
	switch {
	case d.delimiter != 0:
		return byte(d.delimiter)
	case strings.HasSuffix(strings.ToLower(d.file), ".tsv"):
		return '\t'
	}
	return ','
}

// cycles tells whether the feeder begins again at its end.
func (d *feedDefinition) cycles() bool {
	return d.atEnd == atEndCycle || d.atEnd == "" && d.order != orderUnique
}

// errNoMoreRows is what a feeder that stops at its end returns there.
var errNoMoreRows = errors.New("loadgen: no more rows")

// feedEndError is errNoMoreRows with the feeder that has none.
type feedEndError struct{ text string }

// Error implements error.
func (e *feedEndError) Error() string { return errNoMoreRows.Error() + ": " + e.text }

// Is makes it an errNoMoreRows.
func (e *feedEndError) Is(target error) bool { return target == errNoMoreRows }

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
