package expr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/expr-lang/expr/builtin"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/jsonpath"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Names that the patcher puts into expressions. They hold a space, so that no
// source can spell them.
const (
	stateName = " state" // the *evalState
	stepName  = " step"  // counts a turn of a loop
	textName  = " text"  // counts a joined text
	rowName   = " row"   // the row of a feeder
	plainName = " plain" // a number to compute with
	equalName = " equal" // == where a number may have its digits
)

// checker looks at the types of a function's arguments and gives that of its
// result. A nil type of an argument means that it is only known at run time.
type checker func(args []reflect.Type) (reflect.Type, error)

// exprFunctions returns the functions known at a place, besides the language's
// own. Those that could make much from little are replaced by bounded ones.
func exprFunctions(place Place) []*builtin.Function {
	list := []*builtin.Function{
		exprFunction(stepName, sameType, func(st *evalState, args []any) (any, error) {
			return args[0], st.spend(1)
		}),
		exprFunction(textName, sameType, func(st *evalState, args []any) (any, error) {
			if s, ok := args[0].(string); ok {
				return s, st.spend(len(s))
			}
			return args[0], nil
		}),
		exprFunction(plainName, takes("plain", reflect.TypeFor[any](), "value"), exprPlain),
		exprFunction(equalName, takes("equal", reflect.TypeFor[bool](), "value", "value"), exprEqual),
		exprFunction("string", takes("string", reflect.TypeFor[string](), "value"), exprString),
		exprFunction("toJSON", takes("toJSON", reflect.TypeFor[string](), "value"), exprToJSON),
		exprFunction("join", between("join", 1, 2, reflect.TypeFor[string]()), exprJoin),
		exprFunction("replace", takes("replace", reflect.TypeFor[string](), "text", "text", "text"), exprReplace),
	}
	if place == InWeight {
		return list
	}
	list = append(list,
		exprFunction("randint", takes("randint", reflect.TypeFor[int](), "int", "int"), exprRandint),
		exprFunction("randfloat", takes("randfloat", reflect.TypeFor[float64](), "number", "number"), exprRandfloat),
		exprFunction("choice", takes("choice", reflect.TypeFor[any](), "list"), exprChoice),
		exprFunction("uuid", takes("uuid", reflect.TypeFor[string]()), exprUUID),
		exprFunction("vu", takes("vu", reflect.TypeFor[int]()), func(st *evalState, _ []any) (any, error) {
			return st.vu, nil
		}),
		exprFunction("iteration", takes("iteration", reflect.TypeFor[int]()), func(st *evalState, _ []any) (any, error) {
			return st.iteration, nil
		}),
	)
	list = append(list, exprFunction(rowName, between("row", 1, 1, reflect.TypeFor[any]()), exprRow))
	switch place {
	case InTarget:
		list = append(list, exprFunction("raw", takes("raw", reflect.TypeFor[any](), "value"),
			func(_ *evalState, args []any) (any, error) { return args[0], nil }))
	case InResponse:
		list = append(list,
			exprFunction("header", takes("header", reflect.TypeFor[any](), "text"), exprHeader),
			exprFunction("json", between("json", 1, 1, reflect.TypeFor[any]()), exprJSON),
			exprFunction("regexp", between("regexp", 1, 1, reflect.TypeFor[any]()), exprRegexp),
			exprFunction("cookie", takes("cookie", reflect.TypeFor[any](), "text"), exprCookie),
		)
	}
	return list
}

// FunctionNames lists the functions known at a place, besides the language's own.
func FunctionNames(place Place) []string {
	var names []string
	for _, f := range exprFunctions(place) {
		if !strings.HasPrefix(f.Name, " ") {
			names = append(names, f.Name)
		}
	}
	return names
}

// pureFunctions are those of exprFunctions that depend on their arguments only.
func pureFunctions() []string {
	return []string{stepName, textName, plainName, equalName, "string", "toJSON", "join", "replace", "raw"}
}

