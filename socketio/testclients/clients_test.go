//go:build clients

// Package testclients_test drives the official Socket.IO clients of every
// generation, in Node.js, Python and a real browser, against a server. setup.sh
// installs them; then
//
//	go test -tags clients ./socketio/testclients
package testclients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/access"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/internal/sio/testclient"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
)

const (
	broadcasts = 1000
	secret     = "0123456789abcdef" // of clients that can send a token; a page would log in
	job        = "shop 😀"           // two UTF-16 units, which lengths in protocol 3 count
	patience   = 3 * time.Minute
)

// program is a running load generator.
type program struct {
	m      *loadgen.Manager
	live   *socketio.Server
	server *http.Server
	done   chan error
}

// port is a listener that its server cannot close: nobody else gets the port before the
// next server has it. Until then connections to it break.
type port struct {
	*net.TCPListener
	breaking chan struct{} // closed when they break no more
}

func newPort(t *testing.T) *port {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return &port{TCPListener: ln.(*net.TCPListener)}
}

// Close ends Accept, for now.
func (p *port) Close() error { return p.SetDeadline(time.Unix(1, 0)) }

// broken breaks connections from now on: left to wait for the next server, they would
// be taken for those of a server that hangs.
func (p *port) broken(t *testing.T) {
	t.Helper()
	require.NoError(t, p.SetDeadline(time.Time{}))
	p.breaking = make(chan struct{})
	go func() {
		defer close(p.breaking)
		for {
			conn, err := p.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
}

// mended ends that.
func (p *port) mended(t *testing.T) {
	t.Helper()
	if p.breaking != nil {
		require.NoError(t, p.Close())
		<-p.breaking
	}
	require.NoError(t, p.SetDeadline(time.Time{}))
}

// run starts a load generator with one job. On the port of one that has ended, it is a
// restart. With a token, clients need it.
func run(t *testing.T, ln *port, token string) *program {
	t.Helper()
	ln.mended(t)
	p := &program{m: loadgen.New(loadgen.WithScenarios(scenarios.FS)), done: make(chan error, 1)}
	api := httpapi.New(p.m, httpapi.WithTarget("http://127.0.0.1:{port}"))
	p.live = socketio.New(p.m, socketio.WithCalls(api.Call))
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/socket.io/", p.live)
	gate, err := access.New(mux, access.WithToken(token))
	require.NoError(t, err)
	_, err = p.m.Start(t.Context(), loadgen.JobConfig{
		Name: job, BaseURL: "http://127.0.0.1:1",
		Scenario: loadgen.NewScenario("idle").Task("idle", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Sleep(ctx, time.Hour)
		}),
	})
	require.NoError(t, err)
	p.server = &http.Server{Handler: gate}
	go func() { p.done <- p.server.Serve(ln) }()
	return p
}

// stop ends it the way that the server binary does.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.m.Close()
	p.live.Close()
	require.NoError(t, p.server.Shutdown(t.Context()))
	require.ErrorIs(t, <-p.done, http.ErrServerClosed)
}

// line is what a client says.
type line struct {
	What      string
	Job       string
	Revision  uint64
	Transport string
	Reason    string
	Connects  int
	ID        string
	Data      map[string]string
	Answers   []json.RawMessage
	Answer    string
	Seconds   int64
	Served    map[string]int
	Timings   int
	Gauges    []string
}

func TestClients(t *testing.T) {
	for _, client := range []struct {
		name    string
		command []string
		token   string
	}{
		{"socket.io-client 2", []string{"node", "client.mjs", "visit", "2"}, secret},
		{"socket.io-client 3", []string{"node", "client.mjs", "visit", "3"}, secret},
		{"socket.io-client 4", []string{"node", "client.mjs", "visit", "4"}, secret},
		{"python-socketio", []string{".venv/bin/python", "client.py"}, secret},
		{"browser with socket.io-client 2", []string{"node", "browser.mjs", "visit", "2"}, ""},
		{"browser with socket.io-client 4", []string{"node", "browser.mjs", "visit", "4"}, ""},
	} {
		for _, transport := range []string{"polling", "websocket", "default"} {
			t.Run(client.name+", "+transport, func(t *testing.T) { visit(t, client.command, transport, client.token) })
		}
	}
}

