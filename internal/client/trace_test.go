package client

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/testtarget"
	"github.com/opbeans/loadgen/tracecontext"
)

func TestTraceContextOfEveryWayToSend(t *testing.T) {
	for _, version := range []string{"1.1", "2"} {
		t.Run("HTTP "+version, func(t *testing.T) {
			got := &testtarget.Traced{}
			server := httptest.NewUnstartedServer(got)
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(version == "1.1")
			server.Config.Protocols.SetUnencryptedHTTP2(version == "2")
			server.Start()
			t.Cleanup(server.Close)
			rig := newRig(t, testConfig{BaseURL: server.URL, Config: Config{HTTP: version, Trace: TraceConfig{Job: "shop", Seed: 7, On: true, State: "es=s:1", Baggage: "tenant=7", Header: "x-loadgen", Ratio: 1}}})
			rig.task = "list products"
			require.NoError(t, rig.client.Get(rig.ctx, "/get"))
			rig.mustDo(testRequest{URL: "/do", Method: http.MethodPost, Body: []byte("{}"), Header: http.Header{"X-Own": {"1"}}})
			rig.mustDo(testRequest{URL: "/from"})
			for _, path := range []string{"/std", "/from"} {
				req, err := http.NewRequestWithContext(rig.ctx, http.MethodGet, server.URL+path, nil)
				require.NoError(t, err)
				resp, err := rig.client.HTTPClient().Do(req)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
			}
			samples := rig.measurements()
			require.Len(t, samples, 7)
			at := map[string]int{}
			spans := map[tracecontext.SpanID]bool{}
			for i, s := range samples {
				there := got.Contexts(t, s.URL.Path)
				assert.Equal(t, there[at[s.URL.Path]], s.Trace, "a sample has what was sent: %d, %s", i, s.URL.Path)
				at[s.URL.Path]++
				spans[s.Trace.SpanID] = true
				assert.True(t, s.Trace.Sampled)
			}
			assert.Len(t, spans, 7, "each request is a span")
			from, to := got.Contexts(t, "/from"), got.Contexts(t, "/to")
			for i := range from {
				assert.Equal(t, from[i].TraceID, to[i].TraceID, "hops are one trace")
			}
			assert.NotEqual(t, from[0].TraceID, from[1].TraceID)
			for path, headers := range got.Seen {
				for _, h := range headers {
					assert.Equal(t, []string{"es=s:1"}, h.Values("Tracestate"), path)
					assert.Equal(t, []string{"tenant=7"}, h.Values("Baggage"), path)
					assert.Equal(t, []string{"job=shop,task=list%20products,revision=1"}, h.Values("X-Loadgen"), path)
				}
			}
		})
	}
}

func TestRequestsKeepTheirOwnTraceContext(t *testing.T) {
	got := &testtarget.Traced{}
	server := httptest.NewServer(got)
	t.Cleanup(server.Close)
	rig := newRig(t, testConfig{BaseURL: server.URL, Config: Config{Trace: TraceConfig{On: true, Baggage: "a=b", Header: "X-From", Ratio: 1}}})
	own := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	rig.mustDo(testRequest{URL: "/", Header: http.Header{"Traceparent": {own}, "Baggage": {"mine=1"}, "X-From": {"me"}}})
	h := got.Seen["/"][0]
	assert.Equal(t, []string{own}, h.Values("Traceparent"))
	assert.Equal(t, []string{"mine=1"}, h.Values("Baggage"))
	assert.Equal(t, []string{"me"}, h.Values("X-From"))
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", rig.only().Trace.TraceID.String(), "and the sample has that")

	rig.aim(testConfig{BaseURL: server.URL})
	rig.mustDo(testRequest{URL: "/off"})
	assert.Empty(t, got.Seen["/off"][0].Values("Traceparent"), "only if it is asked for")
	assert.Zero(t, rig.only().Trace)
}

func TestBaggageStaysAtHome(t *testing.T) {
	got := &testtarget.Traced{}
	abroad := httptest.NewServer(got)
	t.Cleanup(abroad.Close)
	home := httptest.NewServer(http.RedirectHandler(abroad.URL+"/abroad", http.StatusFound))
	t.Cleanup(home.Close)
	rig := newRig(t, testConfig{BaseURL: home.URL, Config: Config{Trace: TraceConfig{Job: "x", On: true, State: "es=s:1", Baggage: "plan=gold", Header: "X-From", Ratio: 1}}})
	rig.mustDo(testRequest{URL: "/"})
	req, err := http.NewRequestWithContext(rig.ctx, http.MethodGet, home.URL, nil)
	require.NoError(t, err)
	resp, err := rig.client.HTTPClient().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, got.Contexts(t, "/abroad"), 2)
	for _, h := range got.Seen["/abroad"] {
		assert.Equal(t, "es=s:1", h.Get("Tracestate"))
		assert.NotContains(t, h, "Baggage")
		assert.NotContains(t, h, "X-From")
	}
}

func TestSampledShareOfTraces(t *testing.T) {
	for ratio, want := range map[float64]float64{0: 0, 1: 1, 0.1: 0.1, 0.75: 0.75} {
		tr := newTracing(&TraceConfig{On: true, Ratio: ratio, Seed: 1, Job: "x"})
		const n = 100_000
		var sampled int
		ids := map[tracecontext.TraceID]bool{}
		for i := range uint64(n) {
			c := tr.context(i%10, i/100, i/10%10, 0)
			ids[c.TraceID] = true
			if c.Sampled {
				sampled++
			}
			if next := tr.context(i%10, i/100, i/10%10, 1); next.TraceID != c.TraceID || next.SpanID == c.SpanID || next.Sampled != c.Sampled {
				t.Fatal("the hops of a step must be spans of one trace")
			}
		}
		assert.Len(t, ids, n)
		assert.InDelta(t, want, float64(sampled)/n, 0.006, "ratio %v", ratio) // 4 standard deviations
		assert.True(t, want > 0 && want < 1 || float64(sampled) == want*n, "all or nothing, exactly")
	}
}
