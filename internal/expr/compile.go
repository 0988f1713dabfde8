// Package expr compiles the expressions and templates of scenario files, once, and evaluates
// them for a virtual user.
package expr

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/opbeans/loadgen/internal/jsonpath"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Limits of an expression. They bound the parser's recursion and what one
// evaluation may cost, not what people write.
const (
	maxExprLen   = 4096
	maxExprNodes = 1000
)

// Place says where an expression stands, and so which names it may use.
type Place uint8

// The places of expressions.
const (
	InWeight   Place = iota // weights and conditions: evaluated when a job starts or changes
	InRequest               // a request: random values, and what earlier steps captured
	InTarget                // a request's target: raw() too
	InResponse              // captures and checks: the response too
)

// Scope is what an expression can see.
type Scope struct {
	Place    Place
	Vars     map[string]any // by name, a value of the variable's type
	Captures []string       // names captured by earlier steps
	Feeders  []*FeederHead  // whose rows can be had

	FeederNames []string // of all feeders, also where rows cannot be had
}

// Expression is a compiled expression. It is immutable, and safe for concurrent
// use by any number of evaluators.
type Expression struct {
	Source  string
	At      string // FILE:LINE:COLUMN, for errors at run time
	program *vm.Program

	pure     bool // depends on variables only, so that binding folds it
	NeedBody bool // looks at the response's body
	BodyText bool // as the text `body`
	Raw      bool // is the argument of an outermost raw()

	// These are done without the VM: a draw between two bounds, a captured name
	// alone, a column of a feeder alone, and a limit to the status or the duration.
	draw   bool
	lo, hi operand
	name   string
	column *columnRef
	limit  *limitCheck
}

// operand is a bound of a draw: a variable, or a number if the name is empty.
type operand struct {
	name  string
	value int
}

