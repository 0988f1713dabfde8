package loadgen_test

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
