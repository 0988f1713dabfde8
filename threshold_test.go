package loadgen_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string]loadgen.Threshold{
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

		"failures{class=timeout} <= 3":            {Metric: "failures", Class: loadgen.ClassTimeout, Compare: "<=", Bound: 3},
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
		got, err := loadgen.ParseThreshold(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := loadgen.ParseThreshold(got.String())
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
		"p99 < 1s abort after -3s":   "needs a duration above 0",
		"abort < 1":                  "there is no metric",
		"p99 < 1s < 2s":              "must be a duration",
		"apm. < 1":                   "there is no metric",

		"p99 < " + string(make([]byte, 2000)): "at most 1000 bytes",
	} {
		_, err := loadgen.ParseThreshold(text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.PanicsWithValue(t, `loadgen: threshold "p99": a comparison (<= >= == != < >) must follow p99`,
		func() { loadgen.MustThresholds("p99") })
}

// A threshold that is built rather than read is checked with the job.
func TestValidateThresholds(t *testing.T) {
	cfg := loadgen.JobConfig{Name: "x", ScenarioName: "x", BaseURL: "http://x", Thresholds: []loadgen.Threshold{
		{Metric: "p99", Compare: "<", Bound: 0.2},
		{Metric: "p99", Compare: "~", Bound: 0.2},
		{Metric: "rate", Compare: "<", Bound: math.NaN()},
		{Metric: "failures", Compare: "<", AbortAfter: time.Second},
		{},
	}}
	var invalid *loadgen.ValidationError
	require.ErrorAs(t, cfg.Validate(), &invalid)
	assert.Len(t, invalid.Fields, 4)
	cfg.Thresholds = make([]loadgen.Threshold, loadgen.MaxThresholds+1)
	assert.ErrorContains(t, cfg.Validate(), "must be at most 100, not 101")
}

// twoTasks is a snapshot with 100 iterations of 1 ms to 100 ms, and one of a second.
func twoTasks(t *testing.T) *loadgen.Snapshot {
	t.Helper()
	s := &loadgen.Snapshot{Elapsed: 10 * time.Second, Metrics: map[string]float64{"apm.missing": 2}}
	s.Iterations, s.FailedIterations, s.Requests, s.FailedRequests = 101, 2, 200, 3
	s.Status = map[int]uint64{200: 190, 404: 4, 500: 5, 503: 1}
	s.Errors = map[loadgen.ErrorClass]loadgen.ErrorStat{loadgen.ClassCheck: {Count: 2}, loadgen.ClassTimeout: {Count: 3}}
	for ms := range 100 {
		s.Response.Record(time.Duration(ms+1) * time.Millisecond)
		s.Service.Record(time.Millisecond)
	}
	s.Response.Record(time.Second)
	s.Tasks = []loadgen.TaskSnapshot{{Task: "one"}}
	s.Tasks[0].Iterations = 1
	s.Tasks[0].Response.Record(time.Second)
	s.Groups = []loadgen.GroupSnapshot{{Group: "pay", Count: 50, Failed: 5}, {Group: "begun"}}
	for range 50 {
		s.Groups[0].Time.Record(3 * time.Millisecond)
	}
	return s
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
		v := loadgen.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, want, string(v.Outcome)+": "+v.Message, text)
	}
	s.Verdicts = []loadgen.Verdict{
		loadgen.MustThresholds("max <= 1s")[0].Evaluate(s),
		loadgen.MustThresholds("lag.max <= 1s")[0].Evaluate(s),
		loadgen.MustThresholds("max < 1s")[0].Evaluate(s),
	}
	assert.Equal(t, s.Verdicts[1:], s.FailedVerdicts())
	assert.Equal(t, loadgen.OutcomeUnknown, loadgen.Threshold{Metric: "nonsense"}.Evaluate(s).Outcome)
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
		s := &loadgen.Snapshot{Totals: loadgen.Totals{Iterations: 3, FailedIterations: 3}}
		if text != "" {
			s.Verdicts = []loadgen.Verdict{{Outcome: loadgen.OutcomePass, Threshold: loadgen.MustThresholds(text)[0]}}
		}
		assert.Equal(t, want, s.AllFailed(), text)
		s.Iterations++
		assert.False(t, s.AllFailed(), "one has succeeded")
	}
	assert.False(t, (&loadgen.Snapshot{}).AllFailed(), "nothing has run")
}

