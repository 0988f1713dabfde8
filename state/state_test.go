package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/state"
)

const file = "loadgen.db"

// rig is a Manager with a store, and a target for its jobs.
type rig struct {
	t      *testing.T
	dir    string
	target *httptest.Server
	store  *state.Store
	m      *loadgen.Manager
	more   []loadgen.Option // of the Manager
}

func newRig(t *testing.T, opts ...state.Option) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), target: httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}
	t.Cleanup(r.target.Close)
	r.open(true, opts...)
	t.Cleanup(func() { r.close() })
	return r
}

const fedRows = 50_000

func scenarios() fs.FS {
	rows := []byte("n\n")
	for i := range fedRows {
		rows = fmt.Appendf(rows, "%d\n", i)
	}
	return fstest.MapFS{
		"root.yaml": {Data: []byte("tasks:\n  - {name: root, request: GET /}\n")},
		"fed.yaml": {Data: []byte("feeders:\n  rows: {file: rows.csv, at_end: stop}\n" +
			"tasks:\n  - {name: fed, request: \"GET /${rows.n}\"}\n")},
		"rows.csv": {Data: rows},
	}
}

func (r *rig) open(resume bool, opts ...state.Option) {
	r.t.Helper()
	var err error
	r.store, err = state.Open(r.dir, opts...)
	require.NoError(r.t, err)
	r.m = loadgen.New(append(r.more, loadgen.WithScenarios(scenarios()), loadgen.WithOnEnd(r.store.Ended))...)
	require.NoError(r.t, r.store.Attach(r.m, resume))
}

func (r *rig) close() {
	r.m.Close()
	_ = r.store.Close()
}

// restart is a stop of the service and a start.
func (r *rig) restart(resume bool, opts ...state.Option) {
	r.t.Helper()
	r.store.Suspend()
	r.close()
	r.open(resume, opts...)
}

func (r *rig) start(name string, change func(*loadgen.JobConfig)) *loadgen.Job {
	r.t.Helper()
	cfg := loadgen.JobConfig{Name: name, ScenarioName: "root", BaseURL: r.target.URL, Delay: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	j, err := r.m.Start(r.t.Context(), cfg)
	require.NoError(r.t, err)
	return j
}

func (r *rig) job(name string) *loadgen.Job {
	r.t.Helper()
	j, err := r.m.Get(name)
	require.NoError(r.t, err)
	return j
}

// did waits until a job has done some iterations more.
func (r *rig) did(j *loadgen.Job, n uint64) {
	r.t.Helper()
	want := j.Snapshot().Iterations + n
	require.Eventually(r.t, func() bool { return j.Snapshot().Iterations >= want }, 20*time.Second, time.Millisecond)
}

func TestRestart(t *testing.T) {
	r := newRig(t)
	running := r.start("running", nil)
	done := r.start("done", func(c *loadgen.JobConfig) { c.MaxIterations = 20 })
	require.NoError(t, done.Wait(t.Context()))
	_, err := r.m.Prepare(loadgen.JobConfig{Name: "prepared", Workers: 9})
	require.NoError(t, err)
	r.did(running, 50)
	require.NoError(t, running.Update(func(c *loadgen.JobConfig) { c.Workers = 2; c.Headers = map[string]string{"X": "y"} }))
	require.NoError(t, r.store.Save("running", json.RawMessage(`{"spelled":"2"}`))())
	before, final := running.Snapshot(), done.Snapshot()

	r.restart(true)
	running = r.job("running")
	assert.Equal(t, loadgen.StateRunning, running.State())
	assert.Equal(t, uint64(2), running.Status().Revision)
	assert.Equal(t, map[string]string{"X": "y"}, running.Config().Headers)
	assert.Equal(t, before.Seed, running.Config().Seed)
	assert.JSONEq(t, `{"spelled":"2"}`, string(r.store.Held("running")))
	now := running.Snapshot()
	assert.True(t, before.Started.Equal(now.Started))
	assert.GreaterOrEqual(t, now.Iterations, before.Iterations)
	assert.GreaterOrEqual(t, now.Elapsed, before.Elapsed)
	assert.Equal(t, now.Iterations, now.Response.Count())
	r.did(running, 10)

	assert.Equal(t, 9, r.job("prepared").Config().Workers)
	got := r.job("done").Snapshot()
	got.Time = final.Time
	want, err := json.Marshal(loadgen.SnapshotRecord{Snapshot: *final})
	require.NoError(t, err)
	text, err := json.Marshal(loadgen.SnapshotRecord{Snapshot: *got})
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(text), "to the last counter")

	runs, err := r.store.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 1, "a job that goes on after the restart has not ended")
	assert.Equal(t, "done", runs[0].Job.Config.Name)
	run, err := r.store.Run(runs[0].ID)
	require.NoError(t, err)
	assert.Equal(t, uint64(20), run.Statistics.Iterations)
	assert.Equal(t, uint64(20), run.Summary.Iterations)
	assert.Equal(t, final.Response.P99(), run.Statistics.Response.P99())

	require.NoError(t, r.m.Remove("done"))
	running.Stop()
	require.NoError(t, running.Wait(t.Context()))
	r.restart(true)
	_, err = r.m.Get("done")
	require.ErrorIs(t, err, loadgen.ErrJobNotFound)
	assert.Equal(t, loadgen.StateStopped, r.job("running").State())
	runs, err = r.store.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 2, "the run of a job that is gone stays")
	assert.Equal(t, "running", runs[0].Job.Config.Name, "the newest first")
	assert.Greater(t, runs[0].Summary.Iterations, before.Iterations, "of both processes")
}

