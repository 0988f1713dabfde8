package httpapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// documents has what docs/openapi.yaml says, and keeps what it was asked for.
type documents struct{ asked [][2]time.Time }

func (d *documents) JobVerdict(job string, from, to time.Time) any {
	d.asked = append(d.asked, [2]time.Time{from, to})
	counts := map[string]any{"job": job, "time": time.Now(), "ok": true, "settled": false}
	for _, name := range []string{
		"sent", "sampled", "unanswered", "found", "pending", "missing", "late", "duplicated", "orphaned", "wrong_name", "wrong_outcome", "no_error",
		"error_docs", "expected_errors", "too_long", "broken", "wrong_sampled", "unsampled_found", "untracked",
	} {
		counts[name] = 0
	}
	counts["delay"] = map[string]float64{"p50_s": 0, "p99_s": 0, "max_s": 0}
	counts["strange"] = map[string]int{"traces": 0, "documents": 0, "rejected": 0, "refused": 0}
	counts["tasks"] = []any{}
	return counts
}

func TestVerdictOnWhatAgentsSay(t *testing.T) {
	d := &documents{}
	s := serve(t, httpapi.WithDocuments(d))
	s.ok(s.start(`{"job":"python","port":8000}`))
	const from, to = "2026-11-26T12:00:00Z", "2026-11-26T12:01:00Z"
	for _, query := range []string{"", "?from=" + from + "&to=" + to, "?to=2200-01-01T00:00:00Z", "?from=2020-01-01T00:00:00Z"} {
		a := s.get("/api/jobs/python/apm" + query)
		require.Equal(t, 200, a.status, a.body)
		assert.Contains(t, a.body, `"job":"python"`)
	}
	assert.Zero(t, d.asked[0])
	for i, text := range []string{from, to} {
		assert.Equal(t, text, d.asked[1][i].Format(time.RFC3339))
	}
	assert.Equal(t, s.job("python").Snapshot().Started, d.asked[2][0], "the begin that is left out is that of the run")
	assert.False(t, d.asked[3][1].IsZero())
	asked := len(d.asked)
	for _, query := range []string{"?from=yesterday", "?from=" + to + "&to=" + from, "?from=" + from + "&from=" + to, "?since=" + from, "?from=0001-01-01T00:00:00Z"} {
		assert.Equal(t, 400, s.get("/api/jobs/python/apm"+query).status, query)
	}
	assert.Len(t, d.asked, asked)
	assert.Equal(t, 404, s.get("/api/jobs/none/apm").status)

	without := serve(t)
	without.ok(without.start(`{"job":"python","port":8000}`))
	a := without.get("/api/jobs/python/apm")
	assert.Equal(t, 404, a.status)
	assert.Contains(t, a.body, "-apm")
}

func TestTracesBehindPercentiles(t *testing.T) {
	traces, err := loadgen.NewTraceExemplars("http://kibana/{trace_id}")
	require.NoError(t, err)
	s := serve(t, httpapi.WithTraces(traces))
	s.ok(s.start(`{"job":"python","port":8000,"trace":true,"max_iterations":3,"delay":0}`))
	j := s.job("python")
	require.NoError(t, j.Wait(t.Context()))
	assert.JSONEq(t, `{"job":"python","traces":[]}`, s.get("/api/jobs/python/traces").body)

	id := loadgen.TraceContext{TraceID: loadgen.TraceID{1}, SpanID: loadgen.SpanID{2}, Sampled: true}
	traces.Observe(loadgen.Sample{Job: "python", Task: "root", Status: 200, Start: time.Now(), Service: time.Hour, Trace: id})
	var got httpapi.Traces
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs/python/traces").body), &got))
	require.Len(t, got.Traces, 1)
	e := got.Traces[0]
	assert.Equal(t, "max", e.Percentile)
	assert.Equal(t, "root", e.Task)
	assert.InDelta(t, 3.6e6, e.Service, 0)
	assert.Equal(t, "http://kibana/01000000000000000000000000000000", e.URL)
	assert.Equal(t, 404, s.get("/api/jobs/none/traces").status)
}