func TestThresholdAbout(t *testing.T) {
	for text, want := range map[string]bool{
		"apm.missing == 0":                  true,
		"failed_requests == apm.error_docs": true,
		"apm.error_docs == expected_errors": true,
		"p99 < 1s":                          false,
		"failures == expected_errors":       false,
	} {
		assert.Equal(t, want, loadgen.MustThresholds(text)[0].About("apm."), text)
	}
}

// A percentile is known to 1/128 above its exact value, and a verdict says when
// that matters.
func TestVerdictKnowsTheErrorBound(t *testing.T) {
	s := &loadgen.Snapshot{}
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
		v := loadgen.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, certain, v.Certain, "%s: %s", text, v.Message)
	}
	v := loadgen.MustThresholds("p50 <= 200ms")[0].Evaluate(s)
	assert.Equal(t, loadgen.OutcomeFail, v.Outcome)
	assert.Contains(t, v.Message, "; the exact value is from ")
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var back loadgen.Verdict
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, v, back)
}

// script is a scenario whose iterations take what a function says, and fail where
// it says so.
func script(took func(i int) (time.Duration, bool)) *loadgen.Scenario {
	var runs atomic.Int64
	return loadgen.NewScenario("script").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error {
		d, ok := took(int(runs.Add(1)) - 1)
		if err := vu.Sleep(ctx, d); err != nil {
			return err
		}
		if !ok {
			return errors.New("made to fail")
		}
		return nil
	})
}

// judged runs one VU in virtual time.
func judged(t *testing.T, cfg loadgen.JobConfig, thresholds ...string) (snap *loadgen.Snapshot, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.BaseURL, cfg.Thresholds = "http://none.test", loadgen.MustThresholds(thresholds...)
		if cfg.Duration == 0 {
			cfg.Duration = 100 * time.Second
		}
		snap, err = loadgen.Run(t.Context(), cfg)
	})
	return snap, err
}

func TestThresholdAgainstAnotherMetric(t *testing.T) {
	s := &loadgen.Snapshot{
		Metrics: map[string]float64{"apm.error_docs": 7},
		Totals:  loadgen.Totals{Requests: 20, Status: map[int]uint64{200: 10, 404: 3, 500: 5, 503: 2}},
		Tasks: []loadgen.TaskSnapshot{
			{Task: "oops", Totals: loadgen.Totals{Requests: 4, FailedRequests: 4, Status: map[int]uint64{500: 4}}},
		},
	}
	for i := range 100 { // closer to one another than percentiles are known
		s.Response.Record(100*time.Millisecond - time.Duration(99-i)*time.Microsecond)
		s.Service.Record(100*time.Millisecond - time.Duration(149-i)*time.Microsecond)
	}
	for text, want := range map[string]struct {
		outcome  loadgen.Outcome
		certain  bool
		observed float64
		bound    float64
		message  string
	}{
		"apm.error_docs == expected_errors":             {loadgen.OutcomePass, true, 7, 7, "apm.error_docs was 7, and expected_errors 7"},
		"apm.error_docs > requests":                     {loadgen.OutcomeFail, true, 7, 20, "apm.error_docs was 7, and requests 20"},
		"expected_errors{task=oops} == failed_requests": {loadgen.OutcomePass, true, 4, 4, "expected_errors{task=oops} was 4, and failed_requests{task=oops} 4"},
		"expected_errors == 7":                          {loadgen.OutcomePass, true, 7, 7, "expected_errors was 7, which is the bound"},
		"requests == apm.missing":                       {loadgen.OutcomeUnknown, false, 20, 0, "apm.missing is unknown: nobody has told it, or nothing was measured"},
		"service.max <= max":                            {loadgen.OutcomePass, true, 99.9, 100, "service.max was 99.95ms, and max 100ms"},
		"service.p99 <= p99":                            {loadgen.OutcomePass, false, 99.9, 100, "service.p99 was 99.9ms, and p99 100ms"},
	} {
		v := loadgen.MustThresholds(text)[0].Evaluate(s)
		assert.Equal(t, want.outcome, v.Outcome, text)
		if want.outcome == loadgen.OutcomeUnknown {
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

// What an APM agent tells need not be known before the end of the job.
func TestThresholdAgainstAMetricThatIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs, told := 0.0, false
		m := loadgen.New(loadgen.WithMetrics([]string{"apm.error_docs"}, func(s *loadgen.Snapshot) (map[string]float64, bool) {
			assert.Equal(t, "x", s.Job)
			return map[string]float64{"apm.error_docs": docs}, told
		}))
		defer m.Close()
		cfg := loadgen.JobConfig{
			Name: "x", Scenario: script(func(int) (time.Duration, bool) { return 0, true }), BaseURL: "http://none.test", MaxIterations: 2,
			Thresholds: loadgen.MustThresholds("iterations == apm.error_docs", "apm.error_docs >= 2", "iterations == 2"),
		}
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
		verdicts := func(outcome loadgen.Outcome, final bool) {
			t.Helper()
			for i, v := range j.Snapshot().Verdicts {
				if i == 2 {
					assert.True(t, v.Final, "nothing that others tell is in it")
					continue
				}
				assert.Equal(t, outcome, v.Outcome)
				assert.Equal(t, final, v.Final)
				assert.Equal(t, final, !strings.HasSuffix(v.Message, "; not final yet"), v.Message)
			}
		}
		verdicts(loadgen.OutcomeFail, false)
		docs = 2
		verdicts(loadgen.OutcomePass, false)
		told = true
		verdicts(loadgen.OutcomePass, true)

		cfg.Thresholds = loadgen.MustThresholds("iterations == apm.error_dogs")
		_, err = m.Start(t.Context(), cfg)
		assert.ErrorContains(t, err, "nobody measures apm.error_dogs; there are apm.error_docs")
	})
}

