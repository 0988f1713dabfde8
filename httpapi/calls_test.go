package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
)

// hang is a scenario whose iterations end when they are interrupted.
func hang() *loadgen.Scenario {
	return loadgen.NewScenario("hang").Task("wait", 1, func(ctx context.Context, _ *loadgen.VU) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// offline is a Manager that reaches no network.
func offline(t testing.TB, folder fs.FS) *loadgen.Manager {
	m := loadgen.New(
		loadgen.WithScenarios(folder),
		loadgen.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("offline") }),
	)
	t.Cleanup(m.Close)
	return m
}

func TestAfterClose(t *testing.T) {
	s := serve(t)
	threeJobs(s)
	s.manager.Close()
	for _, body := range []string{`{"job":"new","port":8000}`, `{"job":"ruby","port":8000}`} {
		a := s.start(body)
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Equal(t, httpapi.CodeUnavailable, refusal(t, a).Code)
	}
	assert.Equal(t, false, s.listing("python")["running"])
}

// TestStartWaitsForAStoppingJob: the grace time of a job must not lose a start that
// comes soon after its stop.
func TestStartWaitsForAStoppingJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := offline(t, scenarios.FS)
		api := httpapi.New(m)
		cfg := loadgen.JobConfig{Name: "x", BaseURL: "http://localhost:1", Scenario: hang(), Grace: 3 * time.Second}
		j, err := m.Start(t.Context(), cfg)
		require.NoError(t, err)
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, api.Stop("x"))
		require.NoError(t, api.Update(t.Context(), json.RawMessage(`{"job":"x","workers":2}`)), "kept for the next start")
		assert.Equal(t, loadgen.StateStopping, j.State(), "nobody waits yet")
		require.NoError(t, api.Start(t.Context(), json.RawMessage(`{"job":"x","delay":9,"grace":20}`)))
		assert.Equal(t, cfg.Grace, time.Since(begin))
		again, err := m.Get("x")
		require.NoError(t, err)
		assert.NotSame(t, j, again)
		assert.Equal(t, 2, again.Config().Workers)
		assert.Equal(t, 9*time.Second, again.Config().Delay)

		synctest.Wait()
		again.Stop()
		begin = time.Now()
		var refused *httpapi.Error
		require.ErrorAs(t, api.Start(t.Context(), json.RawMessage(`{"job":"x"}`)), &refused)
		assert.Equal(t, httpapi.CodeJobStopping, refused.Code)
		assert.Equal(t, 10*time.Second, time.Since(begin), "not forever")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorAs(t, api.Start(ctx, json.RawMessage(`{"job":"x"}`)), &refused)
		assert.Equal(t, httpapi.CodeUnavailable, refused.Code)
		m.Close()
	})
}

// TestManyAtOnce starts, updates, stops, removes and lists the same jobs from many
// sides.
func TestManyAtOnce(t *testing.T) {
	m := offline(t, scenarios.FS)
	api := httpapi.New(m)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				body := func(rest string) json.RawMessage {
					return json.RawMessage(fmt.Sprintf(`{"job":"j%d"%s}`, (i+n)%3, rest))
				}
				var err error
				switch (i + n) % 6 {
				case 0, 1:
					err = api.Start(t.Context(), body(`,"port":8000,"grace":-1,"max_iterations":3`))
				case 2:
					err = api.Update(t.Context(), body(`,"workers":2.5,"scenario":"dyno"`))
				case 3:
					_, err = api.Call(t.Context(), "stop", body(``))
				case 4:
					_, err = api.Call(t.Context(), "remove", body(``))
				case 5:
					api.List()
				}
				var refused *httpapi.Error
				if err != nil && assert.ErrorAs(t, err, &refused) {
					assert.Contains(t, []int{404, 409}, refused.Status, refused.Message)
				}
			}
		})
	}
	wg.Wait()
}

func TestMountedUnderAPrefix(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/load/", http.StripPrefix("/load", httpapi.New(offline(t, scenarios.FS))))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	assert.JSONEq(t, `{}`, get("/load/api/list").Body.String())
	w := get("/load/api/list/")
	assert.Equal(t, 404, w.Code, "no redirect, which would lead out of the prefix")
}

// The answers are held against docs/openapi.yaml by ok and get.
func TestThresholds(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":"8000","thresholds":["p99 < 200ms","failures < 1 abort"]}`))
	assert.Equal(t, loadgen.MustThresholds("p99 < 200ms", "failures < 1 abort"), s.config("python").Thresholds)
	a := s.get("/api/jobs/python")
	assert.Contains(t, a.body, `"thresholds":["p99 < 200ms","failures < 1 abort"]`)
	assert.Contains(t, a.body, `"verdicts":[{"threshold":"p99 < 200ms","outcome":"`)
	s.ok(s.updateJob(`{"job":"python","thresholds":["service.p50 >= 0s"]}`))
	assert.Contains(t, s.get("/api/stats").body, `"verdicts":[{"threshold":"service.p50 >= 0s"`)
	a = s.updateJob(`{"job":"python","thresholds":["p99 < 3"]}`)
	assert.Equal(t, http.StatusBadRequest, a.status)
	assert.Contains(t, a.body, `"field":"thresholds"`)
	s.ok(s.updateJob(`{"job":"python","thresholds":[]}`))
	assert.NotContains(t, s.get("/api/stats").body, "verdicts")
}

func TestTargetTemplate(t *testing.T) {
	s := serve(t, httpapi.WithTarget("http://toxi:{port}/base"))
	s.ok(s.start(`{"job":"python","port":"8000"}`))
	assert.Equal(t, "http://toxi:8000/base", s.config("python").BaseURL)
	s.ok(s.start(`{"job":"ruby","port":"8000","url":"http://other:1"}`))
	assert.Equal(t, "http://other:1", s.config("ruby").BaseURL, "url wins")
	assert.Nil(t, s.listing("ruby")["port"])
	assert.Equal(t, "http://other:1", s.listing("ruby")["url"])
}

func TestAPanicIsAnAnswer(t *testing.T) {
	var log strings.Builder
	api := httpapi.New(nil, httpapi.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))) // a mistake
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/list", nil))
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Contains(t, w.Body.String(), `"code":"internal"`)
	assert.NotContains(t, w.Body.String(), "nil pointer")
	assert.Contains(t, log.String(), "nil pointer")

	w = httptest.NewRecorder() // and one before the call
	api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/start", panicking{}))
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Contains(t, w.Body.String(), `"code":"internal"`)
}

// panicking is a body that cannot even be read.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a mistake") }

func TestCall(t *testing.T) {
	api := httpapi.New(offline(t, scenarios.FS))
	_, err := api.Call(t.Context(), "start", json.RawMessage(`{"job":"x"}`))
	var refused *httpapi.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "port", refused.Field)
	var invalid *loadgen.ValidationError
	assert.ErrorAs(t, err, &invalid, "the library's error is behind it")

	got, err := api.Call(t.Context(), "update", json.RawMessage(`{"job":"x"}`))
	require.NoError(t, err)
	assert.Equal(t, struct{}{}, got)
	got, err = api.Call(t.Context(), "list", nil)
	require.NoError(t, err)
	assert.Contains(t, got, "x")
	_, err = api.Call(t.Context(), "nosuch", nil)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, httpapi.CodeNotFound, refused.Code)
}
