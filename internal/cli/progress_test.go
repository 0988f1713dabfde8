package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/golden"
)

// runningSnapshot is of a job that has run for 72 s, and what of it was in the last 5.
func runningSnapshot() (s, now *loadgen.Snapshot) {
	s = &loadgen.Snapshot{Job: "shop", State: loadgen.StateRunning, Elapsed: 72 * time.Second, Valid: true, VUs: 10, Active: 3}
	s.Iterations, s.FailedIterations, s.Requests, s.FailedRequests = 7100, 12, 7200, 12
	s.Errors = map[loadgen.ErrorClass]loadgen.ErrorStat{loadgen.ClassTimeout: {Count: 2}, loadgen.ClassCheck: {Count: 10}}
	for i := range 7100 {
		s.Response.Record(time.Duration(i) * 20 * time.Microsecond)
	}
	for _, v := range loadgen.MustThresholds("p99 < 200ms", "error_rate < 0.1%") {
		s.Verdicts = append(s.Verdicts, v.Evaluate(s))
	}
	now = &loadgen.Snapshot{Elapsed: 5 * time.Second}
	now.Requests = 501
	now.Response.Record(30 * time.Millisecond)
	return s, now
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	show := func(cfg loadgen.JobConfig, s, now *loadgen.Snapshot, message string) {
		for _, l := range blockLines(cfg, s, now, message) {
			fmt.Fprintln(&b, l)
		}
		fmt.Fprintf(&b, "\n%s\n\n", plainLine(cfg, s, now))
	}
	cfg := loadgen.JobConfig{Name: "shop", BaseURL: "http://localhost:8000", Workers: 10, Delay: time.Second, Duration: 2 * time.Minute}
	s, now := runningSnapshot()
	show(cfg, s, now, "")

	s.State, s.Valid, s.Invalid = loadgen.StateStopping, false, []string{"dropped work: 3 iterations were due and never began"}
	cfg.Duration, cfg.MaxIterations = 0, 10000
	show(cfg, s, now, "stopping")

	cfg = loadgen.JobConfig{Name: "new", BaseURL: "http://localhost:8000", Rate: loadgen.PerSecond(100)}
	show(cfg, &loadgen.Snapshot{State: loadgen.StateRunning, Valid: true}, &loadgen.Snapshot{}, "")
	golden.Check(t, "testdata/progress.golden", b.Bytes())
}

// TestPlainProgress watches an hour go by, in lines.
func TestPlainProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		job, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "nap", BaseURL: "http://localhost:1", Workers: 2, Duration: time.Hour,
			Scenario: loadgen.NewScenario("nap").Task("nap", 1, func(ctx context.Context, vu *loadgen.VU) error {
				return vu.Sleep(ctx, time.Second)
			}),
		})
		require.NoError(t, err)
		var out bytes.Buffer
		sys := &command.System{Stderr: &out, LookupEnv: environ(nil), Hard: &command.HardStop{}}
		cut := (&runner{subject: subject{System: sys}, progress: 10 * time.Minute}).watch(t.Context(), m, job)
		assert.Nil(t, cut)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.GreaterOrEqual(t, len(lines), 6)
		assert.Equal(t, "nap: http://localhost:1, 2 workers, for 1h0m0s", lines[0])
		assert.Equal(t, "10:00 of 1:00:00  0 requests, 0/s now, 0 failed, p50 1s, p99 1s", lines[1])
		assert.Equal(t, "50:00 of 1:00:00  0 requests, 0/s now, 0 failed, p50 1s, p99 1s", lines[5])
	})
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 1999 * time.Millisecond: "0:01", 61 * time.Second: "1:01", time.Hour: "1:00:00", 100*time.Hour + 62*time.Second: "100:01:02",
	} {
		assert.Equal(t, want, clock(d))
	}
}

// TestWindow holds that "now" is the last five seconds or so.
func TestWindow(t *testing.T) {
	v := &view{}
	var now *loadgen.Snapshot
	for i := range 4 * 60 { // four times a second
		s := &loadgen.Snapshot{Elapsed: time.Duration(i) * 250 * time.Millisecond}
		s.Requests = uint64(i)
		now = v.window(s)
		assert.LessOrEqual(t, now.Elapsed, 6*time.Second)
		if i > 24 {
			assert.GreaterOrEqual(t, now.Elapsed, recentLength)
		}
	}
	assert.InDelta(t, 4, float64(now.Requests)/now.Elapsed.Seconds(), 0.01)
	assert.LessOrEqual(t, len(v.recent), 7)
}
