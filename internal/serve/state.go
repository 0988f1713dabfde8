package serve

import (
	"errors"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/state"
)

// memoryRuns is how many runs are kept at most without -state.
const memoryRuns = 100

// endedRuns keeps the runs of jobs that have ended: the state, or memory.
type endedRuns interface {
	httpapi.Runs
	Ended(j *loadgen.Job)
}

// openState opens the folder of -state, and finds out whether it can be used, before
// anything is started.
func (a *App) openState() (closeState func(), err error) {
	if a.state == "" {
		a.runs = state.NewMemory(min(a.keepRuns, memoryRuns))
		return func() {}, nil
	}
	if IsStandalone(a.LookupEnv) {
		return nil, command.UsageErrorf("-state is for the HTTP API: with OPBEANS_URLS, set WS as well")
	}
	a.store, err = state.Open(a.state, state.WithLogger(a.log), state.WithRetention(a.keepRuns, a.keepFor))
	switch {
	case errors.Is(err, state.ErrInUse):
		return nil, command.UsageErrorf("-state: %w; end it first, or take another folder", err)
	case errors.Is(err, state.ErrForeign):
		return nil, command.UsageErrorf("-state: %w; it was left as it is: move it away, or take another folder", err)
	case err != nil:
		return nil, command.UsageErrorf("-state: %w", err)
	}
	a.runs = a.store
	return func() {
		if err := a.store.Close(); err != nil {
			a.log.Error("the state could not be saved in the end", "error", err)
		}
	}, nil
}

// attachState brings the jobs of the process before back.
func (a *App) attachState() error {
	if a.store == nil {
		return nil
	}
	if err := a.store.Attach(a.manager, a.resume); err != nil {
		return command.UsageErrorf("-state: %w", err)
	}
	return nil
}
