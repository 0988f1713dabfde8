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

// TraceConfig says whether the requests of a job carry trace context, and which. Its fields
// are keys of the JSON form of [JobConfig], beside the others: trace, trace_ratio, tracestate,
// baggage and trace_header.
type TraceConfig struct {
	// Enabled makes every request carry trace context, after the standard of the W3C: a
	// header traceparent with ids that follow from the seed, the name of the job, the
	// VU, its iteration and the step there, so that a run with the same seed has the
	// same ids; a job that was resumed (see [Manager.Restore]) has other ones from then
	// on. The hops of a redirect are spans of one trace; a request is sent again with
	// the same ids only where a kept connection had died under it. A request that sets
	// one of these headers itself keeps its own.
	Enabled bool
	// Ratio is the share of traces that are marked as sampled, from 0 to 1.
	// Default 1; Off for none.
	Ratio float64
	// State and Baggage, if not empty, are sent as tracestate and baggage with
	// each traced request, for instance "es=s:1" and "tenant=7,plan=gold". Baggage, like
	// the header of Header, does not follow a redirect to another origin.
	State, Baggage string
	// Header is the name of a header in which each traced request says where it
	// comes from: "job=shop,task=list%20products,revision=3", with names escaped as in
	// URLs. Empty: none.
	Header string
}

// checkTrace looks at the settings of trace context.
func (c *JobConfig) checkTrace(f *fault.List) {
	if r := c.Trace.Ratio; r != Off && !(r >= 0 && r <= 1) {
		f.Add("trace_ratio", "must be a number from 0 to 1, not %v", r)
	}
	if err := tracecontext.CheckState(c.Trace.State); err != nil {
		f.Add("tracestate", "%v", err)
	}
	if err := tracecontext.CheckBaggage(c.Trace.Baggage); err != nil {
		f.Add("baggage", "%v", err)
	}
	written := []string{client.TraceparentField}
	if c.Trace.State != "" {
		written = append(written, client.TracestateField)
	}
	if c.Trace.Baggage != "" {
		written = append(written, client.BaggageField)
	}
	if h := http.CanonicalHeaderKey(c.Trace.Header); h != "" {
		switch {
		case !textkit.IsToken(h):
			f.Add("trace_header", "is not a valid name of an HTTP header: %q", c.Trace.Header)
		case client.FramingHeader(h), client.Private(h), slices.Contains([]string{
			client.TraceparentField, client.TracestateField, client.BaggageField, "Host", "Connection", "Expect", "Accept-Encoding", "Upgrade", "Keep-Alive", "Te",
		}, h):
			f.Add("trace_header", "must be a header that has no meaning yet, for instance X-Loadgen, not %s", h)
		}
		written = append(written, h)
	}
	if !c.Trace.Enabled {
		return
	}
	for _, name := range textkit.SortedKeys(c.Headers) {
		if slices.Contains(written, http.CanonicalHeaderKey(name)) {
			f.Add("headers."+name, "is written by trace; leave one of the two out")
		}
	}
}

// traceFields lists the keys of c.Trace in the JSON form of c.
func traceFields() []configField {
	return []configField{
		jsonform.Flag("trace", func(c *JobConfig) *bool { return &c.Trace.Enabled }),
		traceRatioField(),
		jsonform.Text("tracestate", false, func(c *JobConfig) *string { return &c.Trace.State }),
		jsonform.Text("baggage", false, func(c *JobConfig) *string { return &c.Trace.Baggage }),
		jsonform.Text("trace_header", false, func(c *JobConfig) *string { return &c.Trace.Header }),
	}
}

func traceRatioField() configField {
	const name = "trace_ratio"
	return configField{
		Name:  name,
		Write: func(c *JobConfig) any { return jsonform.LeaveOut(c.Trace.Ratio, false) },
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			text := jsonform.Scalar(raw)
			r, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil || !textkit.IsDecimal(text) || r < 0 && r != Off:
				f.Add(name, "must be a number above 0 and at most 1, or -1 to mark no trace, not %s", textkit.Shorten(string(raw)))
			case r == 0:
				f.Add(name, "must not be 0: -1 marks no trace as sampled; without it all are")
			default:
				c.Trace.Ratio = r
			}
		},
	}
}
