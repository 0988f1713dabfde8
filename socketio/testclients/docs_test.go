//go:build clients

package testclients_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/shop"
)

// TestDocs runs the program of docs/streams.md against a server.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/streams.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, block)
	target := httptest.NewServer(shop.New(shop.Options{}))
	defer target.Close()
	ln := newPort(t)
	p, addr := run(t, ln, ""), ln.Addr().String()
	defer p.stop(t)
	program := strings.NewReplacer(
		`"socket.io-client"`, `"socket.io-client-4"`, "http://localhost:8999", "http://"+addr,
		`"8000"`, `"`+target.URL[strings.LastIndex(target.URL, ":")+1:]+`"`,
	).Replace(string(block[1]))

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", program)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	var said strings.Builder
	for _, want := range []string{
		`service_state { python: 'start' }`, `(?m)^\{\}$`, `\[ 'python'`,
		`python [1-9][0-9.]* requests/s, p99 [0-9.]+ ms, 0 failed`,
	} {
		for !regexp.MustCompile(want).MatchString(said.String()) {
			piece := make([]byte, 4096)
			n, err := out.Read(piece)
			said.Write(piece[:n])
			require.NoError(t, err, "%q is missing in %s", want, &said)
		}
	}
	require.NoError(t, cmd.Process.Kill())
	assert.Error(t, cmd.Wait(), "it was killed")
}
