package loadgen_test

import (
	"context"
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
		cfg.Grace = loadgen.Off
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
	p, err := m.Preview(cfg)
	require.NoError(t, err)
	assert.NoError(t, p.Refused)
}
