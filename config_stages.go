package loadgen

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/jsonform"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/pace"
)

// checkSegment looks whether there is something for each segment to do.
func (c *JobConfig) checkSegment(f *fault.List) {
	if err := c.Segment.Validate(); err != nil {
		f.Add("segment", "%v, not %d/%d", err, c.Segment.Index, c.Segment.Count)
		return
	}
	n := c.Segment.Parts()
	atLeast := func(field string, have uint64) {
		if have < uint64(n) {
			f.Add(field, "must be at least %d, one for each segment, not %d: it is that of all segments together", n, have)
		}
	}
	switch {
	case n == 1:
		return
	case c.open():
		if c.MaxWorkers > 0 {
			atLeast("max_workers", uint64(c.MaxWorkers))
		}
	case len(c.Stages) == 0:
		atLeast("workers", uint64(max(c.Workers, DefaultWorkers)))
	}
	if c.MaxIterations > 0 {
		atLeast("max_iterations", c.MaxIterations)
	}
}

// begin is how many VUs the segment begins with, without stages of workers. One for
// each segment is the least in the open model, where more are made as needed.
func (c *JobConfig) begin() int {
	n := c.Segment.Share(c.Workers)
	if c.open() {
		n = max(n, 1)
	}
	return n
}

func segmentField() configField {
	return configField{
		Name: "segment",
		Write: func(c *JobConfig) any {
			return jsonform.LeaveOut(c.Segment.String(), false)
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			var text string
			err := json.Unmarshal(raw, &text)
			if err == nil {
				c.Segment, err = ParseSegment(text)
			}
			if err != nil {
				_, err = ParseSegment("?") // the form that is expected
				f.Add("segment", "%v, not %s", err, textkit.Shorten(string(raw)))
			}
		},
	}
}

func startAtField() configField {
	return configField{
		Name: "start_at",
		Write: func(c *JobConfig) any {
			if c.StartAt.IsZero() {
				return nil
			}
			return c.StartAt.Format(time.RFC3339Nano)
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			text := jsonform.Scalar(raw)
			if text == "" {
				c.StartAt = time.Time{}
				return
			}
			at, err := time.Parse(time.RFC3339, text)
			if c.StartAt = at; err != nil {
				f.Add("start_at", "%v, not %s", errStartAt, textkit.Shorten(string(raw)))
			}
		},
	}
}

var errStartAt = errors.New(`must be a time with its zone, in the form of RFC 3339, for instance "2026-11-26T12:00:00Z"`)

// open tells whether the config is one of the open model.
func (c *JobConfig) open() bool {
	return !c.Rate.IsZero() || slices.ContainsFunc(c.Stages, func(s Stage) bool { return !s.Rate.IsZero() })
}

// Pacer returns the schedule of a valid config of the open model, from its stages or
// from its rate with its ramp; of a segment, its part. It is nil for the closed model,
// which has none.
func (c *JobConfig) Pacer() Pacer { return c.pacer(c.RampUp, c.Duration > 0) }

// pacer is the schedule with another ramp; endless, the rate of the last stage goes
// on for ever.
func (c *JobConfig) pacer(ramp time.Duration, endless bool) Pacer {
	switch {
	case !c.open():
		return nil
	case len(c.Stages) > 0:
		return c.Segment.Pacer(pace.NewPacer(c.Rate, c.Stages, endless))
	}
	return c.Segment.Pacer(c.Rate.Pacer(ramp))
}

// stagesLength is how long the stages take together.
func (c *JobConfig) stagesLength() time.Duration {
	var sum time.Duration
	for _, s := range c.Stages {
		sum = min(sum+s.Duration, MaxDuration+1) // which cannot overflow
	}
	return sum
}

func (c *JobConfig) checkStages(f *fault.List) {
	if len(c.Stages) == 0 {
		return
	}
	if len(c.Stages) > pace.MaxStages {
		f.Add("stages", "must be at most %d, not %d", pace.MaxStages, len(c.Stages))
		return
	}
	if c.RampUp > 0 {
		f.Add("ramp_up", "must be left out with stages: make it the first of them")
	}
	open := c.open()
	sum := time.Duration(0)
	for i, s := range c.Stages {
		switch err := s.Rate.Validate(); {
		case s.Duration <= 0 || s.Duration > MaxDuration:
			f.Add("stages", "stage %d must have a duration above 0, not %s", i+1, s.Duration)
		case err != nil:
			f.Add("stages", "the rate of stage %d %v", i+1, err)
		case s.Workers < 0 || s.Workers > MaxWorkers:
			f.Add("stages", "the workers of stage %d must be from 0 to %d, not %d", i+1, MaxWorkers, s.Workers)
		case open && s.Workers > 0:
			f.Add("stages", "stage %d has workers, but the job or another stage a rate: give all of them workers, or all a rate", i+1)
		default:
			sum = min(sum+s.Duration, MaxDuration+1)
		}
	}
	if sum > MaxDuration {
		f.Add("stages", "must take at most %s together, not %s", MaxDuration, sum)
	}
}

// workersAt is the segment's share of the VUs that the stages ask for at a time since
// their start, and when that changes next.
func (c *JobConfig) workersAt(at time.Duration) (n int, next time.Duration) {
	return pace.Workers(c.Workers, c.Stages, c.Segment, at)
}
