package loadgen

import (
	"fmt"

	"github.com/opbeans/loadgen/internal/fault"
)

// SetNext stores the configuration for the next start of a stopped job, or of one that is
// stopping, and publishes an event. The state and statistics of the finished run do not
// change. Start does not use it by itself: call [Job.Next] before you start the job again.
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

// Next returns the configuration that [Job.SetNext] stored, if any.
func (j *Job) Next() (cfg JobConfig, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		return JobConfig{}, false
	}
	return j.next.clone(), true
}
