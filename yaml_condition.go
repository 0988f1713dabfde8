package loadgen

import (
	"fmt"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/textkit"
)

// bindCondition computes the step's condition if it depends on the variables only.
func (s *boundStep) bindCondition(b *expr.Binding) error {
	e := s.step.If
	if e == nil {
		return nil
	}
	if !e.IsPure() {
		s.cond = e
		return nil
	}
	v, err := b.Eval(e)
	if err != nil {
		return err
	}
	holds, err := truth(e, v)
	s.never = !holds
	return err
}

// skipped reports whether the step's condition is false.
func (s *boundStep) skipped(sc *scratch) (bool, error) {
	if s.cond == nil {
		return s.never, nil
	}
	v, err := sc.ev.Eval(s.cond)
	if err != nil {
		return false, s.fail(ClassTask, err)
	}
	holds, err := truth(s.cond, v)
	if err != nil {
		return false, s.fail(ClassTask, err)
	}
	return !holds, nil
}

// truth is the value of a condition. The compiler lets through captured values, whose
// type only a response knows.
func truth(e *expr.Expression, v any) (bool, error) {
	holds, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("%s: %s: expected true or false, found %s", e.At, textkit.Shorten(e.Source), textkit.Describe(v))
	}
	return holds, nil
}
