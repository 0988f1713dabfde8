package expr

import (
	"time"

	"github.com/expr-lang/expr/ast"
)

// The forms that most files use are computed without the expression machine, and so
// without allocation: a column of a row, and a limit to the status or the duration.

// columnRef is FEEDER.COLUMN.
type columnRef struct{ feeder, column int }

func asColumn(n *ast.MemberNode, scope *Scope) *columnRef {
	id, ok1 := n.Node.(*ast.IdentifierNode)
	name, ok2 := n.Property.(*ast.StringNode)
	if !ok1 || !ok2 || n.Optional || n.Method {
		return nil
	}
	for _, f := range scope.Feeders {
		if f.Name == id.Value {
			if i := f.find(name.Value); i >= 0 {
				return &columnRef{f.Index, i}
			}
		}
	}
	return nil
}

// IsPure reports whether e depends on variables only.
func (e *Expression) IsPure() bool { return e.pure }

// IsLimit tells whether the expression is a limit to the status or the duration, which
// needs no names of the response.
func (e *Expression) IsLimit() bool { return e.limit != nil }

// limitCheck is status OP NUMBER or duration OP NUMBER.
type limitCheck struct {
	duration bool
	op       string
	value    int64 // a status, or nanoseconds
}

func asLimit(n *ast.BinaryNode) *limitCheck {
	id, ok := n.Left.(*ast.IdentifierNode)
	if !ok {
		return nil
	}
	l := &limitCheck{op: n.Operator}
	switch l.op {
	case "==", "!=", "<", "<=", ">", ">=":
	default:
		return nil
	}
	switch right := n.Right.(type) {
	case *ast.IntegerNode:
		l.value = int64(right.Value)
		if id.Value == "status" {
			return l
		}
	case *ast.IdentifierNode:
		if d, ok := hiddenDuration(right.Value); ok && id.Value == "duration" {
			l.duration, l.value = true, int64(d)
			return l
		}
	}
	return nil
}

func (l *limitCheck) holds(status int, took time.Duration) bool {
	v := int64(status)
	if l.duration {
		v = int64(took)
	}
	switch l.op {
	case "==":
		return v == l.value
	case "!=":
		return v != l.value
	case "<":
		return v < l.value
	case "<=":
		return v <= l.value
	case ">":
		return v > l.value
	}
	return v >= l.value
}
