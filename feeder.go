package loadgen

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/types"

	"github.com/opbeans/loadgen/internal/textkit"
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

// FeedEnd says what becomes of a job when a [Feeder] has no more rows.
type FeedEnd string

// The ends of a feeder.
const (
	FeedCycle FeedEnd = "cycle" // it begins again
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
	s.feeders = append(s.feeders, namedFeeder{name, f})
	return s
}

// namedFeeder is a feeder of a scenario.
type namedFeeder struct {
	name string
	Feeder
}

// check says what is wrong with the definition of a feeder, or "".
func (f *Feeder) check() string {
	if msg := checkFileName(f.File); msg != "" {
		return msg
	}
	format := f.format()
	switch {
	case format == "":
		return fmt.Sprintf("the name %q does not tell its format: expected a name in .csv, .tsv, .jsonl or .ndjson, or format: csv or jsonl", textkit.Shorten(f.File))
	case format != "csv" && format != "jsonl":
		return fmt.Sprintf("expected the format csv or jsonl, found %q", textkit.Shorten(format))
	case f.Delimiter != 0 && format != "csv":
		return "JSON lines have no delimiter"
	case f.Delimiter != 0 && (f.Delimiter >= utf8.RuneSelf || strings.ContainsRune("\"\r\n\x00", f.Delimiter)):
		return fmt.Sprintf("expected one character such as ; as the delimiter, found %q", f.Delimiter)
	}
	if !slices.Contains([]FeedOrder{"", FeedSequential, FeedRandom, FeedUnique}, f.Order) {
		return fmt.Sprintf("expected the order sequential, random or unique, found %q", textkit.Shorten(string(f.Order)))
	}
	switch f.AtEnd {
	case "", FeedCycle, FeedStop:
	default:
		return fmt.Sprintf("expected cycle or stop as what happens at the end, found %q", textkit.Shorten(string(f.AtEnd)))
	}
	if f.Order == FeedRandom && f.AtEnd == FeedStop {
		return "rows in random order have no end to stop at"
	}
	return ""
}

func (f *Feeder) format() string {
	if f.Format != "" {
		return f.Format
	}
	name := strings.ToLower(f.File)
	for suffix, format := range map[string]string{".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"} {
		if strings.HasSuffix(name, suffix) {
			return format
		}
	}
	return ""
}

func (f *Feeder) delimiter() byte {
	switch {
	case f.Delimiter != 0:
		return byte(f.Delimiter)
	case strings.HasSuffix(strings.ToLower(f.File), ".tsv"):
		return '\t'
	}
	return ','
}

// cycles tells whether the feeder begins again at its end.
func (f *Feeder) cycles() bool {
	return f.AtEnd == FeedCycle || f.AtEnd == "" && f.Order != FeedUnique
}

// feederHead is what expressions are compiled against.
type feederHead struct {
	name    string
	index   int
	columns []string // of CSV; nil: not known before the row
}

func (f *feederHead) find(column string) int { return slices.Index(f.columns, column) }

// rowType is the type of a row for the compiler.
func (f *feederHead) rowType() types.Type {
	if f.columns == nil {
		return types.Any
	}
	m := types.Map{}
	for _, c := range f.columns {
		m[c] = types.String
	}
	return m
}

// unknownColumn explains a column that no row has.
func (s *exprScope) unknownColumn(column string) string {
	var known []string
	for _, f := range s.feeders {
		known = append(known, f.columns...)
	}
	hint := textkit.DidYouMean(column, known)
	if hint == "" {
		hint = "; there are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("unknown column %q%s", textkit.Shorten(column), hint)
}

// ErrNoMoreRows is what [VU.Row] returns when a feeder that stops at its end has no
// row left. A task that returns it ends the job, as finished; the iteration counts as
// interrupted.
var ErrNoMoreRows = errors.New("loadgen: no more rows")

// feedEndError is ErrNoMoreRows with the feeder that has none.
type feedEndError struct{ text string }

// Error implements error.
func (e *feedEndError) Error() string { return ErrNoMoreRows.Error() + ": " + e.text }

// Is makes it an ErrNoMoreRows.
func (e *feedEndError) Is(target error) bool { return target == ErrNoMoreRows }

var errNoRows = errors.New("there are no rows here: feeders are for virtual users")

// Row is a row of a feeder. It belongs to its VU, and is valid until the end of the
// iteration.
type Row struct{ row *feederRow }

// Get returns the text of a column, or of a field of a JSON object: a text as it is,
// anything else as JSON. It is "" if there is none of that name.
func (r Row) Get(column string) string { return r.row.get(column) }

// Value returns the value of a column, which is a string, or of a field of a JSON
// object: a string, int, float64, bool, []any or map[string]any. It is nil if there is
// none of that name. The caller must not change it.
func (r Row) Value(column string) (any, error) {
	v, err := r.row.value()
	if err != nil {
		return nil, err
	}
	return v[column], nil
}

// Number is the number of the row in its file, from 0.
func (r Row) Number() int64 { return r.row.number }

// Row returns this iteration's row of a feeder of the scenario. The first call of an
// iteration takes it; later calls return the same.
//
// The error wraps [ErrNoMoreRows] at the end of a feeder that stops there.
func (vu *VU) Row(feeder string) (Row, error) {
	for i, f := range vu.plan.feeds {
		if f.name == feeder {
			row, err := vu.row(i)
			return Row{row}, err
		}
	}
	return Row{}, fmt.Errorf("loadgen: the scenario has no feeder %q", feeder)
}
