package loadgen

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/opbeans/loadgen/internal/textkit"
)

// boundYAMLTask is a task of a file under one job's variables. It is immutable;
// what an iteration changes is in its VU's scratch.
type boundYAMLTask struct {
	task     *yamlTask
	binding  *binding
	steps    []boundStep
	captures []string // names to forget at the end of an iteration
}

type boundStep struct {
	step    *yamlStep
	target  boundTemplate
	headers []boundHeader
	body    boundTemplate
	parts   []boundFile
	expect  func(status int) bool
}

type boundHeader struct {
	name  string
	value boundTemplate
	fixed []byte // the value, if nothing of it is left to compute
	basic bool   // value is USER:PASSWORD
}

// appendBasic writes the value of a header with basic credentials (RFC 7617).
func appendBasic(dst, credentials []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, "Basic "...), credentials)
}

type boundFile struct{ head, content boundTemplate }

// binderOf returns what binds a task of a file.
func binderOf(y *yamlTask) binder {
	return func(b *binding) (TaskFunc, error) {
		t, err := bindSteps(y, b)
		if err != nil {
			return nil, err
		}
		return t.run, nil
	}
}

// bindSteps computes what depends on the variables only.
func bindSteps(y *yamlTask, b *binding) (*boundYAMLTask, error) {
	t := &boundYAMLTask{task: y, binding: b}
	for i := range y.steps {
		s, err := bindStep(&y.steps[i], b)
		if err != nil {
			return nil, err
		}
		t.steps = append(t.steps, s)
		for _, c := range y.steps[i].captures {
			t.captures = append(t.captures, c.name)
		}
	}
	return t, nil
}

