package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/filltest"
	"github.com/opbeans/loadgen/stats"
)

// napping is a scenario that only waits, so that all of a job is exact in virtual time.
func napping(name string, d time.Duration) *Scenario {
	return NewScenario(name).Task(name, 1, func(ctx context.Context, vu *VU) error { return vu.Sleep(ctx, d) })
}

// kept is what a store would have of a job: text, as JSON.
func kept(t *testing.T, j *Job) (record, stats []byte) {
	t.Helper()
	record, err := json.Marshal(j.Record())
	require.NoError(t, err)
	stats, err = json.Marshal(SnapshotRecord{Snapshot: *j.Snapshot(), Compact: true})
	require.NoError(t, err)
	return record, stats
}

// restore brings a job back. A scenario made in Go is no data, and so is given again.
func restore(t *testing.T, m *Manager, record, stats []byte, scenario *Scenario) (*Job, error) {
	t.Helper()
	var r JobRecord
	require.NoError(t, json.Unmarshal(record, &r))
	r.Config.Scenario = scenario
	var s SnapshotRecord
	require.NoError(t, json.Unmarshal(stats, &s))
	return m.Restore(r, &s.Snapshot)
}

// A job whose process is killed several times does in the end what it would have done
// without: the same iterations, at the same times of its life.
func TestRestoredJobDoesTheSame(t *testing.T) {
	for name, cfg := range map[string]JobConfig{
		"closed":         {Workers: 3, Delay: 700 * time.Millisecond, Duration: time.Minute},
		"rate":           {Rate: PerSecond(10), Duration: time.Minute},
		"slow rate":      {Rate: Rate{Count: 1, Per: 17 * time.Second}, Duration: 5 * time.Minute},
		"ramp":           {Rate: PerSecond(10), RampUp: 40 * time.Second, Duration: time.Minute},
		"rate stages":    {Stages: []Stage{{Duration: 30 * time.Second, Rate: PerSecond(20)}, {Duration: 30 * time.Second}}},
		"worker stages":  {Workers: 2, Delay: time.Second, Stages: []Stage{{Duration: 20 * time.Second, Workers: 10}, {Duration: 20 * time.Second, Workers: 1, Step: true}}},
		"max iterations": {Rate: PerSecond(7), MaxIterations: 200},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Name, cfg.Scenario, cfg.BaseURL, cfg.Seed = "job", napping("idle", 0), "http://localhost:1", 7
			synctest.Test(t, func(t *testing.T) {
				want, err := Run(t.Context(), cfg)
				require.NoError(t, err)

				r := rand.New(rand.NewPCG(1, 2))
				m := New()
				j, err := m.Start(t.Context(), cfg)
				require.NoError(t, err)
				for !j.State().Ended() {
					time.Sleep(time.Duration(r.IntN(15))*time.Second + 500*time.Microsecond)
					if j.State() != StateRunning {
						break
					}
					record, stats := kept(t, j)
					m.Close()
					time.Sleep(time.Hour) // the outage
					m = New()
					j, err = restore(t, m, record, stats, cfg.Scenario)
					require.NoError(t, err)
					assert.Equal(t, uint64(1), j.Status().Revision)
				}
				require.NoError(t, j.Wait(t.Context()))
				got := j.Snapshot()
				m.Close()
				assert.Equal(t, StateFinished, got.State)
				assert.Equal(t, want.Reason, got.Reason)
				assert.InDelta(t, want.Iterations, got.Iterations, 6, "in the closed model, by the phases of the VUs")
				if !cfg.Rate.IsZero() {
					assert.Equal(t, want.Iterations+want.Interrupted, got.Iterations+got.Interrupted, "exact, in the open model")
				}
				assert.Equal(t, got.Iterations, got.Response.Count())
				assert.Zero(t, got.Dropped)
				assert.InDelta(t, want.Elapsed.Seconds(), got.Elapsed.Seconds(), 1)
				assert.Equal(t, uint64(7), got.Seed)
			})
		})
	}
}

func TestRestoreKeepsWhatUpdatesDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		j, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: napping("idle", 0), BaseURL: "http://localhost:1", Rate: PerSecond(1), Duration: time.Hour})
		require.NoError(t, err)
		time.Sleep(10*time.Second + time.Microsecond)
		other := napping("other", 0)
		require.NoError(t, j.Update(func(c *JobConfig) { c.Rate, c.Scenario = Rate{Count: 1, Per: time.Minute}, other }))
		time.Sleep(50 * time.Second)
		started := j.Snapshot().Started
		record, stats := kept(t, j)
		m.Close()
		time.Sleep(24 * time.Hour)

		m = New()
		defer m.Close()
		j, err = restore(t, m, record, stats, other)
		require.NoError(t, err)
		s := j.Snapshot()
		assert.Equal(t, uint64(2), j.Status().Revision)
		assert.True(t, started.Equal(s.Started), "it is the same run")
		assert.InDelta(t, 60, s.Elapsed.Seconds(), 0.01, "the outage does not count")
		assert.Equal(t, uint64(11), s.Iterations)
		assert.Equal(t, "other", j.Config().ScenarioName)
		assert.Equal(t, []State{StatePending, StateRunning, StateRunning}, states(j))
		// The way to the next iteration that had passed is kept: it is due 60 s after the update.
		time.Sleep(9 * time.Second)
		assert.Equal(t, uint64(11), j.Snapshot().Iterations)
		time.Sleep(2 * time.Second)
		s = j.Snapshot()
		assert.Equal(t, uint64(12), s.Iterations)
		require.Len(t, s.Tasks, 2)
		assert.InDelta(t, 1.0/5, s.Recent.Iterations, 0.01, "rates are not those of the outage")
	})
}

func states(j *Job) (all []State) {
	for _, t := range j.History() {
		all = append(all, t.State)
	}
	return all
}

// Whatever a snapshot counts goes on after a restart: a counter that somebody adds and
// forgets there is noticed.
func TestRestoreKeepsEveryCounter(t *testing.T) {
	m := New()
	defer m.Close()
	before, rng := &Snapshot{}, rand.New(rand.NewPCG(1, 1))
	filltest.Fill(rng, reflect.ValueOf(before).Elem(), func(field any) bool {
		_, ok := field.(*Threshold) // which the job has none of
		return ok
	})
	for i := range before.Tasks {
		before.Tasks[i].Task = fmt.Sprint("task ", i)
	}
	for i := range before.Groups {
		before.Groups[i].Group = fmt.Sprint("group ", i)
	}
	before.Totals = stats.NewTotals()
	for i := range before.Tasks {
		before.Tasks[i].Method = "" // which the statistics of a job do not have
		before.Totals.Merge(&before.Tasks[i].Totals)
	}
	j, err := m.Restore(JobRecord{
		Config:  JobConfig{Name: "job", Scenario: napping("idle", time.Hour), BaseURL: "http://localhost:1"},
		Status:  Status{State: StateRunning, Revision: 3},
		Started: before.Started, Elapsed: before.Elapsed,
	}, before)
	require.NoError(t, err)
	after := j.Snapshot()
	assert.GreaterOrEqual(t, after.Elapsed, before.Elapsed)
	after.Tasks = after.Tasks[:len(before.Tasks)] // the scenario's own has done nothing yet
	// What is of the moment, of the job, or judged anew:
	for _, s := range []*Snapshot{before, after} {
		s.Job, s.State, s.Reason, s.Revision, s.Seed, s.Time, s.Elapsed, s.LoadDuration = "", "", "", 0, 0, time.Time{}, 0, 0
		s.Workers, s.VUs, s.Active, s.Recent = 0, 0, 0, Recent{}
		s.Valid, s.Invalid, s.Issues, s.Verdicts, s.Metrics, s.MetricsOpen = false, nil, nil, nil, nil, false
	}
	assert.Equal(t, before, after)
}

func TestRestoreCountsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := napping("slow", 10*time.Second)
		m := New()
		j, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: slow, BaseURL: "http://localhost:1", Rate: PerSecond(1), MaxWorkers: 1, Duration: time.Hour})
		require.NoError(t, err)
		time.Sleep(35 * time.Second / 2) // one iteration done, one running, 16 overdue
		record, stats := kept(t, j)
		m.Close()
		m = New()
		defer m.Close()
		j, err = restore(t, m, record, stats, slow)
		require.NoError(t, err)
		s := j.Snapshot()
		assert.Equal(t, uint64(16), s.Dropped)
		assert.Equal(t, []string{"dropped work: 16 iterations were due and never began"}, s.Invalid)
	})
}

func TestRestoreOfJobsAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		cfg := JobConfig{Scenario: napping("idle", 0), BaseURL: "http://localhost:1", Workers: 2, Delay: time.Second, Headers: map[string]string{"X-Key": "1"}}
		before := map[string]*Snapshot{}
		records := map[string][2][]byte{}
		keep := func(j *Job) {
			record, stats := kept(t, j)
			records[j.Name()] = [2][]byte{record, stats}
			before[j.Name()] = j.Snapshot()
		}
		start := func(name string) *Job {
			cfg.Name = name
			j, err := m.Start(t.Context(), cfg)
			require.NoError(t, err)
			return j
		}
		ended, stopping, lost := start("ended"), start("stopping"), start("lost")
		prepared, err := m.Prepare(JobConfig{Name: "prepared", Workers: 7})
		require.NoError(t, err)
		require.NoError(t, prepared.Update(func(c *JobConfig) { c.Workers = 8 }))
		time.Sleep(5*time.Second + 500*time.Microsecond)
		ended.Stop()
		require.NoError(t, ended.Wait(t.Context()))
		stopping.Stop()
		for _, j := range []*Job{ended, stopping, lost, prepared} {
			keep(j)
		}
		m.Close()

		m = New() // whose catalogue does not have the scenario
		defer m.Close()
		for _, name := range []string{"ended", "stopping", "prepared"} {
			j, err := restore(t, m, records[name][0], records[name][1], nil)
			require.NoError(t, err)
			if name == "prepared" {
				assert.Equal(t, StatePending, j.State())
				assert.Equal(t, 8, j.Config().Workers)
				assert.Equal(t, uint64(2), j.Status().Revision)
				require.NoError(t, j.Update(func(c *JobConfig) { c.Workers = 9 }))
				continue
			}
			require.NoError(t, j.Wait(t.Context()), "it has ended")
			s := j.Snapshot()
			assert.Equal(t, StateStopped, s.State)
			assert.Equal(t, "stopped on request", s.Reason)
			assert.Equal(t, before[name].Iterations, s.Iterations)
			assert.Equal(t, before[name].Response.P99(), s.Response.P99())
			assert.Equal(t, before[name].Elapsed, s.Elapsed)
			assert.Equal(t, map[string]string{"X-Key": "1"}, j.Config().Headers)
			require.ErrorIs(t, j.Update(func(c *JobConfig) { c.Workers = 9 }), ErrJobEnded)
			j.Stop()
			s.Merge(s.Clone()) // what a reader does with its copy
			assert.Equal(t, before[name].Iterations, j.Snapshot().Iterations)
			var first JobRecord
			require.NoError(t, json.Unmarshal(records[name][0], &first))
			again := j.Record()
			assert.Equal(t, first.Elapsed, again.Elapsed, "it can be kept again")
			assert.True(t, first.Started.Equal(again.Started))
			assert.Equal(t, StateStopped, again.History[len(again.History)-1].State)
			assert.Equal(t, first.Config, again.Config)
		}
		_, err = restore(t, m, records["lost"][0], records["lost"][1], nil)
		require.ErrorIs(t, err, ErrScenarioNotFound)
		var r JobRecord
		require.NoError(t, json.Unmarshal(records["lost"][0], &r))
		r.Interrupt("the scenario is gone")
		j, err := m.Restore(r, before["lost"])
		require.NoError(t, err)
		assert.Equal(t, Status{StateFailed, "the scenario is gone", j.Status().Since, 1}, j.Status())
		assert.Equal(t, before["lost"].Iterations, j.Snapshot().Iterations)
		require.NoError(t, m.Remove("lost"))

		_, err = m.Restore(JobRecord{}, nil)
		require.Error(t, err, "what is no record at all")
	})
}

