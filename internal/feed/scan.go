package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Limits of a file of rows.
const (
	maxRowLen  = 1 << 20
	maxColumns = 1000
)

// cutRow splits a text behind its first row, which may be empty. Line breaks within
// quotes belong to a row of CSV. Without a break, all is the row, and whole is false.
func cutRow(text []byte, csv bool) (row, rest []byte, whole bool) {
	quotes, from := 0, 0
	for {
		n := bytes.IndexByte(text[from:], '\n')
		if n < 0 {
			return trimReturn(text), nil, false
		}
		if csv {
			quotes += bytes.Count(text[from:from+n], []byte{'"'})
		}
		if quotes%2 == 0 {
			return trimReturn(text[:from+n]), text[from+n+1:], true
		}
		from += n + 1
	}
}

func trimReturn(row []byte) []byte {
	if n := len(row); n > 0 && row[n-1] == '\r' {
		return row[:n-1]
	}
	return row
}

// blank tells whether a row counts for nothing.
func blank(row []byte, csv bool) bool {
	return len(row) == 0 || !csv && len(bytes.TrimSpace(row)) == 0
}

// rowScanner reads a file row by row.
type rowScanner struct {
	in   io.Reader
	csv  bool
	buf  []byte
	rest []byte // of buf, not yet read
	eof  bool
	at   int64 // offset of rest in the file
	line int   // of rest, from 1
	skip []byte
}

func newRowScanner(in io.Reader, csv bool) *rowScanner {
	return &rowScanner{in: in, csv: csv, buf: make([]byte, 0, 256<<10), line: 1, skip: []byte("\uFEFF")}
}

// next returns the next row that is not blank, with its offset and line. The row is
// valid until the next call. The error is io.EOF at the end.
func (s *rowScanner) next() (row []byte, at int64, line int, err error) {
	for {
		row, rest, whole := cutRow(s.rest, s.csv)
		for !whole && !s.eof {
			if len(s.rest) > maxRowLen {
				return nil, s.at, s.line, fmt.Errorf("the row is longer than %d bytes; is a quotation mark not closed?", maxRowLen)
			}
			if err := s.fill(); err != nil {
				return nil, s.at, s.line, err
			}
			row, rest, whole = cutRow(s.rest, s.csv)
		}
		if len(s.rest) == 0 {
			return nil, s.at, s.line, io.EOF
		}
		if len(row) > maxRowLen {
			return nil, s.at, s.line, fmt.Errorf("the row is longer than %d bytes", maxRowLen)
		}
		at, line = s.at, s.line
		s.at += int64(len(s.rest) - len(rest))
		s.line += bytes.Count(s.rest[:len(s.rest)-len(rest)], []byte{'\n'})
		s.rest = rest
		if n := len(s.skip); n > 0 { // a byte order mark
			if s.skip = nil; bytes.HasPrefix(row, []byte("\uFEFF")) {
				row, at = row[n:], at+int64(n)
			}
		}
		if !blank(row, s.csv) {
			return row, at, line, nil
		}
	}
}

// fill reads more of the file.
func (s *rowScanner) fill() error {
	if len(s.rest) < cap(s.buf)/2 {
		s.buf = append(s.buf[:0], s.rest...)
	} else {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.rest...)
	}
	n, err := s.in.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	s.rest = s.buf
	switch {
	case errors.Is(err, io.EOF):
		s.eof = true
	case err != nil:
		return plainPathError(err)
	}
	return nil
}

// rowError is a fault in a row, at an offset in bytes.
type rowError struct {
	offset  int
	message string
}

func (e *rowError) Error() string { return e.message }

// in is the fault in a file, of a row that begins in a line. A row may have several.
func (e *rowError) in(file string, line int, row []byte) error {
	before := row[:e.offset]
	line += bytes.Count(before, []byte{'\n'})
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	return &rowsFault{file, line, utf8.RuneCount(before) + 1, e.message}
}

// splitCSV appends the fields of a row to dst, one after the other, and where each
// ends to ends. The format is that of RFC 4180.
func splitCSV(row []byte, delimiter byte, dst []byte, ends []int32) ([]byte, []int32, *rowError) {
	for i := 0; ; i++ {
		if i < len(row) && row[i] == '"' {
			from := i
			for i++; ; i++ {
				n := bytes.IndexByte(row[i:], '"')
				if n < 0 {
					return dst, ends, &rowError{from, "this quotation mark is not closed"}
				}
				dst = append(dst, row[i:i+n]...)
				if i += n + 1; i >= len(row) || row[i] != '"' {
					break
				}
				dst = append(dst, '"')
			}
			if i < len(row) && row[i] != delimiter {
				return dst, ends, &rowError{i, "expected the end of the field after its closing quotation mark; within a field, write \"\" for a \""}
			}
		} else {
			n := bytes.IndexByte(row[i:], delimiter)
			if n < 0 {
				n = len(row) - i
			}
			if q := bytes.IndexByte(row[i:i+n], '"'); q >= 0 {
				return dst, ends, &rowError{i + q, "a quotation mark in a field that does not begin with one; put the field in quotes, and write \"\" for a \""}
			}
			dst = append(dst, row[i:i+n]...)
			i += n
		}
		ends = append(ends, int32(len(dst)))
		if i >= len(row) {
			return dst, ends, nil
		}
	}
}

// columnNames reads the first row of a CSV file.
func columnNames(row []byte, delimiter byte) ([]string, *rowError) {
	text, ends, err := splitCSV(row, delimiter, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(ends) > maxColumns {
		return nil, &rowError{0, fmt.Sprintf("expected at most %d columns, found %d", maxColumns, len(ends))}
	}
	var names []string
	from := int32(0)
	for i, end := range ends {
		name := strings.TrimSpace(string(text[from:end]))
		from = end
		switch {
		case name == "":
			return nil, &rowError{0, fmt.Sprintf("column %d has no name: the first line names the columns", i+1)}
		case slices.Contains(names, name):
			return nil, &rowError{0, fmt.Sprintf("two columns are named %q", textkit.Shorten(name))}
		case !utf8.ValidString(name):
			return nil, &rowError{0, fmt.Sprintf("the name of column %d is not UTF-8 text", i+1)}
		}
		names = append(names, name)
	}
	return names, nil
}

// checkJSONRow says what is wrong with a row of JSON lines.
func checkJSONRow(row []byte) *rowError {
	begin := bytes.TrimLeft(row, " \t\r")
	if begin[0] != '{' {
		return &rowError{len(row) - len(begin), "expected a JSON object such as {\"name\": \"ada\"}, found " + strconvQuoteStart(begin)}
	}
	if json.Valid(row) {
		return nil
	}
	var v any
	err := json.Unmarshal(row, &v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &rowError{max(int(syntax.Offset)-1, 0), "not a JSON object: " + err.Error()}
	}
	return &rowError{0, "not a JSON object"}
}

func strconvQuoteStart(b []byte) string { return textkit.Describe(string(b[:min(len(b), 20)])) }
