package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// evalBudget bounds one evaluation: turns of loops, and bytes of joined text,
// together. The VM has a budget of the same kind for lists that it makes.
const evalBudget = 1_000_000

var errBudget = errors.New("the expression costs too much: it makes too long a list, loop or text")

// evalState is what functions see of the iteration that they run in.
type evalState struct {
	rand      *rand.Rand
	vu        int
	iteration int
	budget    int
	response  exprResponse
}

// exprResponse is the response that captures and checks look at.
type exprResponse struct {
	status  int
	body    []byte
	header  func(name string) []byte // the first value, or nil
	service time.Duration

	parsed   bool // doc and docErr are those of body
	doc      any
	parseErr error
}

func (st *evalState) spend(n int) error {
	st.budget -= n
	if st.budget < 0 {
		return errBudget
	}
	return nil
}

// document is the body as JSON, parsed once.
func (st *evalState) document() (any, error) {
	r := &st.response
	if !r.parsed {
		r.parsed = true
		r.doc, r.parseErr = decodeJSON(r.body)
	}
	return r.doc, r.parseErr
}

// evaluator runs expressions: one for each VU, and one while a job is bound.
type evaluator struct {
	machine vm.VM
	state   evalState
	env     map[string]any
	owner   *binding // whose variables are in env
}

// use makes the variables of a binding visible.
func (ev *evaluator) use(b *binding) {
	if ev.owner == b {
		return
	}
	ev.owner = b
	if ev.env == nil {
		ev.env = map[string]any{}
	}
	clear(ev.env)
	maps.Copy(ev.env, b.vars)
	ev.env[stateName] = &ev.state
}

// eval computes an expression.
func (ev *evaluator) eval(e *expression) (any, error) {
	ev.state.budget = evalBudget
	ev.machine.MemoryBudget = evalBudget
	v, err := ev.machine.Run(e.program, ev.env)
	if err != nil {
		return nil, e.fail(err)
	}
	return v, nil
}

// fail says which expression failed, and why.
func (e *expression) fail(err error) error {
	var fe *file.Error
	switch {
	case errors.Is(err, errBudget):
		err = errBudget
	case errors.As(err, &fe) && strings.Contains(fe.Message, "memory budget"):
		err = errBudget
	case errors.As(err, &fe):
		err = errors.New(fe.Message)
	}
	return fmt.Errorf("%s: %s: %w", e.at, abbreviate(e.source), err)
}

// binding is what the expressions of one revision of a job are computed with. It
// is only written while it is made.
type binding struct {
	vars map[string]any
	ev   *evaluator // of the binding itself; nil afterwards would do
}

func newBinding(vars map[string]any) *binding {
	b := &binding{vars: vars, ev: &evaluator{}}
	b.ev.use(b)
	return b
}

// bindDraw resolves the bounds of a draw.
func (b *binding) bound(o operand) int {
	if o.name == "" {
		return o.value
	}
	n, _ := b.vars[o.name].(int) // the compiler has seen that it is one
	return n
}

// decodeJSON parses one JSON value; whole numbers become int, others float64.
func decodeJSON(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the body is not JSON: it is empty")
		}
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body is not JSON: more follows the first value")
	}
	return plainNumbers(doc), nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	}
	return v
}

// jsonPath leads to a value within a JSON document.
type jsonPath struct {
	keys []string
}

// parseJSONPath reads a path: $ for the whole document, then .name, .0, [0] or
// ["name"] for each level.
func parseJSONPath(s string) (*jsonPath, error) {
	bad := func(what string) error {
		return fmt.Errorf("%s in the path %q; a path is $ and then .name, .0, [0] or [\"name\"] for each level", what, abbreviate(s))
	}
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, bad("no $ at the start")
	}
	p := &jsonPath{}
	for rest != "" {
		var key string
		switch {
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			key, rest = rest[1:1+end], rest[1+end:]
			if key == "" {
				return nil, bad("an empty name")
			}
		case len(rest) > 1 && rest[0] == '[' && (rest[1] == '"' || rest[1] == '\''):
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, bad("a bracket that is not closed")
			}
			key, rest = rest[2:2+end], rest[2+end+2:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, bad("a bracket that is not closed")
			}
			key, rest = rest[1:end], rest[end+1:]
			if _, err := strconv.ParseUint(key, 10, 31); err != nil {
				return nil, bad("an index that is not a number")
			}
		default:
			return nil, bad(fmt.Sprintf("an unexpected %q", rest[0]))
		}
		p.keys = append(p.keys, key)
	}
	return p, nil
}

// find returns what the path leads to, or nil if there is nothing.
func (p *jsonPath) find(doc any) any {
	for _, key := range p.keys {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[key]
		case []any:
			i, err := strconv.ParseUint(key, 10, 31)
			if err != nil || i >= uint64(len(v)) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}