func bindStep(s *yamlStep, b *binding) (boundStep, error) {
	out := boundStep{step: s, expect: s.expect.has}
	var errs []error
	bind := func(t template) boundTemplate {
		bt, err := t.bind(b)
		if err != nil {
			errs = append(errs, err)
		}
		return bt
	}
	out.target = bind(s.target)
	for _, h := range s.headers {
		bh := boundHeader{name: h.name, value: bind(h.value), basic: h.basic}
		if bh.fixed, _ = bh.value.static(); bh.fixed != nil && bh.basic {
			bh.fixed = appendBasic(nil, bh.fixed)
		}
		out.headers = append(out.headers, bh)
	}
	out.body = bind(s.body.content)
	for _, part := range s.body.parts {
		out.parts = append(out.parts, boundFile{bind(part.head), bind(part.content)})
	}
	if text, ok := out.target.static(); ok && s.open && len(errs) == 0 {
		if err := checkTarget(text); err != nil {
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// scratch is what the tasks of files keep in a VU between iterations: an
// evaluator, and buffers to render requests into.
type scratch struct {
	ev evaluator

	call   call
	step   *boundStep // whose response settle looks at
	settle func(*reply) error
	fields []headerField
	target []byte
	header []byte
	ends   []int // of the computed values in header
	body   []byte
}

// scratchOf returns the VU's scratch, made ready for an iteration of t.
func (t *boundYAMLTask) scratchOf(vu *VU) *scratch {
	if vu.scratch == nil {
		sc := &scratch{}
		sc.settle = func(rep *reply) error {
			sc.ev.receive(exprResponse{status: rep.status, body: rep.body, head: (*replyHead)(rep), service: rep.service})
			return sc.step.settle(sc)
		}
		vu.scratch = sc
	}
	sc := vu.scratch
	sc.ev.begin(vu.rand, vu.id, int(vu.iteration), (*vuRows)(vu))
	sc.ev.use(t.binding)
	if vu.job != nil {
		sc.ev.keep(vu.job.kept, vu.kept)
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
		if s.step.enters {
			group, within = vu.beginGroup(s.step.group), true
		}
		if err := t.step(ctx, vu, sc, s); err != nil {
			return err
		}
		if s.step.leaves {
			within = false
			vu.endGroup(group, nil)
		}
		if s.step.think.max > 0 {
			if err := vu.Think(ctx, s.step.think.min, s.step.think.max); err != nil {
				return err
			}
		}
	}
	if t.task.kind != numHooks {
		t.keep(sc, vu)
	}
	return nil
}

func (t *boundYAMLTask) step(ctx context.Context, vu *VU, sc *scratch, s *boundStep) error {
	if err := s.render(sc); err != nil {
		return s.fail(ClassTask, err)
	}
	if len(s.step.captures) > 0 || len(s.step.checks) > 0 {
		sc.step, sc.call.settle = s, sc.settle
	}
	_, err := vu.client.send(ctx, &sc.call)
	return err
}

// keep makes what a set-up has captured known to the iterations after it.
func (t *boundYAMLTask) keep(sc *scratch, vu *VU) {
	if len(t.captures) == 0 || t.task.kind != hookSetup && t.task.kind != hookVUSetup {
		return
	}
	vu.kept = map[string]any{}
	for _, name := range t.captures {
		vu.kept[name], _ = sc.ev.value(name)
	}
	sc.ev.refresh() // the next iteration sees them
}

// forget drops what belongs to the iteration, so that a large response does not
// stay in memory until the next.
func (t *boundYAMLTask) forget(sc *scratch) {
	for _, name := range t.captures {
		sc.ev.unset(name)
	}
	for i := range t.steps {
		if t.steps[i].step.bodyText {
			sc.ev.unset("body")
		}
	}
	sc.ev.receive(exprResponse{})
}

func (s *boundStep) fail(class ErrorClass, err error) error {
	return &Error{Class: class, Err: fmt.Errorf("%s: %w", s.step.label, err)}
}

// render makes sc.call the step's request. It allocates nothing as long as text
// and random draws are all there is, once the buffers have grown.
func (s *boundStep) render(sc *scratch) error {
	sc.call = call{
		method: s.step.method, expect: s.expect, expected: s.step.expected,
		readBody: s.step.readBody, noRedirect: s.step.noRedirect,
	}
	if text, ok := s.target.static(); ok {
		sc.call.target = text
	} else {
		var err error
		if sc.target, err = s.target.render(sc.target[:0], &sc.ev); err != nil {
			return err
		}
		if s.step.open {
			if err := checkTarget(sc.target); err != nil {
				return err
			}
		}
		sc.call.target = sc.target
	}
	sc.fields = sc.fields[:0]
	if err := s.renderBody(sc); err != nil {
		return err
	}
	if err := s.renderHeaders(sc); err != nil {
		return err
	}
	sc.call.header = sc.fields
	return nil
}

// renderHeaders renders all values before it cuts them apart, because the buffer
// moves when it grows.
func (s *boundStep) renderHeaders(sc *scratch) error {
	sc.header, sc.ends = sc.header[:0], sc.ends[:0]
	for i := range s.headers {
		if s.headers[i].fixed != nil {
			continue
		}
		var err error
		from := len(sc.header)
		if sc.header, err = s.headers[i].value.render(sc.header, &sc.ev); err != nil {
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
		if value == nil {
			end := sc.ends[next]
			value, from, next = sc.header[from:end:end], end, next+1
		}
		sc.fields = append(sc.fields, headerField{name: s.headers[i].name, value: value})
	}
	return nil
}

func (s *boundStep) renderBody(sc *scratch) error {
	var err error
	switch s.step.body.kind {
	case bodyNone:
		return nil
	case bodyText:
		if text, ok := s.body.static(); ok {
			sc.call.body = text
			return nil
		}
		sc.body, err = s.body.render(sc.body[:0], &sc.ev)
	case bodyMultipart:
		sc.body, err = s.renderMultipart(sc.body[:0], sc)
	}
	if err == nil && len(sc.body) > maxRendered {
		err = errTooLarge
	}
	sc.call.body = sc.body
	return err
}

// renderMultipart writes the parts between boundaries of 128 random bits, which
// no content holds by chance.
func (s *boundStep) renderMultipart(dst []byte, sc *scratch) ([]byte, error) {
	boundary := strconv.AppendUint(make([]byte, 0, 48), sc.ev.random().Uint64(), 36)
	boundary = strconv.AppendUint(append(boundary, '-'), sc.ev.random().Uint64(), 36)
	for i := range s.parts {
		dst = append(append(append(dst, "--"...), boundary...), "\r\n"...)
		var err error
		if dst, err = s.parts[i].head.render(dst, &sc.ev); err != nil {
			return dst, err
		}
		if dst, err = s.parts[i].content.render(dst, &sc.ev); err != nil {
			return dst, err
		}
		dst = append(dst, "\r\n"...)
	}
	dst = append(append(append(dst, "--"...), boundary...), "--\r\n"...)
	sc.fields = append(sc.fields, headerField{
		name:  "Content-Type",
		value: append([]byte("multipart/form-data; boundary="), boundary...),
	})
	return dst, nil
}

// settle takes the captures from the response, and looks at the checks. What a
// response does not have, or what an expression cannot do with it, is a failed
// check: it is the response that is not as expected.
func (s *boundStep) settle(sc *scratch) error {
	r := sc.ev.response()
	if !s.step.simple {
		sc.ev.nameResponse(s.step.bodyText)
	}
	for _, c := range s.step.captures {
		v, err := sc.ev.eval(c.expr)
		if err != nil {
			return s.fail(ClassCheck, fmt.Errorf("capture %s: %w", c.name, err))
		}
		if v == nil {
			return s.fail(ClassCheck, fmt.Errorf("capture %s: %s: %s finds nothing in the response (status %d)",
				c.name, c.expr.at, textkit.Shorten(c.expr.source), r.status))
		}
		sc.ev.set(c.name, v)
	}
	for _, check := range s.step.checks {
		ok, err := sc.ev.holds(check)
		if err != nil {
			return s.fail(ClassCheck, fmt.Errorf("check: %w", err))
		}
		if !ok {
			return s.fail(ClassCheck, fmt.Errorf("%s: check failed: %s (status %d, %s)",
				check.at, textkit.Shorten(check.source), r.status, r.service))
		}
	}
	return nil
}

// replyHead is a reply as expressions see it.
type replyHead reply

// Header implements the interface of expressions.
func (h *replyHead) Header(name string) []byte { return (*reply)(h).header(name) }

// Cookie implements the interface of expressions.
func (h *replyHead) Cookie(name string) (string, bool) { return (*reply)(h).cookie(name) }
