package apm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

func TestEverythingFoundIsOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{})
		for n := range uint64(10) {
			if n%2 == 0 {
				l.Observe(sample(n))
				l.Take([]apm.Document{transaction(n)})
			} else { // the agent was quicker
				l.Take([]apm.Document{transaction(n)})
				l.Observe(sample(n))
			}
		}
		l.Finish("shop")
		v := l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 10, Sampled: 10, Found: 10}, v.Counts)
		assert.True(t, v.OK)
		assert.Empty(t, v.Doubts)
		assert.Empty(t, v.Examples)
		require.Len(t, v.Tasks, 1)
		assert.Equal(t, "home", v.Tasks[0].Task)
		assert.Equal(t, "GET /home", v.Tasks[0].Name)
		assert.Equal(t, []string{"shop"}, v.Tasks[0].Services)
		assert.Equal(t, 1, v.Tasks[0].Depth)
		assert.Equal(t, []apm.NameCount{{Name: "GET /home", Count: 10}}, v.Tasks[0].Names)
	})
}

func TestNothingIsNotOK(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	assert.False(t, l.Verdict("shop").OK)
	assert.Nil(t, metricsOf(l), "a threshold on nothing must not hold")
	untraced := sample(1)
	untraced.Trace = loadgen.TraceContext{}
	l.Observe(untraced)
	assert.Nil(t, metricsOf(l))
}

// TestGrace: pending, then missing, then late.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{Grace: 10 * time.Second})
		l.Observe(sample(1))
		l.Observe(sample(2))
		time.Sleep(10*time.Second - 1)
		v := l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Pending: 2}, v.Counts)
		assert.False(t, v.OK)
		assert.Empty(t, v.Examples, "what is pending is not wrong")
		l.Take([]apm.Document{transaction(1)})
		time.Sleep(time.Nanosecond)
		v = l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Found: 1, Missing: 1}, v.Counts)
		require.Len(t, v.Examples, 1)
		e := v.Examples[0]
		assert.Equal(t, "missing", e.Fault)
		assert.Equal(t, trace(2), e.Trace)
		assert.Equal(t, "http://shop:8000/home?q=1", e.URL)
		assert.Equal(t, `curl -sS 'http://shop:8000/home?q=1'`, e.Curl)

		time.Sleep(time.Minute)
		l.Take([]apm.Document{transaction(2)})
		v = l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Found: 2, Late: 1}, v.Counts)
		require.Len(t, v.Examples, 1)
		assert.Equal(t, "late", v.Examples[0].Fault)
		assert.Equal(t, "its transaction came 1m10s after the response", v.Examples[0].Why)
		assert.Equal(t, 70*time.Second, v.Delay.Max.Round(time.Second))
	})
}

