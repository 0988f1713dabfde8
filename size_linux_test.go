//go:build !race

package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/rss"
	"github.com/opbeans/loadgen/internal/shop"
	"github.com/opbeans/loadgen/scenarios"
)

// sizeClient is the environment variable that makes the test binary a client of the
// shop, so that memory is that of the client alone. It holds a fleet.
const sizeClient = "LOADGEN_SIZE_CLIENT"

// fleet is what a client process runs.
type fleet struct {
	URL           string
	Jobs, Workers int
}

// fleetReport is what a client process has seen.
type fleetReport struct {
	Running    int // VUs while all ran
	Iterations uint64
	Failed     uint64
	Errors     map[loadgen.ErrorClass]loadgen.ErrorStat
	RSS, Peak  int64 // bytes
	Heap       uint64
	Stacks     uint64
}

func TestMain(m *testing.M) {
	spec := os.Getenv(sizeClient)
	if spec == "" {
		m.Run()
		return
	}
	report, err := runFleet(spec)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		panic(err) // for the parent to show
	}
}

// runFleet runs jobs until standard input ends and VUs have had some iterations, and
// looks at the memory while they still run.
func runFleet(spec string) (*fleetReport, error) {
	const each = 5 // iterations, on average
	var f fleet
	if err := json.Unmarshal([]byte(spec), &f); err != nil {
		return nil, err
	}
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	for i := range f.Jobs {
		if _, err := m.Start(context.Background(), loadgen.JobConfig{
			Name: fmt.Sprint("job", i), ScenarioName: "molotov_scenarios", BaseURL: f.URL,
			Workers: f.Workers, Delay: 600 * time.Millisecond,
		}); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return nil, err
	}
	tick := time.NewTicker(time.Second) // as a page that shows the jobs would ask
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for {
		r := &fleetReport{Errors: map[loadgen.ErrorClass]loadgen.ErrorStat{}}
		for _, j := range m.List() {
			s := j.Snapshot()
			r.Running += s.VUs
			r.Iterations += s.Iterations
			r.Failed += s.FailedIterations
			for class, e := range s.Errors {
				e.Count += r.Errors[class].Count
				r.Errors[class] = e
			}
		}
		if r.Iterations >= uint64(f.Jobs*f.Workers*each) {
			var ms runtime.MemStats
			runtime.ReadMemStats(&ms)
			r.Heap, r.Stacks = ms.HeapInuse, ms.StackInuse
			var err error
			r.RSS, r.Peak, err = rss.Read()
			return r, err
		}
		select {
		case <-tick.C:
		case <-limit:
			return nil, fmt.Errorf("too slow: %+v", r)
		}
	}
}

func TestSizeOfTenThousandWorkers(t *testing.T) {
	for _, f := range []fleet{{Jobs: 1, Workers: 10_000}, {Jobs: 100, Workers: 100}} {
		t.Run(fmt.Sprintf("%d jobs of %d", f.Jobs, f.Workers), func(t *testing.T) {
			const most = 150 << 20
			total := f.Jobs * f.Workers
			var files syscall.Rlimit
			require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
			require.Greater(t, files.Max, uint64(total+100), "open files allowed; each connection is one (ulimit -Hn)")

			var open atomic.Int64
			srv := httptest.NewUnstartedServer(shop.New(shop.Options{Latency: 1}))
			srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					open.Add(1)
				case http.StateClosed, http.StateHijacked:
					open.Add(-1)
				}
			}
			srv.Start()
			defer srv.Close()
			f.URL = srv.URL
			spec, err := json.Marshal(f)
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), sizeClient+"="+string(spec))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			until(t, time.Minute, "a connection of each VU", func() bool { return open.Load() == int64(total) })
			require.NoError(t, stdin.Close())
			require.NoError(t, cmd.Wait(), &stderr)

			var r fleetReport
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
			t.Logf("resident %d MB, at most %d MB; heap %d MB, stacks %d MB; %d iterations",
				r.RSS>>20, r.Peak>>20, r.Heap>>20, r.Stacks>>20, r.Iterations)
			assert.Equal(t, total, r.Running, "VUs")
			assert.Zero(t, r.Failed, "failed iterations: %v", r.Errors)
			assert.Less(t, r.Peak, int64(most), "bytes resident at the peak")
		})
	}
}