func TestAbortEndsTheJobWhenNothingCanTurnTheVerdict(t *testing.T) {
	slowFrom := func(n int) *loadgen.Scenario {
		return script(func(i int) (time.Duration, bool) {
			if i >= n {
				return 950 * time.Millisecond, false
			}
			return 100 * time.Millisecond, true
		})
	}
	perSecond := loadgen.JobConfig{Rate: loadgen.PerSecond(1)} // 100 iterations
	for _, c := range []struct {
		cfg       loadgen.JobConfig
		from      int // slow and failing
		threshold string
		ended     time.Duration // 0: not before its time
	}{
		{perSecond, 10, "failures <= 2 abort", 12950 * time.Millisecond},
		{perSecond, 10, "failures <= 2", 0},
		{perSecond, 10, "max < 500ms abort", 10950 * time.Millisecond},
		{perSecond, 10, "min > 500ms abort", 100 * time.Millisecond},
		{perSecond, 10, "iterations > 100 abort", 0},                       // fails in the end alone
		{perSecond, 10, "p90 < 500ms abort", 20950 * time.Millisecond},     // with 11 of 100
		{perSecond, 10, "error_rate < 5% abort", 14950 * time.Millisecond}, // with 5 of 100
		{perSecond, 10, "error_rate <= 5% abort", 15950 * time.Millisecond},
		{perSecond, 10, "mean < 199ms abort", 29950 * time.Millisecond},     // 1 s + 20 × 0.95 s ≥ 100 × 0.199 s
		{perSecond, 10, "service.p90 < 1ms abort", 0},                       // no requests at all
		{loadgen.JobConfig{Delay: time.Second}, 10, "p90 < 500ms abort", 0}, // how many there will be is open
		{loadgen.JobConfig{MaxIterations: 50, Delay: 50 * time.Millisecond}, 10, "p90 < 500ms abort", 1500*time.Millisecond + 6*time.Second - 50*time.Millisecond},
		{loadgen.JobConfig{Delay: time.Second}, 0, "p50 < 500ms abort after 30s", 0}, // less than 100 samples
		{loadgen.JobConfig{Rate: loadgen.PerSecond(10)}, 0, "p50 < 500ms abort after 30s", 30 * time.Second},
		{loadgen.JobConfig{Rate: loadgen.PerSecond(10)}, 0, "p50 > 500ms abort after 30s", 0},
		{perSecond, 0, "iteration_rate > 5/s abort after 30s", 30 * time.Second},
		{perSecond, 0, "rate > 5/s abort after 7s", 7 * time.Second},
	} {
		cfg := c.cfg
		cfg.Scenario = slowFrom(c.from)
		cfg.Grace = loadgen.NoGrace
		snap, err := judged(t, cfg, c.threshold)
		require.NotNil(t, snap)
		require.Len(t, snap.Verdicts, 1)
		v := snap.Verdicts[0]
		assert.True(t, v.Final)
		if c.ended == 0 {
			assert.NoError(t, err, c.threshold)
			assert.Equal(t, loadgen.StateFinished, snap.State, "%s: %s", c.threshold, snap.Reason)
			assert.False(t, v.Aborted)
			continue
		}
		assert.ErrorContains(t, err, c.threshold)
		assert.Equal(t, loadgen.StateFailed, snap.State, c.threshold)
		assert.Equal(t, loadgen.OutcomeFail, v.Outcome)
		assert.True(t, v.Aborted)
		assert.Equal(t, "threshold "+c.threshold+": "+v.Message, snap.Reason)
		// Thresholds are looked at each 100 ms.
		assert.GreaterOrEqual(t, snap.Elapsed, c.ended, c.threshold)
		assert.LessOrEqual(t, snap.Elapsed, c.ended+100*time.Millisecond, c.threshold)
	}
}

