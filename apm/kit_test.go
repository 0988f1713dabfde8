package apm_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

func newLedger(t testing.TB, cfg apm.LedgerConfig) *apm.Ledger {
	t.Helper()
	l, err := apm.NewLedger(cfg)
	require.NoError(t, err)
	return l
}

func trace(n uint64) (id loadgen.TraceID) {
	id[0] = 0xaa
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func span(n uint64) (id loadgen.SpanID) {
	binary.BigEndian.PutUint64(id[:], n+1)
	return id
}

// clientSpan is that of request n, of which the server's transaction has span(n).
func clientSpan(n uint64) loadgen.SpanID { return span(n | 1<<63) }

// sample is request number n of a job: it took 100 ms and ended now.
func sample(n uint64) loadgen.Sample {
	return loadgen.Sample{
		Job: "shop", Task: "home", Method: "GET", URL: loadgen.SampleURL{Scheme: "http", Host: "shop:8000", Path: "/home", Query: "q=1"},
		Status: 200, Start: time.Now().Add(-100 * time.Millisecond), Service: 100 * time.Millisecond,
		Trace: loadgen.TraceContext{TraceID: trace(n), SpanID: clientSpan(n), Sampled: true},
	}
}

// transaction is what an agent says of request number n.
func transaction(n uint64) apm.Document {
	return apm.Document{
		Kind: apm.Transaction, Trace: trace(n), ID: span(n), Parent: clientSpan(n), Service: "shop", Agent: "go", Name: "GET /home",
		Outcome: apm.OutcomeSuccess, Status: 200, Sampled: true, Duration: 90 * time.Millisecond,
	}
}

// child is a document of service, under the document with the id parent.
func child(kind apm.Kind, n, id, parent uint64, service string) apm.Document {
	return apm.Document{
		Kind: kind, Trace: trace(n), ID: span(id), Parent: span(parent), Service: service, Name: "call", Sampled: true,
		Outcome: apm.OutcomeSuccess, Duration: 50 * time.Millisecond,
	}
}
