package loadgen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestValidateReportsEveryFaultAtOnce(t *testing.T) {
	cfg := loadgen.JobConfig{
		Name: "a/b", BaseURL: "localhost:8000", Workers: -1, MaxWorkers: -2, Delay: -1, Rate: loadgen.Rate{Count: 1},
		RampUp: -1, Duration: -1, Grace: -2, Client: loadgen.ClientConfig{ConnectTimeout: -1, HeaderTimeout: -1, Timeout: -1, MaxBody: -1, HTTP: "3"},
		ServiceName: "a\nb", Weights: map[string]float64{"x": -1},
	}
	before := fmt.Sprintf("%#v", cfg)
	err := cfg.Validate()
	var invalid *loadgen.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, f := range invalid.Fields {
		fields = append(fields, f.Field)
		assert.NotEmpty(t, f.Message)
	}
	assert.Equal(t, []string{
		"job", "scenario", "url", "service_name", "weights.x", "workers", "max_workers", "delay", "rate", "ramp_up", "duration",
		"grace", "connect_timeout", "header_timeout", "timeout", "max_body", "http",
	}, fields)
	assert.Equal(t, before, fmt.Sprintf("%#v", cfg), "Validate changes nothing")
	ok := config(nothing())
	assert.NoError(t, ok.Validate())
}

func TestBaseURLs(t *testing.T) {
	for _, url := range []string{
		"http://localhost:8000", "https://example.test/base/path", "http://[::1]:80", "http://127.0.0.1", "http://user:secret@host.test",
	} {
		cfg := config(nothing())
		cfg.BaseURL = url
		assert.NoError(t, cfg.Validate(), url)
	}
	for _, url := range []string{
		"", "localhost", "ftp://host.test", "http://", "http://host.test:", "http://host.test:0", "http://host.test:65536", "http://host.test:x",
		"http://host.test/?q=1", "http://host.test/#x", "/path", "http://[::1", "http://ho st",
	} {
		cfg := config(nothing())
		cfg.BaseURL = url
		assert.Error(t, cfg.Validate(), url)
	}
}

func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		got, err := m.Get("job")
		require.NoError(t, err)
		assert.Same(t, j, got)

		_, err = m.Start(t.Context(), config(nothing()))
		require.ErrorIs(t, err, loadgen.ErrJobRunning)
		assert.Equal(t, loadgen.StateRunning, j.State(), "the running one is left alone")

		_, err = m.Start(t.Context(), loadgen.JobConfig{Name: "x", ScenarioName: "nosuch", BaseURL: target})
		require.ErrorIs(t, err, loadgen.ErrScenarioNotFound)
		_, err = m.Start(t.Context(), loadgen.JobConfig{})
		var invalid *loadgen.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Len(t, invalid.Fields, 3)
		assert.Len(t, m.List(), 1)
		synctest.Wait()

		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = m.Start(cancelled, config(nothing()))
		require.ErrorIs(t, err, context.Canceled)

		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		again := start(t, m, config(taking(time.Second)))
		assert.NotSame(t, j, again)
		assert.EqualValues(t, 1, j.Snapshot().Iterations, "the old one keeps its statistics")
		assert.EqualValues(t, 0, again.Snapshot().Iterations)
	})
}

func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j, err := m.Prepare(loadgen.JobConfig{Name: "job", Workers: 7})
		require.NoError(t, err, "what is missing may come later")
		assert.Equal(t, loadgen.StatePending, j.State())
		assert.Zero(t, j.Snapshot().Requests)
		assert.True(t, j.Snapshot().Started.IsZero())
		j.Stop() // changes nothing
		require.NoError(t, m.Wait(t.Context()), "a pending job is not waited for")

		err = jobOf(t, m, "job").Update(func(c *loadgen.JobConfig) { c.Workers = 3 })
		require.NoError(t, err)
		assert.Equal(t, 3, j.Config().Workers)
		err = jobOf(t, m, "job").Update(func(c *loadgen.JobConfig) { c.Workers = -3 })
		require.Error(t, err)
		assert.Equal(t, 3, j.Config().Workers)

		_, err = m.Prepare(loadgen.JobConfig{Name: "bad", Workers: -1})
		require.Error(t, err)
		_, err = m.Prepare(loadgen.JobConfig{})
		require.Error(t, err)
		assert.Len(t, m.List(), 1)

		started := start(t, m, config(taking(time.Second)))
		_, err = m.Prepare(loadgen.JobConfig{Name: "job"})
		require.ErrorIs(t, err, loadgen.ErrJobRunning)
		assert.Equal(t, loadgen.StateRunning, started.State())
	})
}