// TestFaults has one request with each fault among ten without.
func TestFaults(t *testing.T) {
	failed := func(n uint64) loadgen.Sample {
		s := sample(n)
		s.Status = 500
		return s
	}
	with := func(d apm.Document, change func(*apm.Document)) apm.Document { change(&d); return d }
	type want struct {
		counts apm.Counts // beside those of the ten and of the one
		fault  string
		why    string
	}
	for name, c := range map[string]struct {
		sample loadgen.Sample
		docs   []apm.Document
		want   want
	}{
		"missing": {sample(99), nil, want{apm.Counts{Found: -1, Missing: 1}, "missing", "no transaction has come of it"}},
		"the same document twice": {
			sample(99),
			[]apm.Document{transaction(99), transaction(99)},
			want{apm.Counts{Duplicated: 1}, "duplicated", "1 documents came again"},
		},
		"two transactions for a request": {
			sample(99),
			[]apm.Document{transaction(99), with(transaction(99), func(d *apm.Document) { d.ID = span(98) })},
			want{apm.Counts{Duplicated: 1}, "duplicated", "1 documents came again"},
		},
		"an orphan": {
			sample(99),
			[]apm.Document{transaction(99), child(apm.Span, 99, 100, 777, "shop"), child(apm.Span, 99, 101, 100, "shop")},
			want{apm.Counts{Orphaned: 1}, "orphaned", "1 documents have parents that nobody has sent"},
		},
		"another name": {
			sample(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Name = "GET /" })},
			want{apm.Counts{WrongName: 1}, "wrong_name", `named "GET /", not "GET /home"`},
		},
		"a failure that was none": {
			sample(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Outcome = apm.OutcomeFailure })},
			want{apm.Counts{WrongOutcome: 1}, "wrong_outcome", "what is no server's error is marked as a failure"},
		},
		"a failure that is not marked": {
			failed(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Status = 500 })},
			want{apm.Counts{ExpectedErrors: 1, WrongOutcome: 1}, "wrong_outcome", "a server's error is not marked as a failure"},
		},
		"another status": {
			sample(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Status = 404 })},
			want{apm.Counts{WrongOutcome: 1}, "wrong_outcome", "it says status 404"},
		},
		"longer than the client saw": {
			sample(99),
			[]apm.Document{transaction(99), with(child(apm.Span, 99, 100, 99, "shop"), func(d *apm.Document) { d.Duration = time.Second })},
			want{apm.Counts{TooLong: 1}, "too_long", "a document says 1s, the client saw 100ms"},
		},
		"not sampled": {
			sample(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Sampled = false })},
			want{apm.Counts{WrongSampled: 1}, "wrong_sampled", "it was sampled, and its transaction is not"},
		},
		"a wrong parent": {
			sample(99),
			[]apm.Document{with(transaction(99), func(d *apm.Document) { d.Parent = span(777) })},
			want{apm.Counts{Found: -1, Missing: 1, Orphaned: 1}, "missing", "no transaction has come of it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, apm.LedgerConfig{})
			for n := range uint64(10) {
				l.Observe(sample(n))
				l.Take([]apm.Document{transaction(n)})
			}
			l.Observe(c.sample)
			l.Take(c.docs)
			l.Finish("shop")
			want := c.want.counts
			want.Sent, want.Sampled, want.Found = 11, 11, want.Found+11
			v := l.Verdict("shop")
			assert.Equal(t, want, v.Counts)
			assert.False(t, v.OK)
			require.NotEmpty(t, v.Examples)
			assert.Equal(t, c.want.fault, v.Examples[0].Fault)
			assert.Equal(t, c.want.why, v.Examples[0].Why)
			assert.Equal(t, trace(99), v.Examples[0].Trace)
		})
	}
}

// TestOutcomes: the rules, by protocol.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		protocol apm.Protocol
		status   int // that the client saw
		outcome  apm.Outcome
		said     int
		class    int
		wrong    bool
	}{
		{apm.Elastic, 200, apm.OutcomeSuccess, 200, 2, false},
		{apm.Elastic, 404, apm.OutcomeSuccess, 404, 4, false},
		{apm.Elastic, 404, apm.OutcomeFailure, 404, 4, true},
		{apm.Elastic, 503, apm.OutcomeFailure, 503, 5, false},
		{apm.Elastic, 503, apm.OutcomeSuccess, 503, 5, true},
		{apm.Elastic, 503, apm.OutcomeUnknown, 503, 5, true},
		{apm.Elastic, 200, apm.OutcomeUnknown, 200, 2, true},
		{apm.Elastic, 503, apm.OutcomeUnset, 503, 5, false}, // an old agent
		{apm.Elastic, 503, apm.OutcomeFailure, 500, 5, true},
		{apm.Elastic, 503, apm.OutcomeFailure, 0, 5, false},
		{apm.Elastic, 503, apm.OutcomeFailure, 0, 2, true},
		{apm.OTel, 200, apm.OutcomeUnset, 200, 0, false},
		{apm.OTel, 200, apm.OutcomeSuccess, 200, 0, false},
		{apm.OTel, 404, apm.OutcomeUnset, 404, 0, false},
		{apm.OTel, 404, apm.OutcomeFailure, 404, 0, true},
		{apm.OTel, 500, apm.OutcomeFailure, 500, 0, false},
		{apm.OTel, 500, apm.OutcomeUnset, 500, 0, true},
		{apm.OTel, 500, apm.OutcomeSuccess, 500, 0, true},
		{apm.OTel, 500, apm.OutcomeFailure, 200, 0, true},
	} {
		l := newLedger(t, apm.LedgerConfig{})
		s, d := sample(1), transaction(1)
		s.Status = c.status
		d.Protocol, d.Outcome, d.Status, d.Class = c.protocol, c.outcome, c.said, c.class
		l.Observe(s)
		l.Take([]apm.Document{d})
		want := int64(0)
		if c.wrong {
			want = 1
		}
		assert.Equal(t, want, l.Verdict("shop").WrongOutcome, "%+v", c)
	}
}

