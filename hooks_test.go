package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// diary notes what happens, and when, since its begin.
type diary struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%s ", time.Since(d.begin))+fmt.Sprintf(format, args...))
}

// noting is a task that notes its name and takes a while.
func (d *diary) noting(name string, takes time.Duration) loadgen.TaskFunc {
	return func(ctx context.Context, vu *loadgen.VU) error {
		d.note("%s %d", name, vu.ID())
		return vu.Sleep(ctx, takes)
	}
}

// bubble runs a test in virtual time with a manager.
func bubble(t *testing.T, fn func(t *testing.T, m *loadgen.Manager, d *diary), opts ...loadgen.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New(opts...)
		defer m.Close()
		fn(t, m, &diary{begin: time.Now()})
	})
}

func TestHooksRunInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").
			Setup(d.noting("setup", 3*time.Second)).
			VUSetup(d.noting("vu_setup", time.Second)).
			Task("task", 1, d.noting("task", 10*time.Second)).
			VUTeardown(d.noting("vu_teardown", time.Second)).
			Teardown(d.noting("teardown", time.Second))
		cfg := config(s)
		cfg.Workers, cfg.RampUp, cfg.Duration = 2, 4*time.Second, 12*time.Second
		j := start(t, m, cfg)
		synctest.Wait()
		assert.Equal(t, "in its set-up", j.Status().Reason)
		assert.Equal(t, loadgen.StateRunning, j.State())
		assert.Zero(t, j.Snapshot().Started)
		require.NoError(t, j.Wait(t.Context()))
		slices.Sort(d.lines)
		assert.ElementsMatch(t, []string{
			"0s setup -1",
			"3s vu_setup 0", "4s task 0",
			"5s vu_setup 1", "6s task 1", // at its turn of the ramp
			"14s task 0",
			"16s vu_teardown 1", // at 15 s the duration is over: it counts from the end of the set-up
			"20s teardown -1",   // VU 0 was interrupted after 5 s of grace, and has no tear-down
		}, d.lines)
		snap := j.Snapshot()
		assert.EqualValues(t, 2, snap.Iterations)
		assert.EqualValues(t, 1, snap.Interrupted)
		assert.Equal(t, 10*time.Second, snap.Response.Max().Round(time.Second), "no set-up is in the response time")
		assert.Equal(t, d.begin.Add(3*time.Second), snap.Started)
		assert.Empty(t, snap.Errors)
	})
}

func TestSetupFails(t *testing.T) {
	for name, c := range map[string]struct {
		setup loadgen.TaskFunc
		want  string
	}{
		"error": {func(context.Context, *loadgen.VU) error { return errors.New("no database") }, "set-up failed: no database"},
		"panic": {func(context.Context, *loadgen.VU) error { panic("oh") }, `set-up failed: task "(setup)" panicked: oh`},
		"abort": {func(context.Context, *loadgen.VU) error { return fmt.Errorf("closed: %w", loadgen.ErrAbort) }, "closed: "},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
				s := loadgen.NewScenario("s").Setup(c.setup).Task("task", 1, d.noting("task", 0)).Teardown(d.noting("teardown", 0))
				j := start(t, m, config(s))
				require.ErrorContains(t, j.Wait(t.Context()), c.want)
				assert.Equal(t, loadgen.StateFailed, j.State())
				assert.Empty(t, d.lines, "nothing else has run")
				snap := j.Snapshot()
				assert.Zero(t, snap.Iterations+snap.FailedIterations)
				require.Len(t, snap.Tasks, 1)
				assert.Equal(t, "(setup)", snap.Tasks[0].Task)
				assert.Len(t, snap.Errors, 1)
			})
		})
	}
}

func TestStopDuringSetup(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").Setup(d.noting("setup", time.Minute)).Task("task", 1, d.noting("task", 0)).Teardown(d.noting("teardown", 0))
		j := start(t, m, config(s))
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 3 }))
		assert.Equal(t, 3, j.Snapshot().Workers)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 6*time.Second, time.Since(d.begin), "after the grace time")
		assert.Equal(t, []string{"0s setup -1"}, d.lines)
		assert.Equal(t, loadgen.StateStopped, j.State())

		m2 := loadgen.New()
		start(t, m2, config(s))
		synctest.Wait()
		m2.Close()
		assert.Equal(t, 6*time.Second, time.Since(d.begin), "Close waits for nothing")
	})
}

