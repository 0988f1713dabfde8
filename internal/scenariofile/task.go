package scenariofile

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Task is what a task of a file becomes: immutable, and bound anew for each
// revision of a job.
type Task struct {
	name  string
	Steps []Step
	Kind  HookKind // of a set-up or tear-down; else numHooks
}

// Think is the pause after a step, drawn evenly from a range.
type Think struct {
	Min, Max time.Duration
	own      bool // the step says it itself
}

// or is the pause, or another where the step says nothing itself.
func (t Think) or(other Think) Think {
	if t.own {
		return t
	}
	return other
}

// Step is one request, and what becomes of its response.
type Step struct {
	Label      string           // names the step in errors
	If         *expr.Expression // the step is skipped where this is false; nil: never
	Method     string
	Target     expr.Template
	Open       bool // the target begins with an expression
	Headers    []Header
	Body       Body
	Expect     StatusSet
	Expected   string // expect in words
	NoRedirect bool
	Think      Think  // after the step
	Group      string // that the step is in, or ""
	Leaves     bool   // it is the last of its group
	Captures   []Capture
	Checks     []*expr.Expression
	Simple     bool // no captures, and checks of status and duration alone
	ReadBody   bool
	BodyText   bool // an expression names body, which then becomes text
}

// Header is one header line of a request.
type Header struct {
	Name  string // canonical
	Value expr.Template
	Basic bool // value is USER:PASSWORD, and sent as basic credentials

	// Absent leaves out the header that the job or the client would send.
	Absent bool
}

// Capture is a value of a response that later steps use by name.
type Capture struct {
	Name string
	Expr *expr.Expression
}

// task reads one task. Without a name, the task is faulty; the node is that of
// the name.
func (p *yamlParser) task(n *yaml.Node) (NamedTask, *yaml.Node) {
	f, ok := p.fields(n, "a task", TaskKeys())
	if !ok {
		return NamedTask{}, n
	}
	y := &Task{Kind: NumHooks}
	at := n
	if name := f["name"]; name == nil {
		p.errorf(n, "the task has no name")
	} else if y.name, ok = p.text(name, "the name"); ok {
		at = name
		p.label(name, "task")
	}
	weight := p.weight(f["weight"], f["when"])
	switch {
	case f["request"] != nil && f["steps"] != nil:
		p.errorf(f["steps"], "a task has either request or steps, not both")
	case f["request"] != nil:
		if f["think"] != nil {
			p.errorf(f["think"], "think is the pause between steps; this task has one request")
			delete(f, "think")
		}
		known := slices.Clone(p.kept)
		y.Steps = append(y.Steps, p.step(f, fmt.Sprintf("task %q", y.name), &known, NumHooks))
	case f["steps"] != nil:
		p.steps(y, f)
	default:
		p.errorf(n, "a task needs a request, such as \"GET /path\", or a list of steps")
	}
	return NamedTask{Name: y.name, Weight: weight, Steps: y}, at
}

// Label checks that a name can label statistics.
func (p *yamlParser) label(n *yaml.Node, of string) {
	switch {
	case strings.TrimSpace(n.Value) == "":
		p.errorf(n, "the %s's name is empty", of)
	case len(n.Value) > textkit.MaxNameLen:
		p.errorf(n, "the %s's name is longer than %d bytes", of, textkit.MaxNameLen)
	case escape.HasControl(n.Value) || strings.Contains(n.Value, "\t"):
		p.errorf(n, "the %s's name holds a control character", of)
	}
}

// weight reads a weight and its condition.
func (p *yamlParser) weight(number, when *yaml.Node) Weight {
	scope := p.scope(expr.InWeight, nil, HookSetup)
	w := Weight{fixed: 1}
	if when != nil {
		w.condition = p.wholeExpr(when, reflect.Bool, scope)
	}
	if number != nil {
		v, ok := p.scalar(number)
		switch f, isNumber := escape.AsFloat(v); {
		case !ok:
			p.mismatch(number, "expected the weight as a number or an expression, found %s", kindWord(number))
		case isNumber && (f < 0 || f > MaxWeight):
			p.errorf(number, "expected a weight from 0 to %g, found %s", MaxWeight, number.Value)
		case isNumber:
			w.fixed = f
		default:
			w.number = p.wholeExpr(number, reflect.Float64, scope)
		}
	}
	return w
}

// wholeExpr reads a value that is an expression, with or without ${…} around it.
func (p *yamlParser) wholeExpr(n *yaml.Node, want reflect.Kind, scope *expr.Scope) *expr.Expression {
	source, ok := p.written(n, "an expression")
	if !ok {
		return nil
	}
	if inner, offset, is := expr.OnlyExpr(source); is {
		return p.compile(n, inner, offset, want, scope)
	}
	return p.compile(n, source, 0, want, scope)
}

// compile compiles an expression that stands at an offset within a text.
func (p *yamlParser) compile(n *yaml.Node, source string, offset int, want reflect.Kind, scope *expr.Scope) *expr.Expression {
	e, err := expr.Compile(source, want, scope)
	if err != nil {
		p.errorIn(n, offset+err.Offset, err.Message)
		return nil
	}
	line, column := p.position(n, offset)
	e.At = fmt.Sprintf("%s:%d:%d", p.file, line, column)
	return e
}

// Steps reads the steps of a task. What a step captures is known to those after.
func (p *yamlParser) steps(y *Task, f map[string]*yaml.Node) {
	for _, key := range requestKeys() {
		if n := f[key]; n != nil {
			p.errorf(n, "%s belongs to a step, because this task has steps", key)
		}
	}
	p.stepList(y, fmt.Sprintf("task %q", y.name), f["steps"], f["think"], NumHooks)
}

