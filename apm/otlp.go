package apm

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/opbeans/loadgen"
)

// OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp. A request to export
// has the form of TracesData, whose package, other than that of the service, needs no
// gRPC.

// decodeOTLP reads the spans of a request. Those without proper ids are not taken;
// rejected counts them.
func decodeOTLP(body []byte, asJSON bool) (docs []Document, rejected int, err error) {
	data := &tracepb.TracesData{}
	if asJSON {
		if body, err = base64IDs(body); err == nil {
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, data)
		}
	} else {
		err = proto.Unmarshal(body, data)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the request cannot be decoded: %w", err)
	}
	for _, resource := range data.GetResourceSpans() {
		attributes := resource.GetResource().GetAttributes()
		service := attribute(attributes, "service.name").GetStringValue()
		agent := "otel/" + attribute(attributes, "telemetry.sdk.language").GetStringValue()
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				d, ok := spanDocument(span)
				if !ok {
					rejected++
					continue
				}
				d.Service, d.Agent = service, agent
				docs = append(docs, d)
			}
		}
	}
	return docs, rejected, nil
}

func attribute(list []*commonpb.KeyValue, key string) *commonpb.AnyValue {
	for _, a := range list {
		if a.GetKey() == key {
			return a.GetValue()
		}
	}
	return nil
}

// spanDocument is false for a span without proper ids.
func spanDocument(s *tracepb.Span) (d Document, ok bool) {
	d = Document{Protocol: OTel, Kind: Span, Name: s.GetName(), Sampled: true}
	if copy(d.Trace[:], s.GetTraceId()) != 16 || len(s.GetTraceId()) != 16 || copy(d.ID[:], s.GetSpanId()) != 8 || len(s.GetSpanId()) != 8 ||
		d.Trace == (loadgen.TraceID{}) || d.ID == (loadgen.SpanID{}) {
		return d, false
	}
	if parent := s.GetParentSpanId(); len(parent) == 8 {
		copy(d.Parent[:], parent)
	}
	switch s.GetKind() {
	case tracepb.Span_SPAN_KIND_SERVER:
		d.Kind = Transaction
	case tracepb.Span_SPAN_KIND_CONSUMER:
		d.Kind, d.Async = Transaction, true
	case tracepb.Span_SPAN_KIND_PRODUCER:
		d.Async = true
	}
	if from, to := s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano(); to > from {
		d.Duration = time.Duration(min(to-from, math.MaxInt64/2))
	}
	switch s.GetStatus().GetCode() {
	case tracepb.Status_STATUS_CODE_OK:
		d.Outcome = OutcomeSuccess
	case tracepb.Status_STATUS_CODE_ERROR:
		d.Outcome = OutcomeFailure
	}
	for _, name := range []string{"http.response.status_code", "http.status_code"} { // of now, and of before 2023
		if v := attribute(s.GetAttributes(), name); v != nil {
			status := v.GetIntValue()
			if text := v.GetStringValue(); text != "" {
				status, _ = strconv.ParseInt(text, 10, 16)
			}
			d.Status = int(min(max(status, 0), 999))
			break
		}
	}
	for _, e := range s.GetEvents() {
		if e.GetName() == "exception" {
			d.Exceptions++
		}
	}
	return d, true
}

// base64IDs makes the ids of OTLP in JSON, which are hexadecimal, what they are in JSON of
// other protobuf messages.
func base64IDs(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the end of the JSON")
	}
	convertIDs(tree)
	return json.Marshal(tree)
}

func convertIDs(tree any) {
	switch t := tree.(type) {
	case []any:
		for _, x := range t {
			convertIDs(x)
		}
	case map[string]any:
		for key, x := range t {
			switch key {
			case "traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id":
				if text, ok := x.(string); ok {
					id, err := hex.DecodeString(text)
					if err != nil {
						id = nil // no id: the span is rejected, the others are not
					}
					t[key] = base64.StdEncoding.EncodeToString(id)
				}
			default:
				convertIDs(x)
			}
		}
	}
}

// otlpAnswer is an ExportTraceServiceResponse, with a partial success if spans were
// rejected.
func otlpAnswer(rejected int, message string, asJSON bool) []byte {
	if asJSON {
		if rejected == 0 {
			return []byte("{}")
		}
		b, _ := json.Marshal(map[string]any{"partialSuccess": map[string]any{"rejectedSpans": strconv.Itoa(rejected), "errorMessage": message}})
		return b
	}
	if rejected == 0 {
		return nil
	}
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(rejected))
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}

// otlpError is a google.rpc.Status, which tells what has gone wrong.
func otlpError(code int, message string, asJSON bool) []byte {
	if asJSON {
		b, _ := json.Marshal(map[string]any{"code": code, "message": message})
		return b
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), message)
}