// An update during the set-up is what the job begins with.
func TestUpdateDuringSetup(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").Setup(d.noting("setup", 10*time.Second)).Task("task", 1, d.noting("task", time.Hour))
		j := start(t, m, config(s))
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers, c.Duration = 2, 5*time.Second }))
		require.NoError(t, j.Wait(t.Context()))
		assert.ElementsMatch(t, []string{"0s setup -1", "10s task 0", "10s task 1"}, d.lines)
		assert.Equal(t, 20*time.Second, time.Since(d.begin))
	})
}

// A VU whose set-up fails tries again, later each time.
func TestVUSetupTriesAgain(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		tries := 0
		s := loadgen.NewScenario("s").
			VUSetup(func(_ context.Context, vu *loadgen.VU) error {
				if vu.ID() == 0 {
					return nil // others have been set up, so that the job goes on
				}
				d.note("try")
				if tries++; tries < 8 {
					return errors.New("not yet")
				}
				return nil
			}).
			Task("task", 1, func(ctx context.Context, vu *loadgen.VU) error {
				d.note("task %d", vu.ID())
				return vu.Sleep(ctx, time.Hour)
			})
		cfg := config(s)
		cfg.Workers, cfg.Duration = 2, 3*time.Minute
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		assert.ElementsMatch(t, []string{
			"0s task 0", "0s try", "1s try", "3s try", "7s try", "15s try", "31s try", "1m1s try", "1m31s try", "1m31s task 1",
		}, d.lines)
		snap := j.Snapshot()
		assert.EqualValues(t, 7, snap.Errors[loadgen.ClassTask].Count)
		assert.Equal(t, "not yet", snap.Errors[loadgen.ClassTask].Sample)
		assert.Zero(t, snap.FailedIterations, "a set-up is no iteration")
	})
}

func TestVUSetupNeverSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").
			VUSetup(func(context.Context, *loadgen.VU) error { return errors.New("wrong password") }).
			Task("task", 1, d.noting("task", 0)).Teardown(d.noting("teardown", 0))
		cfg := config(s)
		cfg.Workers, cfg.MaxIterations = 3, 10
		j := start(t, m, cfg)
		err := j.Wait(t.Context())
		require.ErrorContains(t, err, "has failed 5 times, and no other VU's has succeeded: wrong password")
		assert.Equal(t, 15*time.Second, time.Since(d.begin))
		assert.Equal(t, []string{"15s teardown -1"}, d.lines)
	})
}

// A VU that is one too many tears down; one that comes back sets up again.
func TestVUHooksFollowUpdates(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").
			VUSetup(d.noting("up", 0)).Task("task", 1, func(context.Context, *loadgen.VU) error { return nil }).VUTeardown(d.noting("down", 0))
		cfg := config(s)
		cfg.Workers, cfg.Delay = 2, time.Second
		j := start(t, m, cfg)
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 1 }))
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 2; c.Weights = map[string]float64{"task": 2} }))
		time.Sleep(time.Second)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.BaseURL = "http://other.test" }))
		time.Sleep(time.Second)
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.ElementsMatch(t, []string{
			"0s up 0", "0s up 1", "1.5s down 1", "2.5s up 1",
			"3.5s down 0", "3.5s up 0", "3.5s down 1", "3.5s up 1", // another target: new sessions
			"4.5s down 0", "4.5s down 1",
		}, d.lines)
	})
}

// In the open model, set-ups are no reason to make more VUs, and no iteration waits
// on a VU without one.
func TestVUSetupInTheOpenModel(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		var ready sync.Map
		s := loadgen.NewScenario("s").
			VUSetup(func(ctx context.Context, vu *loadgen.VU) error {
				ready.Store(vu.ID(), true)
				return vu.Sleep(ctx, 100*time.Millisecond)
			}).
			Task("task", 1, func(ctx context.Context, vu *loadgen.VU) error {
				_, ok := ready.Load(vu.ID())
				if err := vu.Check(ok, "VU %d is not set up", vu.ID()); err != nil {
					return err
				}
				return vu.Sleep(ctx, 30*time.Millisecond)
			})
		cfg := config(s)
		cfg.Workers, cfg.MaxWorkers, cfg.Rate, cfg.Duration = 2, 500, loadgen.PerSecond(100), 20*time.Second
		j := start(t, m, cfg)
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.EqualValues(t, 2000, snap.Iterations)
		assert.Zero(t, snap.FailedIterations)
		n := 0
		ready.Range(func(any, any) bool { n++; return true })
		assert.Less(t, n, 15, "VUs made for 3 at a time")
	})
}