// exprFunction makes a function that gets the evaluation's state besides its
// arguments. The compiler checks types before and after the state is put in.
func exprFunction(name string, check checker, call func(st *evalState, args []any) (any, error)) *builtin.Function {
	return &builtin.Function{
		Name: name,
		Validate: func(args []reflect.Type) (reflect.Type, error) {
			if len(args) > 0 && args[0] == reflect.TypeFor[*evalState]() {
				args = args[1:]
			}
			return check(args)
		},
		Func: func(params ...any) (any, error) {
			st, ok := params[0].(*evalState)
			if !ok {
				return nil, fmt.Errorf("%s cannot be used here", name)
			}
			return call(st, params[1:])
		},
	}
}

func sameType(args []reflect.Type) (reflect.Type, error) {
	if len(args) != 1 || args[0] == nil {
		return reflect.TypeFor[any](), nil
	}
	return args[0], nil
}

// between checks only the number of arguments.
func between(name string, least, most int, result reflect.Type) checker {
	return func(args []reflect.Type) (reflect.Type, error) {
		if len(args) < least || len(args) > most {
			return nil, fmt.Errorf("%s takes %s, not %d", name, textkit.Plural(most, "argument"), len(args))
		}
		return result, nil
	}
}

// takes checks arguments against words for types.
func takes(name string, result reflect.Type, words ...string) checker {
	return func(args []reflect.Type) (reflect.Type, error) {
		if len(args) != len(words) {
			return nil, fmt.Errorf("%s takes %s, not %d", name, textkit.Plural(len(words), "argument"), len(args))
		}
		for i, word := range words {
			if t := args[i]; t != nil && t.Kind() != reflect.Interface && !fits(t.Kind(), word) {
				hint := ""
				if word == "int" && fits(t.Kind(), "number") {
					hint = "; int(…) cuts the fraction off"
				}
				return nil, fmt.Errorf("argument %d of %s must be %s, not %s%s", i+1, name, article(word), t, hint)
			}
		}
		return result, nil
	}
}

func fits(k reflect.Kind, word string) bool {
	switch word {
	case "int":
		return k >= reflect.Int && k <= reflect.Uint64
	case "number":
		return k >= reflect.Int && k <= reflect.Float64
	case "text":
		return k == reflect.String
	case "list":
		return k == reflect.Slice || k == reflect.Array
	}
	return true
}

func article(word string) string {
	switch word {
	case "int":
		return "a whole number"
	case "text":
		return "text"
	}
	return "a " + word
}

// DrawInt draws evenly from both bounds and all between, whichever is the larger.
func DrawInt[N int | time.Duration](r *rand.Rand, a, b N) N {
	lo, hi := min(a, b), max(a, b)
	span := uint64(hi) - uint64(lo) + 1
	if span == 0 { // every int there is
		return N(r.Uint64())
	}
	return N(uint64(lo) + r.Uint64N(span))
}

func exprRandint(st *evalState, args []any) (any, error) {
	a, ok1 := escape.AsInt(args[0])
	b, ok2 := escape.AsInt(args[1])
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("randint needs two whole numbers, not %s and %s", textkit.Describe(args[0]), textkit.Describe(args[1]))
	}
	return DrawInt(st.rand, a, b), nil
}

func exprRandfloat(st *evalState, args []any) (any, error) {
	a, ok1 := escape.AsFloat(args[0])
	b, ok2 := escape.AsFloat(args[1])
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("randfloat needs two numbers, not %s and %s", textkit.Describe(args[0]), textkit.Describe(args[1]))
	}
	return a + st.rand.Float64()*(b-a), nil
}

func exprChoice(st *evalState, args []any) (any, error) {
	v := reflect.ValueOf(args[0])
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return nil, fmt.Errorf("choice needs a list, not %s", textkit.Describe(args[0]))
	}
	if v.Len() == 0 {
		return nil, errors.New("choice needs a list that is not empty")
	}
	return v.Index(st.rand.IntN(v.Len())).Interface(), nil
}

