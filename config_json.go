package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
)

// configField is one key of the JSON form of a JobConfig.
type configField struct {
	name  string
	write func(c *JobConfig) any // nil: the key is left out
	read  func(c *JobConfig, raw json.RawMessage, f *faults)
}

// configFields lists the keys in the order in which they are written.
func configFields() []configField {
	return []configField{
		textField("job", true, func(c *JobConfig) *string { return &c.Name }),
		scenarioField(),
		textField("url", true, func(c *JobConfig) *string { return &c.BaseURL }),
		textField("service_name", false, func(c *JobConfig) *string { return &c.ServiceName }),
		countField("workers", true, func(c *JobConfig) *int { return &c.Workers }),
		countField("max_workers", false, func(c *JobConfig) *int { return &c.MaxWorkers }),
		secondsField("delay", true, func(c *JobConfig) *time.Duration { return &c.Delay }),
		rateField(func(c *JobConfig) *Rate { return &c.Rate }),
		stagesField(),
		secondsField("ramp_up", false, func(c *JobConfig) *time.Duration { return &c.RampUp }),
		secondsField("duration", true, func(c *JobConfig) *time.Duration { return &c.Duration }),
		maxIterationsField(),
		segmentField(),
		startAtField(),
		secondsField("lease", false, func(c *JobConfig) *time.Duration { return &c.Lease }),
		thresholdsField(),
		variablesField(),
		weightsField(),
		textsField("headers", func(c *JobConfig) *map[string]string { return &c.Headers }),
		flagField("trace", func(c *JobConfig) *bool { return &c.Trace }),
		traceRatioField(),
		textField("tracestate", false, func(c *JobConfig) *string { return &c.TraceState }),
		textField("baggage", false, func(c *JobConfig) *string { return &c.Baggage }),
		textField("trace_header", false, func(c *JobConfig) *string { return &c.TraceHeader }),
		seedField(),
		negatableField("grace", NoGrace, func(c *JobConfig) *time.Duration { return &c.Grace }),
		secondsField("connect_timeout", false, func(c *JobConfig) *time.Duration { return &c.ConnectTimeout }),
		secondsField("header_timeout", false, func(c *JobConfig) *time.Duration { return &c.HeaderTimeout }),
		secondsField("timeout", false, func(c *JobConfig) *time.Duration { return &c.Timeout }),
		countField("max_body", false, func(c *JobConfig) *int64 { return &c.MaxBody }),
		textField("http", false, func(c *JobConfig) *string { return &c.HTTP }),
		textField("reuse", false, func(c *JobConfig) *string { return &c.Reuse }),
		textField("proxy", false, func(c *JobConfig) *string { return &c.Proxy }),
		textsField("connect_to", func(c *JobConfig) *map[string]string { return &c.ConnectTo }),
		textField("local_addr", false, func(c *JobConfig) *string { return &c.LocalAddr }),
		negatableField("dns_ttl", NoDNSCache, func(c *JobConfig) *time.Duration { return &c.DNSTTL }),
		flagField("insecure", func(c *JobConfig) *bool { return &c.Insecure }),
		textField("ca_certs", false, func(c *JobConfig) *string { return &c.CACerts }),
	}
}

// MarshalJSON gives the wire form, which [JobConfig.UnmarshalJSON] reads back to
// the same config: durations are numbers of seconds, exact to the nanosecond; rate
// is text such as "100/s"; seed is text, because many readers of JSON would round
// the number. A grace of 0 stands for [NoGrace], a dns_ttl of 0 for [NoDNSCache],
// a trace_ratio of 0 for [NoSampling]. Other zero values are left out,
// except for workers, delay and duration. A Scenario is represented by its name.
func (c JobConfig) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for _, field := range configFields() {
		value := field.write(&c)
		if value == nil {
			continue
		}
		text, err := textkit.MarshalPlain(value)
		if err != nil {
			return nil, fmt.Errorf("loadgen: %s: %w", field.name, err)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", field.name, text)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
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
		return fmt.Errorf("loadgen: a job's configuration must be a JSON object: %w", err)
	}
	var f faults
	var names []string
	next := c.clone()
	for _, field := range configFields() {
		names = append(names, field.name)
		raw, given := object[field.name]
		delete(object, field.name)
		if given && !textkit.IsNull(raw) {
			field.read(&next, raw, &f)
		}
	}
	for _, name := range textkit.SortedKeys(object) {
		f.add(textkit.Shorten(name), "is not a setting of a job%s", textkit.DidYouMean(name, names))
	}
	if err := validation(f); err != nil {
		return err
	}
	*c = next
	return nil
}

