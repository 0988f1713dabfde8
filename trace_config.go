package loadgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// NoSampling as a JobConfig's TraceRatio marks no trace as sampled.
const NoSampling = -1

// Limits of the standards: W3C Trace Context, section 3.3, and W3C Baggage, section 3.3.
const (
	maxTraceState        = 512
	maxTraceStateMembers = 32
	maxBaggage           = 8192
	maxBaggageMembers    = 64
)

// checkTrace looks at the settings of trace context.
func (c *JobConfig) checkTrace(f *faults) {
	if r := c.TraceRatio; r != NoSampling && !(r >= 0 && r <= 1) {
		f.add("trace_ratio", "must be a number from 0 to 1, not %v", r)
	}
	if err := checkTraceState(c.TraceState); err != nil {
		f.add("tracestate", "%v", err)
	}
	if err := checkBaggage(c.Baggage); err != nil {
		f.add("baggage", "%v", err)
	}
	written := []string{traceparentField}
	if c.TraceState != "" {
		written = append(written, tracestateField)
	}
	if c.Baggage != "" {
		written = append(written, baggageField)
	}
	if h := http.CanonicalHeaderKey(c.TraceHeader); h != "" {
		switch {
		case !validHeaderName(h):
			f.add("trace_header", "is not a valid name of an HTTP header: %q", c.TraceHeader)
		case framingHeader(h), private(h), slices.Contains([]string{
			traceparentField, tracestateField, baggageField, "Host", "Connection", "Expect", "Accept-Encoding", "Upgrade", "Keep-Alive", "Te",
		}, h):
			f.add("trace_header", "must be a header that has no meaning yet, for instance X-Loadgen, not %s", h)
		}
		written = append(written, h)
	}
	if !c.Trace {
		return
	}
	for _, name := range sortedKeys(c.Headers) {
		if slices.Contains(written, http.CanonicalHeaderKey(name)) {
			f.add("headers."+name, "is written by trace; leave one of the two out")
		}
	}
}

// checkTraceState holds text against the grammar of a tracestate header.
func checkTraceState(s string) error {
	seen := map[string]bool{}
	return checkMembers(s, maxTraceState, maxTraceStateMembers, func(key, value string) error {
		for i, c := range []byte(key) {
			first := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
			if !first && (i == 0 || !strings.ContainsRune("_-*/@", rune(c))) {
				return fmt.Errorf("key %q must have lower-case letters, digits and _-*/@ alone", key)
			}
		}
		if len(key) > 256 || len(value) > 256 {
			return errors.New("keys and values must be at most 256 bytes long")
		}
		if value == "" || strings.Contains(value, "=") {
			return fmt.Errorf("the value of %q must not be empty or have an equals sign", key)
		}
		if seen[key] {
			return fmt.Errorf("has the key %q twice", key)
		}
		seen[key] = true
		return nil
	})
}

// checkBaggage holds text against the grammar of a baggage header.
func checkBaggage(s string) error {
	return checkMembers(s, maxBaggage, maxBaggageMembers, func(key, value string) error {
		if key = strings.TrimSpace(key); !validHeaderName(key) {
			return fmt.Errorf("key %q must be a token", key)
		}
		value, _, _ = strings.Cut(value, ";") // properties
		if strings.ContainsAny(strings.TrimSpace(value), " \"\\") {
			return fmt.Errorf("the value of %q must escape spaces, quotes and backslashes, as %%20, %%22 and %%5C", key)
		}
		return nil
	})
}

// checkMembers holds text against the form KEY=VALUE,KEY=VALUE.
func checkMembers(s string, most, members int, check func(key, value string) error) error {
	if s == "" {
		return nil
	}
	if len(s) > most {
		return fmt.Errorf("must be at most %d bytes long, not %d", most, len(s))
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return errors.New("must be printable ASCII")
		}
	}
	list := strings.Split(s, ",")
	if len(list) > members {
		return fmt.Errorf("must have at most %d members, not %d", members, len(list))
	}
	for _, member := range list {
		key, value, ok := strings.Cut(strings.TrimSpace(member), "=")
		if !ok || key == "" {
			return fmt.Errorf("must be KEY=VALUE, or several of that with commas in between, not %s", abbreviate(s))
		}
		if err := check(key, value); err != nil {
			return err
		}
	}
	return nil
}

// traceRatioField writes NoSampling as 0, which is what a reader takes 0 for; the zero
// value, which stands for the default, is left out.
func traceRatioField() configField {
	const name = "trace_ratio"
	return configField{
		name: name,
		write: func(c *JobConfig) any {
			if c.TraceRatio == NoSampling {
				return 0
			}
			return leaveOut(c.TraceRatio, false)
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			text := scalar(raw)
			r, err := strconv.ParseFloat(text, 64)
			if err != nil || !isDecimal(text) || r < 0 { // so that -1 does not mean NoSampling
				f.add(name, "must be a number from 0 to 1, not %s", abbreviate(string(raw)))
				return
			}
			if c.TraceRatio = r; r == 0 {
				c.TraceRatio = NoSampling
			}
		},
	}
}
