package apm

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// TestMissedSamples: a verdict on fewer requests than were sent is no verdict.
func TestMissedSamples(t *testing.T) {
	l, err := NewLedger(LedgerConfig{})
	require.NoError(t, err)
	missed := uint64(5)
	l.missed = func() uint64 { return missed }
	l.Observe(loadgen.Sample{Job: "shop", Status: 200, Trace: loadgen.TraceContext{TraceID: loadgen.TraceID{1}, SpanID: loadgen.SpanID{1}, Sampled: true}})
	l.Take([]Document{{Trace: loadgen.TraceID{1}, Parent: loadgen.SpanID{1}, ID: loadgen.SpanID{2}, Sampled: true, Name: "x", Service: "x"}})
	l.Finish("shop")
	assert.True(t, l.Verdict("shop").OK, "what was missed before the run is not its affair")
	missed = 12
	v := l.Verdict("shop")
	assert.False(t, v.OK)
	require.Len(t, v.Doubts, 1)
	assert.Contains(t, v.Doubts[0].Why, "7 samples of requests were missed")
	assert.Contains(t, v.Doubts[0].Fields, "missing")
	metrics, _ := l.Metrics(&loadgen.Snapshot{Job: "shop"})
	assert.InDelta(t, 1, metrics["apm.doubts"], 0)
	assert.Contains(t, v.String(), "1 sent, 1 sampled, 1 found, 0 missing; inconclusive: 7 samples")
}

// TestMemoryPerRequest holds what docs/apm.md says of the size of the ledger.
func TestMemoryPerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no garbage is made beside
		const n = 20_000
		l, err := NewLedger(LedgerConfig{MaxRequests: n})
		require.NoError(t, err)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		fill := func(from int) {
			for i := from; i < from+n; i++ {
				ids := [2]byte{byte(i), byte(i >> 8)}
				var trace loadgen.TraceID
				copy(trace[:], ids[:])
				trace[15], trace[2] = 1, byte(i>>16)
				span := loadgen.SpanID{ids[0], ids[1], 1}
				path := string(append([]byte("/api/products/"), ids[0]%10+'0', ids[1]%10+'0'))
				l.Observe(loadgen.Sample{
					Job: "shop", Task: "home", Method: "GET", Status: 200, Start: time.Now(), Service: time.Hour,
					URL:   loadgen.SampleURL{Scheme: "http", Host: "shop", Path: path},
					Trace: loadgen.TraceContext{TraceID: trace, SpanID: span, Sampled: true},
				})
				l.Take([]Document{{Trace: trace, Parent: span, ID: loadgen.SpanID{ids[0], ids[1], 2}, Sampled: true, Name: "home", Service: "shop"}})
			}
		}
		fill(0)
		each := float64(heap()-before) / n
		t.Logf("%.0f bytes for a request with one document", each)
		assert.Less(t, each, 500.0)
		// Any number of requests later it is no more.
		for round := 1; round < 6; round++ {
			time.Sleep(time.Hour)
			fill(round * n)
		}
		assert.Less(t, float64(heap()-before)/n, 600.0)
		assert.EqualValues(t, 6*n, l.Verdict("shop").Found)
		runtime.KeepAlive(l)
	})
}