// A job goes on where it was in its files: no row of data is used twice.
func TestRestartWithFeeders(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	asked := map[string]int{}
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[req.URL.Path]++
	}))
	defer target.Close()
	const workers, restarts = 3, 3 // 300 iterations a second at most, and each wait ends
	j := r.start("job", func(c *loadgen.JobConfig) {
		c.ScenarioName, c.BaseURL, c.Workers, c.Delay = "fed", target.URL, workers, 10*time.Millisecond
	})
	for range restarts {
		r.did(j, 20)
		r.restart(true)
		j = r.job("job")
	}
	r.did(j, 20)
	j.Stop()
	require.NoError(t, j.Wait(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	highest := 0
	for path, n := range asked {
		assert.Equal(t, 1, n, path)
		row, err := strconv.Atoi(path[1:])
		require.NoError(t, err)
		highest = max(highest, row)
	}
	assert.Less(t, highest, len(asked)+workers*restarts, "rows are left out only by iterations that a restart has interrupted")
}

func TestRestartWithoutResume(t *testing.T) {
	r := newRig(t)
	r.did(r.start("job", nil), 20)
	r.restart(false)
	j := r.job("job")
	assert.Equal(t, loadgen.StateFailed, j.State())
	assert.Equal(t, "the server ended while it ran", j.Status().Reason)
	assert.GreaterOrEqual(t, j.Snapshot().Iterations, uint64(20))
	runs, err := r.store.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 1)
	assert.GreaterOrEqual(t, runs[0].Summary.Iterations, uint64(20))
}

// A job whose scenario is Go code cannot come back; that says so, and keeps what it did.
func TestRestartWithoutTheScenario(t *testing.T) {
	r := newRig(t)
	j := r.start("job", func(c *loadgen.JobConfig) {
		c.Scenario = loadgen.NewScenario("made in Go").Task("nap", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Sleep(ctx, time.Millisecond)
		})
	})
	r.did(j, 20)
	r.restart(true)
	j = r.job("job")
	assert.Equal(t, loadgen.StateFailed, j.State())
	assert.Contains(t, j.Status().Reason, `it cannot be resumed: no such scenario: "made in Go"`)
	assert.GreaterOrEqual(t, j.Snapshot().Iterations, uint64(20))
}

// A job that is stopped while the service shuts down is stopped for good.
func TestStopDuringShutdown(t *testing.T) {
	r := newRig(t)
	r.start("stopped", nil)
	r.start("goes on", nil)
	r.store.Suspend()
	r.job("stopped").Stop()
	require.NoError(t, r.store.Save("stopped", nil)())
	r.close()
	r.open(true)
	assert.Equal(t, loadgen.StateStopped, r.job("stopped").State())
	assert.Equal(t, loadgen.StateRunning, r.job("goes on").State())
}

