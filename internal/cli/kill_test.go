package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
)

const (
	killClients = 3
	killJobs    = 3 // of each client
	killLong    = 3 * time.Second
)

// jobModel is what a client knows of one of its jobs.
type jobModel struct {
	State    string // "" for none, pending, running or ended
	Workers  int
	Revision int
	Runs     int // that have ended
}

// after is the job after a call that was answered with 200.
func (m jobModel) after(call string, workers int) jobModel {
	switch {
	case call == "start" && m.State == "running", call == "update" && (m.State == "running" || m.State == "pending"):
		m.Workers = workers
		m.Revision++
	case call == "start":
		m.State, m.Workers, m.Revision = "running", workers, 1
	case call == "update" && m.State == "ended":
		m.Workers = workers // held for the next start
	case call == "update":
		m.State, m.Workers, m.Revision = "pending", workers, 1
	case call == "stop" && m.State == "running":
		m.State = "ended"
		m.Runs++
	case call == "remove":
		m.State, m.Workers, m.Revision = "", 0, 0
	}
	return m
}

// killClient steers jobs of its own, one call after the other.
type killClient struct {
	rand  *rand.Rand
	url   string
	sure  map[string]jobModel
	maybe map[string]jobModel // after a call that had no answer
}

// run makes calls until one has no answer, because the server was killed.
func (c *killClient) run(target string) error {
	names := make([]string, 0, len(c.sure))
	for name := range c.sure {
		names = append(names, name)
	}
	for {
		name := names[c.rand.IntN(len(names))]
		m := c.sure[name]
		workers := 1 + c.rand.IntN(5)
		var call, method, path, body string
		switch n := c.rand.IntN(10); {
		case n < 3:
			call, method, path = "start", http.MethodPost, "/api/start"
			body = fmt.Sprintf(`{"job":%q,"url":%q,"workers":%d,"delay":0.01,"grace":0.5}`, name, target, workers)
		case n < 7:
			call, method, path = "update", http.MethodPost, "/api/update"
			body = fmt.Sprintf(`{"job":%q,"workers":"%d"}`, name, workers)
		case n < 9:
			call, method, path = "stop", http.MethodGet, "/api/stop?job="+name
		case m.State == "running" || m.State == "":
			continue
		default:
			call, method, path = "remove", http.MethodDelete, "/api/jobs/"+name
		}
		status, answer, err := c.do(method, path, body)
		switch {
		case err != nil:
			c.maybe[name] = m.after(call, workers)
			return nil
		case status == http.StatusOK:
			c.sure[name] = m.after(call, workers)
		case call == "remove" && status == http.StatusConflict && m.State == "ended":
			// It is still stopping.
		default:
			return fmt.Errorf("%s of %s, which is %+v: %d %s", call, name, m, status, answer)
		}
	}
}

func (c *killClient) do(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body)) //nolint:noctx // ended by the kill
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// verify holds the server that came back against what the clients know, and makes
// what is there what they know.
func (c *killClient) verify(t *testing.T, is map[string]jobModel) {
	t.Helper()
	for name, sure := range c.sure {
		got := is[name]
		maybe, open := c.maybe[name]
		if got != sure && (!open || got != maybe) {
			assert.Equal(t, sure, got, "%s; a call without an answer may have made it %+v (%t)", name, maybe, open)
		}
		c.sure[name] = got
	}
	clear(c.maybe)
}

// getJSON reads an answer of the server.
func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // the server is there
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}

// present is what the server says of all jobs.
func present(t *testing.T, url string) map[string]jobModel {
	t.Helper()
	var jobs struct {
		Jobs []struct {
			Job, State string
			Revision   int
		}
	}
	var list map[string]struct{ Workers json.RawMessage }
	var runs struct{ Runs []struct{ Job string } }
	getJSON(t, url+"/api/jobs", &jobs)
	getJSON(t, url+"/api/list", &list)
	getJSON(t, url+"/api/runs?limit=10000", &runs)
	is := map[string]jobModel{}
	for _, j := range jobs.Jobs {
		m := jobModel{State: j.State, Revision: j.Revision}
		switch j.State {
		case "stopping", "stopped", "failed", "finished":
			m.State = "ended"
		}
		workers, err := strconv.Atoi(strings.Trim(string(list[j.Job].Workers), `"`))
		require.NoError(t, err, "%s %s", j.Job, list[j.Job].Workers)
		m.Workers = workers
		is[j.Job] = m
	}
	for _, r := range runs.Runs {
		m := is[r.Job]
		m.Runs++
		is[r.Job] = m
	}
	return is
}

