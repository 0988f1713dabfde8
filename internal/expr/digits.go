package expr

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"

	"github.com/opbeans/loadgen/internal/jsonpath"
)

// Numbers of JSON keep their digits where they are only passed on: a json.Number stands for one
// that int and float64 would write otherwise (64 bits without a sign, 1.10, 1e3). The language
// cannot compute with it. So the patcher puts a conversion before each operator and function
// that needs a number, and compares by value.

// isExact reports whether a node may give a json.Number, or a list or map that holds one.
func (p *patcher) isExact(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return slices.Contains(p.scope.Captures, n.Value)
	case *ast.PointerNode:
		return true
	case *ast.MemberNode:
		return p.isExact(n.Node)
	case *ast.ChainNode:
		return p.isExact(n.Node)
	case *ast.ConditionalNode:
		return p.isExact(n.Exp1) || p.isExact(n.Exp2)
	case *ast.BinaryNode:
		return n.Operator == "??" && (p.isExact(n.Left) || p.isExact(n.Right))
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return ok && slices.Contains([]string{"json", rowName, "choice"}, callee.Value)
	case *ast.BuiltinNode:
		return passesOn(n.Name)
	}
	return false
}

// passesOn reports whether a function of the language only picks values.
func passesOn(name string) bool {
	return slices.Contains([]string{
		"filter", "find", "findLast", "first", "last", "take", "get", "map", "reverse", "flatten", "values", "uniq", "concat",
	}, name)
}

// compute converts what an operator or a function computes with. It returns another node to take
// the place of n, or nil.
func (p *patcher) compute(n ast.Node) ast.Node {
	plain := func(at *ast.Node) {
		if p.isExact(*at) {
			*at = p.charged(plainName, *at)
		}
	}
	switch n := n.(type) {
	case *ast.UnaryNode:
		plain(&n.Node)
	case *ast.SliceNode:
		if n.From != nil {
			plain(&n.From)
		}
		if n.To != nil {
			plain(&n.To)
		}
	case *ast.MemberNode:
		plain(&n.Property)
	case *ast.VariableDeclaratorNode:
		plain(&n.Value)
	case *ast.ConditionalNode:
		plain(&n.Cond)
	case *ast.BinaryNode:
		return p.computeBinary(n, plain)
	case *ast.BuiltinNode:
		if passesOn(n.Name) {
			return nil
		}
		for i := range n.Arguments {
			plain(&n.Arguments[i])
		}
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || slices.Contains([]string{"string", "toJSON", "join", "raw", "choice", stepName, textName, plainName, equalName}, callee.Value) {
			return nil
		}
		for i := range n.Arguments {
			plain(&n.Arguments[i])
		}
	}
	return nil
}

func (p *patcher) computeBinary(n *ast.BinaryNode, plain func(*ast.Node)) ast.Node {
	switch n.Operator {
	case "??":
		return nil
	case "==", "!=":
		if !p.isExact(n.Left) && !p.isExact(n.Right) {
			return nil
		}
		equal := p.charged(equalName, n.Left)
		equal.Arguments = append(equal.Arguments, n.Right)
		equal.SetLocation(n.Location())
		if n.Operator == "==" {
			return equal
		}
		not := &ast.UnaryNode{Operator: "not", Node: equal}
		not.SetLocation(n.Location())
		return not
	}
	plain(&n.Left)
	plain(&n.Right)
	return nil
}

func exprPlain(_ *evalState, args []any) (any, error) { return jsonpath.Plain(args[0]), nil }

// exprEqual compares by value: 1.10 equals 1.1, and 64 bits are compared as such.
func exprEqual(_ *evalState, args []any) (any, error) {
	a, b := args[0], args[1]
	_, exactA := a.(json.Number)
	_, exactB := b.(json.Number)
	if exactA || exactB {
		x, ok := rational(a)
		y, also := rational(b)
		if ok && also {
			return x.Cmp(y) == 0, nil
		}
	}
	return runtime.Equal(jsonpath.Plain(a), jsonpath.Plain(b)), nil
}

// rational is the value of a number, unless its exponent is out of all proportion.
func rational(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err != nil || math.Abs(f) > 1e100 || f != 0 && math.Abs(f) < 1e-100 || len(v) > 400 {
			return nil, false
		}
		return new(big.Rat).SetString(v.String())
	case nil, string, bool:
		return nil, false
	}
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return new(big.Rat).SetInt64(r.Int()), true
	case r.CanFloat() && !math.IsInf(r.Float(), 0) && !math.IsNaN(r.Float()):
		return rational(json.Number(strconv.FormatFloat(r.Float(), 'g', -1, 64))) // as it is written
	}
	return nil, false
}
