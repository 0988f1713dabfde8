package exemplar

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/stats"
	"github.com/opbeans/loadgen/tracecontext"
)

func TestTraceExemplarsStandBehindPercentiles(t *testing.T) {
	traces, err := NewTraces("https://kibana/{trace_id}?span={span_id}")
	require.NoError(t, err)
	start := time.Unix(1000, 0)
	s := &stats.Snapshot{Job: "shop", Started: start}
	observe := func(at time.Time, service time.Duration, n int, sampled bool) {
		traces.Observe(stats.Sample{
			Job: "shop", Task: fmt.Sprint("task ", n), Start: at, Service: service, Status: 200,
			Trace: tracecontext.Context{TraceID: tracecontext.TraceID{15: byte(n)}, SpanID: tracecontext.SpanID{7: byte(n)}, Sampled: sampled},
		})
	}
	observe(start.Add(-time.Hour), time.Millisecond, 1, true) // another run
	for i := range 1000 {
		service := time.Millisecond
		if i >= 980 {
			service = 100 * time.Millisecond
		}
		s.Service.Record(service)
		observe(start.Add(time.Second), service, 2+i/980, true)
	}
	s.Service.Record(time.Second)
	observe(start.Add(time.Second), time.Second, 4, true)
	observe(start.Add(time.Second), 10*time.Second, 5, false) // no interface has it

	list := traces.Of(s)
	require.Len(t, list, 3, "the same request is told once")
	for i, want := range []struct {
		percentile, task string
		service          time.Duration
	}{{"p95", "task 2", time.Millisecond}, {"p99.9", "task 3", 100 * time.Millisecond}, {"max", "task 4", time.Second}} {
		assert.Equal(t, want.percentile, list[i].Percentile)
		assert.Equal(t, want.task, list[i].Task)
		assert.Equal(t, want.service, list[i].Service)
	}
	assert.Equal(t, "https://kibana/00000000000000000000000000000004?span=0000000000000004", list[2].URL)
	assert.Empty(t, traces.Of(&stats.Snapshot{Job: "other"}))
}

// TestTraceExemplarsAreNear holds what the documentation says of how near they are.
func TestTraceExemplarsAreNear(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		traces, err := NewTraces("")
		require.NoError(t, err)
		s := &stats.Snapshot{Job: "shop", Started: time.Unix(1000, 0)}
		center, spread := 5+15*rng.Float64(), 3*rng.Float64() // of the logarithm: 150 ns to 0.5 s
		for n := range uint64(1000) {
			service := time.Duration(math.Exp(center + spread*rng.NormFloat64()))
			s.Service.Record(service)
			id := tracecontext.Context{Sampled: true}
			binary.BigEndian.PutUint64(id.SpanID[:], n)
			traces.Observe(stats.Sample{Job: "shop", Start: s.Started, Service: service, Status: 200, Trace: id})
		}
		list := traces.Of(s)
		require.NotEmpty(t, list)
		for _, e := range list {
			at := s.Service.Max()
			if e.Percentile != "max" {
				percent, err := strconv.ParseFloat(strings.TrimPrefix(e.Percentile, "p"), 64)
				require.NoError(t, err)
				at = s.Service.Quantile(percent / 100)
			}
			off := (e.Service - at).Abs()
			assert.LessOrEqual(t, off, max(at*8/100, 2*time.Microsecond), "%s is %s", e.Percentile, at)
		}
	}
}

func TestTraceExemplarsAreBounded(t *testing.T) {
	traces, err := NewTraces("")
	require.NoError(t, err)
	for i := range 2 * maxTracedJobs {
		for d := time.Duration(1); d > 0 && d < 1000*time.Hour; d *= 3 {
			traces.Observe(stats.Sample{Job: fmt.Sprint(i), Status: 200, Service: d, Trace: tracecontext.Context{Sampled: true}})
		}
	}
	assert.Len(t, traces.jobs, maxTracedJobs)
	for _, of := range traces.jobs {
		assert.Less(t, len(*of), 64*16)
	}
}

func TestTraceURLTemplate(t *testing.T) {
	for template, fault := range map[string]string{
		"":                                 "",
		"http://kibana:5601/t/{trace_id}":  "",
		"http://kibana:5601/t/":            "must have {trace_id}",
		"kibana/{trace_id}":                "must be an http or https URL",
		"javascript:alert('{trace_id}')":   "must be an http or https URL",
		"http://u:secret@kibana{trace_id}": "no user or password",
		"http://kibana/\n{trace_id}":       "must be an http or https URL",
	} {
		_, err := NewTraces(template)
		if fault == "" {
			assert.NoError(t, err, template)
			continue
		}
		require.ErrorContains(t, err, fault, template)
		assert.NotContains(t, err.Error(), "secret")
	}
}
