package loadgen

import (
	"fmt"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
)

// tooLate says what is wrong with a StartAt that is d ago; "" if nothing is.
func tooLate(d time.Duration) string {
	if d <= StartTolerance {
		return ""
	}
	return fmt.Sprintf("is %s ago, and a job may begin %s late at most, to be in step with others", d.Round(time.Millisecond), StartTolerance)
}

// checkStart looks at the StartAt of a job that is about to start.
func (c *JobConfig) checkStart() error {
	if c.StartAt.IsZero() {
		return nil
	}
	var f fault.List
	switch d := time.Since(c.StartAt); {
	case tooLate(d) != "":
		f.Add("start_at", "%s: give a later time, or none", tooLate(d))
	case -d > maxStartIn:
		f.Add("start_at", "must be within a year, not at %s", c.StartAt.Format(time.RFC3339))
	}
	return validation(f)
}

// fixed refuses an update of what stays as it is for as long as a job runs.
func (c *JobConfig) fixed(before *JobConfig) (f fault.List) {
	const same = "stays as it is while a job runs: stop it, and start it again"
	if c.Segment != before.Segment {
		f.Add("segment", same)
	}
	if !c.StartAt.Equal(before.StartAt) {
		f.Add("start_at", same)
	}
	return f
}

// awaitStart waits until the job may begin, or is to end, and returns the moment that its
// times count from. The error says that it is too late.
func (j *Job) awaitStart(p *plan) (time.Time, error) {
	at := p.cfg.StartAt
	now := time.Now()
	if at.IsZero() || j.back != nil {
		return now, nil // one that is resumed has begun already
	}
	j.mu.Lock()
	if j.status.State == StateRunning {
		j.status.Reason = p.cfg.waiting(now)
	}
	j.mu.Unlock()
	left := at.Sub(now)
	if why := tooLate(-left); why != "" {
		return now, fmt.Errorf("its set-up has taken too long: start_at %s", why)
	}
	over := false
	j.attend(nil, func() (time.Duration, bool) {
		over = j.ending.reached(endDraining)
		wait := left - time.Since(now)
		return wait, wait > 0 && !over
	})
	if over {
		return time.Now(), nil
	}
	return now.Add(left), nil // and not at, whose time would follow a clock that is set
}

// waiting is what the status says until the job begins.
func (c *JobConfig) waiting(now time.Time) string {
	if c.StartAt.After(now) {
		return "waiting for its start at " + c.StartAt.Format(time.RFC3339Nano)
	}
	return ""
}
