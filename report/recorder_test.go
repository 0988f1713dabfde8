package report_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

// follow runs a job whose iterations take 100 ms, and records it.
func follow(t *testing.T, cfg loadgen.JobConfig, every time.Duration) *report.Report {
	t.Helper()
	m := loadgen.New()
	defer m.Close()
	cfg.Name, cfg.BaseURL = "nap", "http://localhost:1"
	cfg.Scenario = loadgen.NewScenario("nap").Task("nap", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Sleep(ctx, 100*time.Millisecond)
	})
	job, err := m.Start(t.Context(), cfg)
	require.NoError(t, err)
	rec := report.NewRecorder(job, every)
	rec.Record(t.Context())
	return rec.Report()
}

// addsUp holds that intervals follow each other and add up to the whole.
func addsUp(t *testing.T, r *report.Report) {
	t.Helper()
	var sum loadgen.Totals
	var lag loadgen.Histogram
	var at time.Duration
	for i := range r.Intervals {
		assert.Equal(t, at, r.Intervals[i].From)
		at = r.Intervals[i].To
		sum.Merge(&r.Intervals[i].Totals)
		lag.Merge(&r.Intervals[i].Lag)
	}
	assert.Equal(t, r.Snapshot.Elapsed, at)
	assert.Equal(t, r.Snapshot.Iterations, sum.Iterations)
	assert.Equal(t, r.Snapshot.Response.Count(), sum.Response.Count())
	assert.Equal(t, r.Snapshot.Response.Sum(), sum.Response.Sum())
	assert.Equal(t, r.Snapshot.Response.P99(), sum.Response.P99())
	assert.Equal(t, r.Snapshot.Lag.Count(), lag.Count())
}

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := follow(t, loadgen.JobConfig{Workers: 2, Duration: 5*time.Second + 50*time.Millisecond}, time.Second)
		addsUp(t, r)
		require.Len(t, r.Intervals, 5, "the last is a part of the one before")
		for i, in := range r.Intervals {
			assert.Equal(t, time.Duration(i)*time.Second, in.From)
			assert.Equal(t, 2, in.VUs)
		}
		assert.Equal(t, 5100*time.Millisecond, r.Intervals[4].To)
		assert.Equal(t, time.Second, r.Every)
		assert.Equal(t, "nap", r.Config.Name)
	})
}

// TestRecorderIsBounded records a week, by the second.
func TestRecorderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := follow(t, loadgen.JobConfig{Rate: loadgen.PerMinute(1), Duration: 7 * 24 * time.Hour}, time.Second)
		addsUp(t, r)
		assert.LessOrEqual(t, len(r.Intervals), 1200)
		assert.Greater(t, len(r.Intervals), 500)
		for i := range r.Intervals[:len(r.Intervals)-1] {
			assert.Equal(t, r.Every, r.Intervals[i].Length())
		}
	})
}

// TestRecorderReportsEarly takes a report while the job runs.
func TestRecorderReportsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		job, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "nap", BaseURL: "http://localhost:1", Workers: 1, Duration: 10 * time.Second,
			Scenario: loadgen.NewScenario("nap").Task("nap", 1, func(ctx context.Context, vu *loadgen.VU) error {
				return vu.Sleep(ctx, 100*time.Millisecond)
			}),
		})
		require.NoError(t, err)
		rec := report.NewRecorder(job, time.Second)
		done := make(chan struct{})
		go func() { defer close(done); rec.Record(t.Context()) }()
		time.Sleep(2500 * time.Millisecond)
		early := rec.Report()
		addsUp(t, early)
		assert.Equal(t, 2500*time.Millisecond, early.Snapshot.Elapsed)
		<-done
		addsUp(t, rec.Report())
		addsUp(t, early)
	})
}

// Reports may be asked for side by side: each has intervals that follow one another.
func TestRecorderReportsSideBySide(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	job, err := m.Start(t.Context(), loadgen.JobConfig{
		Name: "busy", BaseURL: "http://localhost:1", Workers: 2,
		Scenario: loadgen.NewScenario("busy").Task("busy", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, time.Millisecond) }),
	})
	require.NoError(t, err)
	rec := report.NewRecorder(job, 10*time.Millisecond)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				r := rec.Report()
				at := time.Duration(0)
				for _, i := range r.Intervals {
					assert.Equal(t, at, i.From)
					assert.Positive(t, i.Length())
					at = i.To
				}
				assert.Equal(t, r.Snapshot.Elapsed, at)
			}
		})
	}
	wg.Wait()
	job.Stop()
	require.NoError(t, job.Wait(t.Context()))
	addsUp(t, rec.Report())
}
