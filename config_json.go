package loadgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/jsonform"
	"github.com/opbeans/loadgen/internal/textkit"
)

// configField is one key of the JSON form of a JobConfig.
type configField = jsonform.Field[JobConfig]

// configFields lists the keys in the order in which they are written.
func configFields() []configField {
	return slices.Concat(jobFields(), traceFields(), endFields(), clientFields())
}

func jobFields() []configField {
	return []configField{
		jsonform.Text("job", true, func(c *JobConfig) *string { return &c.Name }),
		scenarioField(),
		jsonform.Text("url", true, func(c *JobConfig) *string { return &c.BaseURL }),
		jsonform.Text("service_name", false, func(c *JobConfig) *string { return &c.ServiceName }),
		jsonform.Count("workers", true, func(c *JobConfig) *int { return &c.Workers }),
		jsonform.Count("max_workers", false, func(c *JobConfig) *int { return &c.MaxWorkers }),
		jsonform.Seconds("delay", true, func(c *JobConfig) *time.Duration { return &c.Delay }),
		rateField(func(c *JobConfig) *Rate { return &c.Rate }),
		stagesField(),
		jsonform.Seconds("ramp_up", false, func(c *JobConfig) *time.Duration { return &c.RampUp }),
		jsonform.Seconds("duration", true, func(c *JobConfig) *time.Duration { return &c.Duration }),
		maxIterationsField(),
		segmentField(),
		startAtField(),
		jsonform.Seconds("lease", false, func(c *JobConfig) *time.Duration { return &c.Lease }),
		thresholdsField(),
		variablesField(),
		weightsField(),
		jsonform.Texts("headers", func(c *JobConfig) *map[string]string { return &c.Headers }),
	}
}

func endFields() []configField {
	return []configField{
		seedField(),
		jsonform.SecondsOrOff("grace", func(c *JobConfig) *time.Duration { return &c.Grace }),
	}
}

// MarshalJSON gives the wire form, which [JobConfig.UnmarshalJSON] reads back to
// the same config: durations are numbers of seconds, exact to the nanosecond; rate
// is text such as "100/s"; seed is text, because many readers of JSON would round
// the number. Zero values are left out, except for workers, delay and duration. [Off] is -1. A Scenario is represented by its name.
func (c JobConfig) MarshalJSON() ([]byte, error) {
	return jsonform.Write(configFields(), &c)
}

// UnmarshalJSON reads the wire form. Numbers may also come as text ("3"), and
// durations also as Go durations ("1m30s"). Keys that are not there, or null, leave
// their field as it is; stages and thresholds replace those before; variables, weights, headers and connect_to are added to
// those that c has, and null removes one.
//
// The error is a [*ValidationError] that lists every key that is unknown or has a
// value of the wrong kind; c is unchanged then. Whether the values make sense is
// for [JobConfig.Validate].
func (c *JobConfig) UnmarshalJSON(data []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("a job's configuration must be a JSON object: %w", err)
	}
	next := c.clone()
	var f fault.List
	for _, fault := range jsonform.Read(configFields(), object, &next, "a job") {
		f.Add(fault.Field, "%s", fault.Message)
	}
	if err := validation(f); err != nil {
		return err
	}
	*c = next
	return nil
}

func scenarioField() configField {
	field := jsonform.Text("scenario", true, func(c *JobConfig) *string { return &c.ScenarioName })
	write, read := field.Write, field.Read
	field.Write = func(c *JobConfig) any {
		if c.Scenario != nil {
			return c.Scenario.Name()
		}
		return write(c)
	}
	field.Read = func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
		read(c, raw, f)
		c.Scenario = nil // else it would win over the name
	}
	return field
}

func maxIterationsField() configField {
	return configField{
		Name:  "max_iterations",
		Write: func(c *JobConfig) any { return jsonform.LeaveOut(c.MaxIterations, false) },
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			n, ok := jsonform.ParseWhole(jsonform.Scalar(raw), strconv.ParseUint)
			if c.MaxIterations = n; !ok {
				f.Add("max_iterations", "must be a whole number, and not negative, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

func seedField() configField {
	return configField{
		Name: "seed",
		Write: func(c *JobConfig) any {
			if c.Seed == 0 {
				return nil
			}
			return strconv.FormatUint(c.Seed, 10)
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			n, err := strconv.ParseUint(jsonform.Scalar(raw), 10, 64)
			if c.Seed = n; err != nil {
				f.Add("seed", "must be a whole number from 0 to %d, not %s", uint64(math.MaxUint64), textkit.Shorten(string(raw)))
			}
		},
	}
}

func rateField[T any](at func(*T) *Rate) jsonform.Field[T] {
	return jsonform.Field[T]{
		Name: "rate",
		Write: func(c *T) any {
			if at(c).IsZero() {
				return nil
			}
			return at(c).String()
		},
		Read: func(c *T, raw json.RawMessage, f *jsonform.Faults) {
			if err := at(c).UnmarshalJSON(raw); err != nil {
				f.Add("rate", "%v", err)
			}
		},
	}
}

func variablesField() configField {
	return jsonform.Map("variables", func(c *JobConfig) *map[string]string { return &c.Variables },
		func(raw json.RawMessage) (string, error) {
			text := jsonform.Scalar(raw)
			if text == "" && string(raw) != `""` {
				return "", errors.New("must be text, a number, true or false")
			}
			return text, nil
		})
}

func weightsField() configField {
	return jsonform.Map("weights", func(c *JobConfig) *map[string]float64 { return &c.Weights },
		func(raw json.RawMessage) (float64, error) {
			text := jsonform.Scalar(raw)
			w, err := strconv.ParseFloat(text, 64)
			if err != nil || !textkit.IsDecimal(text) {
				return 0, errors.New("must be a number")
			}
			return w, nil
		})
}
