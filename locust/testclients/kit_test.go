//go:build clients

// Package testclients_test drives workers with the real Locust. setup.sh installs it; then
//
//	go test -tags clients ./locust/testclients
package testclients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 90 * time.Second // until a thing that must happen has happened

// target counts what it serves, by who asks and for what. It fails every order.
type target struct {
	*httptest.Server
	mu    sync.Mutex
	count map[string]uint64 // by worker, method and path
}

func newTarget(t *testing.T) *target {
	s := &target{count: map[string]uint64{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.count[r.Header.Get("X-Worker")+" "+r.Method+" "+r.URL.Path]++
		s.mu.Unlock()
		if r.URL.Path == "/order" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// served is what workers have asked for.
func (s *target) served(request string, workers ...string) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range workers {
		n += s.count[w+" "+request]
	}
	return n
}

func (s *target) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.count)
}

// process is a program that the test has started.
type process struct {
	*exec.Cmd
	out  *bufio.Reader
	said *bytes.Buffer // what it said on standard error; to be read when it has ended
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	p := &process{Cmd: exec.CommandContext(ctx, program, args...), said: new(bytes.Buffer)}
	p.Stderr = p.said
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		cancel()
		_ = p.Wait() // it may have been waited for
		if t.Failed() {
			t.Logf("%s %q said:\n%s", filepath.Base(program), args, p.said)
		}
	})
	return p
}

// ends waits for its end, and returns the exit code.
func (p *process) ends(t *testing.T) int {
	t.Helper()
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// master is a Locust master.
type master struct {
	*process
	t    *testing.T
	addr string // for workers
	web  string // URL of its page

	reports chan string // one has come, of that worker; lossy
}

func newMaster(t *testing.T) *master {
	t.Helper()
	python, err := filepath.Abs(".venv/bin/python")
	require.NoError(t, err)
	m := &master{t: t, process: start(t, python, "master.py"), reports: make(chan string, 1)}
	var line []byte
	for !bytes.HasPrefix(line, []byte("{")) { // warnings come first
		line, err = m.out.ReadBytes('\n')
		require.NoError(t, err, "it does not say where it listens")
	}
	var ports struct{ Master, Web int }
	require.NoError(t, json.Unmarshal(line, &ports))
	m.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.Master))
	m.web = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.Web))
	go func() {
		for {
			line, err := m.out.ReadString('\n')
			if err != nil {
				return // it has ended
			}
			select {
			case m.reports <- strings.TrimSpace(strings.TrimPrefix(line, "report of")):
			default:
			}
		}
	}()
	return m
}

// reported waits for a report of a worker; the next one is three seconds later.
func (m *master) reported(id string) {
	m.t.Helper()
	select {
	case <-m.reports: // an old one
	default:
	}
	for late := time.After(patience); ; {
		select {
		case of := <-m.reports:
			if of == id {
				return
			}
		case <-late:
			require.Fail(m.t, "no report")
		}
	}
}

// stats is what GET /stats/requests answers.
type stats struct {
	State     string  `json:"state"`
	UserCount int     `json:"user_count"`
	Stats     []entry `json:"stats"`
	Errors    []struct {
		Method, Name, Error string
		Occurrences         uint64
	} `json:"errors"`
	Workers []struct {
		ID    string `json:"id"`
		State string `json:"state"`
		Users int    `json:"user_count"`
	} `json:"workers"`
}

type entry struct {
	Method   string  `json:"method"`
	Name     string  `json:"name"`
	Requests uint64  `json:"num_requests"`
	Failures uint64  `json:"num_failures"`
	Median   float64 `json:"median_response_time"`
	P95      float64 `json:"response_time_percentile_0.95"`
	P99      float64 `json:"response_time_percentile_0.99"`
	Mean     float64 `json:"avg_response_time"`
	Size     float64 `json:"avg_content_length"`
}

// of is the entry of a method and name.
func (s *stats) of(method, name string) entry {
	for _, e := range s.Stats {
		if e.Method == method && e.Name == name {
			return e
		}
	}
	return entry{}
}

// worker is the state of one; "" if it is not listed.
func (s *stats) worker(id string) string {
	for _, w := range s.Workers {
		if strings.HasPrefix(w.ID, id) {
			return w.State
		}
	}
	return ""
}

func (m *master) call(method, path string, form url.Values) []byte {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.web+path, strings.NewReader(form.Encode()))
	require.NoError(m.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(m.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	require.Equal(m.t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
	return body
}

// swarm asks for users, as the page does.
func (m *master) swarm(users int, host string) {
	m.t.Helper()
	m.call(http.MethodPost, "/swarm", url.Values{"user_count": {strconv.Itoa(users)}, "spawn_rate": {"100"}, "host": {host}})
}

// until polls the statistics, which the master makes anew every other second, until they
// are as they should be.
func (m *master) until(what string, ok func(s *stats) bool) *stats {
	m.t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		var s stats
		body := m.call(http.MethodGet, "/stats/requests", nil)
		require.NoError(m.t, json.Unmarshal(body, &s))
		if ok(&s) {
			return &s
		}
		require.True(m.t, time.Now().Before(deadline), "%s: %s", what, body)
		<-poll.C
	}
}

// running waits until so many users run, and the requests are beyond some number.
func (m *master) running(users int, requests uint64) *stats {
	m.t.Helper()
	return m.until("users run", func(s *stats) bool { return s.UserCount == users && s.of("", "Aggregated").Requests > requests })
}

// stop ends the test. The statistics are final when the last user is gone, since workers
// report before they say so.
func (m *master) stop(ids ...string) *stats {
	m.t.Helper()
	m.call(http.MethodPost, "/stop", nil)
	return m.until("the test is over", func(s *stats) bool {
		for _, id := range ids {
			if s.worker(id) != "ready" {
				return false
			}
		}
		return s.UserCount == 0
	})
}

// build makes the program.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "loadgen")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/loadgen").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// scenario writes a scenario with a task of that worker's own.
func scenario(t *testing.T, worker string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(`tasks:
  - {name: home, weight: 3, request: GET /home}
  - {name: order, request: POST /order, json: '{"lines": []}'}
  - {name: only_WORKER, request: GET /only_WORKER}
`, "WORKER", worker)), 0o600))
	return file
}

// proxy passes connections on, to a master that may be another one each time.
type proxy struct {
	net.Listener
	mu    sync.Mutex
	to    string
	conns []*net.TCPConn // of workers
}

func newProxy(t *testing.T) *proxy {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.to)
			if err != nil {
				in.Close()
				p.mu.Unlock()
				continue
			}
			worker := in.(*net.TCPConn)
			p.conns = append(p.conns, worker)
			p.mu.Unlock()
			wg.Go(func() {
				_, _ = io.Copy(out, worker)
				out.Close()
				_ = worker.Close()
			})
			wg.Go(func() {
				_, _ = io.Copy(worker, out)
				_ = worker.CloseWrite()
				_, _ = io.Copy(io.Discard, out)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.lead("")
		wg.Wait()
	})
	return p
}

// lead cuts all connections; new ones go there. A worker is told of the end, and what it
// has sent up to then still arrives, so that no report is lost on its way.
func (p *proxy) lead(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
	for _, c := range p.conns {
		_ = c.CloseWrite()
	}
	p.conns = nil
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.Process.Signal(s))
}
