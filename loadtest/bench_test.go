package loadtest_test

import (
	"context"
	"flag"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/loadtest"
)

func quick() *loadgen.Scenario {
	return loadgen.NewScenario("quick").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
}

// benchtime sets how long testing.Benchmark goes on.
func benchtime(t *testing.T, value string) {
	t.Helper()
	f := flag.Lookup("test.benchtime")
	before := f.Value.String()
	require.NoError(t, flag.Set("test.benchtime", value))
	t.Cleanup(func() { _ = flag.Set("test.benchtime", before) })
}

// metrics reads a line of a benchmark as benchstat does: the number of operations, then
// pairs of a value and a unit (https://go.dev/design/14313-benchmark-format).
func metrics(t *testing.T, line string) map[string]float64 {
	t.Helper()
	fields := strings.Fields(line)
	require.NotEmpty(t, fields)
	_, err := strconv.Atoi(fields[0])
	require.NoError(t, err, line)
	require.Equal(t, 1, len(fields)%2, line)
	out := map[string]float64{}
	for i := 1; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		require.NoError(t, err, line)
		require.Regexp(t, regexp.MustCompile(`^[A-Za-z][A-Za-z0-9/-]*$`), fields[i+1])
		out[fields[i+1]] = value
	}
	return out
}

func TestBenchReportsWhatBenchstatReads(t *testing.T) {
	benchtime(t, "300x")
	for name, c := range map[string]struct {
		cfg        loadgen.JobConfig
		ops        int
		iterations uint64 // of the last round
	}{
		"b.N":    {loadgen.JobConfig{Scenario: quick(), Workers: 4}, 300, 300},
		"b.Loop": {loadgen.JobConfig{Scenario: quick(), Workers: 4, MaxIterations: 2}, 300, 600},
	} {
		var last *loadgen.Snapshot
		result := testing.Benchmark(func(b *testing.B) {
			last = loadtest.Bench(b, c.cfg, loadtest.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		})
		require.NotNil(t, last, name)
		assert.Equal(t, c.ops, result.N, name)
		assert.Equal(t, c.iterations, last.Iterations, name)
		got := metrics(t, result.String())
		for _, unit := range []string{"ns/op", "req/s", "p50-latency-ns", "p90-latency-ns", "p99-latency-ns", "max-latency-ns"} {
			assert.Positive(t, got[unit], "%s: %s of %s", name, unit, result)
		}
		assert.LessOrEqual(t, got["p50-latency-ns"], got["max-latency-ns"], name)
	}
}

func TestBenchFailsOnFailures(t *testing.T) {
	benchtime(t, "3x")
	broken := loadtest.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	failed := func(opts ...loadtest.Option) bool {
		var b *testing.B
		testing.Benchmark(func(inner *testing.B) {
			b = inner
			loadtest.Bench(inner, loadgen.JobConfig{Scenario: quick()}, append(opts, broken)...)
		})
		return b.Failed()
	}
	assert.True(t, failed())
	assert.True(t, failed(loadtest.ErrorRateBelow(1)))
	assert.False(t, failed(loadtest.Threshold("error_rate <= 100%")), "somebody has said that they may")
}
