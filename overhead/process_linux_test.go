package overhead_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/overhead"
)

func checkProcess(t *testing.T, p *overhead.Process) {
	t.Helper()
	require.NotNil(t, p)
	assert.Equal(t, os.Getpid(), p.PID)
	assert.NotEmpty(t, p.Name)
	assert.Greater(t, p.RSS, int64(1<<20))
	assert.GreaterOrEqual(t, p.MaxRSS, p.RSS)
	assert.GreaterOrEqual(t, p.CPU, 0.0)
}

// TestProcesses: those of loopback targets are found by their port.
func TestProcesses(t *testing.T) {
	s := &twins{seen: map[string][]string{}}
	server := httptest.NewServer(s)
	defer server.Close()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	job := loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })}
	r, err := overhead.Measurement{
		Job: job, Off: overhead.Target{URL: server.URL}, On: overhead.Target{URL: "http://localhost:" + u.Port()}, Pairs: 20, WarmUp: 2,
	}.Run(t.Context())
	require.NoError(t, err)
	checkProcess(t, r.Off.Process)
	checkProcess(t, r.On.Process)
}
