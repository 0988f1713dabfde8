package feed

import (
	"errors"
	"fmt"
	"io"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/jsonpath"
)

// Row is the row that a VU has of a feeder, in buffers of the VU.
type Row struct {
	feed    *Feed
	taken   bool // by this iteration
	Number  int64
	text    []byte         // of CSV the fields, one after the other; else the line
	ends    []int32        // of the fields in text
	decoded map[string]any // the row as a map; nil until somebody asks
}

// Field is the text of a column of CSV.
func (r *Row) Field(column int) []byte {
	from := int32(0)
	if column > 0 {
		from = r.ends[column-1]
	}
	return r.text[from:r.ends[column]]
}

// Value is the row as a map.
func (r *Row) Value() (map[string]any, error) {
	if r.decoded != nil {
		return r.decoded, nil
	}
	if !r.feed.CSV {
		v, err := jsonpath.Decode(r.text)
		doc, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, r.feed.changed(r.Number)
		}
		r.decoded = doc
		return doc, nil
	}
	r.decoded = make(map[string]any, len(r.ends))
	for i, name := range r.feed.Columns {
		r.decoded[name] = string(r.Field(i))
	}
	return r.decoded, nil
}

// Get returns the text of a column, or "" where there is none.
func (r *Row) Get(column string) string {
	if r == nil || r.feed == nil {
		return ""
	}
	if r.feed.CSV {
		for i, name := range r.feed.Columns {
			if name == column {
				return string(r.Field(i))
			}
		}
		return ""
	}
	doc, err := r.Value()
	if err != nil || doc[column] == nil {
		return ""
	}
	text, _ := escape.AppendText(nil, doc[column])
	return string(text)
}

// Release makes the next iteration take a row of its own.
func (r *Row) Release() { r.taken = false }

// ReadColumns reads the names of the columns of a feeder of CSV. For JSON lines, which
// have none, they are nil; the file must be there all the same.
func ReadColumns(def *Definition) ([]string, error) {
	file, _, err := openIn(def.Folder, def.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def.File, err)
	}
	defer func() { _ = file.Close() }()
	if def.fileFormat() != "csv" {
		return nil, nil
	}
	s := newRowScanner(file, true)
	fault := func(line, column int, message string) error {
		return &rowsFault{def.File, line, column, message}
	}
	row, _, line, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, fault(1, 1, "the file is empty: expected a first line that names the columns")
	}
	if err != nil {
		return nil, fault(line, 1, err.Error())
	}
	var check textCheck
	bad := check.row(row)
	var columns []string
	if bad == nil {
		columns, bad = columnNames(row, def.comma())
	}
	if bad != nil {
		return nil, bad.in(def.File, line, row)
	}
	return columns, nil
}