// TestErrors: which answers of 500 must have an error.
func TestErrors(t *testing.T) {
	for policy, want := range map[apm.ErrorPolicy][2]int64{ // of 1 in 10 without an error, and of 9 in 10
		apm.ErrorsLearned: {1, 0}, apm.ErrorsAlways: {1, 9}, apm.ErrorsNever: {0, 0},
	} {
		for i, without := range []uint64{1, 9} {
			l := newLedger(t, apm.LedgerConfig{Errors: policy})
			for n := range uint64(10) {
				s, d := sample(n), transaction(n)
				s.Status, d.Status, d.Outcome = 500, 500, apm.OutcomeFailure
				l.Observe(s)
				l.Take([]apm.Document{d})
				if n >= without {
					l.Take([]apm.Document{{Kind: apm.Error, Trace: trace(n), ID: span(1000 + n), Parent: span(n), Service: "shop"}})
				}
			}
			assert.Zero(t, l.Verdict("shop").NoError, "an error may still come")
			l.Finish("shop")
			v := l.Verdict("shop")
			assert.Equal(t, want[i], v.NoError, "%s %d", policy, without)
			assert.Equal(t, want[i], v.WrongOutcome)
			assert.EqualValues(t, 10-without, v.ErrorDocs)
			assert.EqualValues(t, 10, v.ExpectedErrors)
			assert.Len(t, v.Examples, int(min(want[i], 5)))
		}
	}
}

// TestBroken: a second service that starts a trace of its own.
func TestBroken(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	for n := range uint64(10) {
		l.Observe(sample(n))
		id := 1000 + 10*n
		back := child(apm.Transaction, n, id+1, id, "stock")
		if n == 3 {
			back.Trace, back.Parent = trace(5000), loadgen.SpanID{}
		}
		// The innermost ends first.
		l.Take([]apm.Document{back, child(apm.Span, n, id, n, "shop")})
		l.Take([]apm.Document{transaction(n)})
	}
	assert.Zero(t, l.Verdict("shop").Broken, "more may come")
	l.Finish("shop")
	v := l.Verdict("shop")
	assert.Equal(t, apm.Counts{Sent: 10, Sampled: 10, Found: 10, Broken: 1}, v.Counts)
	assert.Equal(t, []string{"shop", "stock"}, v.Tasks[0].Services)
	assert.Equal(t, 2, v.Tasks[0].Depth)
	assert.Equal(t, []apm.PathCount{{[]string{"shop", "stock"}, 2, 9}, {[]string{"shop"}, 1, 1}}, v.Tasks[0].Paths)
	require.Len(t, v.Examples, 1)
	assert.Equal(t, "it has passed shop, not shop, stock; 1 transactions deep, not 2", v.Examples[0].Why)

	given := newLedger(t, apm.LedgerConfig{Services: map[string][]string{"home": {"stock", "shop"}}})
	given.Observe(sample(1))
	given.Take([]apm.Document{transaction(1)})
	given.Finish("shop")
	assert.EqualValues(t, 1, given.Verdict("shop").Broken)
}

