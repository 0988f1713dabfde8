package apm_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

// FuzzReceiver: whatever comes, there is an answer that is no 500, and the ledger's counts
// add up.
func FuzzReceiver(f *testing.F) {
	paths := []string{"/intake/v2/events?verbose", "/intake/v3/rum/events", "/v1/traces", "/v1/traces", "/config/v1/agents"}
	kinds := []string{ndjson, ndjson, "application/x-protobuf", "application/json", "application/json"}
	encodings := []string{"", "gzip", "deflate", "other"}
	f.Add(uint8(0), uint8(0), []byte(metaLine+transactionLine(1)+transactionLine(2)))
	f.Add(uint8(1), uint8(0), []byte(`{"m":{"se":{"n":"shop"}}}`+"\n"+`{"x":{"id":"1","tid":"2","t":"r","d":1,"y":[{"id":"3","pi":5,"d":2}]}}`))
	binary, err := proto.Marshal(exported("shop", serverSpan(1, 500)))
	require.NoError(f, err)
	f.Add(uint8(2), uint8(0), binary)
	f.Add(uint8(3), uint8(0), []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"aa","spanId":1,"parentSpanId":null,"status":{"code":2}}]}]}]}`))
	f.Add(uint8(3), uint8(0), bytes.Repeat([]byte("["), 20_000))
	f.Add(uint8(4), uint8(0), []byte(`{"service":{"name":1}}`))
	f.Fuzz(func(t *testing.T, path, encoding uint8, body []byte) {
		l := newLedger(t, apm.LedgerConfig{})
		l.Observe(sample(1))
		r := newReceiver(t, l, apm.ReceiverConfig{MaxBody: 1 << 20})
		req := httptest.NewRequest(http.MethodPost, paths[int(path)%len(paths)], bytes.NewReader(body))
		req.Header.Set("Content-Type", kinds[int(path)%len(kinds)])
		req.Header.Set("Content-Encoding", encodings[int(encoding)%len(encodings)])
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		assert.Contains(t, []int{200, 202, 304, 400, 413, 415}, w.Code)
		l.Finish("shop")
		checkSums(t, l.Verdict("shop"))
	})
}

// checkSums holds what is always so of a verdict that is settled.
func checkSums(t *testing.T, v *apm.Verdict) {
	t.Helper()
	var sum apm.Counts
	for _, task := range v.Tasks {
		c := task.Counts
		assert.Zero(t, c.Pending)
		assert.LessOrEqual(t, c.Found+c.Missing, c.Sampled)
		assert.LessOrEqual(t, c.Late, c.Found)
		assert.LessOrEqual(t, c.WrongName, c.Found)
		assert.LessOrEqual(t, c.Broken, c.Found)
		assert.LessOrEqual(t, c.NoError, c.WrongOutcome)
		var names, paths int64
		for _, n := range task.Names {
			names += n.Count
		}
		for _, p := range task.Paths {
			paths += p.Count
		}
		if len(task.Names) < 10 {
			assert.Equal(t, c.Found, names)
		}
		if len(task.Paths) < 10 {
			assert.Equal(t, c.Found, paths)
		}
		sum.Sent += c.Sent
		sum.Found += c.Found
		sum.Missing += c.Missing
	}
	assert.Equal(t, v.Sent, sum.Sent)
	assert.Equal(t, v.Found, sum.Found)
	assert.Equal(t, v.Missing, sum.Missing)
}

// FuzzLedger: the counts do not depend on the order in which requests and documents come,
// and are those of a plain count over all of them.
func FuzzLedger(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 2, 2, 7, 0, 1, 2})
	f.Add([]byte{0x80, 0x81, 0, 0x42, 0x13, 0x24})
	f.Fuzz(func(t *testing.T, program []byte) {
		// Each byte is something that comes: its low bits say of which of eight requests,
		// its high bits what.
		const requests = 8
		start := time.Now()
		var sent [requests]bool
		found := [requests]map[loadgen.SpanID]bool{}
		var repeats int64
		seen := map[apm.Document]bool{}
		var steps []func(l *apm.Ledger)
		for _, b := range program[:min(len(program), 60)] {
			n, what := uint64(b%requests), b/requests%8
			if what == 0 {
				if !sent[n] {
					sent[n] = true
					s := sample(n)
					s.Start = start
					steps = append(steps, func(l *apm.Ledger) { l.Observe(s) })
				}
				continue
			}
			d := transaction(n)
			switch what {
			case 1, 2:
				d.ID = span(n + 100*uint64(what-1)) // a second transaction for the same request
				if found[n] == nil {
					found[n] = map[loadgen.SpanID]bool{}
				}
				found[n][d.ID] = true
			case 3, 4, 5:
				d = child(apm.Span, n, n+1000*uint64(what), n+1000*uint64(what-1), "shop")
			default:
				d = child(apm.Error, n, n+5000*uint64(what), n, "shop")
			}
			if seen[d] && sentLater(program, n) {
				repeats++
			}
			seen[d] = true
			steps = append(steps, func(l *apm.Ledger) { l.Take([]apm.Document{d}) })
		}
		forward, backward := newLedger(t, apm.LedgerConfig{Tolerance: time.Hour}), newLedger(t, apm.LedgerConfig{Tolerance: time.Hour})
		for i := range steps {
			steps[i](forward)
			steps[len(steps)-1-i](backward)
		}
		forward.Finish("shop")
		backward.Finish("shop")
		v := forward.Verdict("shop")
		assert.Equal(t, v.Counts, backward.Verdict("shop").Counts)
		checkSums(t, v)
		want := apm.Counts{Duplicated: repeats}
		for n := range requests {
			if !sent[n] {
				continue
			}
			want.Sent++
			if len(found[n]) > 0 {
				want.Found++
				want.Duplicated += int64(len(found[n]) - 1)
			} else {
				want.Missing++
			}
		}
		assert.Equal(t, want.Sent, v.Sent)
		assert.Equal(t, want.Found, v.Found)
		assert.Equal(t, want.Missing, v.Missing)
		assert.Equal(t, want.Duplicated, v.Duplicated)
	})
}

// sentLater tells whether a program sends request n at all.
func sentLater(program []byte, n uint64) bool {
	for _, b := range program[:min(len(program), 60)] {
		if b/8%8 == 0 && uint64(b%8) == n {
			return true
		}
	}
	return false
}
