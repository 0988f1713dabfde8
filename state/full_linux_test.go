package state_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/state"
)

// When the file cannot grow, jobs go on, callers and the log are told, and what could
// not be written is written when there is room again.
func TestDiskFull(t *testing.T) {
	var log lockedBuffer
	r := newRig(t, state.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	j := r.start("job", nil)
	require.NoError(t, r.store.Save("job", nil)())

	info, err := os.Stat(filepath.Join(r.dir, file))
	require.NoError(t, err)
	restore := limitFiles(t, uint64(info.Size()))
	held := []byte(`"` + randomText(256<<10) + `"`)
	err = r.store.Save("job", held)()
	restore()
	require.Error(t, err)
	r.did(j, 10)
	assert.Equal(t, loadgen.StateRunning, j.State())
	assert.Contains(t, log.String(), "the state cannot be saved")

	require.Eventually(t, func() bool { return strings.Contains(log.String(), "the state is saved again") },
		10*time.Second, time.Millisecond, "it tries again by itself")
	require.NoError(t, r.store.Err())
	r.restart(true)
	assert.Equal(t, string(held), string(r.store.Held("job")))
	assert.Equal(t, loadgen.StateRunning, r.job("job").State())
}

// limitFiles makes files of this process grow no further than this.
func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	limit := before
	limit.Cur = size
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	var once sync.Once
	restore = func() {
		once.Do(func() { assert.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) })
	}
	t.Cleanup(restore)
	return restore
}

// randomText does not get smaller by being compressed.
func randomText(n int) string {
	b := make([]byte, n)
	state := uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[state>>26]
	}
	return string(b)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
