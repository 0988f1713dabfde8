package loadgen

import (
	"fmt"

	"github.com/opbeans/loadgen/internal/fault"
)

// SetNext keeps what the next start of a job is to have that is stopping or has ended,
// and tells subscribers. State and statistics of the run that is over stay as they are.
// A start does not look at it by itself: who starts the job again asks for [Job.Next].
//
// The error is a [*ValidationError], wraps [ErrJobRunning] if the job can still be
// updated, or [ErrJobNotFound] if it was replaced or removed.
func (j *Job) SetNext(cfg JobConfig) error {
	if cfg.Name != j.name {
		return validation(fault.List{{Field: "job", Message: fmt.Sprintf("is %q and cannot be changed to %q", j.name, cfg.Name)}})
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch state := j.status.State; {
	case j.gone:
		return fmt.Errorf("%w: %q was replaced or removed", ErrJobNotFound, j.name)
	case state == StatePending, state == StateRunning:
		return fmt.Errorf("%w: update %q instead", ErrJobRunning, j.name)
	}
	next := cfg.clone()
	j.next = &next
	j.publish(EventNext)
	return nil
}

// Next is what [Job.SetNext] has kept, if anything.
func (j *Job) Next() (cfg JobConfig, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		return JobConfig{}, false
	}
	return j.next.clone(), true
}