// The verdict that ended a job stays, whatever iterations on their way still bring.
func TestAbortingVerdictStays(t *testing.T) {
	snap, err := judged(t, loadgen.JobConfig{
		Workers: 150, Delay: time.Second, RampUp: 30 * time.Second,
		Scenario: script(func(i int) (time.Duration, bool) { return time.Second, i >= 500 }),
	}, "error_rate < 90% abort after 2s")
	require.ErrorContains(t, err, "threshold error_rate < 90% abort after 2s")
	assert.Equal(t, loadgen.OutcomeFail, snap.Verdicts[0].Outcome)
}

// A day-long job looks at its thresholds some thousand times, not some hundred
// thousand, and is no slower to end by much.
func TestAbortIsCheapForADay(t *testing.T) {
	const day = 24 * time.Hour
	snap, err := judged(t, loadgen.JobConfig{
		Duration: day, Rate: loadgen.PerMinute(1),
		Scenario: script(func(i int) (time.Duration, bool) { return time.Millisecond, i < 720 }),
	}, "failures < 1 abort")
	require.Error(t, err)
	assert.InDelta(t, day/2, snap.Elapsed, float64(day/1000))
}

func TestThresholdsOfJobAndScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New(loadgen.WithMetrics([]string{"apm.missing"}, func(*loadgen.Snapshot) (map[string]float64, bool) {
			return map[string]float64{"apm.missing": 3, "apm.bad": math.NaN()}, true
		}))
		defer m.Close()
		s := script(func(int) (time.Duration, bool) { return time.Millisecond, true }).
			Threshold("p99 < 1s").Threshold("failures == 0").Threshold("p99 > 2s")
		cfg := loadgen.JobConfig{
			Name: "x", Scenario: s, BaseURL: "http://none.test", Delay: time.Second,
			Thresholds: loadgen.MustThresholds("p99 <= 2s", "apm.missing == 0"),
		}
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		time.Sleep(2500 * time.Millisecond)
		texts := func() (out []string) {
			for _, v := range j.Snapshot().Verdicts {
				out = append(out, v.Threshold.String()+" "+string(v.Outcome))
				assert.False(t, v.Final && v.Threshold.Metric == "p99")
			}
			return out
		}
		assert.Equal(t, []string{"p99 <= 2s pass", "apm.missing == 0 fail", "failures == 0 pass", "p99 > 2s fail"}, texts())
		assert.Equal(t, map[string]float64{"apm.missing": 3}, j.Snapshot().Metrics)
		assert.Empty(t, j.Snapshot().Since(nil).Verdicts)

		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Thresholds = loadgen.MustThresholds("failures < 5") }))
		assert.Equal(t, []string{"failures < 5 pass", "p99 < 1s pass", "failures == 0 pass", "p99 > 2s fail"}, texts())
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Thresholds = loadgen.MustThresholds("iterations < 1 abort") }))
		require.ErrorContains(t, j.Wait(t.Context()), "iterations < 1 abort: iterations was 3, 2 above 1", "it takes effect in the running job")
	})
}