func TestRetention(t *testing.T) {
	r := newRig(t, state.WithRetention(3, time.Hour))
	once := func(c *loadgen.JobConfig) { c.MaxIterations = 1 }
	ids := func() (all []string) {
		runs, err := r.store.Runs()
		require.NoError(t, err)
		for _, run := range runs {
			all = append(all, run.Job.Config.Name)
		}
		return all
	}
	for i := range 5 {
		require.NoError(t, r.start(fmt.Sprint("job ", i), once).Wait(t.Context()))
		require.NoError(t, r.store.Save("job 0", nil)())
	}
	assert.Equal(t, []string{"job 4", "job 3", "job 2"}, ids())
	r.restart(true, state.WithRetention(2, time.Hour))
	require.Eventually(t, func() bool { return len(ids()) == 2 }, 10*time.Second, time.Millisecond)
	r.restart(true, state.WithRetention(2, time.Nanosecond))
	require.Eventually(t, func() bool { return len(ids()) == 0 }, 10*time.Second, time.Millisecond)
	_, err := r.store.Run("20261125-205142-8f3a01c7")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// told are metrics that are not final before somebody says so.
func told(final *atomic.Bool) loadgen.Option {
	return loadgen.WithMetrics([]string{"apm.missing"}, func(*loadgen.Snapshot) (map[string]float64, bool) {
		if final.Load() {
			return map[string]float64{"apm.missing": 1}, true
		}
		return map[string]float64{"apm.missing": 0}, false
	})
}

// TestFinalVerdict: what is known only after the end of a job is in its run, and in the job
// after a restart.
func TestFinalVerdict(t *testing.T) {
	r := newRig(t)
	var final atomic.Bool
	r.more = []loadgen.Option{told(&final)}
	r.restart(true)
	j := r.start("a", func(c *loadgen.JobConfig) {
		c.MaxIterations, c.Delay, c.Thresholds = 1, 0, loadgen.MustThresholds("apm.missing == 0")
	})
	require.NoError(t, j.Wait(t.Context()))
	id := loadgen.NewRunRecord(j.Record(), j.Snapshot()).ID
	verdict := func() loadgen.Verdict {
		t.Helper()
		runs, err := r.store.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 1)
		run, err := r.store.Run(id)
		require.NoError(t, err)
		require.Len(t, run.Statistics.Verdicts, 1)
		return run.Statistics.Verdicts[0]
	}
	assert.Equal(t, loadgen.OutcomePass, verdict().Outcome)
	assert.False(t, verdict().Final)
	require.NoError(t, r.store.Save("a", nil)())
	final.Store(true)
	r.store.Ended(j)
	assert.Equal(t, loadgen.OutcomeFail, verdict().Outcome, "at once")
	r.more = nil
	r.restart(true)
	assert.Equal(t, loadgen.OutcomeFail, verdict().Outcome)
	assert.True(t, verdict().Final)
	require.Len(t, r.job("a").Snapshot().Verdicts, 1)
	assert.Equal(t, verdict(), r.job("a").Snapshot().Verdicts[0])
}

func TestFinalVerdictInMemory(t *testing.T) {
	memory := state.NewMemory(2)
	var final atomic.Bool
	m := loadgen.New(loadgen.WithScenarios(scenarios()), loadgen.WithOnEnd(memory.Ended), told(&final))
	defer m.Close()
	j, err := m.Start(t.Context(), loadgen.JobConfig{
		Name: "a", ScenarioName: "root", BaseURL: "http://127.0.0.1:1", MaxIterations: 1, Thresholds: loadgen.MustThresholds("apm.missing == 0"),
	})
	require.NoError(t, err)
	require.NoError(t, j.Wait(t.Context()))
	for _, want := range []loadgen.Outcome{loadgen.OutcomePass, loadgen.OutcomeFail} {
		runs, err := memory.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 1)
		run, err := memory.Run(runs[0].ID)
		require.NoError(t, err)
		assert.Equal(t, want, run.Statistics.Verdicts[0].Outcome)
		assert.Equal(t, final.Load(), run.Statistics.Verdicts[0].Final)
		final.Store(true)
		memory.Ended(j)
	}
}

func TestMemory(t *testing.T) {
	memory := state.NewMemory(2)
	m := loadgen.New(loadgen.WithOnEnd(memory.Ended))
	defer m.Close()
	nap := loadgen.NewScenario("nap").Task("nap", 1, func(context.Context, *loadgen.VU) error { return nil })
	for i := range 3 {
		j, err := m.Start(t.Context(), loadgen.JobConfig{Name: fmt.Sprint(i), Scenario: nap, BaseURL: "http://localhost:1", MaxIterations: uint64(i + 1)})
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
	}
	runs, err := memory.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 2)
	run, err := memory.Run(runs[0].ID)
	require.NoError(t, err)
	assert.Equal(t, uint64(3), run.Statistics.Iterations)
	_, err = memory.Run("0")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFolderInUse(t *testing.T) {
	r := newRig(t)
	_, err := state.Open(r.dir)
	require.ErrorIs(t, err, state.ErrInUse)
	r.start("job", nil)
	require.NoError(t, r.store.Save("job", nil)(), "and who has it, goes on")
}

