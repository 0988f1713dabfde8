package apm_test

import (
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/opbeans/loadgen/apm"
)

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func exported(service string, spans ...*tracepb.Span) *tracepb.TracesData {
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", service), text("telemetry.sdk.language", "go")}},
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}},
	}}}
}

// serverSpan is the OpenTelemetry form of what has become of request number n.
func serverSpan(n uint64, status int64) *tracepb.Span {
	traceID, id, parent := trace(n), span(n), clientSpan(n)
	s := &tracepb.Span{
		TraceId: traceID[:], SpanId: id[:], ParentSpanId: parent[:], Name: "GET /home", Kind: tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: 1e18, EndTimeUnixNano: 1e18 + 50e6,
		Attributes: []*commonpb.KeyValue{{Key: "http.response.status_code", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: status}}}},
	}
	if status >= 500 {
		s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
		s.Events = []*tracepb.Span_Event{{Name: "exception"}, {Name: "other"}}
	}
	return s
}

// inJSON is OTLP in JSON: as protojson has it, but for the ids.
func inJSON(t *testing.T, data *tracepb.TracesData) string {
	t.Helper()
	copied := proto.CloneOf(data)
	names := map[string]string{}
	for _, r := range copied.ResourceSpans {
		for _, sc := range r.ScopeSpans {
			for _, s := range sc.Spans {
				for _, id := range []*[]byte{&s.TraceId, &s.SpanId, &s.ParentSpanId} {
					mark := fmt.Sprintf("id%07d", len(names)) // base64 of itself, in a sense
					names[mark] = hex.EncodeToString(*id)
					*id = []byte(mark)
				}
			}
		}
	}
	b, err := protojson.Marshal(copied)
	require.NoError(t, err)
	out := string(b)
	for mark, id := range names {
		m, err := protojson.Marshal(&commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte(mark)}})
		require.NoError(t, err)
		_, encoded, _ := strings.Cut(strings.ReplaceAll(string(m), " ", ""), `:"`)
		out = strings.ReplaceAll(out, `"`+strings.TrimSuffix(encoded, `"}`)+`"`, `"`+id+`"`)
	}
	return out
}

func TestOTLP(t *testing.T) {
	child := &tracepb.Span{Name: "SELECT", Kind: tracepb.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: 1e18, EndTimeUnixNano: 1e18 + 1e6}
	traceID, id, parent := trace(1), span(100), span(1)
	child.TraceId, child.SpanId, child.ParentSpanId = traceID[:], id[:], parent[:]
	behind := serverSpan(1, 200)
	behindID := span(101)
	behind.SpanId, behind.ParentSpanId, behind.Name = behindID[:], id[:], "stock"
	data := exported("shop", serverSpan(1, 500), child, serverSpan(2, 200))
	data.ResourceSpans = append(data.ResourceSpans, exported("stock", behind).ResourceSpans...)
	binary, err := proto.Marshal(data)
	require.NoError(t, err)
	for name, a := range map[string]ask{
		"protobuf":         {kind: "application/x-protobuf", body: string(binary)},
		"protobuf in gzip": {kind: "application/x-protobuf", encoding: "gzip", body: compressed(t, "gzip", string(binary))},
		"json":             {kind: "application/json", body: inJSON(t, data)},
		"json in gzip":     {kind: "application/json; charset=utf-8", encoding: "gzip", body: compressed(t, "gzip", inJSON(t, data))},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, apm.LedgerConfig{})
			server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{}))
			defer server.Close()
			failing := sample(1)
			failing.Status = 500
			l.Observe(failing)
			l.Observe(sample(2))
			a.path = "/v1/traces"
			res, body := a.do(t, server.URL)
			assert.Equal(t, 200, res.StatusCode)
			assert.Equal(t, strings.Split(a.kind, ";")[0], res.Header.Get("Content-Type"))
			if strings.HasPrefix(a.kind, "application/json") {
				assert.JSONEq(t, `{}`, body)
			} else {
				assert.Empty(t, body)
			}
			l.Finish("shop")
			v := l.Verdict("shop")
			assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Found: 2, ErrorDocs: 1, ExpectedErrors: 1}, v.Counts)
			require.Len(t, v.Tasks[0].Paths, 2)
			assert.Equal(t, apm.PathCount{Services: []string{"shop", "stock"}, Depth: 2, Count: 1}, v.Tasks[0].Paths[1])
		})
	}
}

// TestOTLPAnswers are those of the specification.
func TestOTLPAnswers(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{}))
	defer server.Close()
	const protobuf, asJSON = "application/x-protobuf", "application/json"

	bad := serverSpan(2, 200)
	bad.SpanId = bad.SpanId[:3]
	zero := serverSpan(3, 200)
	zero.TraceId = make([]byte, 16)
	data := exported("shop", serverSpan(1, 200), bad, zero)
	res, body := ask{path: "/v1/traces", kind: asJSON, body: inJSON(t, data)}.do(t, server.URL)
	assert.Equal(t, 200, res.StatusCode)
	assert.JSONEq(t, `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"spans must have a trace id of 16 bytes and a span id of 8, not all zero"}}`, body)
	assert.EqualValues(t, 1, l.Verdict("shop").Found, "what is good is taken")
	assert.EqualValues(t, 2, l.Verdict("shop").Strange.Rejected)

	binary, err := proto.Marshal(data)
	require.NoError(t, err)
	res, body = ask{path: "/v1/traces", kind: protobuf, body: string(binary)}.do(t, server.URL)
	assert.Equal(t, 200, res.StatusCode)
	assert.Contains(t, body, "spans must have")
	assert.Equal(t, []byte{0x0a, byte(len(body) - 2), 0x08, 2, 0x12, byte(len(body) - 6)}, []byte(body)[:6]) // partial_success {rejected_spans: 2, error_message}

	for _, kind := range []string{protobuf, asJSON} {
		res, body = ask{path: "/v1/traces", kind: kind, body: "{{{"}.do(t, server.URL)
		assert.Equal(t, 400, res.StatusCode)
		assert.Equal(t, kind, res.Header.Get("Content-Type"))
		assert.Contains(t, body, "the request cannot be decoded")
		for _, path := range []string{"/v1/metrics", "/v1/logs"} {
			res, _ = ask{path: path, kind: kind, body: "anything"}.do(t, server.URL)
			assert.Equal(t, 200, res.StatusCode, "else an exporter of these complains all the time")
		}
	}
	res, _ = ask{path: "/v1/traces", kind: "text/plain"}.do(t, server.URL)
	assert.Equal(t, 415, res.StatusCode)
	res, _ = ask{path: "/v1/traces", kind: asJSON, encoding: "zstd"}.do(t, server.URL)
	assert.Equal(t, 415, res.StatusCode)
	res, _ = ask{method: "GET", path: "/v1/traces"}.do(t, server.URL)
	assert.Equal(t, 405, res.StatusCode)
}