func TestReloadWithAnotherSetup(t *testing.T) {
	const file = "setup:\n  - request: GET /%s\n    capture: {id: status}\ntasks:\n  - name: %s\n    request: GET /${id}\n"
	folder := fstest.MapFS{"s.yaml": {Data: fmt.Appendf(nil, file, "a", "one")}}
	bubble(t, func(t *testing.T, _ *loadgen.Manager, _ *diary) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer stop()
		m := loadgen.New(loadgen.WithScenarios(folder), loadgen.WithDialContext(dial))
		defer m.Close()
		j := start(t, m, loadgen.JobConfig{Name: "job", ScenarioName: "s", BaseURL: target, Delay: time.Second})
		time.Sleep(1500 * time.Millisecond)
		folder["s.yaml"].Data = fmt.Appendf(nil, "# moved\n"+file, "a", "two")
		require.NoError(t, j.Reload(nil))
		time.Sleep(time.Second)
		snap := j.Snapshot()
		assert.Equal(t, "two", snap.Tasks[2].Task)
		assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
		folder["s.yaml"].Data = fmt.Appendf(nil, file, "b", "two")
		err := j.Reload(nil)
		assert.ErrorContains(t, err, "a job runs its set-up once: stop the job, and start it again")
		assert.EqualValues(t, 2, j.Status().Revision)
	})
}

// What the job's set-up keeps, all VUs have; and the tear-down of the job gets its time
// although an iteration used up the grace time.
func TestSetupValues(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").
			Setup(func(_ context.Context, vu *loadgen.VU) error { vu.SetValue("who", "all"); return nil }).
			VUSetup(func(_ context.Context, vu *loadgen.VU) error {
				if vu.ID() == 1 {
					vu.SetValue("who", "one")
				}
				return nil
			}).
			Task("task", 1, func(ctx context.Context, vu *loadgen.VU) error {
				d.note("%d %v", vu.ID(), vu.Value("who"))
				<-ctx.Done()
				return ctx.Err()
			}).
			Teardown(func(ctx context.Context, vu *loadgen.VU) error {
				d.note("%v", vu.Value("who"))
				err := vu.Sleep(ctx, time.Hour)
				d.note("%v", errors.Is(err, loadgen.ErrInterrupted))
				return err
			})
		cfg := config(s)
		cfg.Workers = 2
		j := start(t, m, cfg)
		synctest.Wait()
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.ElementsMatch(t, []string{"0s 0 all", "0s 1 one", "5s all", "10s true"}, d.lines)
		assert.Equal(t, loadgen.StateStopped, j.State())
	})
}

func TestCloseSkipsTheTeardown(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").Task("task", 1, d.noting("task", time.Hour)).Teardown(d.noting("teardown", time.Hour))
		start(t, m, config(s))
		synctest.Wait()
		m.Close()
		assert.Equal(t, []string{"0s task 0"}, d.lines)

		m2 := loadgen.New()
		j := start(t, m2, config(s))
		synctest.Wait()
		j.Stop()
		time.Sleep(7 * time.Second)
		m2.Close() // while the tear-down runs
		assert.Equal(t, 7*time.Second, time.Since(d.begin))
	})
}

// A hook that ends its goroutine, as FailNow does, is a hook that failed.
func TestHookEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T, m *loadgen.Manager, d *diary) {
		s := loadgen.NewScenario("s").
			Setup(func(context.Context, *loadgen.VU) error { runtime.Goexit(); return nil }).
			Task("task", 1, d.noting("task", 0))
		require.ErrorContains(t, start(t, m, config(s)).Wait(t.Context()), "ended its goroutine")
	})
}
