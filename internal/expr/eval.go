package expr

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/opbeans/loadgen/internal/jsonpath"
	"github.com/opbeans/loadgen/internal/textkit"
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
	response  Response
	rows      iterationRows // nil: none
}

// Response is the response that captures and checks look at.
type Response struct {
	Status  int
	Body    []byte
	Head    responseHead
	Service time.Duration

	parsed   bool // doc and docErr are those of body
	doc      any
	parseErr error
}

// responseHead is what expressions see of a response's header.
type responseHead interface {
	Header(name string) []byte // the first value, or nil
	Cookie(name string) (string, bool)
}

func (st *evalState) spend(n int) error {
	st.budget -= n
	if st.budget < 0 {
		return errBudget
	}
	return nil
}

// row is the row of this iteration of a feeder.
func (st *evalState) row(i int) (IterationRow, error) {
	if st.rows == nil {
		return nil, ErrNoRows
	}
	row, err := st.rows.Row(i)
	if err != nil {
		return nil, &rowFailure{err}
	}
	return row, nil
}

// document is the body as JSON, parsed once.
func (st *evalState) document() (any, error) {
	r := &st.response
	if !r.parsed {
		r.parsed = true
		r.doc, r.parseErr = jsonpath.Decode(r.Body)
	}
	return r.doc, r.parseErr
}

// Evaluator runs expressions: one for each VU, and one while a job is bound.
type Evaluator struct {
	machine vm.VM
	state   evalState
	owner   *Binding // whose variables are to be seen
	env     map[string]any
	loaded  *Binding          // whose variables are in env
	kept    [2]map[string]any // what the set-ups of the job and of the VU have captured
}

// Begin makes the evaluator ready for an iteration.
func (ev *Evaluator) Begin(r *rand.Rand, vu, iteration int, rows iterationRows) {
	ev.state.rand, ev.state.vu, ev.state.iteration, ev.state.rows = r, vu, iteration, rows
}

// Use makes the variables of a binding visible.
func (ev *Evaluator) Use(b *Binding) { ev.owner = b }

// Random is the random source of the iteration.
func (ev *Evaluator) Random() *rand.Rand { return ev.state.rand }

// Receive makes a response visible to functions, or with the zero response none.
func (ev *Evaluator) Receive(r Response) { ev.state.response = r }

// Response is the response that functions see.
func (ev *Evaluator) Response() *Response { return &ev.state.response }

// NameResponse makes the parts of the response visible by name; the body costs a copy.
func (ev *Evaluator) NameResponse(body bool) {
	r := &ev.state.response
	ev.load()
	ev.env["status"] = r.Status
	ev.env["duration"] = r.Service
	if body {
		ev.env["body"] = string(r.Body)
	}
}

// Set makes a value visible by name, for the expressions after it.
func (ev *Evaluator) Set(name string, v any) {
	ev.load()
	ev.env[name] = v
}

// Value returns what a name stands for, if it is known.
func (ev *Evaluator) Value(name string) (v any, known bool) {
	v, known = ev.env[name]
	return v, known
}

// Unset takes a name away.
func (ev *Evaluator) Unset(name string) { delete(ev.env, name) }

// Refresh makes the evaluator see what set-ups have captured since.
func (ev *Evaluator) Refresh() { ev.loaded = nil }

// Keep makes what set-ups have captured visible, besides the variables.
func (ev *Evaluator) Keep(job, vu map[string]any) {
	if len(ev.kept[0]) != len(job) || len(ev.kept[1]) != len(vu) {
		ev.loaded = nil
	}
	ev.kept = [2]map[string]any{job, vu}
}

// load fills env. Most VUs never need it: text and draws do without.
func (ev *Evaluator) load() {
	if ev.loaded == ev.owner {
		return
	}
	ev.loaded = ev.owner
	if ev.env == nil {
		ev.env = map[string]any{}
	}
	clear(ev.env)
	maps.Copy(ev.env, ev.owner.vars)
	for _, kept := range ev.kept {
		maps.Copy(ev.env, kept)
	}
	ev.env[stateName] = &ev.state
}

// Eval computes an expression.
func (ev *Evaluator) Eval(e *Expression) (any, error) {
	ev.load()
	if e.name != "" {
		return ev.env[e.name], nil
	}
	ev.state.budget = evalBudget
	ev.machine.MemoryBudget = evalBudget
	v, err := ev.machine.Run(e.program, ev.env)
	if err != nil {
		return nil, e.fail(err)
	}
	return v, nil
}

// Holds computes a condition.
func (ev *Evaluator) Holds(e *Expression) (bool, error) {
	if e.limit != nil {
		return e.limit.holds(ev.state.response.Status, ev.state.response.Service), nil
	}
	v, err := ev.Eval(e)
	yes, _ := v.(bool)
	return yes, err
}

// fail says which expression failed, and why.
func (e *Expression) fail(err error) error {
	var fe *file.Error
	var row *rowFailure
	switch {
	case errors.As(err, &row):
		err = row.err
	case errors.Is(err, errBudget):
		err = errBudget
	case errors.As(err, &fe) && strings.Contains(fe.Message, "memory budget"):
		err = errBudget
	case errors.As(err, &fe):
		err = errors.New(strings.TrimPrefix(fe.Message, "runtime error: "))
	}
	return fmt.Errorf("%s: %s: %w", e.At, textkit.Shorten(e.Source), err)
}

// Binding is what the expressions of one revision of a job are computed with. It
// is not changed once its job runs, and any number of VUs read it.
type Binding struct {
	vars map[string]any
	ev   *Evaluator // computes what depends on them only
}

// NewBinding returns the binding of variables and secrets by name.
func NewBinding(vars map[string]any, secrets map[string]string) *Binding {
	if len(secrets) > 0 {
		vars = maps.Clone(vars)
		for name, v := range secrets {
			vars[name] = v
		}
	}
	b := &Binding{vars: vars, ev: &Evaluator{}}
	b.ev.Use(b)
	b.ev.load()
	return b
}

// Eval computes an expression that depends on variables only.
func (b *Binding) Eval(e *Expression) (any, error) { return b.ev.Eval(e) }

// bound resolves a bound of a draw.
func (b *Binding) bound(o operand) int {
	if o.name == "" {
		return o.value
	}
	n, _ := b.vars[o.name].(int) // the compiler has seen that it is one
	return n
}