// exprUUID gives a random UUID (version 4) from the VU's own source.
func exprUUID(st *evalState, _ []any) (any, error) {
	hi := st.rand.Uint64()&^0xf000 | 0x4000
	lo := st.rand.Uint64()&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1)), nil
}

func exprString(st *evalState, args []any) (any, error) {
	out, err := escape.AppendText(nil, args[0])
	if err != nil {
		return nil, err
	}
	return string(out), st.spend(len(out))
}

func exprToJSON(st *evalState, args []any) (any, error) {
	out, err := escape.AppendJSON(nil, args[0])
	if err != nil {
		return nil, err
	}
	return string(out), st.spend(len(out))
}

func exprJoin(st *evalState, args []any) (any, error) {
	v := reflect.ValueOf(args[0])
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return nil, fmt.Errorf("join needs a list, not %s", textkit.Describe(args[0]))
	}
	glue := ""
	if len(args) > 1 {
		var ok bool
		if glue, ok = args[1].(string); !ok {
			return nil, fmt.Errorf("join needs text to put between, not %s", textkit.Describe(args[1]))
		}
	}
	var out []byte
	for i := range v.Len() {
		from := len(out)
		if i > 0 {
			out = append(out, glue...)
		}
		var err error
		if out, err = escape.AppendText(out, v.Index(i).Interface()); err != nil {
			return nil, err
		}
		if err := st.spend(1 + len(out) - from); err != nil {
			return nil, err
		}
	}
	return string(out), nil
}

func exprReplace(st *evalState, args []any) (any, error) {
	s, ok1 := args[0].(string)
	old, ok2 := args[1].(string)
	with, ok3 := args[2].(string)
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("replace needs three texts, not %s, %s and %s", textkit.Describe(args[0]), textkit.Describe(args[1]), textkit.Describe(args[2]))
	}
	if err := st.spend(len(s) + strings.Count(s, old)*len(with)); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s, old, with), nil
}

func exprHeader(st *evalState, args []any) (any, error) {
	name, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("header needs the name of a header, not %s", textkit.Describe(args[0]))
	}
	v := st.response.Head.Header(name)
	if v == nil {
		return nil, nil
	}
	return string(v), nil
}

// exprCookie gives the value of a cookie that the user would now send back to where
// the response came from, or nil.
func exprCookie(st *evalState, args []any) (any, error) {
	name, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("cookie needs the name of a cookie, not %s", textkit.Describe(args[0]))
	}
	if v, ok := st.response.Head.Cookie(name); ok {
		return v, nil
	}
	return nil, nil
}

// exprRow gives the row of a feeder as a map.
func exprRow(st *evalState, args []any) (any, error) {
	i, _ := args[0].(int)
	row, err := st.row(i)
	if err != nil {
		return nil, err
	}
	return row.Value()
}

func exprJSON(st *evalState, args []any) (any, error) {
	p, ok := args[0].(*jsonpath.Path)
	if !ok {
		s, isText := args[0].(string)
		if !isText {
			return nil, fmt.Errorf("json needs a path such as \"$.id\", not %s", textkit.Describe(args[0]))
		}
		var err error
		if p, err = jsonpath.Parse(s); err != nil {
			return nil, err
		}
	}
	doc, err := st.document()
	if err != nil {
		return nil, err
	}
	return p.Find(doc), nil
}

// exprRegexp gives the first group of the first match, or the whole match if the
// pattern has no group, or nil if nothing matches.
func exprRegexp(st *evalState, args []any) (any, error) {
	re, ok := args[0].(*regexp.Regexp)
	if !ok {
		s, isText := args[0].(string)
		if !isText {
			return nil, fmt.Errorf("regexp needs a pattern, not %s", textkit.Describe(args[0]))
		}
		var err error
		if re, err = regexp.Compile(s); err != nil {
			return nil, err
		}
	}
	m := re.FindSubmatch(st.response.Body)
	if m == nil {
		return nil, nil
	}
	return string(m[min(1, len(m)-1)]), nil
}
