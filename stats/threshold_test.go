package stats_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/stats"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string]stats.Threshold{
		"p99 < 200ms":              {Metric: "p99", Compare: "<", Bound: 0.2},
		" p99<=1.5 s ":             {Metric: "p99", Compare: "<=", Bound: 1.5},
		"p999 < 1s":                {Metric: "p99.9", Compare: "<", Bound: 1},
		"p5 > 1ms":                 {Metric: "p5", Compare: ">", Bound: 0.001},
		"service.p99.99 < 1s":      {Metric: "service.p99.99", Compare: "<", Bound: 1},
		"service.max < 1m":         {Metric: "service.max", Compare: "<", Bound: 60},
		"lag.p99 < 5ms":            {Metric: "lag.p99", Compare: "<", Bound: 0.005},
		"error_rate < 1%":          {Metric: "error_rate", Compare: "<", Bound: 0.01},
		"error_rate<0.001":         {Metric: "error_rate", Compare: "<", Bound: 0.001},
		"rate >= 6000/m":           {Metric: "rate", Compare: ">=", Bound: 100},
		"rate > 2.5":               {Metric: "rate", Compare: ">", Bound: 2.5},
		"failures == 0 abort":      {Metric: "failures", Compare: "==", Abort: true},
		"p99 < 1s abort after 30s": {Metric: "p99", Compare: "<", Bound: 1, Abort: true, AbortAfter: 30 * time.Second},

		"failures{class=timeout} <= 3":            {Metric: "failures", Class: failure.Timeout, Compare: "<=", Bound: 3},
		"requests { status = 5xx , task=a/b} < 3": {Metric: "requests", Status: "5xx", Task: "a/b", Compare: "<", Bound: 3},
		"p99{group=a/b} < 1s":                     {Metric: "p99", Group: "a/b", Compare: "<", Bound: 1},
		`error_rate{group="pay now"} < 1%`:        {Metric: "error_rate", Group: "pay now", Compare: "<", Bound: 0.01},
		`mean{task="say \"hi\", you"} < 1s`:       {Metric: "mean", Task: `say "hi", you`, Compare: "<", Bound: 1},
		"apm.missing == 0":                        {Metric: "apm.missing", Compare: "=="},
		"apm.error_docs == expected_errors":       {Metric: "apm.error_docs", Compare: "==", Against: "expected_errors"},
		"p99{task=a} < service.p999":              {Metric: "p99", Task: "a", Compare: "<", Against: "service.p99.9"},
		"lag.p99 < p50 abort after 1m":            {Metric: "lag.p99", Compare: "<", Against: "p50", Abort: true, AbortAfter: time.Minute},
		"apm.spans.p99 < -1.5":                    {Metric: "apm.spans.p99", Compare: "<", Bound: -1.5},
	} {
		got, err := stats.ParseThreshold(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := stats.ParseThreshold(got.String())
		require.NoError(t, err, "%s as %s", text, got)
		assert.Equal(t, got, again, text)
	}
}

func TestParseThresholdSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "must be a metric, a comparison and a bound",
		"< 1s":                       "must be a metric",
		"p99":                        "a comparison (<= >= == != < >) must follow p99",
		"p99 < requests":             "p99 and requests cannot be compared: one needs a duration such as 200ms or 1.5s, the other a whole number such as 10",
		"p99 < apm.delay":            "cannot be compared",
		"p99 < slow":                 "the bound of p99 must be a duration",
		"p99 == p50":                 "cannot be compared with ==",
		"failures == dropped abort":  "abort needs a number as the bound",
		"requests{task=a} > dropped": "dropped is of the whole job",
		"p99{group=a} < p50":         "the label group goes with a number as the bound",
		"p99 = 1s":                   "a comparison",
		"p99 <":                      "a bound is missing, for instance a duration such as 200ms",
		"p99 < 200":                  `the bound of p99 must be a duration such as 200ms or 1.5s, not "200"`,
		"p99 < 1% ":                  "must be a duration",
		"p99 < -1s":                  "must be a duration",
		"p99 < 1000h":                "must be at most 168h",
		"p99 == 1s":                  "only counts can",
		"p100 < 1s":                  "must be a percentile above 0 and below 100",
		"p0 < 1s":                    "must be a percentile",
		"p99.99999999 < 1s":          "must be a percentile",
		"p9x < 1s":                   "must be a percentile",
		"eror_rate < 1%":             `(did you mean "error_rate"?)`,
		"speed > 1":                  "there are p50, p90,",
		"error_rate < 101%":          "must be from 0 to 1",
		"error_rate < 2":             "must be from 0 to 1",
		"error_rate < NaN":           "must be a share",
		"failures < 1.5":             "must be a whole number",
		"failures < 1e300":           "too large",
		"failures < -1":              "must not be negative",
		"rate > 1/d":                 "must be a rate such as 100/s",
		"p99{task=a < 1s":            "a comma or } must follow",
		"p99{a=b} < 1s":              `there is no label "a"`,
		"p99{task=a, task=b} < 1s":   "is there twice",
		"p99{task=} < 1s":            "its value is empty",
		`p99{task="} < 1s`:           "no closing quote",
		"p99{} < 1s":                 "labels must be written {task=NAME}",
		"p99{class=timeout} < 1s":    "goes with failures",
		"failures{class=oops} < 1":   `there is no class "oops"`,
		"iterations{status=200} > 1": "goes with requests",
		"requests{status=600} > 1":   "one like 404 or 5xx",
		"dropped{task=a} == 0":       "takes no label",
		"p99{group=a, task=b} < 1s":  "take one of the labels task and group",
		"service.p99{group=a} < 1s":  "service.p99 takes no label group: of a group there are min, mean, max, percentiles such as p99, and error_rate",
		"lag.p99{group=a} < 1s":      "lag.p99 takes no label group",
		"requests{group=a} > 1":      "requests takes no label group",
		"rate{group=a} > 1":          "rate takes no label group",
		"dropped{group=a} == 0":      "dropped takes no label group",
		"apm.missing{group=a} == 0":  "apm.missing takes no label group",
		"p99{group=a,class=tls}<1s":  "the label class goes with failures",
		"p99{group=a,status=200}<1s": "the label status goes with requests",
		"p99{group=} < 1s":           "its value is empty",
		"lag.p99{task=a} < 1s":       "takes no label",
		"p99 < 1s abort now":         "abort stands at the end",
		"p99 < 1s abort after":       "abort stands at the end",
		"p99 < 1m30":                 "write 1m30s or 1m30ms",
		"p99 < 1s abort after 1h30":  "write 1h30m or 1h30s",
		"p99 < 1s abort after -3s":   "needs a duration above 0",
		"abort < 1":                  "there is no metric",
		"p99 < 1s < 2s":              "must be a duration",
		"apm. < 1":                   "there is no metric",

		"p99 < " + string(make([]byte, 2000)): "at most 1000 bytes",
	} {
		_, err := stats.ParseThreshold(text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.PanicsWithValue(t, `loadgen: threshold "p99": a comparison (<= >= == != < >) must follow p99`,
		func() { stats.MustThresholds("p99") })
}

func TestEvaluate(t *testing.T) {
	s := twoTasks(t)
	for text, want := range map[string]string{
		"max < 900ms":                  "fail: max was 1s, 100ms (11.1 %) above 900ms",
		"max <= 1s":                    "pass: max was 1s, which is the bound",
		"max < 1s":                     "fail: max was 1s, which is the bound",
		"min >= 1ms":                   "pass: min was 1ms, which is the bound",
		"min > 0s":                     "pass: min was 1ms, 1ms above 0s",
		"mean < 100ms":                 "pass: mean was 59.9ms, 40.1ms (40.1 %) below 100ms",
		"service.p99 < 2ms":            "pass: service.p99 was 1ms, 1ms (50 %) below 2ms",
		"p99{task=one} < 2s":           "pass: p99{task=one} was 1s, 1s (50 %) below 2s",
		"p99{task=two} < 2s":           "unknown: p99{task=two} is unknown: nothing was measured",
		"requests{task=two} == 0":      "pass: requests{task=two} was 0, which is the bound",
		"p99{group=pay} < 2ms":         "fail: p99{group=pay} was 3ms, 1ms (50 %) above 2ms",
		"mean{group=pay} < 4ms":        "pass: mean{group=pay} was 3ms, 1ms (25 %) below 4ms",
		"error_rate{group=pay} < 5%":   "fail: error_rate{group=pay} was 10%, 5 points above 5%",
		"p99{group=psy} < 2ms":         `unknown: p99{group=psy} is unknown: no group "psy" was measured (did you mean "pay"?)`,
		"p99{group=begun} < 2ms":       `unknown: p99{group=begun} is unknown: no group "begun" was measured; there were pay`,
		"lag.max < 1s":                 "unknown: lag.max is unknown: nothing was measured",
		"error_rate < 1%":              "fail: error_rate was 1.98%, 0.9802 points above 1%",
		"error_rate < 0.9802%":         "fail: error_rate was 1.98%, 1 point above 0.9802%",
		"error_rate{task=two} < 1%":    "unknown: error_rate{task=two} is unknown: nothing was measured",
		"failures == 4":                "fail: failures was 5, 1 above 4",
		"failures != 5":                "fail: failures was 5, which is the bound",
		"failures{class=check} < 3":    "pass: failures{class=check} was 2, 1 below 3",
		"failures{class=reset} > 0":    "fail: failures{class=reset} was 0, which is the bound",
		"requests{status=5xx} <= 5":    "fail: requests{status=5xx} was 6, 1 above 5",
		"requests{status=404} == 4":    "pass: requests{status=404} was 4, which is the bound",
		"failed_requests < 3":          "fail: failed_requests was 3, which is the bound",
		"rate > 15/s":                  "pass: rate was 20/s, 5/s (33.3 %) above 15/s",
		"iteration_rate{task=one} > 1": "fail: iteration_rate{task=one} was 0.1/s, 0.9/s (90 %) below 1/s",
		"dropped == 0":                 "pass: dropped was 0, which is the bound",
		"apm.missing == 0":             "fail: apm.missing was 2, 2 above 0",
		"apm.late == 0":                "unknown: apm.late is unknown: nobody has told it",
	} {
		v := stats.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, want, string(v.Outcome)+": "+v.Message, text)
	}
	s.Verdicts = []stats.Verdict{
		stats.MustThresholds("max <= 1s")[0].Evaluate(s),
		stats.MustThresholds("lag.max <= 1s")[0].Evaluate(s),
		stats.MustThresholds("max < 1s")[0].Evaluate(s),
	}
	assert.Equal(t, s.Verdicts[1:], s.FailedVerdicts())
	assert.Equal(t, stats.OutcomeUnknown, stats.Threshold{Metric: "nonsense"}.Evaluate(s).Outcome)
}

