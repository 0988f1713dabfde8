package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// memoryStore keeps what an API gives it, unless it is broken.
type memoryStore struct {
	mu     sync.Mutex
	held   map[string]json.RawMessage
	saves  []string
	broken error
	runs   []loadgen.RunRecord
}

func (s *memoryStore) Save(job string, held json.RawMessage) (wait func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[job] = held
	s.saves = append(s.saves, job)
	return s.Err
}

func (s *memoryStore) Held(job string) json.RawMessage { return s.held[job] }
func (s *memoryStore) Err() error                      { return s.broken }

func (s *memoryStore) Runs() ([]loadgen.RunRecord, error) { return s.runs, nil }

func (s *memoryStore) Run(id string) (loadgen.RunRecord, error) {
	for _, r := range s.runs {
		if r.ID == id {
			return r, nil
		}
	}
	return loadgen.RunRecord{}, fs.ErrNotExist
}

func TestChangesAreSavedBeforeTheAnswer(t *testing.T) {
	store := &memoryStore{held: map[string]json.RawMessage{}}
	s := serve(t, httpapi.WithStore(store))
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, "/api/start", `{"job":"opbeans-python","port":"8000","workers":2.5,"delay":60}`},
		{http.MethodPost, "/api/update", `{"job":"python","workers":"3"}`},
		{http.MethodPost, "/api/update", `{"job":"later","workers":4.5}`},
		{http.MethodGet, "/api/stop?job=opbeans-python", ""},
		{http.MethodDelete, "/api/jobs/later", ""},
		{http.MethodPost, "/api/stop-all", ""},
	} {
		before := len(store.saves)
		a := s.do(c.method, c.path, c.body)
		require.Equal(t, http.StatusOK, a.status, a.body)
		if c.path != "/api/stop-all" { // nothing runs then
			assert.Len(t, store.saves, before+1, "%s", c.path)
		}
	}
	before := len(store.saves)
	s.do(http.MethodGet, "/api/list", "")
	s.do(http.MethodPost, "/api/update", `{"job":"python","workers":"many"}`)
	assert.Len(t, store.saves, before, "what changes nothing is not saved")
}

// The API of the next process shows values as they were spelled.
func TestSpellingsSurvive(t *testing.T) {
	store := &memoryStore{held: map[string]json.RawMessage{}}
	s := serve(t, httpapi.WithStore(store))
	require.Equal(t, http.StatusOK, s.do(http.MethodPost, "/api/update", `{"job":"python","workers":4.5,"delay":"0.100"}`).status)
	want := s.do(http.MethodGet, "/api/list", "").body
	again := httpapi.New(s.manager, httpapi.WithStore(store))
	text, err := json.Marshal(again.List())
	require.NoError(t, err)
	assert.JSONEq(t, want, string(text))
	assert.Contains(t, want, `"workers":4.5`)
}

func TestNotSaved(t *testing.T) {
	store := &memoryStore{held: map[string]json.RawMessage{}, broken: errors.New("no space left on device")}
	s := serve(t, httpapi.WithStore(store))
	a := s.do(http.MethodPost, "/api/start", `{"job":"python","port":8000,"workers":2}`)
	assert.Equal(t, http.StatusInsufficientStorage, a.status)
	assert.Contains(t, a.body, `"code":"not_saved"`)
	assert.Contains(t, a.body, "no space left on device")
	j, err := s.manager.Get("python")
	require.NoError(t, err, "it is in force")
	assert.Equal(t, loadgen.StateRunning, j.State())
	assert.JSONEq(t, `{"status":"degraded","problem":"the state cannot be saved: no space left on device"}`,
		s.do(http.MethodGet, "/healthz", "").body)
	assert.Equal(t, http.StatusInsufficientStorage, s.do(http.MethodPost, "/api/stop-all", "").status)
	store.broken = nil
	assert.JSONEq(t, `{"status":"ok"}`, s.do(http.MethodGet, "/healthz", "").body)
}

func TestRuns(t *testing.T) {
	store := &memoryStore{held: map[string]json.RawMessage{}}
	for i := range 3 {
		record := loadgen.JobRecord{
			Config: loadgen.JobConfig{
				Name: fmt.Sprint("job", i%2), ScenarioName: "s", BaseURL: "http://user:s3cret@localhost:1",
				Headers: map[string]string{"Authorization": "s3cret"},
			},
			Status:  loadgen.Status{State: loadgen.StateFinished, Reason: "all done", Since: time.Unix(int64(i), 0), Revision: 1},
			Started: time.Unix(int64(i), 0), Elapsed: time.Second,
		}
		stats := &loadgen.Snapshot{Job: record.Config.Name, State: loadgen.StateFinished, Revision: 1, Tasks: []loadgen.TaskSnapshot{}}
		stats.Merge(&loadgen.Snapshot{Totals: loadgen.Totals{Requests: uint64(i)}})
		store.runs = append(store.runs, loadgen.NewRunRecord(record, stats))
	}
	s := serve(t, httpapi.WithRuns(store))
	var list httpapi.RunList
	read := func(path string) int {
		a := s.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		list = httpapi.RunList{}
		require.NoError(t, json.Unmarshal([]byte(a.body), &list))
		return len(list.Runs)
	}
	assert.Equal(t, 3, read("/api/runs"))
	assert.Equal(t, 2, read("/api/runs?job=opbeans-job0"))
	assert.Equal(t, 1, read("/api/runs?job=job0&limit=1"))
	assert.Equal(t, store.runs[0].ID, list.Runs[0].ID)
	for _, query := range []string{"limit=0", "limit=1.5", "limit=x", "limit=1&limit=2", "pages=2", "job=%zz"} {
		assert.Equal(t, http.StatusBadRequest, s.do(http.MethodGet, "/api/runs?"+query, "").status, query)
	}
	a := s.do(http.MethodGet, "/api/runs/"+store.runs[2].ID, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	assert.Contains(t, a.body, `"reason":"all done"`)
	assert.Contains(t, a.body, `"url":"http://user:REDACTED@localhost:1"`)
	assert.NotContains(t, a.body, "s3cret")
	a = s.do(http.MethodGet, "/api/runs/none", "")
	assert.Equal(t, http.StatusNotFound, a.status)
	assert.Contains(t, a.body, `"code":"run_not_found"`)

	none := serve(t)
	assert.JSONEq(t, `{"runs":[]}`, none.do(http.MethodGet, "/api/runs", "").body)
	assert.Equal(t, http.StatusNotFound, none.do(http.MethodGet, "/api/runs/"+store.runs[0].ID, "").status)
}