func TestUnknownJobs(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	_, err := m.Get("x")
	require.ErrorIs(t, err, loadgen.ErrJobNotFound)
	require.ErrorIs(t, m.Remove("x"), loadgen.ErrJobNotFound)
	assert.Empty(t, m.List())
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		require.ErrorIs(t, m.Remove("job"), loadgen.ErrJobRunning)
		j.Stop()
		require.ErrorIs(t, m.Remove("job"), loadgen.ErrJobRunning, "it is stopping")
		<-j.Done()
		require.NoError(t, m.Remove("job"))
		assert.Empty(t, m.List())
	})
}

func TestListIsSorted(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	for _, name := range []string{"c", "a", "b"} {
		_, err := m.Prepare(loadgen.JobConfig{Name: name})
		require.NoError(t, err)
	}
	var names []string
	for _, j := range m.List() {
		names = append(names, j.Name())
	}
	assert.Equal(t, []string{"a", "b", "c"}, names)
}

func TestManagerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		for i := range 3 {
			cfg := config(nothing())
			cfg.Name, cfg.Delay, cfg.Duration = fmt.Sprint(i), time.Second, time.Duration(i+1)*time.Minute
			start(t, m, cfg)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Second)
		defer cancel()
		require.ErrorIs(t, m.Wait(ctx), context.DeadlineExceeded)
		require.NoError(t, m.Wait(t.Context()))
		for _, j := range m.List() {
			assert.Equal(t, loadgen.StateFinished, j.State())
		}
	})
}

func TestCloseInterruptsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		cfg := config(hanging())
		cfg.Workers, cfg.Grace = 100, time.Hour
		j := start(t, m, cfg)
		synctest.Wait()
		began := time.Now()
		m.Close()
		m.Close()
		assert.Zero(t, time.Since(began))
		assert.Equal(t, loadgen.StateStopped, j.State())
		assert.EqualValues(t, 100, j.Snapshot().Interrupted)
		_, err := m.Start(t.Context(), config(nothing()))
		require.ErrorIs(t, err, loadgen.ErrClosed)
		_, err = m.Prepare(loadgen.JobConfig{Name: "x"})
		require.ErrorIs(t, err, loadgen.ErrClosed)
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		short := start(t, m, config(taking(2*time.Second)))
		cfg := config(hanging())
		cfg.Name, cfg.Grace = "hanging", time.Hour
		long := start(t, m, cfg)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.EqualValues(t, 1, short.Snapshot().Iterations)
		assert.EqualValues(t, 1, long.Snapshot().Interrupted)
	})
}

func TestRunStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		cfg := config(taking(4 * time.Second))
		snap, err := loadgen.Run(ctx, cfg)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualValues(t, 3, snap.Iterations, "the third is finished within the grace time")
		assert.Equal(t, 12*time.Second, snap.Elapsed)
	})
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		ctx, cancel := context.WithCancel(t.Context())
		events := m.Subscribe(ctx)
		all := m.Subscribe(t.Context())
		_, err := m.Prepare(loadgen.JobConfig{Name: "job"})
		require.NoError(t, err)
		j := start(t, m, config(taking(time.Second)))
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 2 }))
		j.Stop()
		<-j.Done()
		require.NoError(t, m.Remove("job"))
		cancel()
		m.Close()

		var kinds []loadgen.EventKind
		var states []loadgen.State
		for e := range events {
			kinds, states = append(kinds, e.Kind), append(states, e.Status.State)
			assert.EqualValues(t, len(kinds), e.Seq)
			assert.Equal(t, "job", e.Job)
		}
		assert.Equal(t, []loadgen.EventKind{
			loadgen.EventPrepared, loadgen.EventStarted, loadgen.EventUpdated, loadgen.EventStopping, loadgen.EventEnded, loadgen.EventRemoved,
		}, kinds)
		assert.Equal(t, []loadgen.State{
			loadgen.StatePending, loadgen.StateRunning, loadgen.StateRunning, loadgen.StateStopping, loadgen.StateStopped, loadgen.StateStopped,
		}, states)
		n := 0
		for range all {
			n++
		}
		assert.Equal(t, len(kinds), n, "closing the manager ends every subscription")
		_, open := <-m.Subscribe(t.Context())
		assert.False(t, open)
	})
}

func TestAStuckSubscriberSlowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		stuck := m.Subscribe(t.Context())
		j := start(t, m, config(taking(time.Second)))
		for i := range 1000 {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 1 + i%2 }))
		}
		first := <-stuck
		assert.EqualValues(t, 1, first.Seq)
		var last loadgen.Event
		for range 255 {
			last = <-stuck
		}
		assert.EqualValues(t, 256, last.Seq)
		require.NoError(t, j.Update(func(*loadgen.JobConfig) {}))
		assert.EqualValues(t, 1002, (<-stuck).Seq, "the gap shows what was missed")
	})
}

func TestLogging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := loadgen.New(loadgen.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		cfg := config(loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error { return errors.New("boom") }))
		cfg.Delay, cfg.Duration = time.Second, 25*time.Second
		j := start(t, m, cfg)
		<-j.Done()
		m.Close()
		assert.Equal(t, 3, strings.Count(out.String(), "iteration failed"), "one in ten seconds")
		assert.Equal(t, 2, strings.Count(out.String(), "not_logged=9"))
		assert.Contains(t, out.String(), `msg="job started" job=job scenario=s`)
		assert.Contains(t, out.String(), `msg="job ended" job=job state=finished`)
	})
}

// Many callers at once, under the race detector: whatever they do, the manager ends
// with no goroutine left.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		var wg sync.WaitGroup
		var refused atomic.Int64
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					cfg := config(taking(time.Duration(i) * time.Millisecond))
					cfg.Name, cfg.Workers, cfg.Grace = fmt.Sprint((g+i)%5), 1+i%7, loadgen.Off
					j, err := m.Start(t.Context(), cfg)
					if err != nil {
						assert.ErrorIs(t, err, loadgen.ErrJobRunning)
						refused.Add(1)
						if j, err = m.Get(cfg.Name); err != nil {
							continue
						}
					}
					if err := j.Update(func(c *loadgen.JobConfig) { c.Workers = 1 + (g*i)%20 }); err != nil {
						assert.ErrorIs(t, err, loadgen.ErrJobEnded)
					}
					snap := j.Snapshot()
					assert.LessOrEqual(t, snap.FailedIterations, snap.Iterations)
					time.Sleep(time.Duration(i%13) * time.Millisecond)
					if i%3 == 0 {
						if j, err := m.Get(cfg.Name); err != nil {
							assert.ErrorIs(t, err, loadgen.ErrJobNotFound)
						} else {
							j.Stop()
						}
					}
					if i%11 == 0 {
						if err := m.Remove(cfg.Name); err != nil && !errors.Is(err, loadgen.ErrJobNotFound) {
							assert.ErrorIs(t, err, loadgen.ErrJobRunning)
						}
					}
				}
			})
		}
		wg.Wait()
		m.Close()
		assert.Positive(t, refused.Load())
		for _, j := range m.List() {
			assert.True(t, j.State().Ended())
			assert.Zero(t, j.Snapshot().VUs)
		}
	})
}

// What an update costs a job of many VUs, and what they weigh.
func TestTenThousandVUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Workers, cfg.Delay = 10, 600*time.Millisecond
		j := start(t, m, cfg)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 10_000 }))
		time.Sleep(6*time.Second - time.Millisecond)
		assert.EqualValues(t, 100_000, j.Snapshot().Iterations)
		runtime.GC()
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 10 }))
		synctest.Wait()
		assert.Equal(t, 10, j.Snapshot().VUs)
	})
}
