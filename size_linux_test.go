//go:build !race

package loadgen_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
// of six counts.
func TestSizeOfTenThousandWorkers(t *testing.T) {
	const most = 150 << 20 // bytes
	fleet := filepath.Join(t.TempDir(), "fleet")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", fleet, "./bench/fleet").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, f := range []struct{ jobs, workers int }{{1, 10_000}, {100, 100}} {
		t.Run(fmt.Sprintf("%d jobs of %d", f.jobs, f.workers), func(t *testing.T) {
			peak := int64(math.MaxInt64)
			for range 6 {
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

// othersTime is the time of the processors that other programs have had since the machine
// began, and a hypervisor: the sum over the processors, divided by their number.
func othersTime() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	const tick = 10 * time.Millisecond
	var busy, cpus time.Duration
	for line := range strings.Lines(string(stat)) {
		switch f := strings.Fields(line); {
		case len(f) > 8 && f[0] == "cpu":
			for _, i := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal
				n, _ := strconv.ParseInt(f[i], 10, 64)
				busy += time.Duration(n) * tick
			}
		case strings.HasPrefix(line, "cpu"):
			cpus++
		}
	}
	var own syscall.Rusage
	if cpus == 0 || syscall.Getrusage(syscall.RUSAGE_SELF, &own) != nil {
		return 0
	}
	return (busy - time.Duration(own.Utime.Nano()+own.Stime.Nano())) / cpus
}
