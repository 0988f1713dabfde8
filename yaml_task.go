package loadgen

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

	"github.com/opbeans/loadgen/internal/textkit"
)

// yamlTask is what a task of a file becomes: immutable, and bound anew for each
// revision of a job.
type yamlTask struct {
	name  string
	steps []yamlStep
	kind  hookKind // of a set-up or tear-down; else numHooks
}

// thinkTime is the pause after a step, drawn evenly from a range.
type thinkTime struct {
	min, max time.Duration
	own      bool // the step says it itself
}

// or is the pause, or another where the step says nothing itself.
func (t thinkTime) or(other thinkTime) thinkTime {
	if t.own {
		return t
	}
	return other
}

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
	think      thinkTime // after the step
	group      string    // that the step is in, or ""
	enters     bool      // it is the first of its group
	leaves     bool      // it is the last of its group
	captures   []yamlCapture
	checks     []*expression
	simple     bool // no captures, and checks of status and duration alone
	readBody   bool
	bodyText   bool // an expression names body, which then becomes text
}

type yamlHeader struct {
	name  string // canonical
	value template
	basic bool // value is USER:PASSWORD, and sent as basic credentials
}

type yamlCapture struct {
	name string
	expr *expression
}

// task reads one task. Without a name, the task is faulty; the node is that of
// the name.
func (p *yamlParser) task(n *yaml.Node) (fileTask, *yaml.Node) {
	f, ok := p.fields(n, "a task", taskKeys())
	if !ok {
		return fileTask{}, n
	}
	y := &yamlTask{kind: numHooks}
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
		y.steps = append(y.steps, p.step(f, fmt.Sprintf("task %q", y.name), &known, numHooks))
	case f["steps"] != nil:
		p.steps(y, f)
	default:
		p.errorf(n, "a task needs a request, such as \"GET /path\", or a list of steps")
	}
	return fileTask{name: y.name, weight: weight, steps: y}, at
}

// label checks that a name can label statistics.
func (p *yamlParser) label(n *yaml.Node, of string) {
	switch {
	case strings.TrimSpace(n.Value) == "":
		p.errorf(n, "the %s's name is empty", of)
	case len(n.Value) > textkit.MaxNameLen:
		p.errorf(n, "the %s's name is longer than %d bytes", of, textkit.MaxNameLen)
	case hasControl(n.Value) || strings.Contains(n.Value, "\t"):
		p.errorf(n, "the %s's name holds a control character", of)
	}
}

// weight reads a weight and its condition.
func (p *yamlParser) weight(number, when *yaml.Node) fileWeight {
	scope := p.scope(inWeight, nil, hookSetup)
	w := fileWeight{fixed: 1}
	if when != nil {
		w.condition = p.wholeExpr(when, reflect.Bool, scope)
	}
	if number != nil {
		v, ok := p.scalar(number)
		switch f, isNumber := asFloat(v); {
		case !ok:
			p.mismatch(number, "expected the weight as a number or an expression, found %s", kindWord(number))
		case isNumber && (f < 0 || f > maxWeight):
			p.errorf(number, "expected a weight from 0 to %g, found %s", maxWeight, number.Value)
		case isNumber:
			w.fixed = f
		default:
			w.number = p.wholeExpr(number, reflect.Float64, scope)
		}
	}
	return w
}

// wholeExpr reads a value that is an expression, with or without ${…} around it.
func (p *yamlParser) wholeExpr(n *yaml.Node, want reflect.Kind, scope *exprScope) *expression {
	source, ok := p.written(n, "an expression")
	if !ok {
		return nil
	}
	if inner, offset, is := onlyExpr(source); is {
		return p.compile(n, inner, offset, want, scope)
	}
	return p.compile(n, source, 0, want, scope)
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
	for _, key := range requestKeys() {
		if n := f[key]; n != nil {
			p.errorf(n, "%s belongs to a step, because this task has steps", key)
		}
	}
	p.stepList(y, fmt.Sprintf("task %q", y.name), f["steps"], f["think"], numHooks)
}

