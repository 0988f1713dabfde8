package state

import (
	"context"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// Each write has what goes with its statistics: how far the job was then. A checkpoint
// with whole statistics drops those before it, and what they knew.
func TestEveryCheckpointHasThePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.TempDir())
		require.NoError(t, err)
		defer func() { assert.NoError(t, s.Close()) }()
		scenario := loadgen.NewScenario("s").
			Feeder("rows", loadgen.Feeder{File: "f.csv", FS: fstest.MapFS{"f.csv": {Data: []byte("n\n1\n")}}}).
			Task("t", 1, func(_ context.Context, vu *loadgen.VU) error { _, err := vu.Row("rows"); return err })
		s.m = loadgen.New() // as Attach does, but nothing is written when it is not wanted
		defer s.m.Close()
		_, err = s.m.Start(t.Context(), loadgen.JobConfig{Name: "job", Scenario: scenario, BaseURL: "http://shop.test", Delay: time.Second})
		require.NoError(t, err)
		for i, what := range []string{"change", "checkpoint", "whole", "checkpoint"} {
			time.Sleep(time.Second)
			synctest.Wait()
			switch what {
			case "change":
				s.Save("job", nil)
			case "whole":
				s.since = wholeEvery
			}
			s.write(what != "change")
			require.NoError(t, s.Err())
			all, err := s.load()
			require.NoError(t, err)
			require.Len(t, all, 1)
			assert.EqualValues(t, i+2, all[0].stats.Iterations, what)
			assert.EqualValues(t, i+2, all[0].record.Position.Rows["rows"], what)
			assert.Equal(t, time.Duration(i+1)*time.Second, all[0].record.Elapsed, what)
		}
	})
}