// Error is a fault in an expression, at an offset in runes.
type Error struct {
	Offset  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Compile compiles an expression that must give a value of kind want, or any
// value if that is reflect.Invalid.
func Compile(source string, want reflect.Kind, scope *Scope) (*Expression, *Error) {
	if strings.TrimSpace(source) == "" {
		return nil, &Error{Message: "expected an expression, found nothing"}
	}
	if len(source) > maxExprLen {
		return nil, &Error{Message: fmt.Sprintf("the expression is longer than %d bytes", maxExprLen)}
	}
	text := hideDurations(source)
	e := &Expression{Source: source, pure: true}
	if tree, err := parser.Parse(text); err == nil {
		e.recognize(tree.Node, scope)
	}
	env := scope.env()
	for _, name := range hiddenNames(text) {
		env[name] = types.TypeOf(time.Duration(0))
	}
	options := []expr.Option{
		expr.Env(env),
		expr.MaxNodes(maxExprNodes),
		func(c *conf.Config) {
			c.Expect, c.ExpectAny = want, true
			for _, f := range exprFunctions(scope.Place) {
				c.Functions[f.Name] = f
			}
		},
	}
	// The first time only for its errors: once a patched call has a type, the
	// compiler looks at its arguments no more.
	if _, err := expr.Compile(text, options...); err != nil {
		return nil, scope.explain(err)
	}
	p := &patcher{scope: scope, expr: e}
	program, err := expr.Compile(text, append(options, expr.Patch(p))...)
	if p.err != nil {
		return nil, p.err
	}
	if err != nil {
		return nil, scope.explain(err)
	}
	e.program = program
	return e, nil
}

// env gives the names and types that the compiler checks against.
func (s *Scope) env() types.Map {
	env := types.Map{stateName: types.TypeOf((*evalState)(nil))}
	for _, f := range s.Feeders {
		env[f.Name] = f.rowType()
	}
	for name, v := range s.Vars {
		env[name] = types.TypeOf(v)
	}
	for _, name := range s.Captures {
		env[name] = types.Any
	}
	if s.Place == InResponse {
		env["status"] = types.Int
		env["body"] = types.String
		env["duration"] = types.TypeOf(time.Duration(0))
	}
	return env
}

// explain turns an error of the compiler into one at an offset, in words that
// help.
func (s *Scope) explain(err error) *Error {
	out := &Error{}
	var fe *file.Error
	if errors.As(err, &fe) {
		out.Offset, out.Message = fe.From, fe.Message
	} else {
		// The compiler's own panics come with a stack behind the first line.
		out.Message, _, _ = strings.Cut(err.Error(), "\n")
	}
	out.Message = plainer(showDurations(out.Message))
	if name, ok := strings.CutPrefix(out.Message, "unknown name "); ok {
		out.Message = s.unknownName(name)
	}
	if column, ok := strings.CutPrefix(out.Message, "unknown field "); ok {
		out.Message = s.unknownColumn(column)
	}
	return out
}

// plainer puts what people get wrong most into words that say what to do.
func plainer(message string) string {
	if found, ok := strings.CutPrefix(message, "expected bool, but got "); ok {
		return "expected a condition that is true or false, found " + found
	}
	if found, ok := strings.CutPrefix(message, "expected float64, but got "); ok {
		return "expected a number, found " + found
	}
	if message == `unexpected token Operator("=")` {
		return "unexpected =; == compares"
	}
	if strings.Contains(message, "mismatched types time.Duration and ") || strings.HasSuffix(message, " and time.Duration)") {
		return message + "; a duration has a unit, such as 500ms"
	}
	return message
}

// unknownName explains a name that the scope does not have.
func (s *Scope) unknownName(name string) string {
	known := s.names()
	if slices.Contains(s.FeederNames, name) && !slices.Contains(known, name) {
		return fmt.Sprintf("the feeder %q has rows for virtual users only: not for weights, conditions, and the job's own set-up and tear-down", name)
	}
	for _, other := range []struct {
		place Place
		hint  string
	}{
		{InRequest, "has no value in weights and conditions, which are evaluated when a job starts or changes"},
		{InTarget, "is only known in a request's target"},
		{InResponse, "is only known in capture and check, which follow the response"},
	} {
		scope := Scope{Place: other.place}
		if !slices.Contains(known, name) && slices.Contains(scope.names(), name) {
			return fmt.Sprintf("%q %s", name, other.hint)
		}
	}
	return fmt.Sprintf("unknown name %q%s", name, textkit.DidYouMean(name, known))
}

// names lists what the scope knows besides the language's own functions.
func (s *Scope) names() []string {
	names := slices.Sorted(maps.Keys(s.Vars))
	names = append(names, s.Captures...)
	names = append(names, FunctionNames(s.Place)...)
	if s.Place == InResponse {
		names = append(names, "status", "body", "duration")
	}
	return names
}

// recognize looks for the forms that need no VM, and for raw.
func (e *Expression) recognize(n ast.Node, scope *Scope) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if slices.Contains(scope.Captures, n.Value) {
			e.name = n.Value
		}
		return
	case *ast.MemberNode:
		e.column = asColumn(n, scope)
		return
	case *ast.BinaryNode:
		if scope.Place == InResponse {
			e.limit = asLimit(n)
		}
		return
	}
	call, ok := n.(*ast.CallNode)
	if !ok {
		return
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	if callee.Value == "raw" && scope.Place == InTarget && len(call.Arguments) == 1 {
		e.Raw = true
		return
	}
	if callee.Value != "randint" || scope.Place == InWeight || len(call.Arguments) != 2 {
		return
	}
	lo, ok1 := asOperand(call.Arguments[0], scope)
	hi, ok2 := asOperand(call.Arguments[1], scope)
	if ok1 && ok2 {
		e.draw, e.lo, e.hi = true, lo, hi
	}
}

func asOperand(n ast.Node, scope *Scope) (operand, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return operand{value: n.Value}, true
	case *ast.UnaryNode:
		if i, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
			return operand{value: -i.Value}, true
		}
	case *ast.IdentifierNode:
		_, ok := scope.Vars[n.Value].(int)
		return operand{name: n.Value}, ok
	}
	return operand{}, false
}

// patcher prepares an expression's tree: it hands the evaluation's state to the
// functions that need it, makes each turn of a loop and each joined text count
// against the budget, and finds what the expression depends on.
type patcher struct {
	scope *Scope
	expr  *Expression
	err   *Error
}

