// Package feed gives out the rows of files, one for each iteration or virtual user.
package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/pace"
)

const (
	maxFeedOffsets = 1 << 16 // of the index: 512 KiB, however large the file is
	maxFeedInline  = 1 << 20 // a smaller file is kept in memory
	maxFeedMemory  = 64 << 20
)

// Feed is an open feeder of one job. Its rows stay in the file: of them it keeps only
// where every stride-th begins. It is safe for concurrent use.
type Feed struct {
	Def     Definition
	CSV     bool
	comma   byte
	Columns []string
	Rows    int64

	data   []byte // the whole file, or
	file   fs.File
	reader io.ReaderAt
	size   int64
	mtime  time.Time

	stride  int64
	offsets []int64

	segment pace.Segment // whose rows it gives out
	taken   atomic.Int64 // rows that it has given out, in sequential order
	blocks  sync.Pool    // of *[]byte
}

// Open opens a feeder's file, and looks at every row. A fault in a row is a
// [*rowsFault]. The feed gives out the rows of a segment.
func Open(def Definition, segment pace.Segment) (*Feed, error) {
	if msg := def.Check(); msg != "" {
		return nil, errors.New(msg)
	}
	f := &Feed{Def: def, CSV: def.fileFormat() == "csv", comma: def.comma(), stride: 1, segment: segment}
	file, info, err := openIn(def.Folder, def.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def.File, err)
	}
	f.size, f.mtime = info.Size(), info.ModTime()
	var in io.Reader = file
	at, random := file.(io.ReaderAt)
	switch {
	case f.size <= maxFeedInline || !random:
		data, err := io.ReadAll(io.LimitReader(file, maxFeedMemory+1))
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", def.File, plainPathError(err))
		}
		if len(data) > maxFeedMemory {
			return nil, fmt.Errorf("%s: its folder can only be read as a stream, and so at most %d bytes", def.File, maxFeedMemory)
		}
		f.data, f.size = data, int64(len(data))
		in = bytes.NewReader(data)
	default:
		f.file, f.reader = file, at
		in = io.NewSectionReader(at, 0, f.size)
	}
	if err := f.index(in); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// index reads the whole file once.
func (f *Feed) index(in io.Reader) error {
	s := newRowScanner(in, f.CSV)
	var text []byte
	var ends []int32
	var check textCheck
	for {
		row, at, line, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.fault(line, 1, err.Error())
		}
		bad := check.row(row)
		switch {
		case bad != nil:
		case !f.CSV:
			bad = checkJSONRow(row)
		case f.Columns == nil:
			f.Columns, bad = columnNames(row, f.comma)
		default:
			if text, ends, bad = splitCSV(row, f.comma, text[:0], ends[:0]); bad == nil && len(ends) != len(f.Columns) {
				bad = &rowError{0, fmt.Sprintf("expected %s, as in the first line, found %d", textkit.Plural(len(f.Columns), "column"), len(ends))}
			}
		}
		if bad != nil {
			return bad.in(f.Def.File, line, row)
		}
		if f.CSV && f.offsets == nil {
			f.offsets = []int64{} // that was the first line
			continue
		}
		f.note(at)
	}
	switch {
	case f.CSV && f.Columns == nil:
		return f.fault(1, 1, "the file is empty: expected a first line that names the columns")
	case f.Rows == 0:
		return f.fault(1, 1, "there are no rows")
	}
	return nil
}

// note adds a row to the index. If it becomes too large, every other entry goes.
func (f *Feed) note(at int64) {
	if f.Rows%f.stride == 0 {
		if len(f.offsets) == maxFeedOffsets {
			for i := range maxFeedOffsets / 2 {
				f.offsets[i] = f.offsets[2*i]
			}
			f.offsets = f.offsets[:maxFeedOffsets/2]
			f.stride *= 2
		}
		if f.Rows%f.stride == 0 {
			f.offsets = append(f.offsets, at)
		}
	}
	f.Rows++
}

func (f *Feed) fault(line, column int, message string) error {
	return &rowsFault{f.Def.File, line, column, message}
}

// Close closes the file of rows.
func (f *Feed) Close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

