package report_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
	"github.com/opbeans/loadgen/stats"
)

// waiting is a scenario whose iterations take between 1 and 50 ms, by the values of
// their VU, and of which some fail.
func waiting() *loadgen.Scenario {
	return loadgen.NewScenario("waiting").
		Task("short", 3, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Think(ctx, time.Millisecond, 5*time.Millisecond)
		}).
		Task("long", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if err := vu.Think(ctx, 10*time.Millisecond, 50*time.Millisecond); err != nil {
				return err
			}
			return vu.Check(vu.Rand().IntN(4) > 0, "one in four")
		})
}

// segments runs a job in n segments side by side, which come up apart, and returns their
// reports as they are read from files.
func segments(t *testing.T, cfg loadgen.JobConfig, n int, apart time.Duration) (parts []*report.Report) {
	t.Helper()
	var recorders []*report.Recorder
	for i := range n {
		m := loadgen.New()
		t.Cleanup(m.Close)
		if n > 1 {
			cfg.Segment = loadgen.Segment{Index: i + 1, Count: n}
		}
		job, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		rec := report.NewRecorder(job, time.Second)
		go rec.Record(context.Background()) // until the job has ended
		recorders = append(recorders, rec)
		t.Cleanup(func() { <-job.Done() })
		time.Sleep(apart)
	}
	time.Sleep(time.Hour)
	for _, rec := range recorders {
		var file bytes.Buffer
		require.NoError(t, rec.Report().WriteJSON(&file))
		r, err := report.ReadJSON(&file)
		require.NoError(t, err)
		parts = append(parts, r)
	}
	return parts
}

// What ten segments measured, merged, is to the last counter what one process measures.
func TestMergeIsTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loadgen.JobConfig{
			Name: "shop", Scenario: waiting(), BaseURL: "http://shop.test", Seed: 5, Workers: 25, Delay: 300 * time.Millisecond,
			Duration:   20*time.Second + 100*time.Millisecond,
			Thresholds: loadgen.MustThresholds("iteration_rate > 70/s", "iterations > 1000", "p99 < 45ms"),
		}
		cfg.StartAt = time.Now().Add(time.Minute)
		whole := segments(t, cfg, 1, 0)[0]
		cfg.StartAt = time.Now().Add(time.Minute)
		parts := segments(t, cfg, 10, time.Second)
		assert.Equal(t, loadgen.OutcomeFail, parts[0].Snapshot.Verdicts[1].Outcome, "a tenth is too few")
		parts[2], parts[7] = parts[7], parts[2]
		merged, err := report.Merge(parts, report.MergeOptions{})
		require.NoError(t, err)

		assert.Greater(t, whole.Snapshot.Iterations, uint64(1000))
		assert.NotZero(t, whole.Snapshot.FailedIterations)
		assert.Equal(t, whole.Snapshot.Totals, merged.Snapshot.Totals)
		assert.Equal(t, whole.Snapshot.Lag, merged.Snapshot.Lag)
		assert.Equal(t, whole.Snapshot.Elapsed, merged.Snapshot.Elapsed)
		assert.InDelta(t, whole.Snapshot.LoadDuration, merged.Snapshot.LoadDuration, float64(time.Microsecond))
		assert.Equal(t, whole.Snapshot.Workers, merged.Snapshot.Workers)
		assert.Equal(t, whole.Snapshot.Verdicts, merged.Snapshot.Verdicts)
		assert.True(t, merged.Snapshot.Valid, "%q", merged.Snapshot.Invalid)
		assert.Equal(t, "all 10 segments are done", merged.Snapshot.Reason)
		for _, task := range whole.Snapshot.Tasks {
			assert.Contains(t, merged.Snapshot.Tasks, task)
		}
		assert.Equal(t, whole.Every, merged.Every)
		require.Len(t, merged.Intervals, len(whole.Intervals))
		for i := range whole.Intervals {
			want, got := whole.Intervals[i], merged.Intervals[i]
			for _, q := range []float64{0, 0.5, 0.99, 1} { // the ends of an interval's histogram are as exact as its counters
				assert.InEpsilon(t, want.Response.Quantile(q), got.Response.Quantile(q), want.Response.ErrorBound(), "interval %d", i)
			}
			assert.Equal(t, want.Response.Mean(), got.Response.Mean())
			assert.InDelta(t, want.Offered, got.Offered, float64(time.Microsecond))
			want.Offered, got.Offered = 0, 0
			want.Response, got.Response = loadgen.Histogram{}, loadgen.Histogram{}
			assert.Equal(t, want, got, "interval %d", i)
		}
		assert.True(t, merged.Config.Segment.IsZero())
		assert.EqualValues(t, 5, merged.Config.Seed)
		for _, f := range report.Formats() {
			assert.NoError(t, report.Output{Format: f, File: "-"}.Write(merged, io.Discard), f.Name)
		}
	})
}

