package loadgen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/scenarios"
)

func parse(t *testing.T, src string) *loadgen.Scenario {
	t.Helper()
	s, err := loadgen.ParseScenario("test", []byte(src))
	require.NoError(t, err)
	return s
}

// Steps share a session: what one captures, and the cookies it gets, the next sends.
func TestYAMLSession(t *testing.T) {
	var orders atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("user"), Path: "/"})
		fmt.Fprintf(w, `{"token": "t/%s"}`, r.FormValue("user"))
	})
	mux.HandleFunc("POST /orders/{token}", func(w http.ResponseWriter, r *http.Request) {
		var order struct{ Lines []struct{ ID int } }
		c, err := r.Cookie("user")
		if err != nil || r.PathValue("token") != "t/"+c.Value || json.NewDecoder(r.Body).Decode(&order) != nil || len(order.Lines) != 2 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		orders.Add(1)
		w.Header().Set("Location", "/done")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"stock": 3}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	shop := parse(t, `
tasks:
  - name: order
    think: 1ms..2ms
    steps:
      - request: POST /login
        form: {user: "u${vu()}"}
        capture: {token: json("$.token")}
      - request: POST /orders/${token}
        json: {lines: '${map(1..2, {{id: randint(1, 6)}})}'}
        expect: 201
        check: [json("$.stock") == 3, header("Location") == "/done", duration < 1m]
`)
	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: shop, BaseURL: server.URL, Workers: 4, MaxIterations: 40, Seed: 1})
	require.NoError(t, err)
	assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
	assert.EqualValues(t, 80, snap.Requests)
	assert.EqualValues(t, 40, orders.Load())
}

func TestYAMLFailures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer server.Close()
	for task, class := range map[string]loadgen.ErrorClass{
		"request: GET /\n    expect: 404":                    loadgen.ClassCheck,
		"request: GET /\n    check: json('$.a') == 1":        loadgen.ClassCheck,
		"request: GET /\n    capture: {a: header('X-None')}": loadgen.ClassCheck,
		"request: GET /${1 % (vu() - vu())}":                 loadgen.ClassTask,
	} {
		s := parse(t, "tasks:\n  - name: t\n    "+task+"\n")
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: server.URL, MaxIterations: 3})
		require.NoError(t, err)
		assert.EqualValues(t, 3, snap.FailedIterations, task)
		assert.EqualValues(t, 3, snap.Errors[class].Count, "%s: %v", task, snap.Errors)
	}
}

// New values of variables come with the next iteration.
func TestYAMLLiveUpdate(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	arrived := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if seen[r.URL.Path] = true; r.URL.Path == "/after" {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
	}))
	defer server.Close()
	m := loadgen.New()
	defer m.Close()
	s := parse(t, "variables: {WHERE: before}\ntasks: [{name: t, request: 'GET /${WHERE}'}]")
	job, err := m.Start(t.Context(), loadgen.JobConfig{Name: "j", Scenario: s, BaseURL: server.URL})
	require.NoError(t, err)
	require.Error(t, job.Update(func(c *loadgen.JobConfig) { c.Variables = map[string]string{"WHAT": "after"} }))
	require.NoError(t, job.Update(func(c *loadgen.JobConfig) { c.Variables = map[string]string{"WHERE": "after"} }))
	<-arrived
	job.Stop()
	require.NoError(t, job.Wait(context.Background()))
}

// Every built-in scenario runs against any server at all.
func TestBuiltinsRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for _, name := range []string{"molotov_scenarios", "dyno", "high_error_rates"} {
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
			ScenarioName: name, BaseURL: server.URL, ServiceName: "opbeans-python", Workers: 8, MaxIterations: 500,
			Variables: map[string]string{"ERROR_WEIGHT": "3.5", "LABEL_WEIGHT": "2"},
		}, loadgen.WithScenarios(scenarios.FS))
		require.NoError(t, err)
		assert.EqualValues(t, 500, snap.Iterations)
		assert.Equal(t, snap.FailedIterations, snap.Errors[loadgen.ClassCheck].Count, "only statuses are not as expected")
	}
}

// A list sends a header several times, null leaves out one that is sent otherwise, and a
// multipart body keeps the order of a list.
func TestYAMLRepeatedAndAbsentFields(t *testing.T) {
	for _, protocol := range []string{"1.1", "2"} {
		var header http.Header
		var names []string
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			header = r.Header.Clone()
			parts, err := r.MultipartReader()
			if err != nil {
				return
			}
			for part, err := parts.NextPart(); err == nil; part, err = parts.NextPart() {
				names = append(names, part.FormName())
			}
		}))
		server.EnableHTTP2 = protocol == "2"
		server.StartTLS()
		s := parse(t, `
variables: {ONE: "1"}
tasks:
  - name: a
    request: POST /
    headers: {X-Tag: [a, "${ONE}", ""], Accept: null, User-Agent: null, X-Job: null, Accept-Encoding: null, X-Empty: ""}
    multipart: [{a: 1, b: 2}, {a: 3}]
`)
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
			Scenario: s, BaseURL: server.URL, MaxIterations: 1, Headers: map[string]string{"X-Job": "j"},
			Client: loadgen.ClientConfig{Insecure: true},
		})
		server.Close()
		require.NoError(t, err)
		assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
		assert.Equal(t, []string{"a", "b", "a"}, names, protocol)
		delete(header, "Content-Type")
		delete(header, "Content-Length")
		assert.Equal(t, http.Header{"X-Tag": {"a", "1", ""}, "X-Empty": {""}}, header, protocol)
	}
}
