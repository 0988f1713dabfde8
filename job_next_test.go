package loadgen_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// TestSetNext: what the next start is to have is kept and told, and changes nothing else.
func TestSetNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, config(taking(time.Second)))
		cfg := j.Config()
		require.ErrorIs(t, j.SetNext(cfg), loadgen.ErrJobRunning)
		synctest.Wait() // its VU is in an iteration
		j.Stop()
		events := m.Subscribe(t.Context())
		cfg.Workers = 7
		require.NoError(t, j.SetNext(cfg), "as soon as it stops")
		require.NoError(t, j.Wait(t.Context()))
		status, snap := j.Status(), j.Snapshot()
		cfg.Workers, cfg.Variables = 8, map[string]string{"A": "1"}
		require.NoError(t, j.SetNext(cfg))
		cfg.Variables["A"] = "2"
		assert.Equal(t, status, j.Status())
		assert.Equal(t, snap.Revision, j.Snapshot().Revision)
		assert.Equal(t, 1, j.Config().Workers)
		next, ok := j.Next()
		require.True(t, ok)
		assert.Equal(t, 8, next.Workers)
		assert.Equal(t, "1", next.Variables["A"], "a copy")

		cfg.Workers = -1
		var invalid *loadgen.ValidationError
		require.ErrorAs(t, j.SetNext(cfg), &invalid)
		assert.Equal(t, "workers", invalid.Fields[0].Field)
		cfg.Name = "other"
		require.ErrorAs(t, j.SetNext(cfg), &invalid)
		assert.Equal(t, "job", invalid.Fields[0].Field)

		for _, want := range []struct {
			kind    loadgen.EventKind
			workers int
		}{{loadgen.EventNext, 7}, {loadgen.EventEnded, 7}, {loadgen.EventNext, 8}} {
			e := <-events
			assert.Equal(t, want.kind, e.Kind)
			assert.Equal(t, 1, e.Config.Workers)
			assert.Equal(t, want.workers, e.Next.Workers)
		}
		assert.Empty(t, events, "what was refused is not told")

		next.Variables = nil
		again := start(t, m, next)
		_, ok = again.Next()
		assert.False(t, ok, "it was for this start")
		next.Name = "job"
		require.ErrorIs(t, j.SetNext(next), loadgen.ErrJobNotFound)
		pending, err := m.Prepare(loadgen.JobConfig{Name: "pending"})
		require.NoError(t, err)
		next.Name = "pending"
		require.ErrorIs(t, pending.SetNext(next), loadgen.ErrJobRunning)
	})
}
