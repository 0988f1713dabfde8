package loadgen

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/testtarget"
	"github.com/opbeans/loadgen/tracecontext"
)

// tracesOf runs a job with hooks in virtual time and returns its trace contexts in the
// order of what they were sent for, and the exemplars.
func tracesOf(t *testing.T, cfg JobConfig) (ids map[TraceContext]int, kept Exemplars) {
	t.Helper()
	ids = map[TraceContext]int{}
	synctest.Test(t, func(t *testing.T) {
		got := &testtarget.Traced{}
		dial, stop := memnet.Serve(got)
		defer stop()
		m := New(WithDialContext(dial), WithExemplars(1))
		defer m.Close()
		get := func(ctx context.Context, vu *VU) error {
			if err := vu.Get(ctx, "/"); err != nil {
				return err
			}
			return vu.Get(ctx, "/")
		}
		cfg.BaseURL, cfg.Trace.Enabled = "http://shop.test", true
		cfg.Scenario = NewScenario("s").Task("a", 1, get).Setup(get).Teardown(get).VUSetup(get).VUTeardown(get)
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
		for _, c := range got.Contexts(t, "/") {
			ids[c]++
		}
		kept = j.Exemplars()
	})
	return ids, kept
}

func TestTraceIDsRepeatWithTheSeedAndNeverWithinARun(t *testing.T) {
	cfg := JobConfig{Name: "x", Seed: 42, MaxIterations: 20}
	first, kept := tracesOf(t, cfg)
	assert.Len(t, first, 2*(20+4), "iterations and hooks have traces of their own")
	again, _ := tracesOf(t, cfg)
	assert.Equal(t, first, again)
	require.Len(t, kept.Slowest, 1)
	e := kept.Slowest[0]
	assert.Contains(t, first, TraceContext{TraceID: e.TraceID, SpanID: e.SpanID, Sampled: true}, "exemplars tell their trace")

	for _, other := range []JobConfig{{Name: "x", Seed: 43, MaxIterations: 20}, {Name: "y", Seed: 42, MaxIterations: 20}} {
		ids, _ := tracesOf(t, other)
		for c := range ids {
			assert.NotContains(t, first, c)
		}
	}
}

// What a job did after it was last recorded is unknown when it is resumed, perhaps twice
// from the same record.
func TestTraceIDsOfAResumedJobAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := &testtarget.Traced{}
		dial, stop := memnet.Serve(got)
		defer stop()
		cfg := JobConfig{
			Name: "x", Seed: 42, BaseURL: "http://shop.test", Trace: TraceConfig{Enabled: true}, Workers: 2, Delay: time.Second, Duration: time.Minute,
			Scenario: NewScenario("s").Task("a", 1, func(ctx context.Context, vu *VU) error { return vu.Get(ctx, "/") }),
		}
		m := New(WithDialContext(dial))
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		time.Sleep(5500 * time.Millisecond)
		record, stats := kept(t, j)
		for range 2 {
			time.Sleep(5 * time.Second)
			m.Close()
			m = New(WithDialContext(dial))
			_, err = restore(t, m, record, stats, cfg.Scenario)
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Second)
		m.Close()
		ids := map[TraceID]bool{}
		for _, c := range got.Contexts(t, "/") {
			assert.False(t, ids[c.TraceID], "%s twice", c.TraceID)
			ids[c.TraceID] = true
		}
		assert.Greater(t, len(ids), 30)
	})
}

func TestCurlLineIsOfNoTrace(t *testing.T) {
	e := Exemplar{Method: http.MethodGet, URL: "http://shop.test/", Header: http.Header{
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {"es=s:1"}, "Baggage": {"plan=gold"},
	}}
	assert.Equal(t, "curl -sS 'http://shop.test/' -H 'Baggage: plan=gold'", e.Curl())
}

func TestTraceSettingsAreChecked(t *testing.T) {
	good := JobConfig{
		Name: "x", ScenarioName: "s", BaseURL: "http://shop.test", Trace: TraceConfig{Enabled: true, Ratio: 0.5, State: "es=s:0.5, a@b=c", Baggage: "a=b;p=1, c=d%20e", Header: "X-Loadgen"},
	}
	require.NoError(t, good.Validate())
	for _, c := range []struct {
		field string
		spoil func(*JobConfig)
	}{
		{"trace_ratio", func(c *JobConfig) { c.Trace.Ratio = 1.1 }},
		{"trace_ratio", func(c *JobConfig) { c.Trace.Ratio = -0.5 }},
		{"tracestate", func(c *JobConfig) { c.Trace.State = "Upper=1" }},
		{"tracestate", func(c *JobConfig) { c.Trace.State = "a=1,a=2" }},
		{"tracestate", func(c *JobConfig) { c.Trace.State = "a=1\r\nX: y" }},
		{"tracestate", func(c *JobConfig) { c.Trace.State = "a" }},
		{"baggage", func(c *JobConfig) { c.Trace.Baggage = "a=b c" }},
		{"baggage", func(c *JobConfig) { c.Trace.Baggage = "=b" }},
		{"trace_header", func(c *JobConfig) { c.Trace.Header = "a b" }},
		{"trace_header", func(c *JobConfig) { c.Trace.Header = "content-length" }},
		{"trace_header", func(c *JobConfig) { c.Trace.Header = "traceparent" }},
		{"headers.TraceParent", func(c *JobConfig) { c.Headers = map[string]string{"TraceParent": "x"} }},
		{"headers.x-loadgen", func(c *JobConfig) { c.Headers = map[string]string{"x-loadgen": "x"} }},
	} {
		cfg := good
		c.spoil(&cfg)
		var invalid *ValidationError
		require.ErrorAs(t, cfg.Validate(), &invalid, c.field)
		require.Len(t, invalid.Fields, 1)
		assert.Equal(t, c.field, invalid.Fields[0].Field)
	}
}

func FuzzTraceparent(f *testing.F) {
	for _, s := range []string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := tracecontext.ParseTraceparent([]byte(s))
		if err != nil {
			require.Zero(t, c)
			return
		}
		back, err := tracecontext.ParseTraceparent(tracecontext.AppendTraceparent(nil, &c))
		require.NoError(t, err)
		require.Equal(t, c, back)
	})
}

func TestTraceparentOfTheStandard(t *testing.T) {
	c, err := tracecontext.ParseTraceparent([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	require.NoError(t, err)
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", c.TraceID.String())
	assert.Equal(t, "b7ad6b7169203331", c.SpanID.String())
	assert.True(t, c.Sampled)
	for _, s := range []string{
		"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		_, err := tracecontext.ParseTraceparent([]byte(s))
		assert.Error(t, err, s)
	}
	var id TraceID
	text, err := c.TraceID.MarshalText()
	require.NoError(t, err)
	require.NoError(t, id.UnmarshalText(text))
	assert.Equal(t, c.TraceID, id)
	require.Error(t, id.UnmarshalText([]byte("0af7")))
	require.Error(t, new(SpanID).UnmarshalText([]byte("zzzzzzzzzzzzzzzz")))
}

func TestTraceRatioHasADefault(t *testing.T) {
	for ratio, want := range map[float64]float64{0: 1, Off: 0, 1: 1, 0.1: 0.1} {
		assert.InDelta(t, want, (&JobConfig{Trace: TraceConfig{Enabled: true, Ratio: ratio}}).client().Trace.Ratio, 0)
	}
}
