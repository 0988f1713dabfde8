package loadgen

import (
	"fmt"
	"io/fs"

	"github.com/opbeans/loadgen/internal/feed"
)

// FeedOrder says which row of a [Feeder] an iteration gets.
type FeedOrder string

// The orders of a feeder. Sequential and unique go by the number of the row, so that
// no two iterations, or VUs, get the same row before all have been used.
const (
	FeedSequential FeedOrder = "sequential" // the next of the job, for each iteration that asks
	FeedRandom     FeedOrder = "random"     // any, drawn from the VU's own source
	FeedUnique     FeedOrder = "unique"     // one for each VU: VU 0 has the first, for as long as the job runs
)

// FeedEnd is what happens to a job when a [Feeder] has no more rows.
type FeedEnd string

// The ends of a feeder.
const (
	FeedCycle FeedEnd = "cycle" // the rows start again
	FeedStop  FeedEnd = "stop"  // the job ends, as finished
)

// Feeder is a file of rows that iterations take their data from: CSV, whose first
// line names the columns, or JSON lines, with an object in each line. A file of any
// size will do: when a job starts it is read once, to find mistakes and where its rows
// begin, and from then on only the rows that are used.
type Feeder struct {
	// File is the file within FS, with slashes, and without "..".
	File string
	// FS is the folder, for instance os.DirFS("testdata"); nil for the one that the
	// scenario was read from. Symbolic links are followed within it alone.
	FS fs.FS
	// Format is "csv" or "jsonl". Empty: by the file's name, which then ends in .csv,
	// .tsv, .jsonl or .ndjson.
	Format string
	// Delimiter separates the columns of a CSV file: one character of ASCII. Zero: a
	// comma, or a tab in a file named .tsv.
	Delimiter rune
	// Order is FeedSequential if empty.
	Order FeedOrder
	// AtEnd is FeedCycle if empty, and FeedStop for FeedUnique. FeedRandom has no end.
	AtEnd FeedEnd
}

// Feeder declares a feeder under a name, and returns s. Tasks get rows with
// [VU.Row]. What is wrong with it, or with its file, shows when a job starts.
func (s *Scenario) Feeder(name string, f Feeder) *Scenario {
	for i := range s.feeders {
		if s.feeders[i].name == name {
			s.feeders[i].Feeder = f
			return s
		}
	}
	s.feeders = append(s.feeders, namedFeeder{name: name, Feeder: f})
	return s
}

// namedFeeder is a feeder of a scenario.
type namedFeeder struct {
	name string
	Feeder
	fixed   bool     // expressions of a file were compiled against its columns,
	columns []string // which are these; nil: not known before the row
}

// definition is what a feeder is opened with. Its file is in a folder, unless it has
// one of its own.
func (f *namedFeeder) definition(folder fs.FS) feed.Definition {
	if f.FS != nil {
		folder = f.FS
	}
	return feed.Definition{
		Name: f.name, Folder: folder, File: f.File, Format: f.Format, Delimiter: f.Delimiter,
		Order: string(f.Order), AtEnd: string(f.AtEnd),
	}
}

// ErrNoMoreRows is what [VU.Row] returns when a feeder that stops at its end has no
// row left. A task that returns it ends the job, as finished; the iteration counts as
// interrupted.
var ErrNoMoreRows = feed.ErrNoMoreRows

// Row is a row of a feeder. It belongs to its VU, and is valid until the end of the
// iteration.
type Row struct{ row *feed.Row }

// Get returns the text of a column, or of a field of a JSON object: a text as it is,
// anything else as JSON. It is "" if there is none of that name.
func (r Row) Get(column string) string { return r.row.Get(column) }

// Value returns the value of a column, which is a string, or of a field of a JSON
// object: a string, int, float64, bool, []any or map[string]any. It is nil if there is
// none of that name. The caller must not change it.
func (r Row) Value(column string) (any, error) {
	v, err := r.row.Value()
	if err != nil {
		return nil, err
	}
	return v[column], nil
}

// Number is the number of the row in its file, from 0.
func (r Row) Number() int64 { return r.row.Number }

// Row returns this iteration's row of a feeder of the scenario. The first call of an
// iteration takes it; later calls return the same.
//
// The error wraps [ErrNoMoreRows] at the end of a feeder that stops there.
func (vu *VU) Row(feeder string) (Row, error) {
	for i, f := range vu.plan.feeds {
		if f.Def.Name == feeder {
			row, err := vu.row(i)
			return Row{row}, err
		}
	}
	return Row{}, fmt.Errorf("the scenario has no feeder %q", feeder)
}