// Segments that begin apart, on intervals of other lengths, lose nothing either; and the
// result says that they were out of step.
func TestMergeOutOfStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loadgen.JobConfig{
			Name: "shop", Scenario: waiting(), BaseURL: "http://shop.test", Workers: 9, Delay: 300 * time.Millisecond, Duration: 30 * time.Second,
		}
		parts := segments(t, cfg, 3, 3300*time.Millisecond)
		parts[1].Every *= 2 // as that of a longer run would be
		merged, err := report.Merge(parts, report.MergeOptions{})
		require.NoError(t, err)
		s := merged.Snapshot
		assert.Equal(t, []string{"out of step: segments began up to 6.6s apart; -start-at lines them up"}, s.Invalid)
		assert.False(t, s.Valid)
		assert.Equal(t, 6600*time.Millisecond+parts[2].Snapshot.Elapsed, s.Elapsed, "of the last to end")
		assert.Zero(t, merged.Config.Seed, "each had one of its own")
		var sum loadgen.Totals
		var at time.Duration
		for _, i := range merged.Intervals {
			assert.Equal(t, at, i.From, "no gap")
			at = i.To
			sum.Merge(&i.Totals)
		}
		assert.Equal(t, s.Elapsed, at)
		assert.Equal(t, s.Totals, sum)
		assert.Equal(t, 2*time.Second, merged.Every)
		assert.Equal(t, 3, merged.Intervals[0].VUs)
		assert.Equal(t, 9, merged.Intervals[8].VUs)
		assert.Equal(t, 3, merged.Intervals[17].VUs)
	})
}

// A short part of a run may be too little to tell by that the generator was the limit.
func TestMergeDoubtsTheSum(t *testing.T) {
	var parts []*report.Report
	for i := range 3 {
		s := &loadgen.Snapshot{State: loadgen.StateFinished, Time: time.Now(), Valid: true, Elapsed: time.Second}
		for range 50 {
			s.Lag.Record(20 * time.Millisecond)
		}
		parts = append(parts, report.New(loadgen.JobConfig{Segment: loadgen.Segment{Index: i + 1, Count: 3}}, s))
	}
	merged, err := report.Merge(parts, report.MergeOptions{})
	require.NoError(t, err)
	assert.False(t, merged.Snapshot.Valid)
	require.Len(t, merged.Snapshot.Invalid, 1)
	assert.Contains(t, merged.Snapshot.Invalid[0], "all segments: schedule lag")

	parts[1].Snapshot.AddIssues(stats.NewIssue(stats.IssueScheduleLag, "schedule lag: said before"))
	parts[2].Snapshot.State, parts[2].Snapshot.Reason = loadgen.StateFailed, "it broke"
	merged, err = report.Merge(parts, report.MergeOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"segment 2/3: schedule lag: said before"}, merged.Snapshot.Invalid, "it is told once")
	assert.Equal(t, loadgen.StateFailed, merged.Snapshot.State)
	assert.Equal(t, "segment 3/3: it broke", merged.Snapshot.Reason)
}

func TestMergeRefuses(t *testing.T) {
	began := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	part := func(text string) *report.Report {
		s, err := loadgen.ParseSegment(text)
		require.NoError(t, err)
		return report.New(loadgen.JobConfig{Name: "shop", ScenarioName: "shop", Segment: s},
			&loadgen.Snapshot{State: loadgen.StateFinished, Started: began, Time: began.Add(time.Minute), Elapsed: time.Minute, Valid: true})
	}
	for name, c := range map[string]struct {
		second *report.Report
		change func(*report.Report)
		want   string
	}{
		"whole":    {part(""), nil, "b.json is not of a segment"},
		"of other": {part("2/4"), nil, "a.json is segment 1/2, and b.json is 2/4"},
		"twice":    {part("1/2"), nil, "a.json and b.json are both segment 1/2"},
		"scenario": {part("2/2"), func(r *report.Report) { r.Config.ScenarioName = "dyno" }, `a.json and b.json are not of one run: scenario is "shop" in one and "dyno" in the other`},
		"rate":     {part("2/2"), func(r *report.Report) { r.Config.Rate = loadgen.PerSecond(5) }, `rate is not set in one and "5/s" in the other`},
		"time":     {part("2/2"), func(r *report.Report) { r.Snapshot.Started = began.Add(time.Hour) }, "b.json began 1h0m0s after a.json, when that was over"},
		"odd":      {part("2/2"), func(r *report.Report) { r.Snapshot.Elapsed = math.MaxInt64 }, "b.json has impossible times"},
		"interval": {part("2/2"), func(r *report.Report) {
			r.Every, r.Intervals = time.Second, []report.Interval{{From: 1, To: math.MaxInt64}}
		}, "b.json has impossible times"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.second)
			}
			_, err := report.Merge([]*report.Report{part("1/2"), c.second}, report.MergeOptions{Names: []string{"a.json", "b.json"}})
			assert.ErrorContains(t, err, c.want)
		})
	}
	_, err := report.Merge(nil, report.MergeOptions{})
	assert.Error(t, err)

	some := []*report.Report{part("5/5"), part("2/5")}
	_, err = report.Merge(some, report.MergeOptions{})
	assert.EqualError(t, err, "report: missing: segment 1/5, 3/5, 4/5")
	merged, err := report.Merge(some, report.MergeOptions{Partial: true})
	require.NoError(t, err)
	assert.False(t, merged.Snapshot.Valid)
	assert.Contains(t, strings.Join(merged.Snapshot.Invalid, ""), "incomplete: without segment 1/5, 3/5, 4/5")
}