// Where nothing succeeds, only a threshold about failures can be content with it.
func TestAllFailed(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                    true,
		"p99 < 1s":                            true,
		"requests > 1":                        true,
		"interrupted == 0":                    true,
		"error_rate <= 100%":                  false,
		"failures{class=check} > 1":           false,
		"failed_requests > 1":                 false,
		"failed_iterations > 1":               false,
		"requests{status=503} > 1":            false,
		"apm.error_docs == expected_errors":   false,
		"expected_errors{task=one} >= 1":      false,
		"service.p99{task=one} < 1s":          true,
		"apm.missing == 0":                    true,
		"error_rate{group=pay} < 50%":         false,
		"iteration_rate > 1/s abort after 1m": true,
	} {
		s := &stats.Snapshot{Totals: stats.Totals{Iterations: 3, FailedIterations: 3}}
		if text != "" {
			s.Verdicts = []stats.Verdict{{Outcome: stats.OutcomePass, Threshold: stats.MustThresholds(text)[0]}}
		}
		assert.Equal(t, want, s.AllFailed(), text)
		s.Iterations++
		assert.False(t, s.AllFailed(), "one has succeeded")
	}
	assert.False(t, (&stats.Snapshot{}).AllFailed(), "nothing has run")
}

func TestThresholdAbout(t *testing.T) {
	for text, want := range map[string]bool{
		"apm.missing == 0":                  true,
		"failed_requests == apm.error_docs": true,
		"apm.error_docs == expected_errors": true,
		"p99 < 1s":                          false,
		"failures == expected_errors":       false,
	} {
		assert.Equal(t, want, stats.MustThresholds(text)[0].About("apm."), text)
	}
}

// A percentile is known to 1/128 above its exact value, and a verdict says when
// that matters.
func TestVerdictKnowsTheErrorBound(t *testing.T) {
	s := &stats.Snapshot{}
	for range 90 {
		s.Response.Record(200 * time.Millisecond)
	}
	for range 10 {
		s.Response.Record(time.Second)
	}
	shown := s.Response.P50()
	require.Greater(t, shown, 200*time.Millisecond, "the histogram rounds up")
	for text, certain := range map[string]bool{
		"p50 <= 200ms": false, "p50 < 190ms": true, "p50 < 210ms": true, "p50 >= 200.5ms": false, "max <= 1s": true,
	} {
		v := stats.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, certain, v.Certain, "%s: %s", text, v.Message)
	}
	v := stats.MustThresholds("p50 <= 200ms")[0].Evaluate(s)
	assert.Equal(t, stats.OutcomeFail, v.Outcome)
	assert.Contains(t, v.Message, "; the exact value is from ")
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var back stats.Verdict
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, v, back)
}

