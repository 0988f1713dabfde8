package loadgen

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

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
	response  exprResponse
	rows      iterationRows // nil: none
}

// exprResponse is the response that captures and checks look at.
type exprResponse struct {
	status  int
	body    []byte
	head    responseHead
	service time.Duration

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
func (st *evalState) row(i int) (iterationRow, error) {
	if st.rows == nil {
		return nil, errNoRows
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
		r.doc, r.parseErr = decodeJSON(r.body)
	}
	return r.doc, r.parseErr
}

// evaluator runs expressions: one for each VU, and one while a job is bound.
type evaluator struct {
	machine vm.VM
	state   evalState
	owner   *binding // whose variables are to be seen
	env     map[string]any
	loaded  *binding          // whose variables are in env
	kept    [2]map[string]any // what the set-ups of the job and of the VU have captured
}

// begin makes the evaluator ready for an iteration.
func (ev *evaluator) begin(r *rand.Rand, vu, iteration int, rows iterationRows) {
	ev.state.rand, ev.state.vu, ev.state.iteration, ev.state.rows = r, vu, iteration, rows
}

// use makes the variables of a binding visible.
func (ev *evaluator) use(b *binding) { ev.owner = b }

// random is the random source of the iteration.
func (ev *evaluator) random() *rand.Rand { return ev.state.rand }

// receive makes a response visible to functions, or with the zero response none.
func (ev *evaluator) receive(r exprResponse) { ev.state.response = r }

// response is the response that functions see.
func (ev *evaluator) response() *exprResponse { return &ev.state.response }

// nameResponse makes the parts of the response visible by name; the body costs a copy.
func (ev *evaluator) nameResponse(body bool) {
	r := &ev.state.response
	ev.load()
	ev.env["status"] = r.status
	ev.env["duration"] = r.service
	if body {
		ev.env["body"] = string(r.body)
	}
}

// set makes a value visible by name, for the expressions after it.
func (ev *evaluator) set(name string, v any) {
	ev.load()
	ev.env[name] = v
}

// value returns what a name stands for, if it is known.
func (ev *evaluator) value(name string) (v any, known bool) {
	v, known = ev.env[name]
	return v, known
}

// unset takes a name away.
func (ev *evaluator) unset(name string) { delete(ev.env, name) }

// refresh makes the evaluator see what set-ups have captured since.
func (ev *evaluator) refresh() { ev.loaded = nil }

// keep makes what set-ups have captured visible, besides the variables.
func (ev *evaluator) keep(job, vu map[string]any) {
	if len(ev.kept[0]) != len(job) || len(ev.kept[1]) != len(vu) {
		ev.loaded = nil
	}
	ev.kept = [2]map[string]any{job, vu}
}

// load fills env. Most VUs never need it: text and draws do without.
func (ev *evaluator) load() {
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

// eval computes an expression.
func (ev *evaluator) eval(e *expression) (any, error) {
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

// holds computes a condition.
func (ev *evaluator) holds(e *expression) (bool, error) {
	if e.limit != nil {
		return e.limit.holds(ev.state.response.status, ev.state.response.service), nil
	}
	v, err := ev.eval(e)
	yes, _ := v.(bool)
	return yes, err
}

// fail says which expression failed, and why.
func (e *expression) fail(err error) error {
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
	return fmt.Errorf("%s: %s: %w", e.at, textkit.Shorten(e.source), err)
}

// binding is what the expressions of one revision of a job are computed with. It
// is not changed once its job runs, and any number of VUs read it.
type binding struct {
	vars map[string]any
	ev   *evaluator // computes what depends on them only
}

func newBinding(vars map[string]any, secrets map[string]string) *binding {
	if len(secrets) > 0 {
		vars = maps.Clone(vars)
		for name, v := range secrets {
			vars[name] = v
		}
	}
	b := &binding{vars: vars, ev: &evaluator{}}
	b.ev.use(b)
	b.ev.load()
	return b
}

// eval computes an expression that depends on variables only.
func (b *binding) eval(e *expression) (any, error) { return b.ev.eval(e) }

// bound resolves a bound of a draw.
func (b *binding) bound(o operand) int {
	if o.name == "" {
		return o.value
	}
	n, _ := b.vars[o.name].(int) // the compiler has seen that it is one
	return n
}
