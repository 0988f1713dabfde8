package loadgen_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestAround(t *testing.T) {
	plain, err := loadgen.ParseScenario("shop", []byte("tasks:\n  - name: a\n    request: GET /a\n  - name: b\n    weight: 0\n    request: GET /b\n"))
	require.NoError(t, err)
	var calls atomic.Int64
	wrapped := plain.Around(func(ctx context.Context, vu *loadgen.VU, task string, run loadgen.TaskFunc) error {
		assert.Equal(t, "a", task)
		if calls.Add(1)%2 == 0 {
			return nil // and no request
		}
		return run(ctx, vu)
	})
	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Name: "x", Scenario: wrapped, BaseURL: "http://127.0.0.1:1", MaxIterations: 10})
	require.NoError(t, err)
	assert.EqualValues(t, 10, calls.Load())
	assert.EqualValues(t, 5, snap.FailedRequests, "nobody listens there")
	assert.EqualValues(t, 5, snap.FailedIterations)

	_, err = loadgen.Run(t.Context(), loadgen.JobConfig{Name: "x", Scenario: plain, BaseURL: "http://127.0.0.1:1", MaxIterations: 10})
	require.NoError(t, err)
	assert.EqualValues(t, 10, calls.Load(), "the scenario that was wrapped is as before")

	_, err = loadgen.Run(t.Context(), loadgen.JobConfig{
		Name: "x", BaseURL: "http://127.0.0.1:1", MaxIterations: 1,
		Scenario: loadgen.NewScenario("bad").Task("none", 1, nil).Around(nil),
	})
	assert.ErrorContains(t, err, "none")
}
