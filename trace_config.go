package loadgen

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/jsonform"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/tracecontext"
)

// NoSampling as a JobConfig's TraceRatio marks no trace as sampled.
const NoSampling = -1

// checkTrace looks at the settings of trace context.
func (c *JobConfig) checkTrace(f *fault.List) {
	if r := c.TraceRatio; r != NoSampling && !(r >= 0 && r <= 1) {
		f.Add("trace_ratio", "must be a number from 0 to 1, not %v", r)
	}
	if err := tracecontext.CheckState(c.TraceState); err != nil {
		f.Add("tracestate", "%v", err)
	}
	if err := tracecontext.CheckBaggage(c.Baggage); err != nil {
		f.Add("baggage", "%v", err)
	}
	written := []string{client.TraceparentField}
	if c.TraceState != "" {
		written = append(written, client.TracestateField)
	}
	if c.Baggage != "" {
		written = append(written, client.BaggageField)
	}
	if h := http.CanonicalHeaderKey(c.TraceHeader); h != "" {
		switch {
		case !textkit.IsToken(h):
			f.Add("trace_header", "is not a valid name of an HTTP header: %q", c.TraceHeader)
		case client.FramingHeader(h), client.Private(h), slices.Contains([]string{
			client.TraceparentField, client.TracestateField, client.BaggageField, "Host", "Connection", "Expect", "Accept-Encoding", "Upgrade", "Keep-Alive", "Te",
		}, h):
			f.Add("trace_header", "must be a header that has no meaning yet, for instance X-Loadgen, not %s", h)
		}
		written = append(written, h)
	}
	if !c.Trace {
		return
	}
	for _, name := range textkit.SortedKeys(c.Headers) {
		if slices.Contains(written, http.CanonicalHeaderKey(name)) {
			f.Add("headers."+name, "is written by trace; leave one of the two out")
		}
	}
}

// traceRatioField writes NoSampling as 0, which is what a reader takes 0 for; the zero
// value, which stands for the default, is left out.
func traceRatioField() configField {
	const name = "trace_ratio"
	return configField{
		Name: name,
		Write: func(c *JobConfig) any {
			if c.TraceRatio == NoSampling {
				return 0
			}
			return jsonform.LeaveOut(c.TraceRatio, false)
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			text := jsonform.Scalar(raw)
			r, err := strconv.ParseFloat(text, 64)
			if err != nil || !textkit.IsDecimal(text) || r < 0 { // so that -1 does not mean NoSampling
				f.Add(name, "must be a number from 0 to 1, not %s", textkit.Shorten(string(raw)))
				return
			}
			if c.TraceRatio = r; r == 0 {
				c.TraceRatio = NoSampling
			}
		},
	}
}