func TestForeignFiles(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("accounts"))
		return err
	}))
	require.NoError(t, db.Close())
	foreign, err := os.ReadFile(other)
	require.NoError(t, err)
	with := func(bucket, key, value string) []byte {
		dir := t.TempDir()
		s, err := state.Open(dir)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		db, err := bbolt.Open(filepath.Join(dir, file), 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value))
		}))
		require.NoError(t, db.Close())
		content, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		return content
	}
	future := with("meta", "format", "loadgen state 2")
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"empty":                 {nil, "damaged"},
		"text":                  {[]byte("my novel\n"), "damaged"},
		"another program's":     {foreign, "of another program"},
		"of a later version":    {future, `its format is "loadgen state 2"`},
		"a result in tatters":   {with("results", "some run", "tatters"), "damaged"},
		"zeros":                 {make([]byte, 1<<16), "damaged"},
		"cut off in the middle": {future[:len(future)/2], "damaged"},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), c.content, 0o600))
		_, err := state.Open(dir)
		require.ErrorIs(t, err, state.ErrForeign, name)
		assert.Contains(t, err.Error(), c.says, name)
		after, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.Equal(t, c.content, append([]byte(nil), after...), "%s: it is left as it is", name)
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, file), 0o700))
	_, err = state.Open(dir)
	require.Error(t, err, "a folder where the file should be")
	_, err = state.Open(filepath.Join(other, "below"))
	require.Error(t, err, "no folder")
}

// However a file is damaged, it is read as it was or there is an error: no panic, no
// fault, no change.
func TestDamagedFiles(t *testing.T) {
	r := newRig(t)
	r.start("done", func(c *loadgen.JobConfig) { c.MaxIterations = 5 })
	require.NoError(t, r.job("done").Wait(t.Context()))
	for i := range 20 {
		_, err := r.m.Prepare(loadgen.JobConfig{Name: fmt.Sprint("job ", i), Workers: i + 1})
		require.NoError(t, err)
	}
	r.restart(true)
	r.close()
	good, err := os.ReadFile(filepath.Join(r.dir, file))
	require.NoError(t, err)
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	refused := 0
	for i := range 300 {
		bad := append([]byte(nil), good...)
		if i%10 == 0 {
			bad = bad[:random.IntN(len(bad))]
		} else {
			for range 1 + random.IntN(8) {
				// Beyond the two pages of which bbolt takes the older where one is damaged: a
				// transaction that was not on disk whole has not been acknowledged.
				meta := 2 * os.Getpagesize()
				bad[meta+random.IntN(len(bad)-meta)] ^= 1 << random.IntN(8)
			}
		}
		dir := t.TempDir()
		path := filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		err := func() error {
			s, err := state.Open(dir)
			if err != nil {
				return err
			}
			m := loadgen.New(loadgen.WithScenarios(scenarios()))
			defer func() {
				m.Close()
				_ = s.Close()
			}()
			if err := s.Attach(m, false); err != nil {
				return err
			}
			assert.Len(t, m.List(), 21, "case %d", i)
			return nil
		}()
		if err == nil {
			continue
		}
		refused++
		require.ErrorIs(t, err, state.ErrForeign, "case %d", i)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, bad, append([]byte(nil), after...), "case %d: it is left as it is", i)
	}
	assert.Greater(t, refused, 30)
}

// Runs that wait for the disk, and calls at a time, share transactions.
func TestSaveSharesTransactions(t *testing.T) {
	r := newRig(t)
	j := r.start("slider", nil)
	var waits []func() error
	began := time.Now()
	for i := range 500 {
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 1 + i%5 }))
		waits = append(waits, r.store.Save("slider", nil))
	}
	var errs []error
	for _, wait := range waits {
		errs = append(errs, wait())
	}
	require.NoError(t, errors.Join(errs...))
	t.Logf("500 updates on disk in %s", time.Since(began).Round(time.Millisecond))
	r.restart(true)
	assert.Equal(t, uint64(501), r.job("slider").Status().Revision)
}

// Servers that begin at the same time in a new folder: one of them has it, and its file stays.
func TestANewFolderHasOneOwner(t *testing.T) {
	for range 4 {
		dir := t.TempDir()
		var wg sync.WaitGroup
		stores := make([]*state.Store, 4)
		for i := range stores {
			wg.Go(func() {
				s, err := state.Open(dir)
				if err != nil {
					assert.ErrorIs(t, err, state.ErrInUse)
					return
				}
				stores[i] = s
			})
		}
		wg.Wait()
		open := slices.DeleteFunc(stores, func(s *state.Store) bool { return s == nil })
		require.Len(t, open, 1)
		parts, err := filepath.Glob(filepath.Join(dir, "*.part"))
		require.NoError(t, err)
		assert.Empty(t, parts)
		file, err := os.Stat(filepath.Join(dir, "loadgen.db"))
		require.NoError(t, err)
		require.NoError(t, open[0].Close())
		again, err := state.Open(dir)
		require.NoError(t, err)
		same, err := os.Stat(filepath.Join(dir, "loadgen.db"))
		require.NoError(t, err)
		assert.True(t, os.SameFile(file, same))
		require.NoError(t, again.Close())
	}
}
