package loadgen

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/textkit"
)

// boundYAMLTask is a task of a file under one job's variables. It is immutable;
// what an iteration changes is in its VU's scratch.
type boundYAMLTask struct {
	task     *scenariofile.Task
	binding  *expr.Binding
	steps    []boundStep
	captures []string // names to forget at the end of an iteration
}

type boundStep struct {
	step    *scenariofile.Step
	target  expr.BoundTemplate
	headers []boundHeader
	body    expr.BoundTemplate
	parts   []boundFile
	expect  func(status int) bool

	cond  *expr.Expression // whether the step runs, if only an iteration knows
	never bool             // the variables say that it does not run
}

type boundHeader struct {
	name  string
	value expr.BoundTemplate
	fixed []byte // the value, if nothing of it is left to compute
	basic bool   // value is USER:PASSWORD

	absent bool // the header is not sent
}

// appendBasic writes the value of a header with basic credentials (RFC 7617).
func appendBasic(dst, credentials []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, "Basic "...), credentials)
}

type boundFile struct{ head, content expr.BoundTemplate }

// binderOf returns what binds a task of a file.
func binderOf(y *scenariofile.Task) binder {
	return func(b *expr.Binding) (TaskFunc, error) {
		t, err := bindSteps(y, b)
		if err != nil {
			return nil, err
		}
		return t.run, nil
	}
}

// bindSteps computes what depends on the variables only.
func bindSteps(y *scenariofile.Task, b *expr.Binding) (*boundYAMLTask, error) {
	t := &boundYAMLTask{task: y, binding: b}
	for i := range y.Steps {
		s, err := bindStep(&y.Steps[i], b)
		if err != nil {
			return nil, err
		}
		t.steps = append(t.steps, s)
		for _, c := range y.Steps[i].Captures {
			t.captures = append(t.captures, c.Name)
		}
	}
	return t, nil
}