// visit is one client's life: it connects, calls, hears a thousand broadcasts in
// order, survives a restart of the server, and hears the state anew.
func visit(t *testing.T, command []string, transport, token string) {
	t.Setenv("TOKEN", token)
	ln := newPort(t)
	p, addr := run(t, ln, token), ln.Addr().String()
	await, leave := launch(t, append(slices.Clone(command), transport, "http://"+addr, "1001"))
	assert.NotEmpty(t, await("connect").ID)
	answers := await("answers").Answers
	require.Len(t, answers, 4)
	assert.Contains(t, string(answers[0]), job)
	assert.Contains(t, string(answers[1]), `"missing_field"`)
	assert.Contains(t, string(answers[2]), `"id":7`)
	assert.Contains(t, string(answers[2]), job)
	assert.Contains(t, string(answers[3]), `"unknown_event"`)
	await("stats")

	broadcast(t, p.m, addr, token)
	ordered := await("ordered")
	assert.Equal(t, job, ordered.Job)
	want := map[string]string{"polling": "polling"}[transport]
	if want == "" {
		want = "websocket" // to which a client with its defaults has upgraded
	}
	assert.Equal(t, want, ordered.Transport)

	p.stop(t)
	ln.broken(t)
	await("disconnect")
	p = run(t, ln, token)
	again := await("connect")
	assert.Equal(t, 2, again.Connects)
	assert.Equal(t, job, await("job").Job)
	jobOf(t, p.m, job).Stop()
	state := await("service_state").Data
	if state[job] == "start" { // of the restart, if the client was there before it was told
		state = await("service_state").Data
	}
	assert.Equal(t, map[string]string{job: "stop"}, state)

	leave()
	assert.Eventually(t, func() bool { return p.live.Sessions() == 0 }, patience, time.Millisecond, "the client has said goodbye")
	p.stop(t)
}

// launch starts a client. await passes over what is of no interest until the client
// says something, and leave ends the client.
func launch(t *testing.T, command []string) (await func(what string) line, leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	await = func(what string) line {
		t.Helper()
		for lines.Scan() {
			var l line
			require.NoError(t, json.Unmarshal(lines.Bytes(), &l), lines.Text())
			require.NotEqual(t, "disorder", l.What, lines.Text())
			if l.What == what {
				return l
			}
			if l.What != "stats" {
				t.Log(lines.Text())
			}
		}
		require.Fail(t, "the client has ended", "before %q: %v", what, lines.Err())
		return line{}
	}
	return await, func() {
		t.Helper()
		require.NoError(t, stdin.Close())
		_, _ = io.Copy(io.Discard, stdout)
		require.NoError(t, cmd.Wait())
	}
}

// broadcast has a thousand changes told to all clients. A second client sets the
// pace, because the Manager does not wait for who is slow.
func broadcast(t *testing.T, m *loadgen.Manager, addr, token string) {
	t.Helper()
	c := testclient.New(4, (&net.Dialer{}).DialContext)
	defer c.Close()
	c.URL = "http://" + addr
	c.Header.Set("Authorization", "Bearer "+token)
	require.NoError(t, c.Connect(t.Context(), "websocket"))
	for i := 1; i <= broadcasts; i++ {
		err := jobOf(t, m, job).Update(func(c *loadgen.JobConfig) { c.Delay = time.Duration(i) })
		require.NoError(t, err)
		for i%100 == 0 {
			var told struct{ Revision int }
			text, err := c.Event(t.Context(), "job")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &told))
			if told.Revision == i+1 {
				break
			}
		}
	}
}

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