// stepList reads a list of steps and groups, with a pause between two of them, and
// returns the names that they capture.
func (p *yamlParser) stepList(y *yamlTask, label string, n, think *yaml.Node, kind hookKind) []string {
	y.kind = kind
	l := &stepList{p: p, task: y, label: label, known: slices.Clone(p.kept)}
	if think != nil {
		l.think = p.think(think)
	}
	l.items(n, "", l.think)
	if len(y.steps) > maxSteps {
		p.errorf(n, "expected at most %d steps, found %d", maxSteps, len(y.steps))
	}
	return l.known
}

// stepList is a list of steps as it is read.
type stepList struct {
	p     *yamlParser
	task  *yamlTask
	label string
	think thinkTime
	known []string // names that are captured so far
	count int      // of steps, for their labels
}

func (l *stepList) items(n *yaml.Node, group string, think thinkTime) {
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
		if n := len(l.task.steps); group == "" && i+1 < len(items) && n > 0 && l.task.steps[n-1].leaves {
			l.task.steps[n-1].think = l.task.steps[n-1].think.or(think)
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
func (l *stepList) step(n *yaml.Node, group string, more bool, think thinkTime) {
	p := l.p
	l.count++
	f, ok := p.fields(n, "a step", stepKeys())
	switch {
	case !ok:
		return
	case f["request"] == nil:
		p.errorf(n, "the step has no request, such as \"GET /path\"")
		return
	}
	s := p.step(f, fmt.Sprintf("%s, step %d", l.label, l.count), &l.known, l.task.kind)
	s.group = group
	if f["think"] != nil {
		s.think = p.think(f["think"])
		s.think.own = true
	} else if more {
		s.think = think
	}
	l.task.steps = append(l.task.steps, s)
}

// group reads the steps of a group.
func (l *stepList) group(n *yaml.Node, outer string) {
	p := l.p
	f, ok := p.fields(n, "a group", groupKeys())
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
	from := len(l.task.steps)
	l.items(f["steps"], cmp.Or(name, "?"), think)
	if to := len(l.task.steps); to > from {
		l.task.steps[from].enters = true
		l.task.steps[to-1].leaves = true
	}
}

// think reads a pause, a range of pauses, or a pause with its jitter.
func (p *yamlParser) think(n *yaml.Node) thinkTime {
	text, ok := p.written(n, "a duration such as 200ms, 200ms..2s or 1s +/- 20%")
	if !ok {
		return thinkTime{}
	}
	t, err := parseThink(text)
	if err != nil {
		p.errorf(n, "%v", err)
	}
	return t
}

func parseThink(text string) (thinkTime, error) {
	bad := func() (thinkTime, error) {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '±' }) {
			for part := range strings.SplitSeq(word, "..") {
				if err := textkit.MissingUnit(part); err != nil {
					return thinkTime{}, fmt.Errorf("the duration %q %w", textkit.Shorten(part), err)
				}
			}
		}
		return thinkTime{}, fmt.Errorf("expected a duration with its unit such as 200ms, a range such as 200ms..2s, or one with a jitter such as 1s +/- 20%%, found %q", textkit.Shorten(text))
	}
	var t thinkTime
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
			return thinkTime{}, fmt.Errorf("expected a jitter from 0 to the pause itself, found %q", textkit.Shorten(text))
		}
		t = thinkTime{min: d - by, max: d + by}
	default:
		if !isRange {
			most = least
		}
		a, err1 := time.ParseDuration(strings.TrimSpace(least))
		b, err2 := time.ParseDuration(strings.TrimSpace(most))
		if err1 != nil || err2 != nil {
			return bad()
		}
		if t = (thinkTime{min: a, max: b}); a > b {
			return thinkTime{}, fmt.Errorf("the range %q ends before it begins", textkit.Shorten(text))
		}
	}
	if t.min < 0 || t.max > 24*time.Hour {
		return thinkTime{}, fmt.Errorf("expected a duration from 0 to 24h, found %q", textkit.Shorten(text))
	}
	return t, nil
}
