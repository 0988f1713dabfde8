package loadgen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestARestoredJobHasItsFeeders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := loadgen.NewScenario("s").Feeder("u", loadgen.Feeder{File: "u.csv", FS: fstest.MapFS{"u.csv": {Data: []byte("n\n1\n2\n")}}}).
			Task("t", 1, func(_ context.Context, vu *loadgen.VU) error { _, err := vu.Row("u"); return err })
		cfg := config(s)
		cfg.Delay = time.Second
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, cfg)
		time.Sleep(2500 * time.Millisecond)
		r, snap := j.Record(), j.Snapshot()
		r.Config.Scenario = s
		m.Close()
		m2 := loadgen.New()
		defer m2.Close()
		resumed, err := m2.Restore(r, snap)
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		assert.Zero(t, resumed.Snapshot().FailedIterations, "%v", resumed.Snapshot().Errors)
		assert.Greater(t, resumed.Snapshot().Iterations, snap.Iterations)
	})
}

// given keeps what VUs have got of a feeder, in order.
type given struct {
	sync.Mutex
	got []string
}

func (r *given) scenario(feeder loadgen.Feeder) *loadgen.Scenario {
	feeder.File, feeder.FS = "u.csv", fstest.MapFS{"u.csv": {Data: []byte("n\n0\n1\n2\n3\n4\n5\n6\n7\n")}}
	return loadgen.NewScenario("s").Feeder("u", feeder).
		Task("t", 1, func(_ context.Context, vu *loadgen.VU) error {
			row, err := vu.Row("u")
			if err != nil {
				return err
			}
			r.Lock()
			defer r.Unlock()
			r.got = append(r.got, fmt.Sprintf("%d:%s", vu.ID(), row.Get("n")))
			return nil
		})
}

// again is a job as it would be read back from a file, with its scenario.
func again(t *testing.T, j *loadgen.Job, s *loadgen.Scenario) loadgen.JobRecord {
	t.Helper()
	data, err := json.Marshal(j.Record())
	require.NoError(t, err)
	var r loadgen.JobRecord
	require.NoError(t, json.Unmarshal(data, &r))
	r.Config.Scenario = s
	return r
}

// A row that was given out before is not given out again, however often the job is
// restored, also from its set-up.
func TestARestoredJobGoesOnInItsFeeders(t *testing.T) {
	for name, setUp := range map[string]loadgen.TaskFunc{
		"at once":         nil,
		"after a set-up":  func(context.Context, *loadgen.VU) error { return nil },
		"in the midst of": func(ctx context.Context, _ *loadgen.VU) error { time.Sleep(700 * time.Millisecond); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r given
				s := r.scenario(loadgen.Feeder{AtEnd: loadgen.FeedStop})
				if setUp != nil {
					s.Setup(setUp)
				}
				cfg := config(s)
				cfg.Delay = time.Second
				m := loadgen.New()
				defer func() { m.Close() }()
				j := start(t, m, cfg)
				for range 3 {
					time.Sleep(1400 * time.Millisecond) // no iteration begins at this moment
					synctest.Wait()
					record, snap := again(t, j, s), j.Snapshot()
					m.Close()
					m = loadgen.New()
					var err error
					j, err = m.Restore(record, snap)
					require.NoError(t, err)
				}
				require.NoError(t, j.Wait(t.Context()))
				assert.Equal(t, []string{"0:0", "0:1", "0:2", "0:3", "0:4", "0:5", "0:6", "0:7"}, r.got)
				assert.EqualValues(t, 8, j.Snapshot().Iterations)
				assert.Contains(t, j.Snapshot().Reason, "has given out all its 8 rows")
			})
		})
	}
}

// Each VU has the row of its number again.
func TestARestoredJobHasItsUniqueRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r given
		s := r.scenario(loadgen.Feeder{Order: loadgen.FeedUnique})
		cfg := config(s)
		cfg.Delay, cfg.Workers = time.Second, 8
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, cfg)
		time.Sleep(1500 * time.Millisecond)
		record, snap := again(t, j, s), j.Snapshot()
		m.Close()
		before := map[string]bool{}
		for _, row := range r.got {
			before[row] = true
		}
		require.Len(t, before, 8)
		r.got = nil
		m2 := loadgen.New()
		defer m2.Close()
		_, err := m2.Restore(record, snap)
		require.NoError(t, err)
		time.Sleep(1500 * time.Millisecond)
		m2.Close()
		require.NotEmpty(t, r.got)
		for _, row := range r.got {
			assert.True(t, before[row], row)
		}
	})
}
