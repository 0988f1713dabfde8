package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// fuzzed is an API over a job that runs until it is stopped, one that is prepared
// and one that has ended.
func fuzzed(t *testing.T) (*loadgen.Manager, *httpapi.API) {
	small := &fstest.MapFile{Data: []byte("tasks:\n  - {name: root, request: GET /}\n")}
	m := offline(t, fstest.MapFS{"molotov_scenarios.yaml": small, "dyno.yaml": small})
	api := httpapi.New(m)
	for _, name := range []string{"python", "node"} {
		_, err := m.Start(t.Context(), loadgen.JobConfig{Name: name, BaseURL: "http://localhost:1", Scenario: hang(), Grace: loadgen.Off})
		require.NoError(t, err)
	}
	ended, err := m.Get("node")
	require.NoError(t, err)
	ended.Stop()
	require.NoError(t, ended.Wait(t.Context()))
	require.NoError(t, api.Update(t.Context(), json.RawMessage(`{"job":"ruby","workers":2.5}`)))
	return m, api
}

// probe sends a request and holds what must be true of any.
func probe(t *testing.T, api *httpapi.API, method, target, body string) {
	u, err := url.Parse(target)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return // no client could send it
	}
	before := settings(t, api)
	r := (&http.Request{
		Method: method, URL: u, Header: http.Header{}, Body: http.NoBody, Host: "localhost",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(context.WithoutCancel(t.Context()))
	r.Body = readCloser{strings.NewReader(body)}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	assert.Less(t, w.Code, 500, w.Body.String())
	after := settings(t, api)
	if method == http.MethodOptions || method == http.MethodHead {
		return
	}
	assert.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
	if w.Code >= 400 {
		assert.Equal(t, before, after, "a refused call alters nothing: %s", w.Body.String())
		e := refusal(t, answer{body: w.Body.String()})
		assert.NotEmpty(t, e.Code)
		assert.NotEmpty(t, e.Message)
	}
}

// settings lists the jobs, but for whether they run: an earlier update may have put
// an end to one.
func settings(t *testing.T, api *httpapi.API) map[string]httpapi.Listing {
	all := api.List()
	for name, l := range all {
		l.Running = false
		all[name] = l
	}
	return all
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// heavy tells whether a body asks for more than a fuzzing machine should do.
func heavy(body string) bool {
	var sent map[string]json.RawMessage
	_ = json.Unmarshal([]byte(body), &sent) // what is no JSON is light
	for _, key := range []string{"workers", "max_workers", "rate"} {
		if v := strings.Trim(string(sent[key]), `"`); len(v) > 3 || strings.ContainsAny(v, "eE") {
			return true
		}
	}
	return false
}

func bodies(f *testing.F) {
	for _, r := range refused() {
		f.Add(r.body)
	}
	f.Add(`{"job":"opbeans-python","port":"8000","workers":3.3,"scenario":"scenarios/dyno.py"}`)
	f.Add(`{"job":"ruby","url":"http://[::1]:8000/base","delay":"1m30s","duration":0,"rate":"100/s","ramp_up":1.5,"max_iterations":1}`)
	f.Add(`{"job":"node","variables":{"LABEL_NAME":"x","SERVICE_NAME":null},"weights":{"root":1},"seed":"18446744073709551615"}`)
	f.Add(`{"job":"new","port":1,"label_weight":"0.5","label_name":7,"app_latency_upper_bound":1e3,"headers":{"A":"b"},"grace":-1,"http":"2"}`)
}

func FuzzStart(f *testing.F) {
	bodies(f)
	f.Fuzz(func(t *testing.T, body string) {
		if heavy(body) {
			return
		}
		m, api := fuzzed(t)
		defer m.Close()
		probe(t, api, http.MethodPost, "/api/start", body)
	})
}

func FuzzUpdate(f *testing.F) {
	bodies(f)
	f.Fuzz(func(t *testing.T, body string) {
		if heavy(body) {
			return
		}
		m, api := fuzzed(t)
		defer m.Close()
		probe(t, api, http.MethodPost, "/api/update", body)
		probe(t, api, http.MethodPost, "/api/start", `{"job":"node"}`) // what an update has left can be started, or says why not
	})
}

func FuzzRequest(f *testing.F) {
	for _, r := range refused() {
		f.Add(r.method, r.path, r.body)
	}
	f.Add("GET", "/api/stop?job=opbeans-python", "")
	f.Add("DELETE", "/api/jobs/ruby", "")
	f.Add("OPTIONS", "*", "")
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if heavy(body) {
			return
		}
		m, api := fuzzed(t)
		defer m.Close()
		probe(t, api, method, target, body)
	})
}