// Visit implements the compiler's visitor; children come before parents.
func (p *patcher) Visit(node *ast.Node) {
	if other := p.compute(*node); other != nil {
		*node = other
		return
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		p.identifier(node, n)
	case *ast.CallNode:
		p.call(n)
	case *ast.BuiltinNode:
		if n.Name == "now" {
			p.expr.pure = false
		}
	case *ast.PredicateNode:
		n.Node = p.charged(stepName, n.Node)
	case *ast.BinaryNode:
		if n.Operator == "+" && n.Type().Kind() != reflect.Int && n.Type().Kind() != reflect.Float64 {
			sum := p.charged(textName, n)
			sum.SetLocation(n.Location())
			*node = sum
		}
	}
}

func (p *patcher) identifier(node *ast.Node, n *ast.IdentifierNode) {
	if d, ok := hiddenDuration(n.Value); ok {
		ast.Patch(node, &ast.ConstantNode{Value: d})
		return
	}
	for _, f := range p.scope.Feeders {
		if f.Name == n.Value {
			p.expr.pure = false
			ast.Patch(node, &ast.CallNode{
				Callee:    &ast.IdentifierNode{Value: rowName},
				Arguments: []ast.Node{&ast.IdentifierNode{Value: stateName}, &ast.IntegerNode{Value: f.Index}},
			})
			return
		}
	}
	switch {
	case n.Value == "$env":
		p.fail(n, "$env is not available: name the variable itself")
	case slices.Contains(p.scope.Captures, n.Value):
		p.expr.pure = false
	case p.scope.Place == InResponse && n.Value == "body":
		p.expr.pure, p.expr.NeedBody, p.expr.BodyText = false, true, true
	case p.scope.Place == InResponse && (n.Value == "status" || n.Value == "duration"):
		p.expr.pure = false
	}
}

func (p *patcher) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	if callee.Value == "raw" && p.scope.Place == InTarget && !p.expr.Raw {
		p.fail(n, "raw() must be the whole of a ${…}, not a part of it")
	}
	for _, f := range exprFunctions(p.scope.Place) {
		if f.Name == callee.Value {
			n.Arguments = append([]ast.Node{&ast.IdentifierNode{Value: stateName}}, n.Arguments...)
			if !slices.Contains(pureFunctions(), f.Name) {
				p.expr.pure = false
			}
			break
		}
	}
	if p.scope.Place != InResponse || len(n.Arguments) != 2 {
		return
	}
	switch callee.Value {
	case "json":
		p.expr.NeedBody = true
		p.constant(n, func(s string) (any, error) { return jsonpath.Parse(s) })
	case "regexp":
		p.expr.NeedBody = true
		p.constant(n, func(s string) (any, error) { return regexp.Compile(s) })
	}
}

// constant parses a literal argument when the file is loaded.
func (p *patcher) constant(n *ast.CallNode, parse func(string) (any, error)) {
	arg, ok := n.Arguments[1].(*ast.StringNode)
	if !ok {
		return
	}
	v, err := parse(arg.Value)
	if err != nil {
		p.fail(arg, err.Error())
		return
	}
	ast.Patch(&n.Arguments[1], &ast.ConstantNode{Value: v})
}

// charged wraps a node in a call that counts it against the budget.
func (p *patcher) charged(function string, n ast.Node) *ast.CallNode {
	call := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: function},
		Arguments: []ast.Node{&ast.IdentifierNode{Value: stateName}, n},
	}
	call.SetLocation(n.Location())
	return call
}

func (p *patcher) fail(n ast.Node, message string) {
	if p.err == nil {
		p.err = &Error{Offset: n.Location().From, Message: message}
	}
}

// ReservedNames are those that a variable or a capture cannot have, because
// expressions already give them a meaning.
func ReservedNames() []string {
	names := []string{
		"in", "or", "and", "not", "let", "if", "else", "true", "false", "nil", "null",
		"matches", "contains", "startsWith", "endsWith", "status", "body", "duration",
	}
	for _, place := range []Place{InTarget, InResponse} {
		for _, f := range exprFunctions(place) {
			names = append(names, f.Name)
		}
	}
	for _, f := range builtin.Builtins {
		names = append(names, f.Name)
	}
	return names
}