func textField(name string, always bool, at func(*JobConfig) *string) configField {
	return configField{
		name: name,
		write: func(c *JobConfig) any {
			return leaveOut(*at(c), always)
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			if json.Unmarshal(raw, at(c)) != nil {
				f.add(name, "must be text, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

func scenarioField() configField {
	field := textField("scenario", true, func(c *JobConfig) *string { return &c.ScenarioName })
	write, read := field.write, field.read
	field.write = func(c *JobConfig) any {
		if c.Scenario != nil {
			return c.Scenario.Name()
		}
		return write(c)
	}
	field.read = func(c *JobConfig, raw json.RawMessage, f *faults) {
		read(c, raw, f)
		c.Scenario = nil // else it would win over the name
	}
	return field
}

func countField[T int | int64](name string, always bool, at func(*JobConfig) *T) configField {
	return configField{
		name:  name,
		write: func(c *JobConfig) any { return leaveOut(*at(c), always) },
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			n, ok := parseWhole(scalar(raw), strconv.ParseInt)
			if *at(c) = T(n); !ok || int64(T(n)) != n {
				f.add(name, "must be a whole number, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

func maxIterationsField() configField {
	return configField{
		name:  "max_iterations",
		write: func(c *JobConfig) any { return leaveOut(c.MaxIterations, false) },
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			n, ok := parseWhole(scalar(raw), strconv.ParseUint)
			if c.MaxIterations = n; !ok {
				f.add("max_iterations", "must be a whole number, and not negative, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

func seedField() configField {
	return configField{
		name: "seed",
		write: func(c *JobConfig) any {
			if c.Seed == 0 {
				return nil
			}
			return strconv.FormatUint(c.Seed, 10)
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			n, err := strconv.ParseUint(scalar(raw), 10, 64)
			if c.Seed = n; err != nil {
				f.add("seed", "must be a whole number from 0 to %d, not %s", uint64(math.MaxUint64), textkit.Shorten(string(raw)))
			}
		},
	}
}

func rateField(at func(*JobConfig) *Rate) configField {
	return configField{
		name: "rate",
		write: func(c *JobConfig) any {
			if at(c).IsZero() {
				return nil
			}
			return at(c).String()
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			if err := at(c).UnmarshalJSON(raw); err != nil {
				f.add("rate", "%v", err)
			}
		},
	}
}

func secondsField(name string, always bool, at func(*JobConfig) *time.Duration) configField {
	return configField{
		name: name,
		write: func(c *JobConfig) any {
			if *at(c) == 0 && !always {
				return nil
			}
			return formatSeconds(*at(c))
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			d, err := parseSeconds(scalar(raw))
			if *at(c) = d; err != nil {
				f.add(name, "%v, not %s", err, textkit.Shorten(string(raw)))
			}
		},
	}
}

// negatableField writes the value that stands for none as 0, which is what a reader
// takes 0 seconds for; the zero value, which stands for the default, is left out.
func negatableField(name string, none time.Duration, at func(*JobConfig) *time.Duration) configField {
	field := secondsField(name, false, at)
	write, read := field.write, field.read
	field.write = func(c *JobConfig) any {
		if *at(c) == none {
			return 0
		}
		return write(c)
	}
	field.read = func(c *JobConfig, raw json.RawMessage, f *faults) {
		if read(c, raw, f); *at(c) == 0 {
			*at(c) = none
		}
	}
	return field
}

func flagField(name string, at func(*JobConfig) *bool) configField {
	return configField{
		name:  name,
		write: func(c *JobConfig) any { return leaveOut(*at(c), false) },
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			switch text := scalar(raw); text {
			case "true", "false":
				*at(c) = text == "true"
			default:
				f.add(name, "must be true or false, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

func variablesField() configField {
	return mapField("variables", func(c *JobConfig) *map[string]string { return &c.Variables },
		func(raw json.RawMessage) (string, error) {
			text := scalar(raw)
			if text == "" && string(raw) != `""` {
				return "", errors.New("must be text, a number, true or false")
			}
			return text, nil
		})
}

func weightsField() configField {
	return mapField("weights", func(c *JobConfig) *map[string]float64 { return &c.Weights },
		func(raw json.RawMessage) (float64, error) {
			text := scalar(raw)
			w, err := strconv.ParseFloat(text, 64)
			if err != nil || !textkit.IsDecimal(text) {
				return 0, errors.New("must be a number")
			}
			return w, nil
		})
}

func textsField(name string, at func(*JobConfig) *map[string]string) configField {
	return mapField(name, at,
		func(raw json.RawMessage) (text string, err error) {
			if json.Unmarshal(raw, &text) != nil {
				return "", errors.New("must be text")
			}
			return text, nil
		})
}

func mapField[V any](name string, at func(*JobConfig) *map[string]V, value func(json.RawMessage) (V, error)) configField {
	return configField{
		name: name,
		write: func(c *JobConfig) any {
			if len(*at(c)) == 0 {
				return nil
			}
			return *at(c)
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				f.add(name, "must be a JSON object, not %s", textkit.Shorten(string(raw)))
				return
			}
			for _, key := range textkit.SortedKeys(object) {
				if textkit.IsNull(object[key]) {
					delete(*at(c), key)
					continue
				}
				v, err := value(object[key])
				if err != nil {
					f.add(name+"."+textkit.Shorten(key), "%v, not %s", err, textkit.Shorten(string(object[key])))
					continue
				}
				if *at(c) == nil {
					*at(c) = map[string]V{}
				}
				(*at(c))[key] = v
			}
		},
	}
}

// leaveOut is nil for a zero value, unless that is always written.
func leaveOut[T comparable](v T, always bool) any {
	var zero T
	if v == zero && !always {
		return nil
	}
	return v
}

// scalar is the text of a JSON value: what a string holds, or a number, true or
// false as it is spelled. It is "" for an object, an array or null.
func scalar(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n' {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// parseWhole reads a whole number, also in a spelling like 4.0 or 4e2, which
// senders that know only floating point use.
func parseWhole[T int64 | uint64](s string, parse func(string, int, int) (T, error)) (T, bool) {
	if n, err := parse(s, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !textkit.IsDecimal(s) || x != math.Trunc(x) || math.Abs(x) > maxExactFloat {
		return 0, false
	}
	n := T(x)
	return n, float64(n) == x
}

// parseSeconds reads a number of seconds ("0.600"), exact to the nanosecond, or a
// Go duration ("1m30s").
func parseSeconds(s string) (time.Duration, error) {
	if !textkit.IsDecimal(s) {
		if d, err := time.ParseDuration(s); err == nil && len(s) <= textkit.MaxNumberLen {
			return d, nil
		}
		return 0, errSeconds
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errSecondsRange
	case err != nil:
		return 0, errSeconds
	case math.Abs(x) < 1e-10:
		return 0, nil // and an exponent of any size is out of the way
	case math.Abs(x) > math.MaxInt64/float64(time.Second):
		return 0, errSecondsRange
	}
	exact, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, errSeconds
	}
	exact.Mul(exact, big.NewRat(int64(time.Second), 1))
	n, err := strconv.ParseInt(exact.FloatString(0), 10, 64)
	if err != nil {
		return 0, errSecondsRange
	}
	return time.Duration(n), nil
}

var (
	errSeconds      = errors.New(`must be a number of seconds or a duration, for instance 0.6 or "1m30s"`)
	errSecondsRange = errors.New("must be less than 9e9 seconds")
)

// formatSeconds writes a duration in seconds, with as many decimals as it needs.
func formatSeconds(d time.Duration) json.Number {
	sign, ns := "", uint64(d)
	if d < 0 {
		sign, ns = "-", -ns
	}
	s := fmt.Sprintf("%s%d.%09d", sign, ns/uint64(time.Second), ns%uint64(time.Second))
	return json.Number(strings.TrimRight(strings.TrimRight(s, "0"), "."))
}
