//go:build !race

package loadgen_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// fleetReport is what bench/fleet prints.
type fleetReport struct {
	Running    int
	Iterations uint64
	Failed     uint64
	Errors     map[loadgen.ErrorClass]loadgen.ErrorStat
	RSS, Peak  int64
	Heap       uint64
	Stacks     uint64
}

// TestSizeOfTenThousandWorkers has a shop and a client in processes of their own.
// Like the other sizes it is measured without the race detector, and not beside the
// tests of other packages. A busy machine makes the figures larger, as more
// requests are under way at once, but nothing makes them smaller than they are: the best
// of three counts.
func TestSizeOfTenThousandWorkers(t *testing.T) {
	const most = 150 << 20 // bytes
	fleet := filepath.Join(t.TempDir(), "fleet")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", fleet, "./bench/fleet").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, f := range []struct{ jobs, workers int }{{1, 10_000}, {100, 100}} {
		t.Run(fmt.Sprintf("%d jobs of %d", f.jobs, f.workers), func(t *testing.T) {
			peak := int64(math.MaxInt64)
			for range 3 {
				if peak = min(peak, runFleet(t, fleet, f.jobs, f.workers)); peak < most {
					break
				}
			}
			assert.Less(t, peak, int64(most), "bytes resident at the peak")
		})
	}
}

// runFleet runs jobs, and returns how many bytes were resident at the most.
func runFleet(t *testing.T, fleet string, jobs, workers int) int64 {
	t.Helper()
	total := jobs * workers
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	require.Greater(t, files.Max, uint64(total+100), "open files allowed; each connection is one (ulimit -Hn)")

	shop := exec.CommandContext(t.Context(), fleet, "-serve")
	in, err := shop.StdinPipe()
	require.NoError(t, err)
	stdout, err := shop.StdoutPipe()
	require.NoError(t, err)
	said := bufio.NewReader(stdout)
	require.NoError(t, shop.Start())
	url, err := said.ReadString('\n')
	require.NoError(t, err)

	client := exec.CommandContext(t.Context(), fleet, "-url", strings.TrimSpace(url),
		"-jobs", strconv.Itoa(jobs), "-workers", strconv.Itoa(workers))
	var stderr bytes.Buffer
	client.Stderr = &stderr
	printed, err := client.Output()
	require.NoError(t, err, &stderr)
	require.NoError(t, in.Close())
	connections, err := io.ReadAll(said)
	require.NoError(t, err)
	require.NoError(t, shop.Wait())

	var r fleetReport
	require.NoError(t, json.Unmarshal(printed, &r), "%s", printed)
	t.Logf("resident %d MB, at most %d MB; heap %d MB, stacks %d MB; %d iterations",
		r.RSS>>20, r.Peak>>20, r.Heap>>20, r.Stacks>>20, r.Iterations)
	assert.Equal(t, total, r.Running, "VUs")
	assert.Equal(t, strconv.Itoa(total), strings.TrimSpace(string(connections)), "connections at the same time")
	assert.Zero(t, r.Failed, "failed iterations: %v", r.Errors)
	return r.Peak
}
