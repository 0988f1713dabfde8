package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"

	"github.com/opbeans/loadgen/internal/textkit"
)

// iterationRows gives expressions the rows of feeders that their iteration has.
type iterationRows interface {
	Row(feeder int) (iterationRow, error)
}

// iterationRow is one row of a feeder.
type iterationRow interface {
	Field(column int) []byte // of a feeder with columns; valid until the next row
	Value() (map[string]any, error)
}

var errNoRows = errors.New("there are no rows here: feeders are for virtual users")

// rowFailure marks an error of iterationRows, which the expression machine passes on
// with text of its own around it.
type rowFailure struct{ err error }

// Error implements error.
func (e *rowFailure) Error() string { return e.err.Error() }

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