// Same tells whether an open feeder serves for a definition, because neither that nor
// the file has changed.
func (f *Feed) Same(def Definition) bool {
	mine, its := f.Def, def
	mine.Folder, its.Folder = nil, nil
	if mine != its {
		return false
	}
	file, info, err := openIn(def.Folder, def.File)
	if err != nil {
		return false
	}
	_ = file.Close()
	return info.Size() == f.size && info.ModTime().Equal(f.mtime)
}

// choose says which row is next for a VU: that of its number, the job's next, or any.
func (f *Feed) choose(r *rand.Rand, vu int) (int64, error) {
	var i int64
	switch f.Def.Order {
	case orderRandom:
		return r.Int64N(f.Rows), nil
	case orderUnique:
		i = int64(vu)
	default:
		i = int64(f.segment.Number(int(f.taken.Add(1) - 1)))
	}
	switch {
	case i < f.Rows:
		return i, nil
	case f.Def.cycles():
		return i % f.Rows, nil
	case f.Def.Order == orderUnique:
		return 0, &EndError{fmt.Sprintf("feeder %q has %s, one for each VU, and there are more VUs", f.Def.Name, textkit.Plural(int(f.Rows), "row"))}
	}
	return 0, &EndError{fmt.Sprintf("feeder %q has given out all its %s%s", f.Def.Name, textkit.Plural(int(f.Rows), "row"), ofSegment(f.segment))}
}

// Next puts the row of an iteration of a VU into row, unless the iteration has taken it
// already. r is the random source of the VU.
func (f *Feed) Next(r *rand.Rand, vu int, row *Row) error {
	if row.taken && row.feed == f {
		return nil
	}
	number, err := f.choose(r, vu)
	if err != nil {
		return err
	}
	if row.feed != f || row.Number != number {
		if err := f.read(number, row); err != nil {
			return err
		}
	}
	row.taken = true
	return nil
}

// Given is how many rows the feed has given out in order.
func (f *Feed) Given() int64 { return f.taken.Load() }

// Resume makes the feed go on behind the rows that it, or one before it, has given out.
func (f *Feed) Resume(given int64) { f.taken.Store(max(0, given)) }

// PerVU tells whether each VU has a row of its own, so that there are no more VUs than
// rows.
func (f *Feed) PerVU() bool { return f.Def.Order == orderUnique && !f.Def.cycles() }

// read copies a row of the file into dst, which keeps its buffers.
func (f *Feed) read(number int64, dst *Row) error {
	b := number / f.stride
	from, to := f.offsets[b], f.size
	if b+1 < int64(len(f.offsets)) {
		to = f.offsets[b+1]
	}
	var block []byte
	if f.data != nil {
		block = f.data[from:to]
	} else {
		room, _ := f.blocks.Get().(*[]byte)
		if room == nil {
			room = &[]byte{}
		}
		defer f.blocks.Put(room)
		*room = slices.Grow((*room)[:0], int(to-from))[:to-from]
		block = *room
		if _, err := f.reader.ReadAt(block, from); err != nil {
			return fmt.Errorf("feeder %q: %s: row %d: %w", f.Def.Name, f.Def.File, number+1, plainPathError(err))
		}
	}
	row, rest, _ := cutRow(block, f.CSV)
	for skip := number % f.stride; skip > 0 || blank(row, f.CSV); {
		if !blank(row, f.CSV) {
			skip--
		}
		if len(rest) == 0 {
			return f.changed(number)
		}
		row, rest, _ = cutRow(rest, f.CSV)
	}
	dst.feed, dst.Number, dst.decoded = f, number, nil
	if !f.CSV {
		dst.text, dst.ends = append(dst.text[:0], row...), dst.ends[:0]
		return nil
	}
	var bad *rowError
	if dst.text, dst.ends, bad = splitCSV(row, f.comma, dst.text[:0], dst.ends[:0]); bad != nil || len(dst.ends) != len(f.Columns) {
		return f.changed(number)
	}
	return nil
}

// changed says that the file is not the one whose rows were indexed.
func (f *Feed) changed(number int64) error {
	return fmt.Errorf("feeder %q: %s has changed since the job started: row %d is not there any more; reload the scenario, or put a new file in the place of the old one instead of writing into it",
		f.Def.Name, f.Def.File, number+1)
}

// ofSegment completes a sentence on what there is none left of.
func ofSegment(s pace.Segment) string {
	if s.Parts() == 1 {
		return ""
	}
	return " that are of segment " + s.String()
}
