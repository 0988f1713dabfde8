package trial_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/trial"
)

const shop = `
thresholds: [iterations > 1000]
tasks:
  - name: browse
    weight: 9
    steps: [{request: GET /a}, {request: GET /b}]
  - name: broken
    request: GET /broken
  - name: never
    weight: 0
    request: GET /never
`

func TestEachTaskRunsOnce(t *testing.T) {
	s, err := loadgen.ParseScenario("shop", []byte(shop))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.URL.Path)
			time.Sleep(10 * time.Millisecond)
			if r.URL.Path == "/broken" {
				w.WriteHeader(500)
			}
		}))
		defer stop()
		cfg := loadgen.JobConfig{Scenario: s, BaseURL: "http://shop.test", Rate: loadgen.PerSecond(5), Duration: time.Hour}
		results, err := trial.Run(t.Context(), cfg, []string{"broken", "browse", "never"}, loadgen.WithDialContext(dial))
		require.NoError(t, err)
		assert.Equal(t, []string{"/broken", "/a", "/b", "/never"}, seen)
		require.Len(t, results, 3)
		assert.Equal(t, "check: GET /broken: status 500, expected 2xx or 3xx", results[0].Err)
		assert.Empty(t, results[1].Err)
		assert.Equal(t, 20*time.Millisecond, results[1].Took)
		require.Len(t, results[1].Requests, 2)
		assert.Equal(t, "http://shop.test/a", results[1].Requests[0].URL)

		cfg.BaseURL = ""
		_, err = trial.Run(t.Context(), cfg, []string{"browse"})
		assert.ErrorContains(t, err, "url: a base URL is required")
		cfg.Scenario = nil
		_, err = trial.Run(t.Context(), cfg, nil)
		assert.Error(t, err)
	})
}

func TestTheContextEndsATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		slow := loadgen.NewScenario("slow").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, time.Hour) })
		_, err := trial.Run(ctx, loadgen.JobConfig{Scenario: slow, BaseURL: "http://x.test"}, []string{"t"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
