package state_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/state"
)

// written is what this process has had written to disk so far, in bytes.
func written(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("no wchar in /proc/self/io")
	return 0
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// visit takes as long as a request to a shop may.
func visit(ctx context.Context, vu *loadgen.VU) error {
	return vu.Sleep(ctx, time.Duration(1+vu.Rand().IntN(20_000))*time.Microsecond)
}

// A hundred jobs of eight tasks write little, however many requests they make: a
// checkpoint has what has changed.
func TestVolumeOfAHundredJobs(t *testing.T) {
	dir := t.TempDir()
	s, err := state.Open(dir)
	require.NoError(t, err)
	m := loadgen.New(loadgen.WithOnEnd(s.Ended))
	shop := loadgen.NewScenario("shop")
	for i := range 8 {
		shop.Task(fmt.Sprint("products_", i), 1, visit)
	}
	for i := range 100 {
		_, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: fmt.Sprint("job ", i), Scenario: shop, BaseURL: "http://localhost:1", Rate: loadgen.PerSecond(20), Workers: 2,
		})
		require.NoError(t, err)
	}
	require.NoError(t, s.Attach(m, true))
	require.NoError(t, s.Save("job 0", nil)())
	const seconds = 5
	before, spent := written(t), cpu(t)
	<-time.After(seconds * time.Second) // checkpoints are by the clock
	volume := (written(t) - before) / seconds
	t.Logf("100 jobs of 8 tasks at 20 iterations/s each: %d KiB/s to disk, %s of CPU a second for all",
		volume>>10, (cpu(t)-spent).Round(time.Millisecond)/seconds)
	m.Close()
	require.NoError(t, s.Close())
	info, err := os.Stat(dir + "/loadgen.db")
	require.NoError(t, err)
	t.Logf("the file has %d KiB", info.Size()>>10)
	assert.Less(t, volume>>10, int64(1024), "KiB/s")
}