func TestThresholdAgainstAnotherMetric(t *testing.T) {
	s := &stats.Snapshot{
		Metrics: map[string]float64{"apm.error_docs": 7},
		Totals:  stats.Totals{Requests: 20, Status: map[int]uint64{200: 10, 404: 3, 500: 5, 503: 2}},
		Tasks: []stats.TaskSnapshot{
			{Task: "oops", Totals: stats.Totals{Requests: 4, FailedRequests: 4, Status: map[int]uint64{500: 4}}},
		},
	}
	for i := range 100 { // closer to one another than percentiles are known
		s.Response.Record(100*time.Millisecond - time.Duration(99-i)*time.Microsecond)
		s.Service.Record(100*time.Millisecond - time.Duration(149-i)*time.Microsecond)
	}
	for text, want := range map[string]struct {
		outcome  stats.Outcome
		certain  bool
		observed float64
		bound    float64
		message  string
	}{
		"apm.error_docs == expected_errors":             {stats.OutcomePass, true, 7, 7, "apm.error_docs was 7, and expected_errors 7"},
		"apm.error_docs > requests":                     {stats.OutcomeFail, true, 7, 20, "apm.error_docs was 7, and requests 20"},
		"expected_errors{task=oops} == failed_requests": {stats.OutcomePass, true, 4, 4, "expected_errors{task=oops} was 4, and failed_requests{task=oops} 4"},
		"expected_errors == 7":                          {stats.OutcomePass, true, 7, 7, "expected_errors was 7, which is the bound"},
		"requests == apm.missing":                       {stats.OutcomeUnknown, false, 20, 0, "apm.missing is unknown: nobody has told it, or nothing was measured"},
		"service.max <= max":                            {stats.OutcomePass, true, 99.9, 100, "service.max was 99.95ms, and max 100ms"},
		"service.p99 <= p99":                            {stats.OutcomePass, false, 99.9, 100, "service.p99 was 99.9ms, and p99 100ms"},
	} {
		v := stats.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, want.outcome, v.Outcome, text)
		if want.outcome == stats.OutcomeUnknown {
			assert.Equal(t, want.message, v.Message)
			continue
		}
		assert.Equal(t, want.certain, v.Certain, text)
		assert.InDelta(t, want.observed, v.Observed, 0.8, text)
		assert.InDelta(t, want.bound, v.Bound, 0.8, text)
		if want.certain {
			assert.Equal(t, want.message, v.Message, text)
		}
		assert.Equal(t, text, v.Threshold.String())
	}
}

func FuzzParseThreshold(f *testing.F) {
	for _, text := range []string{
		"p99 < 200ms", `requests{status=5xx, task="a b"} <= 3 abort after 1m`, "error_rate < 7%", "p9{group=a} < 1s", "rate > 1/m", "apm.x != -2e3", "service.p99.9 >= 1h",
	} {
		f.Add(text)
	}
	s := &stats.Snapshot{Elapsed: time.Second}
	s.Response.Record(time.Second)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := stats.ParseThreshold(text)
		if err != nil {
			return
		}
		again, err := stats.ParseThreshold(got.String())
		require.NoError(t, err, "%q as %q", text, got)
		require.Equal(t, got, again, "%q as %q", text, got)
		v := got.Evaluate(s)
		require.NotEmpty(t, v.Message)
		_, err = json.Marshal(v)
		require.NoError(t, err)
	})
}

// twoTasks is a snapshot with 100 iterations of 1 ms to 100 ms, and one of a second.
func twoTasks(t *testing.T) *stats.Snapshot {
	t.Helper()
	s := &stats.Snapshot{Elapsed: 10 * time.Second, Metrics: map[string]float64{"apm.missing": 2}}
	s.Iterations, s.FailedIterations, s.Requests, s.FailedRequests = 101, 2, 200, 3
	s.Status = map[int]uint64{200: 190, 404: 4, 500: 5, 503: 1}
	s.Errors = map[failure.Class]stats.ErrorStat{failure.Check: {Count: 2}, failure.Timeout: {Count: 3}}
	for ms := range 100 {
		s.Response.Record(time.Duration(ms+1) * time.Millisecond)
		s.Service.Record(time.Millisecond)
	}
	s.Response.Record(time.Second)
	s.Tasks = []stats.TaskSnapshot{{Task: "one"}}
	s.Tasks[0].Iterations = 1
	s.Tasks[0].Response.Record(time.Second)
	s.Groups = []stats.GroupSnapshot{{Group: "pay", Count: 50, Failed: 5}, {Group: "begun"}}
	for range 50 {
		s.Groups[0].Time.Record(3 * time.Millisecond)
	}
	return s
}