// The set-up runs again after a restart. While it does, the job has the statistics and
// the start that it had, so that another kill loses nothing.
func TestRestoreWithSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setups := 0
		scenario := napping("idle", 0).Setup(func(ctx context.Context, vu *VU) error {
			setups++
			return vu.Sleep(ctx, time.Minute)
		})
		cfg := JobConfig{Name: "job", Scenario: scenario, BaseURL: "http://localhost:1", Delay: time.Second, Duration: time.Hour}
		m := New()
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		record, stats := kept(t, j) // in its first set-up: it had not begun
		m.Close()
		m = New()
		j, err = restore(t, m, record, stats, scenario)
		require.NoError(t, err)
		time.Sleep(2*time.Minute - 500*time.Millisecond)
		before := j.Snapshot()
		assert.Equal(t, 60, int(before.Iterations))
		record, stats = kept(t, j)
		for range 2 {
			m.Close()
			m = New()
			j, err = restore(t, m, record, stats, scenario)
			require.NoError(t, err)
			time.Sleep(30 * time.Second) // in its set-up again
			s := j.Snapshot()
			assert.Equal(t, StateRunning, s.State)
			assert.Equal(t, before.Iterations, s.Iterations)
			assert.True(t, before.Started.Equal(s.Started))
			record, stats = kept(t, j)
		}
		time.Sleep(40 * time.Second)
		assert.Equal(t, int(before.Iterations)+10, int(j.Snapshot().Iterations))
		assert.InDelta(t, (before.Elapsed + 10*time.Second).Seconds(), j.Snapshot().Elapsed.Seconds(), 0.01)
		assert.Equal(t, 4, setups)
		m.Close()
	})
}

// A VU that goes on after the restart draws other values than it drew before.
func TestRestoredVUsDrawAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var drawn []uint64
		scenario := NewScenario("draw").Task("draw", 1, func(_ context.Context, vu *VU) error {
			drawn = append(drawn, vu.Rand().Uint64())
			return nil
		})
		m := New()
		cfg := JobConfig{Name: "job", Scenario: scenario, BaseURL: "http://localhost:1", Seed: 1, Delay: time.Second}
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		synctest.Wait()
		record := j.Record()
		m.Close()
		m = New()
		_, err = m.Restore(record, nil)
		require.NoError(t, err)
		time.Sleep(time.Second)
		m.Close()
		require.Len(t, drawn, 2)
		assert.NotEqual(t, drawn[0], drawn[1])
	})
}

func TestWithOnEnd(t *testing.T) {
	ids := make(chan string, 3)
	m := New(
		WithOnEnd(func(j *Job) { panic("a mistake in " + j.Name()) }),
		WithOnEnd(func(j *Job) { ids <- NewRunRecord(j.Record(), j.Snapshot()).ID }),
		WithOnEnd(func(*Job) { runtime.Goexit() }), // as FailNow of a test does
	)
	defer m.Close()
	for i := range 2 {
		nap := NewScenario("nap").Task("nap", 1, func(context.Context, *VU) error { return nil })
		j, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: nap, BaseURL: "http://localhost:1", MaxIterations: 3})
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
		require.Len(t, ids, i+1, "it was told before the job was done")
	}
	assert.NotEqual(t, <-ids, <-ids)
	started := time.Date(2026, 11, 25, 23, 59, 59, 5, time.UTC)
	r := NewRunRecord(JobRecord{Started: started, Config: JobConfig{Name: "x/ y"}}, &Snapshot{})
	assert.Regexp(t, `^20261125-235959-[0-9a-f]{8}$`, r.ID)
	assert.Equal(t, r.ID, NewRunRecord(JobRecord{Started: started.In(time.FixedZone("z", 3600)), Config: JobConfig{Name: "x/ y"}}, &Snapshot{}).ID)
}