// steady is the job that no client touches.
const steady = "steady"

// steadyRun is what its run has done so far.
type steadyRun struct {
	Started    string
	Iterations float64
	State      string
}

func steadyNow(t *testing.T, url string) (run steadyRun) {
	t.Helper()
	var job struct{ Snapshot steadyRun }
	getJSON(t, url+"/api/jobs/"+steady, &job)
	return job.Snapshot
}

// A server that is killed at any moment, a hundred times, while clients start, update,
// stop and remove jobs, has lost nothing of what it had acknowledged. LOADGEN_KILLS is
// how often, LOADGEN_KILL_SEED repeats what the clients did.
func TestKilledServerLosesNothing(t *testing.T) {
	kills, seed := 100, uint64(time.Now().UnixNano())
	if s := os.Getenv("LOADGEN_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		kills = n
	}
	if s := os.Getenv("LOADGEN_KILL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("LOADGEN_KILL_SEED=%d LOADGEN_KILLS=%d", seed, kills)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	// The test binary as a program would do, but takes long to start with the race detector.
	program := filepath.Join(t.TempDir(), "loadgen")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/loadgen").CombinedOutput()
	require.NoError(t, err, string(out))
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(seed, 1))
	clients := make([]*killClient, killClients)
	for i := range clients {
		c := &killClient{rand: rand.New(rand.NewPCG(seed, uint64(i+2))), sure: map[string]jobModel{}, maybe: map[string]jobModel{}}
		for k := range killJobs {
			c.sure[fmt.Sprintf("job-%d-%d", i, k)] = jobModel{}
		}
		clients[i] = c
	}
	var before steadyRun // two checkpoints before the kill
	for kill := range kills + 1 {
		p, err := startProcess(exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-state", dir, "-keep-runs", "100000"))
		require.NoError(t, err)
		defer p.kill()
		began := time.Now()
		addr, err := p.addr()
		require.NoError(t, err)
		took := time.Since(began)
		url := "http://" + addr
		is := present(t, url)
		for _, c := range clients {
			c.url = url
			c.verify(t, is)
		}
		if kill == 0 {
			_, answer, err := clients[0].do(http.MethodPost, "/api/start", fmt.Sprintf(`{"job":%q,"url":%q,"rate":"50/s"}`, steady, target.URL))
			require.NoError(t, err)
			require.Equal(t, "{}", answer)
			before.Started = steadyNow(t, url).Started
		}
		now := steadyNow(t, url)
		assert.Equal(t, before.Started, now.Started, "it is still the same run")
		assert.Equal(t, "running", now.State)
		assert.GreaterOrEqual(t, now.Iterations, before.Iterations)
		if kill > 0 && kill%100 == 0 {
			t.Logf("%d kills; the last start took %s", kill, took.Round(time.Millisecond))
		}
		if kill == kills || t.Failed() {
			assert.Positive(t, now.Iterations)
			return
		}
		var wg sync.WaitGroup
		errs := make([]error, len(clients))
		for i, c := range clients {
			wg.Go(func() { errs[i] = c.run(target.URL) })
		}
		life := time.Duration(r.Int64N(int64(200 * time.Millisecond)))
		if kill%50 == 49 { // long enough for checkpoints
			<-time.After(killLong / 2)
			before = steadyNow(t, url)
			life = killLong
		}
		<-time.After(life) // the moment of the kill is what is random here
		p.kill()
		wg.Wait()
		require.NoError(t, errors.Join(errs...), p.stderr.String())
		http.DefaultClient.CloseIdleConnections()
	}
}