func TestThresholdsAreCheckedAtTheStart(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	cfg := loadgen.JobConfig{
		Name: "x", BaseURL: "http://none.test",
		Scenario:   script(nil).Threshold("p99{task=onyl} < 1s").Threshold("p99"),
		Thresholds: loadgen.MustThresholds("apm.missing == 0"),
	}
	_, err := m.Start(t.Context(), cfg)
	assert.ErrorContains(t, err, `thresholds: threshold "apm.missing == 0": nobody measures apm.missing`)
	assert.ErrorContains(t, err, `scenario: threshold "p99{task=onyl} < 1s": scenario "script" has no such task (did you mean "only"?)`)
	assert.ErrorContains(t, err, `scenario: threshold "p99": a comparison`)
}

func TestThresholdsInAFile(t *testing.T) {
	s, err := loadgen.ParseScenario("x", []byte("thresholds:\n  - p99{task=home} < 200ms\n  - error_rate < 1% abort\ntasks:\n  - {name: home, request: GET /}\n"))
	require.NoError(t, err)
	assert.Equal(t, loadgen.MustThresholds("p99{task=home} < 200ms", "error_rate < 1% abort"), s.Thresholds())

	_, err = loadgen.ParseScenario("x", []byte("tasks:\n  - {name: home, request: GET /}\nthresholds:\n  - p99{task=hmoe} < 200ms\n  -   p99 < 3\n  - a: b\n  - 5\n"))
	assert.EqualError(t, err, `x:4:5: the threshold "p99{task=hmoe} < 200ms": there is no task "hmoe" (did you mean "home"?)
x:5:7: the threshold "p99 < 3": the bound of p99 must be a duration such as 200ms or 1.5s, not "3"
x:6:5: expected a threshold as text, found a map
x:7:5: expected a threshold as text, found the number 5`)
	_, err = loadgen.ParseScenario("x", []byte("thresholds: []\ntasks: [{name: home, request: GET /}]"))
	assert.EqualError(t, err, "x:1:13: expected 1 to 100 thresholds, found 0")
}

// groups is a scenario whose flow is in a group pay, three times in an iteration, that
// takes and fails as a function says.
func groups(took func(i int) (time.Duration, error)) *loadgen.Scenario {
	var runs atomic.Int64
	return loadgen.NewScenario("groups").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error {
		for range 3 {
			d, err := took(int(runs.Add(1)) - 1)
			_ = vu.Group(ctx, "pay", func(context.Context) error {
				time.Sleep(d)
				return err
			})
		}
		return nil
	})
}

func TestThresholdOfAGroup(t *testing.T) {
	failed := errors.New("made to fail")
	slow := groups(func(i int) (time.Duration, error) {
		if i >= 300 {
			return 900 * time.Millisecond, failed
		}
		return 10 * time.Millisecond, nil
	})
	snap, err := judged(t, loadgen.JobConfig{Scenario: slow, MaxIterations: 101}, "max{group=pay} < 1s", "error_rate{group=pay} < 0.5%", "p99{group=pay} > 20ms")
	require.NoError(t, err)
	assert.Equal(t, loadgen.OutcomePass, snap.Verdicts[0].Outcome)
	assert.Equal(t, loadgen.OutcomeFail, snap.Verdicts[1].Outcome)
	assert.Equal(t, uint64(303), snap.Verdicts[1].Samples)
	assert.Equal(t, loadgen.OutcomeFail, snap.Verdicts[2].Outcome, "three of 303 are slow")

	snap, err = judged(t, loadgen.JobConfig{Scenario: slow, MaxIterations: 10}, "p99{group=other} < 1s")
	require.NoError(t, err)
	assert.Equal(t, loadgen.OutcomeUnknown, snap.FailedVerdicts()[0].Outcome)
}

