package loadgen

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/textkit"
)

func TestSnapshotRecordOfAJob(t *testing.T) {
	shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer shop.Close()
	root := func(ctx context.Context, vu *VU) error { return vu.Get(ctx, "/") }
	s, err := Run(t.Context(), JobConfig{
		Name: "shop", Scenario: NewScenario("s").Task("root", 1, root), BaseURL: shop.URL, MaxIterations: 50,
	})
	require.NoError(t, err)
	text, err := json.Marshal(SnapshotRecord{Snapshot: *s})
	require.NoError(t, err)
	readable, err := json.Marshal(s)
	require.NoError(t, err)
	var whole, shown map[string]any
	require.NoError(t, json.Unmarshal(text, &whole))
	require.NoError(t, json.Unmarshal(readable, &shown))
	assert.Subset(t, keys(whole), keys(shown), "all that readers of a snapshot know is there")
	assert.Subset(t, keys(whole["response"]), keys(shown["response"]))

	var back SnapshotRecord
	require.NoError(t, json.Unmarshal(text, &back))
	assert.True(t, s.Started.Equal(back.Started))
	assert.True(t, s.Time.Equal(back.Time))
	back.Started, back.Time = s.Started, s.Time
	assert.Equal(t, s, &back.Snapshot)
	assert.Zero(t, s.Since(&back.Snapshot).Requests, "the difference of the two is nothing")
}

func keys(object any) []string { return textkit.SortedKeys(object.(map[string]any)) }
