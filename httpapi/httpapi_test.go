package httpapi_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/internal/shop"
	"github.com/opbeans/loadgen/scenarios"
)

var update = flag.Bool("update", false, "write the golden files anew")

// service is an API on a real socket, with a shop as the target of every port.
type service struct {
	t       testing.TB
	manager *loadgen.Manager
	api     *httpapi.API
	server  *httptest.Server
	folder  fstest.MapFS // of scenarios, besides the built-in ones
	spec    *spec
	log     strings.Builder // exchanges since the last one was taken
}

func serve(t testing.TB, opts ...httpapi.Option) *service {
	t.Helper()
	target := httptest.NewServer(shop.New(shop.Options{}))
	t.Cleanup(target.Close)
	s := &service{t: t, folder: fstest.MapFS{}, spec: loadSpec(t)}
	s.manager = loadgen.New(
		loadgen.WithScenarios(scenarios.FS, s.folder),
		loadgen.WithDialContext(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target.Listener.Addr().String())
		}),
	)
	t.Cleanup(s.manager.Close)
	s.api = httpapi.New(s.manager, opts...)
	s.server = httptest.NewServer(s.api)
	t.Cleanup(s.server.Close)
	return s
}

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request, with header fields given as "Name: value", holds the answer
// against the description, and logs both.
func (s *service) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	return s.send(method, path, strings.NewReader(body), body, header...)
}

func (s *service) send(method, path string, body io.Reader, shown string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, body)
	require.NoError(s.t, err)
	fmt.Fprintf(&s.log, "> %s %s\n", method, path)
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
		fmt.Fprintf(&s.log, "> %s\n", field)
	}
	if shown != "" {
		fmt.Fprintf(&s.log, "> %s\n", shown)
	}
	resp, err := s.server.Client().Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(got)}
	s.spec.check(s.t, req, a)
	fmt.Fprintf(&s.log, "< %d\n", a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name == "Content-Type" || name == "Allow" || name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			fmt.Fprintf(&s.log, "< %s: %s\n", name, strings.Join(a.header[name], ", "))
		}
	}
	if a.body != "" {
		fmt.Fprintf(&s.log, "< %s\n", a.body)
	}
	return a
}

func (s *service) get(path string) answer {
	s.t.Helper()
	return s.do("GET", path, "")
}

func (s *service) post(path, body string) answer {
	s.t.Helper()
	return s.do("POST", path, body)
}

func (s *service) start(body string) answer {
	s.t.Helper()
	return s.post("/api/start", body)
}

func (s *service) updateJob(body string) answer {
	s.t.Helper()
	return s.post("/api/update", body)
}

func (s *service) job(name string) *loadgen.Job {
	s.t.Helper()
	j, err := s.manager.Get(name)
	require.NoError(s.t, err)
	return j
}

func (s *service) config(name string) loadgen.JobConfig {
	s.t.Helper()
	return s.job(name).Config()
}

// ok asks for the recorded answer to a success.
func (s *service) ok(a answer) {
	s.t.Helper()
	require.Equal(s.t, 200, a.status, a.body)
	require.JSONEq(s.t, `{}`, a.body)
}

// listing is one job of /api/list.
func (s *service) listing(name string) map[string]any {
	s.t.Helper()
	var all map[string]map[string]any
	a := s.get("/api/list")
	require.Equal(s.t, 200, a.status, a.body)
	require.NoError(s.t, json.Unmarshal([]byte(a.body), &all))
	require.Contains(s.t, all, name)
	return all[name]
}

// refusal decodes the error of an answer.
func refusal(t testing.TB, a answer) httpapi.Error {
	t.Helper()
	var body struct {
		Error *httpapi.Error `json:"error"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
	require.NotNil(t, body.Error, a.body)
	return *body.Error
}

// ended stops a job and waits for it.
func (s *service) ended(name string) {
	s.t.Helper()
	j := s.job(name)
	j.Stop()
	require.NoError(s.t, j.Wait(s.t.Context()))
}

// golden compares what was logged with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -update writes it")
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
}