func bindStep(s *scenariofile.Step, b *expr.Binding) (boundStep, error) {
	out := boundStep{step: s, expect: s.Expect.Has}
	var errs []error
	bind := func(t expr.Template) expr.BoundTemplate {
		bt, err := t.Bind(b)
		if err != nil {
			errs = append(errs, err)
		}
		return bt
	}
	if err := out.bindCondition(b); err != nil {
		errs = append(errs, err)
	}
	out.target = bind(s.Target)
	for _, h := range s.Headers {
		bh := boundHeader{name: h.Name, value: bind(h.Value), basic: h.Basic, absent: h.Absent}
		if bh.fixed, _ = bh.value.Static(); bh.fixed != nil && bh.basic {
			bh.fixed = appendBasic(nil, bh.fixed)
		}
		if bh.absent {
			bh.fixed = nil
		}
		out.headers = append(out.headers, bh)
	}
	out.body = bind(s.Body.Content)
	for _, part := range s.Body.Parts {
		out.parts = append(out.parts, boundFile{bind(part.Head), bind(part.Content)})
	}
	if text, ok := out.target.Static(); ok && s.Open && len(errs) == 0 {
		if err := scenariofile.CheckTarget(text); err != nil {
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// scratch is what the tasks of files keep in a VU between iterations: an
// evaluator, and buffers to render requests into.
type scratch struct {
	ev expr.Evaluator

	call   client.Call
	step   *boundStep // whose response settle looks at
	settle func(*client.Reply) error
	fields []client.HeaderField
	target []byte
	header []byte
	ends   []int // of the computed values in header
	body   []byte
}

// scratchOf returns the VU's scratch, made ready for an iteration of t.
func (t *boundYAMLTask) scratchOf(vu *VU) *scratch {
	if vu.scratch == nil {
		sc := &scratch{}
		sc.settle = func(rep *client.Reply) error {
			sc.ev.Receive(expr.Response{Status: rep.Status, Body: rep.Body, Head: (*replyHead)(rep), Service: rep.Service})
			return sc.step.settle(sc)
		}
		vu.scratch = sc
	}
	sc := vu.scratch
	sc.ev.Begin(vu.rand, vu.id, int(vu.iteration), (*vuRows)(vu))
	sc.ev.Use(t.binding)
	if vu.job != nil {
		sc.ev.Keep(vu.job.kept, vu.kept)
	}
	return sc
}

// run is one iteration.
func (t *boundYAMLTask) run(ctx context.Context, vu *VU) (err error) {
	sc := t.scratchOf(vu)
	defer t.forget(sc)
	var group groupTimer
	var within bool
	defer func() {
		if within {
			vu.endGroup(group, err)
		}
	}()
	for i := range t.steps {
		s := &t.steps[i]
		if skip, err := s.skipped(sc); err != nil {
			return err
		} else if skip {
			if within && s.step.Leaves {
				within = false
				vu.endGroup(group, nil)
			}
			continue
		}
		if s.step.Group != "" && !within {
			group, within = vu.beginGroup(s.step.Group), true
		}
		if err := t.step(ctx, vu, sc, s); err != nil {
			return err
		}
		if s.step.Leaves {
			within = false
			vu.endGroup(group, nil)
		}
		if s.step.Think.Max > 0 {
			if err := vu.Think(ctx, s.step.Think.Min, s.step.Think.Max); err != nil {
				return err
			}
		}
	}
	if t.task.Kind != scenariofile.NumHooks {
		t.keep(sc, vu)
	}
	return nil
}

func (t *boundYAMLTask) step(ctx context.Context, vu *VU, sc *scratch, s *boundStep) error {
	if err := s.render(sc); err != nil {
		return s.fail(ClassTask, err)
	}
	if len(s.step.Captures) > 0 || len(s.step.Checks) > 0 {
		sc.step, sc.call.Settle = s, sc.settle
	}
	_, err := vu.client.Send(ctx, &sc.call)
	return err
}

// keep makes what a set-up has captured known to the iterations after it.
func (t *boundYAMLTask) keep(sc *scratch, vu *VU) {
	if len(t.captures) == 0 || t.task.Kind != scenariofile.HookSetup && t.task.Kind != scenariofile.HookVUSetup {
		return
	}
	vu.kept = map[string]any{}
	for _, name := range t.captures {
		vu.kept[name], _ = sc.ev.Value(name)
	}
	sc.ev.Refresh() // the next iteration sees them
}

// forget drops what belongs to the iteration, so that a large response does not
// stay in memory until the next.
func (t *boundYAMLTask) forget(sc *scratch) {
	for _, name := range t.captures {
		sc.ev.Unset(name)
	}
	for i := range t.steps {
		if t.steps[i].step.BodyText {
			sc.ev.Unset("body")
		}
	}
	sc.ev.Receive(expr.Response{})
}

func (s *boundStep) fail(class ErrorClass, err error) error {
	return &Error{Class: class, Err: fmt.Errorf("%s: %w", s.step.Label, err)}
}

// render makes sc.call the step's request. It allocates nothing as long as text
// and random draws are all there is, once the buffers have grown.
func (s *boundStep) render(sc *scratch) error {
	sc.call = client.Call{
		Method: s.step.Method, Expect: s.expect, Expected: s.step.Expected,
		ReadBody: s.step.ReadBody, NoRedirect: s.step.NoRedirect,
	}
	if text, ok := s.target.Static(); ok {
		sc.call.Target = text
	} else {
		var err error
		if sc.target, err = s.target.Render(sc.target[:0], &sc.ev); err != nil {
			return err
		}
		if s.step.Open {
			if err := scenariofile.CheckTarget(sc.target); err != nil {
				return err
			}
		}
		sc.call.Target = sc.target
	}
	sc.fields = sc.fields[:0]
	if err := s.renderBody(sc); err != nil {
		return err
	}
	if err := s.renderHeaders(sc); err != nil {
		return err
	}
	sc.call.Header = sc.fields
	return nil
}

// renderHeaders renders all values before it cuts them apart, because the buffer
// moves when it grows.
func (s *boundStep) renderHeaders(sc *scratch) error {
	sc.header, sc.ends = sc.header[:0], sc.ends[:0]
	for i := range s.headers {
		if s.headers[i].fixed != nil || s.headers[i].absent {
			continue
		}
		var err error
		from := len(sc.header)
		if sc.header, err = s.headers[i].value.Render(sc.header, &sc.ev); err != nil {
			return err
		}
		if s.headers[i].basic {
			n := len(sc.header)
			sc.header = appendBasic(sc.header, sc.header[from:n])
			sc.header = append(sc.header[:from], sc.header[n:]...)
		}
		sc.ends = append(sc.ends, len(sc.header))
	}
	from, next := 0, 0
	for i := range s.headers {
		value := s.headers[i].fixed
		if value == nil && !s.headers[i].absent {
			end := sc.ends[next]
			value, from, next = sc.header[from:end:end], end, next+1
			if value == nil {
				value = []byte{}
			}
		}
		sc.fields = append(sc.fields, client.HeaderField{Name: s.headers[i].name, Value: value})
	}
	return nil
}

func (s *boundStep) renderBody(sc *scratch) error {
	var err error
	switch s.step.Body.Kind {
	case scenariofile.BodyNone:
		return nil
	case scenariofile.BodyText:
		if text, ok := s.body.Static(); ok {
			sc.call.Body = text
			return nil
		}
		sc.body, err = s.body.Render(sc.body[:0], &sc.ev)
	case scenariofile.BodyMultipart:
		sc.body, err = s.renderMultipart(sc.body[:0], sc)
	}
	if err == nil && len(sc.body) > escape.MaxRendered {
		err = escape.ErrTooLarge
	}
	sc.call.Body = sc.body
	return err
}

// renderMultipart writes the parts between boundaries of 128 random bits, which
// no content holds by chance.
func (s *boundStep) renderMultipart(dst []byte, sc *scratch) ([]byte, error) {
	boundary := strconv.AppendUint(make([]byte, 0, 48), sc.ev.Random().Uint64(), 36)
	boundary = strconv.AppendUint(append(boundary, '-'), sc.ev.Random().Uint64(), 36)
	for i := range s.parts {
		dst = append(append(append(dst, "--"...), boundary...), "\r\n"...)
		var err error
		if dst, err = s.parts[i].head.Render(dst, &sc.ev); err != nil {
			return dst, err
		}
		if dst, err = s.parts[i].content.Render(dst, &sc.ev); err != nil {
			return dst, err
		}
		dst = append(dst, "\r\n"...)
	}
	dst = append(append(append(dst, "--"...), boundary...), "--\r\n"...)
	sc.fields = append(sc.fields, client.HeaderField{
		Name:  "Content-Type",
		Value: append([]byte("multipart/form-data; boundary="), boundary...),
	})
	return dst, nil
}

// settle takes the captures from the response, and looks at the checks. What a
// response does not have, or what an expression cannot do with it, is a failed
// check: it is the response that is not as expected.
func (s *boundStep) settle(sc *scratch) error {
	r := sc.ev.Response()
	if !s.step.Simple {
		sc.ev.NameResponse(s.step.BodyText)
	}
	for _, c := range s.step.Captures {
		v, err := sc.ev.Eval(c.Expr)
		if err != nil {
			return s.fail(ClassCheck, fmt.Errorf("capture %s: %w", c.Name, err))
		}
		if v == nil {
			return s.fail(ClassCheck, fmt.Errorf("capture %s: %s: %s finds nothing in the response (status %d)",
				c.Name, c.Expr.At, textkit.Shorten(c.Expr.Source), r.Status))
		}
		sc.ev.Set(c.Name, v)
	}
	for _, check := range s.step.Checks {
		ok, err := sc.ev.Holds(check)
		if err != nil {
			return s.fail(ClassCheck, fmt.Errorf("check: %w", err))
		}
		if !ok {
			return s.fail(ClassCheck, fmt.Errorf("%s: check failed: %s (status %d, %s)",
				check.At, textkit.Shorten(check.Source), r.Status, r.Service))
		}
	}
	return nil
}

// replyHead is a reply as expressions see it.
type replyHead client.Reply

// Header implements the interface of expressions.
func (h *replyHead) Header(name string) []byte { return (*client.Reply)(h).Header(name) }

// Cookie implements the interface of expressions.
func (h *replyHead) Cookie(name string) (string, bool) { return (*client.Reply)(h).Cookie(name) }
