package apm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opbeans/loadgen/apm"
)

// BenchmarkLedger is a request that is observed, told of by a transaction and a span, and
// at last forgotten.
func BenchmarkLedger(b *testing.B) {
	l := newLedger(b, apm.LedgerConfig{Grace: time.Millisecond, MaxRequests: 100_000})
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(sample(n))
		l.Take([]apm.Document{transaction(n), child(apm.Span, n, 1<<40+n, n, "shop")})
		n++
	}
}

// BenchmarkIntake is a transaction that comes over the intake, in streams of 1000.
func BenchmarkIntake(b *testing.B) {
	r := newReceiver(b, newLedger(b, apm.LedgerConfig{Grace: time.Millisecond}), apm.ReceiverConfig{})
	var body strings.Builder
	body.WriteString(metaLine)
	for n := range uint64(1000) {
		body.WriteString(transactionLine(n))
	}
	b.SetBytes(int64(body.Len()))
	sent := 0
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/intake/v2/events", strings.NewReader(body.String()))
		req.Header.Set("Content-Type", ndjson)
		r.ServeHTTP(httptest.NewRecorder(), req)
		sent += 1000
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/document")
}