// TestNothingToLearn: where no name is that of most, there is no right one, and the
// verdict says so.
func TestNothingToLearn(t *testing.T) {
	observe := func(l *apm.Ledger) *apm.Verdict {
		for n := range uint64(10) {
			l.Observe(sample(n))
			d := transaction(n)
			d.Name = "GET /" + strings.Repeat("x", int(n%5))
			l.Take([]apm.Document{d})
		}
		l.Finish("shop")
		return l.Verdict("shop")
	}
	v := observe(newLedger(t, apm.LedgerConfig{}))
	assert.Zero(t, v.WrongName)
	assert.False(t, v.OK)
	require.Len(t, v.Doubts, 1)
	assert.Contains(t, v.Doubts[0].Fields, "wrong_name")
	assert.Contains(t, v.Doubts[0].Why, `"home"`)

	v = observe(newLedger(t, apm.LedgerConfig{Names: map[string]string{"home": "GET /x"}}))
	assert.EqualValues(t, 8, v.WrongName)
	assert.Empty(t, v.Doubts)
}

func TestSampling(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	for n := range uint64(4) {
		s := sample(n)
		s.Trace.Sampled = n == 0
		l.Observe(s)
	}
	elastic, otel := transaction(1), transaction(2)
	elastic.Sampled = false // what agents do when the server is older than 8.0
	otel.Protocol = apm.OTel
	l.Take([]apm.Document{transaction(0), elastic, otel})
	l.Finish("shop")
	v := l.Verdict("shop")
	assert.Equal(t, apm.Counts{Sent: 4, Sampled: 1, Found: 1, UnsampledFound: 2, WrongSampled: 1}, v.Counts)
	require.Len(t, v.Examples, 1)
	assert.Equal(t, "it was not sampled, and its transaction is", v.Examples[0].Why)
}

// TestUnanswered: who got no response cannot know what the service has done.
func TestUnanswered(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	for n := range uint64(2) {
		s := sample(n)
		s.Status, s.Class = 0, loadgen.ClassTimeout
		l.Observe(s)
	}
	d := transaction(1)
	d.Duration = time.Hour
	l.Take([]apm.Document{d})
	l.Finish("shop")
	assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Unanswered: 2}, l.Verdict("shop").Counts)
}

// TestSeveralRequestsInATrace: the steps of an iteration may share one.
func TestSeveralRequestsInATrace(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	for n := range uint64(3) {
		s := sample(n)
		s.Trace.TraceID = trace(1)
		if n == 1 {
			s.Task, s.Status = "pay", 500
		}
		l.Observe(s)
	}
	for n := range uint64(2) {
		d := transaction(n)
		d.Trace = trace(1)
		if n == 1 {
			d.Status, d.Outcome, d.Name = 500, apm.OutcomeFailure, "POST /pay"
		}
		l.Take([]apm.Document{d, child(apm.Span, 1, 100+n, n, "shop")})
	}
	l.Take([]apm.Document{child(apm.Error, 1, 200, 101, "shop")})
	l.Finish("shop")
	v := l.Verdict("shop")
	assert.Equal(t, apm.Counts{Sent: 3, Sampled: 3, Found: 2, Missing: 1, ErrorDocs: 1, ExpectedErrors: 1}, v.Counts)
	assert.Equal(t, "home", v.Tasks[0].Task)
	assert.Equal(t, apm.Counts{Sent: 2, Sampled: 2, Found: 1, Missing: 1}, v.Tasks[0].Counts)
	assert.Equal(t, apm.Counts{Sent: 1, Sampled: 1, Found: 1, ErrorDocs: 1, ExpectedErrors: 1}, v.Tasks[1].Counts)
}

