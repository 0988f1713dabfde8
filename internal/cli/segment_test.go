package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/report"
)

// ledger is a target that counts requests by path. It answers the first ones when so
// many wait for it, so that all processes run side by side, however fast each came up.
type ledger struct {
	mu      sync.Mutex
	paths   map[string]int
	users   map[string]int
	waiting int
	all     chan struct{}
}

func newLedger(t *testing.T, waiting int) (l *ledger, url string) {
	l = &ledger{paths: map[string]int{}, users: map[string]int{}, waiting: waiting, all: make(chan struct{})}
	srv := httptest.NewServer(l)
	t.Cleanup(srv.Close)
	return l, srv.URL
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.paths[r.URL.Path]++
	l.users[r.URL.Query().Get("user")]++
	if l.waiting--; l.waiting == 0 {
		close(l.all)
	}
	l.mu.Unlock()
	select {
	case <-l.all:
	case <-r.Context().Done():
	}
	if strings.HasSuffix(r.URL.Path, "7") {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// loadgenProcess is the program, as a process with more in its environment.
func loadgenProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "loadgen", args...)
	cmd.Env = append(os.Environ(), env...)
	p, err := startProcess(cmd)
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

// Ten processes as the segments of one job are to the target, and in their merged
// report, what one process is: the same requests, each once.
func TestTenProcessesAreOne(t *testing.T) {
	const users, rows = 20, 203
	dir := t.TempDir()
	text := bytes.NewBufferString("row\n")
	for i := range rows {
		fmt.Fprintf(text, "%d\n", i)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rows.csv"), text.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rows.yaml"), []byte(`
feeders:
  row: {file: rows.csv, at_end: stop}
tasks:
  - name: row
    request: GET /${row.row}?user=${vu()}
`), 0o600))
	measure := func(n int) (*ledger, *report.Report) {
		target, url := newLedger(t, users)
		var files []string
		var processes []*process
		for i := range n {
			file := filepath.Join(dir, fmt.Sprintf("%d-of-%d.json", i+1, n))
			files = append(files, file)
			processes = append(processes, loadgenProcess(t, []string{"JOB_COMPLETION_INDEX=" + strconv.Itoa(i)}, "run", filepath.Join(dir, "rows.yaml"),
				"-segment", strconv.Itoa(n), "-url", url, "-workers", strconv.Itoa(users), "-max-iterations", strconv.Itoa(rows),
				"-seed", "7", "-threshold", fmt.Sprintf("iterations == %d", rows), "-threshold", "failures == 0", "-timeout", patience.String(), "-quiet", "-out", file))
		}
		for _, p := range processes {
			code, err := p.wait()
			require.NoError(t, err)
			if n == 1 {
				assert.Equal(t, command.ExitFailed, code, "its thresholds are its own: %s", &p.stderr)
			} else {
				assert.Contains(t, []int{0, command.ExitInvalid}, code, "they are for all together: %s", &p.stderr)
			}
		}
		merged := filepath.Join(dir, fmt.Sprintf("%d.json", n))
		p := loadgenProcess(t, nil, append([]string{"merge", "-quiet", "-out", merged}, files...)...)
		code, err := p.wait()
		require.NoError(t, err)
		assert.Equal(t, command.ExitFailed, code)
		assert.Contains(t, p.stderr.String(), "1 of 2 thresholds not held\n  failures was 20")
		r, err := readReport(merged)
		require.NoError(t, err)
		if n > 1 { // a quantile of all lies between those of the parts
			for _, q := range []float64{0.5, 0.9, 0.99} {
				least, most := time.Duration(1<<62), time.Duration(0)
				for _, file := range files {
					part, err := readReport(file)
					require.NoError(t, err)
					x := part.Snapshot.Response.Quantile(q)
					least, most = min(least, x), max(most, x)
				}
				x, off := float64(r.Snapshot.Response.Quantile(q)), r.Snapshot.Response.ErrorBound()
				assert.GreaterOrEqual(t, x, float64(least)*(1-off))
				assert.LessOrEqual(t, x, float64(most)*(1+off))
			}
		}
		return target, r
	}
	one, whole := measure(1)
	ten, merged := measure(10)
	require.Len(t, one.paths, rows)
	for path, n := range one.paths {
		assert.Equal(t, 1, n, path)
	}
	assert.Equal(t, one.paths, ten.paths, "each row once")
	assert.Len(t, one.users, users)
	assert.Len(t, ten.users, users, "no two processes have the same users")

	a, b := whole.Snapshot, merged.Snapshot
	assert.EqualValues(t, rows, b.Iterations)
	assert.Equal(t, a.Iterations, b.Iterations)
	assert.Equal(t, a.FailedRequests, b.FailedRequests)
	assert.Equal(t, a.Status, b.Status)
	assert.Equal(t, a.Received, b.Received)
	assert.Equal(t, a.Workers, b.Workers)
	assert.Equal(t, a.Response.Count(), b.Response.Count())
	assert.Equal(t, a.Service.Count(), b.Service.Count())
	for class, e := range a.Errors {
		assert.Equal(t, e.Count, b.Errors[class].Count)
	}
	require.Len(t, b.Verdicts, 2)
	assert.EqualValues(t, "pass", b.Verdicts[0].Outcome)
	var sum uint64
	for _, i := range merged.Intervals {
		sum += i.Iterations
	}
	assert.EqualValues(t, rows, sum, "intervals add up")
}
