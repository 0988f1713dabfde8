package loadgen

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// yamlTask is what a task of a file becomes: immutable, and bound anew for each
// revision of a job.
type yamlTask struct {
	name  string
	think thinkTime
	steps []yamlStep
}

// thinkTime is the pause between two steps, drawn evenly from a range.
type thinkTime struct{ min, max time.Duration }

// yamlStep is one request, and what becomes of its response.
type yamlStep struct {
	label      string // names the step in errors
	method     string
	target     template
	open       bool // the target begins with an expression
	headers    []yamlHeader
	body       yamlBody
	expect     statusSet
	expected   string // expect in words
	noRedirect bool
	captures   []yamlCapture
	checks     []*expression
	readBody   bool
	bodyText   bool // an expression names body, which then becomes text
}

type yamlHeader struct {
	name  string // canonical
	value template
}

type yamlCapture struct {
	name string
	expr *expression
}

// task reads one task. Without a name, the task is faulty; the node is that of
// the name.
func (p *yamlParser) task(n *yaml.Node) (task, *yaml.Node) {
	f, ok := p.fields(n, "a task", taskKeys())
	if !ok {
		return task{}, n
	}
	y := &yamlTask{}
	at := n
	if name := f["name"]; name == nil {
		p.errorf(n, "the task has no name")
	} else if y.name, ok = p.text(name, "the name"); ok {
		at = name
		p.taskName(name)
	}
	weigh := p.weight(f["weight"], f["when"])
	switch {
	case f["request"] != nil && f["steps"] != nil:
		p.errorf(f["steps"], "a task has either request or steps, not both")
	case f["request"] != nil:
		if f["think"] != nil {
			p.errorf(f["think"], "think is the pause between steps; this task has one request")
		}
		var known []string
		y.steps = append(y.steps, p.step(f, fmt.Sprintf("task %q", y.name), &known))
	case f["steps"] != nil:
		p.steps(y, f)
	default:
		p.errorf(n, "a task needs a request, such as \"GET /path\", or a list of steps")
	}
	return task{name: y.name, weight: weigh, bind: y.bind, yaml: y}, at
}

// taskName checks that a name can label statistics.
func (p *yamlParser) taskName(n *yaml.Node) {
	switch {
	case strings.TrimSpace(n.Value) == "":
		p.errorf(n, "the task's name is empty")
	case len(n.Value) > MaxNameLen:
		p.errorf(n, "the task's name is longer than %d bytes", MaxNameLen)
	case hasControl(n.Value) || strings.Contains(n.Value, "\t"):
		p.errorf(n, "the task's name holds a control character")
	}
}

// weight reads a weight and its condition.
func (p *yamlParser) weight(weight, when *yaml.Node) weigher {
	scope := &exprScope{place: inWeight, vars: p.vars}
	var number, condition *expression
	fixed := 1.0
	if when != nil {
		condition = p.wholeExpr(when, reflect.Bool, scope)
	}
	if weight != nil {
		v, ok := p.scalar(weight)
		switch f, isNumber := asFloat(v); {
		case !ok:
			p.errorf(weight, "expected the weight as a number or an expression, found %s", kindWord(weight))
		case isNumber && (f < 0 || f > MaxWeight):
			p.errorf(weight, "expected a weight from 0 to %g, found %s", MaxWeight, weight.Value)
		case isNumber:
			fixed = f
		default:
			number = p.wholeExpr(weight, reflect.Float64, scope)
		}
	}
	return func(b *binding) (float64, error) {
		if condition != nil {
			v, err := b.ev.eval(condition)
			if yes, _ := v.(bool); err != nil || !yes {
				return 0, err
			}
		}
		if number == nil {
			return fixed, nil
		}
		v, err := b.ev.eval(number)
		f, _ := v.(float64)
		return f, err
	}
}

// wholeExpr reads a value that is an expression, with or without ${…} around it.
func (p *yamlParser) wholeExpr(n *yaml.Node, want reflect.Kind, scope *exprScope) *expression {
	source, ok := p.written(n, "an expression")
	if !ok {
		return nil
	}
	offset := 0
	if inner, is := strings.CutPrefix(source, "${"); is {
		if end, err := exprEnd([]rune(inner)); err == nil && end == len([]rune(inner))-1 {
			source, offset = string([]rune(inner)[:end]), 2
		}
	}
	return p.compile(n, source, offset, want, scope)
}

// compile compiles an expression that stands at an offset within a text.
func (p *yamlParser) compile(n *yaml.Node, source string, offset int, want reflect.Kind, scope *exprScope) *expression {
	e, err := compileExpr(source, want, scope)
	if err != nil {
		p.errorIn(n, offset+err.offset, err.message)
		return nil
	}
	line, column := p.position(n, offset)
	e.at = fmt.Sprintf("%s:%d:%d", p.file, line, column)
	return e
}

// steps reads the steps of a task. What a step captures is known to those after.
func (p *yamlParser) steps(y *yamlTask, f map[string]*yaml.Node) {
	for _, key := range stepKeys() {
		if n := f[key]; n != nil {
			p.errorf(n, "%s belongs to a step, because this task has steps", key)
		}
	}
	if n := f["think"]; n != nil {
		y.think = p.think(n)
	}
	items, ok := p.list(f["steps"], "the steps")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > maxSteps {
		p.errorf(f["steps"], "expected 1 to %d steps, found %d", maxSteps, len(items))
		return
	}
	var known []string
	for i, item := range items {
		sf, ok := p.fields(item, "a step", stepKeys())
		switch {
		case !ok:
		case sf["request"] == nil:
			p.errorf(item, "the step has no request, such as \"GET /path\"")
		default:
			y.steps = append(y.steps, p.step(sf, fmt.Sprintf("task %q, step %d", y.name, i+1), &known))
		}
	}
}

// think reads a pause, or a range of pauses.
func (p *yamlParser) think(n *yaml.Node) thinkTime {
	text, ok := p.written(n, "a duration such as 200ms or 200ms..2s")
	if !ok {
		return thinkTime{}
	}
	least, most, isRange := strings.Cut(text, "..")
	if !isRange {
		most = least
	}
	a, err1 := time.ParseDuration(strings.TrimSpace(least))
	b, err2 := time.ParseDuration(strings.TrimSpace(most))
	switch {
	case err1 != nil || err2 != nil:
		p.errorf(n, "expected a duration with its unit such as 200ms, or a range such as 200ms..2s, found %q", abbreviate(text))
	case a < 0 || b > 24*time.Hour:
		p.errorf(n, "expected a duration from 0 to 24h, found %q", abbreviate(text))
	case a > b:
		p.errorf(n, "the range %q ends before it begins", abbreviate(text))
	default:
		return thinkTime{a, b}
	}
	return thinkTime{}
}
