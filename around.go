package loadgen

import (
	"context"

	"github.com/opbeans/loadgen/internal/expr"
)

// Around returns a scenario like s, each iteration of which is run by wrap, which gets
// the name of the task and what runs it: to measure, hold back or repeat iterations. What
// wrap returns is the iteration's error. It must be safe for concurrent use.
func (s *Scenario) Around(wrap func(ctx context.Context, vu *VU, task string, run TaskFunc) error) *Scenario {
	out := s.clone()
	for i := range out.tasks {
		t := &out.tasks[i]
		inner := t.bind
		if inner == nil {
			continue // a mistake that a Manager reports
		}
		name := t.name
		t.bind = func(b *expr.Binding) (TaskFunc, error) {
			run, err := inner(b)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, vu *VU) error { return wrap(ctx, vu, name, run) }, nil
		}
	}
	return out
}
