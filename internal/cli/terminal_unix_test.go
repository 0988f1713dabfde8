//go:build unix

package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/command"
)

// TestRunOnATerminal runs a job on a terminal, which becomes narrower meanwhile.
func TestRunOnATerminal(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	for _, env := range []map[string]string{nil, {"NO_COLOR": "1"}} {
		user, tty, err := pty.Open()
		require.NoError(t, err)
		require.NoError(t, pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 100}))
		var shown output
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(&shown, user)
		}()
		ctx, stop := contextWithStop(t)
		var stdout output
		ended := make(chan error)
		go func() {
			sys := &command.System{LookupEnv: environ(env), Stdout: &stdout, Stderr: tty, Hard: &command.HardStop{Signal: make(chan os.Signal)}}
			ended <- Commands().Run(ctx, sys, []string{"run", target.URL, "-duration", "1h", "-delay", "10ms", "-threshold", "error_rate < 1%"})
		}()

		_, err = shown.await(regexp.MustCompile(`(?s)1:00:00, .* left.*so far.*[1-9][0-9]* requests, .*failures  .*none.*threshold .*pass.*generator .*keeps up`))
		require.NoError(t, err)
		assert.Equal(t, env == nil, strings.Contains(shown.String(), "\x1b[32m"), "NO_COLOR is heeded")
		require.NoError(t, pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 30}))
		_, err = shown.await(regexp.MustCompile(`127.0.0.1(\x1b\[0m)?  http://127.0.0.1:\d\x1b\[K`))
		require.NoError(t, err)

		stop()
		require.NoError(t, <-ended)
		require.NoError(t, tty.Close())
		<-read
		_ = user.Close()
		assert.Contains(t, shown.String(), "stopping: running iterations")
		assert.Contains(t, stdout.String(), "stopped after")
		assert.True(t, strings.HasSuffix(shown.String(), "\x1b[J"), "the block makes room for the summary")
	}
}
