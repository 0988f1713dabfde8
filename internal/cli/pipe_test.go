//go:build unix

package cli

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve | head -n 1: nobody reads the log any more, and the service goes on.
func TestAServiceOutlivesTheReaderOfItsLog(t *testing.T) {
	program, err := exec.LookPath("loadgen") // the test binary, by TestMain
	if err != nil {
		t.Skip("only where the test binary is in the path")
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "serve", "-addr", "127.0.0.1:0")
	var stderr output
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	log := bufio.NewReader(r)
	url := ""
	for url == "" {
		line, err := log.ReadString('\n')
		require.NoError(t, err, "%s", &stderr)
		if m := regexp.MustCompile(`msg=listening addr=(\S+)`).FindStringSubmatch(line); m != nil {
			url = "http://" + m[1]
		}
	}
	require.NoError(t, r.Close())
	for range 3 { // each writes a line
		body := strings.NewReader(`{"job":"x","url":"http://127.0.0.1:1","duration":0.1}`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/start", body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}
	_, err = stderr.await(regexp.MustCompile(`the log cannot be written`))
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, cmd.Wait(), "%s", &stderr)
}