// TestIntervals: those of a run add up to it, whenever one looks.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{Grace: 5 * time.Second})
		began := time.Now()
		for n := range uint64(2000) { // one a second, so that slots become longer twice
			time.Sleep(time.Second)
			l.Observe(sample(n))
			if n%10 != 0 {
				l.Take([]apm.Document{transaction(n)})
			}
		}
		whole := l.Verdict("shop")
		assert.EqualValues(t, 2000, whole.Sent)
		assert.EqualValues(t, 200, whole.Missing+whole.Pending)
		var sum apm.Counts
		for at := began.Truncate(4 * time.Second); at.Before(time.Now()); at = at.Add(100 * time.Second) {
			v := l.Between("shop", at, at.Add(100*time.Second))
			assert.Equal(t, at.UnixNano(), v.From.UnixNano())
			assert.InDelta(t, 100, v.Sent, 8)
			sum.Sent += v.Sent
			sum.Sampled += v.Sampled
			sum.Found += v.Found
			sum.Missing += v.Missing
			sum.Pending += v.Pending
		}
		assert.Equal(t, whole.Counts, sum)
		assert.Zero(t, l.Between("shop", began.Add(-time.Hour), began.Add(-time.Minute)).Sent)
	})
}

// TestBound: what is too much is counted, and makes the verdict inconclusive.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{MaxRequests: 100, Grace: 10 * time.Second})
		for n := range uint64(150) {
			l.Observe(sample(n))
			l.Take([]apm.Document{transaction(n)})
		}
		v := l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 100, Sampled: 100, Found: 100, Untracked: 50}, v.Counts)
		require.NotEmpty(t, v.Doubts)
		assert.Contains(t, v.Doubts[0].Why, "50 requests were more than the ledger follows at a time (100)")
		assert.False(t, v.OK)

		// Later there is room again, and nothing is lost of what was counted.
		time.Sleep(10 * time.Second)
		for n := range uint64(100) {
			l.Observe(sample(1000 + n))
		}
		time.Sleep(10 * time.Second)
		v = l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 200, Sampled: 200, Found: 100, Missing: 100, Untracked: 50}, v.Counts)

		// What nobody has sent does not grow without bound, either.
		for n := range uint64(1000) {
			l.Take([]apm.Document{transaction(1 << 20 * (n + 1))})
		}
		v = l.Verdict("shop")
		assert.Greater(t, v.Strange.Traces, uint64(900))
		assert.Contains(t, v.Doubts[len(v.Doubts)-1].Why, "had to be let go for want of room")
	})
}

func TestTooManyDocumentsOfATrace(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	l.Take([]apm.Document{transaction(1)})
	for n := range uint64(100) {
		l.Take([]apm.Document{child(apm.Span, 1, 1000+n, 1, "shop")})
	}
	l.Take([]apm.Document{child(apm.Span, 1, 5000, 1050, "shop")}) // its parent is there, but was not kept
	l.Finish("shop")
	v := l.Verdict("shop")
	assert.Zero(t, v.Orphaned)
	require.Len(t, v.Doubts, 1)
	assert.Contains(t, v.Doubts[0].Fields, "orphaned")
}

func TestBadConfiguration(t *testing.T) {
	for want, cfg := range map[string]apm.LedgerConfig{
		"grace time": {Grace: -1}, "tolerance": {Tolerance: -1}, "room for": {MaxRequests: -1}, "quiet": {Quiet: -1}, "policy": {Errors: "sometimes"},
	} {
		_, err := apm.NewLedger(cfg)
		assert.ErrorContains(t, err, want)
	}
}

// TestMetricNames: every number of a verdict is one that a threshold can be about.
func TestMetricNames(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	metrics := metricsOf(l)
	b, err := json.Marshal(l.Verdict("shop").Counts)
	require.NoError(t, err)
	var counts map[string]float64
	require.NoError(t, json.Unmarshal(b, &counts))
	var names []string
	for name, n := range counts {
		names = append(names, "apm."+name)
		assert.InDelta(t, n, metrics["apm."+name], 0, name)
	}
	assert.ElementsMatch(t, append(names, "apm.doubts"), apm.MetricNames())
	assert.Len(t, metrics, len(apm.MetricNames()))
	for _, name := range apm.MetricNames() {
		_, err := loadgen.ParseThreshold(name + " == 0")
		assert.NoError(t, err)
	}
}

func metricsOf(l *apm.Ledger) map[string]float64 {
	metrics, _ := l.Metrics(&loadgen.Snapshot{Job: "shop"})
	return metrics
}