// stepList reads a list of steps and groups, with a pause between two of them, and
// returns the names that they capture.
func (p *yamlParser) stepList(y *Task, label string, n, think *yaml.Node, kind HookKind) []string {
	y.Kind = kind
	l := &stepList{p: p, task: y, label: label, known: slices.Clone(p.kept)}
	if think != nil {
		l.think = p.think(think)
	}
	l.items(n, "", l.think)
	if len(y.Steps) > maxSteps {
		p.errorf(n, "expected at most %d steps, found %d", maxSteps, len(y.Steps))
	}
	return l.known
}

// stepList is a list of steps as it is read.
type stepList struct {
	p     *yamlParser
	task  *Task
	label string
	think Think
	known []string // names that are captured so far
	count int      // of steps, for their labels
}

func (l *stepList) items(n *yaml.Node, group string, think Think) {
	p := l.p
	items, ok := p.list(n, "the steps")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > maxSteps {
		p.errorf(n, "expected 1 to %d steps, found %d", maxSteps, len(items))
		return
	}
	for i, item := range items {
		if isGroup(item) {
			l.group(item, group)
		} else {
			l.step(item, group, i+1 < len(items), think)
		}
		if n := len(l.task.Steps); group == "" && i+1 < len(items) && n > 0 && l.task.Steps[n-1].Leaves {
			l.task.Steps[n-1].Think = l.task.Steps[n-1].Think.or(think)
		}
	}
}

func isGroup(n *yaml.Node) bool {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if n.Content[i].Value == "group" {
			return true
		}
	}
	return false
}

// step reads one step. Between two steps the VU pauses, unless the step says for how
// long it does after itself.
func (l *stepList) step(n *yaml.Node, group string, more bool, think Think) {
	p := l.p
	l.count++
	f, ok := p.fields(n, "a step", StepKeys())
	switch {
	case !ok:
		return
	case f["request"] == nil:
		p.errorf(n, "the step has no request, such as \"GET /path\"")
		return
	}
	s := p.step(f, fmt.Sprintf("%s, step %d", l.label, l.count), &l.known, l.task.Kind)
	s.Group = group
	if f["think"] != nil {
		s.Think = p.think(f["think"])
		s.Think.own = true
	} else if more {
		s.Think = think
	}
	l.task.Steps = append(l.task.Steps, s)
}

// Group reads the steps of a group.
func (l *stepList) group(n *yaml.Node, outer string) {
	p := l.p
	f, ok := p.fields(n, "a group", GroupKeys())
	if !ok {
		return
	}
	name, ok := p.text(f["group"], "the group's name")
	if ok {
		p.label(f["group"], "group")
	}
	if outer != "" {
		p.errorf(n, "groups cannot be nested: this one is within %q", textkit.Shorten(outer))
		return
	}
	if f["steps"] == nil {
		p.errorf(n, "the group %q has no steps", textkit.Shorten(name))
		return
	}
	think := l.think
	if f["think"] != nil {
		think = p.think(f["think"])
	}
	from := len(l.task.Steps)
	l.items(f["steps"], cmp.Or(name, "?"), think)
	if to := len(l.task.Steps); to > from {
		l.task.Steps[to-1].Leaves = true
	}
}

// Think reads a pause, a range of pauses, or a pause with its jitter.
func (p *yamlParser) think(n *yaml.Node) Think {
	text, ok := p.written(n, "a duration such as 200ms, 200ms..2s or 1s +/- 20%")
	if !ok {
		return Think{}
	}
	t, err := parseThink(text)
	if err != nil {
		p.errorf(n, "%v", err)
	}
	return t
}

func parseThink(text string) (Think, error) {
	bad := func() (Think, error) {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '±' }) {
			for part := range strings.SplitSeq(word, "..") {
				if err := textkit.MissingUnit(part); err != nil {
					return Think{}, fmt.Errorf("the duration %q %w", textkit.Shorten(part), err)
				}
			}
		}
		return Think{}, fmt.Errorf("expected a duration with its unit such as 200ms, a range such as 200ms..2s, or one with a jitter such as 1s +/- 20%%, found %q", textkit.Shorten(text))
	}
	var t Think
	least, most, isRange := strings.Cut(text, "..")
	middle, jitter, jitters := strings.Cut(strings.ReplaceAll(text, "±", "+/-"), "+/-")
	switch {
	case jitters && !isRange:
		d, err := time.ParseDuration(strings.TrimSpace(middle))
		jitter = strings.TrimSpace(jitter)
		var by time.Duration
		if percent, is := strings.CutSuffix(jitter, "%"); is {
			part, perr := strconv.ParseFloat(strings.TrimSpace(percent), 64)
			if perr != nil || !(part >= 0 && part <= 100) {
				return bad()
			}
			by = time.Duration(float64(d) * part / 100)
		} else {
			var derr error
			by, derr = time.ParseDuration(jitter)
			err = errors.Join(err, derr)
		}
		if err != nil {
			return bad()
		}
		if by < 0 || by > d {
			return Think{}, fmt.Errorf("expected a jitter from 0 to the pause itself, found %q", textkit.Shorten(text))
		}
		t = Think{Min: d - by, Max: d + by}
	default:
		if !isRange {
			most = least
		}
		a, err1 := time.ParseDuration(strings.TrimSpace(least))
		b, err2 := time.ParseDuration(strings.TrimSpace(most))
		if err1 != nil || err2 != nil {
			return bad()
		}
		if t = (Think{Min: a, Max: b}); a > b {
			return Think{}, fmt.Errorf("the range %q ends before it begins", textkit.Shorten(text))
		}
	}
	if t.Min < 0 || t.Max > 24*time.Hour {
		return Think{}, fmt.Errorf("expected a duration from 0 to 24h, found %q", textkit.Shorten(text))
	}
	return t, nil
}
