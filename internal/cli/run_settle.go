package cli

import (
	"context"
	"fmt"

	"github.com/opbeans/loadgen/internal/serve"
)

// settle waits until everything has come that agents have to say of a job, or the grace
// time is over, or one more signal asks for an end.
func (r *runner) settle(ctx context.Context, t *serve.Tracing, job string) {
	v := t.Ledger.Verdict(job)
	if v.Settled {
		return
	}
	if ctx.Err() != nil { // a first signal has stopped the job; what it has sent still counts
		ctx = context.WithoutCancel(ctx)
	}
	if !r.quiet {
		_, _ = fmt.Fprintf(r.Stderr, "waiting for agents, at most %s: %s\n", r.apm.Grace, v)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hard := r.Hard.Expect()
	go func() {
		select {
		case <-hard:
			cancel()
		case <-ctx.Done():
		}
	}()
	t.Ledger.Settle(ctx, job)
}
