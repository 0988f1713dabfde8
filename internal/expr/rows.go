package expr

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
	Row(feeder int) (IterationRow, error)
}

// IterationRow is one row of a feeder.
type IterationRow interface {
	Field(column int) []byte // of a feeder with columns; valid until the next row
	Value() (map[string]any, error)
}

// ErrNoRows is the error of an expression that asks for a row outside of an iteration.
var ErrNoRows = errors.New("there are no rows here: feeders are for virtual users")

// rowFailure marks an error of iterationRows, which the expression machine passes on
// with text of its own around it.
type rowFailure struct{ err error }

// Error implements error.
func (e *rowFailure) Error() string { return e.err.Error() }

// FeederHead is what expressions are compiled against.
type FeederHead struct {
	Name    string
	Index   int
	Columns []string // of CSV; nil: not known before the row
}

func (f *FeederHead) find(column string) int { return slices.Index(f.Columns, column) }

// rowType is the type of a row for the compiler.
func (f *FeederHead) rowType() types.Type {
	if f.Columns == nil {
		return types.Any
	}
	m := types.Map{}
	for _, c := range f.Columns {
		m[c] = types.String
	}
	return m
}

// unknownColumn explains a column that no row has.
func (s *Scope) unknownColumn(column string) string {
	var known []string
	for _, f := range s.Feeders {
		known = append(known, f.Columns...)
	}
	hint := textkit.DidYouMean(column, known)
	if hint == "" {
		hint = "; there are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("unknown column %q%s", textkit.Shorten(column), hint)
}