// A maximum is certain at once. How often a flow will still be in a group nobody knows,
// so a share or a percentile ends the job with "after" alone.
func TestThresholdOfAGroupAborts(t *testing.T) {
	slow := func() *loadgen.Scenario {
		return groups(func(i int) (time.Duration, error) {
			if i < 30 {
				return time.Second, errors.New("made to fail")
			}
			return time.Millisecond, nil
		})
	}
	snap, err := judged(t, loadgen.JobConfig{Scenario: slow(), MaxIterations: 1000}, "max{group=pay} < 1s abort")
	require.ErrorContains(t, err, "threshold max{group=pay} < 1s abort: max{group=pay} was 1s, which is the bound")
	assert.Less(t, snap.Elapsed, 5*time.Second)

	_, err = judged(t, loadgen.JobConfig{Scenario: slow(), MaxIterations: 1000}, "error_rate{group=pay} < 2% abort", "p95{group=pay} < 1s abort")
	require.NoError(t, err, "thirty of three thousand")

	failing := groups(func(int) (time.Duration, error) { return 100 * time.Millisecond, errors.New("made to fail") })
	snap, err = judged(t, loadgen.JobConfig{Scenario: failing, MaxIterations: 200}, "error_rate{group=pay} < 2% abort after 30s")
	require.ErrorContains(t, err, "threshold error_rate{group=pay} < 2% abort after 30s")
	assert.Less(t, snap.Iterations, uint64(110))
}

// A file says which groups it has, so that a misspelt one is refused; a function may
// begin any.
func TestThresholdOfAGroupThatAScenarioLacks(t *testing.T) {
	const tasks = "vu_setup:\n  - group: login\n    steps: [{request: GET /}]\ntasks:\n  - name: buy\n    steps:\n      - group: checkout\n        steps: [{request: GET /}]\n"
	s, err := loadgen.ParseScenario("x", []byte("thresholds: ['p99{group=checkout} < 1s', 'error_rate{group=login} < 1%']\n"+tasks))
	require.NoError(t, err)
	assert.Len(t, s.Thresholds(), 2)
	_, err = loadgen.ParseScenario("x", []byte("thresholds: ['p99{group=chekout} < 1s', 'p99{group=pay} < 1s']\n"+tasks))
	assert.EqualError(t, err, `x:1:14: the threshold "p99{group=chekout} < 1s": there is no group "chekout" (did you mean "checkout"?)
x:1:41: the threshold "p99{group=pay} < 1s": there is no group "pay"; there are checkout, login`)

	m := loadgen.New()
	defer m.Close()
	cfg := loadgen.JobConfig{Name: "x", BaseURL: "http://none.test", Scenario: s, Thresholds: loadgen.MustThresholds("p99{group=pay} < 1s")}
	_, err = m.Start(t.Context(), cfg)
	assert.ErrorContains(t, err, `thresholds: threshold "p99{group=pay} < 1s": scenario "x" has no such group; there are checkout, login`)
	s.Task("go", 1, func(context.Context, *loadgen.VU) error { return nil })
	_, _, err = m.Resolve(cfg)
	assert.NoError(t, err)
}

func FuzzParseThreshold(f *testing.F) {
	for _, text := range []string{
		"p99 < 200ms", `requests{status=5xx, task="a b"} <= 3 abort after 1m`, "error_rate < 7%", "p9{group=a} < 1s", "rate > 1/m", "apm.x != -2e3", "service.p99.9 >= 1h",
	} {
		f.Add(text)
	}
	s := &loadgen.Snapshot{Elapsed: time.Second}
	s.Response.Record(time.Second)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := loadgen.ParseThreshold(text)
		if err != nil {
			return
		}
		again, err := loadgen.ParseThreshold(got.String())
		require.NoError(t, err, "%q as %q", text, got)
		require.Equal(t, got, again, "%q as %q", text, got)
		v := got.Evaluate(s)
		require.NotEmpty(t, v.Message)
		_, err = json.Marshal(v)
		require.NoError(t, err)
	})
}
