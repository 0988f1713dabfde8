package httpapi_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
)

// serveLimited is serve with a Manager that has limits, and a target that says 200.
func serveLimited(t *testing.T, l loadgen.Limits) *service {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(target.Close)
	rules, err := loadgen.ParseTargetRules("loopback", "localhost")
	require.NoError(t, err)
	s := &service{t: t, spec: loadSpec(t)}
	s.manager = loadgen.New(
		loadgen.WithScenarios(scenarios.FS), loadgen.WithLimits(l), loadgen.WithTargetRules(rules),
		loadgen.WithDialContext(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target.Listener.Addr().String())
		}),
	)
	t.Cleanup(s.manager.Close)
	s.api = httpapi.New(s.manager)
	s.server = httptest.NewServer(s.api)
	t.Cleanup(s.server.Close)
	return s
}

func TestLimits(t *testing.T) {
	assert.JSONEq(t, `{"workers":0,"jobs":0,"held":0,"apm":false}`, serve(t).get("/api/limits").body)
	assert.JSONEq(t, `{"workers":0,"jobs":0,"held":0,"apm":true}`, serve(t, httpapi.WithDocuments(&documents{})).get("/api/limits").body)
	s := serveLimited(t, loadgen.Limits{MaxRate: loadgen.PerSecond(100), MaxWorkers: 10, MaxJobs: 2})
	limits := `"max_rate":"100/s","max_workers":10,"max_jobs":2,"targets":["loopback","localhost"]`
	assert.JSONEq(t, `{`+limits+`,"workers":0,"jobs":0,"held":0,"apm":false}`, s.get("/api/limits").body)

	a := s.start(`{"job":"a","port":1,"workers":11}`)
	assert.Equal(t, 400, a.status)
	assert.Contains(t, a.body, `"field":"workers"`)
	a = s.start(`{"job":"a","port":1,"rate":"200/s"}`)
	assert.Equal(t, 400, a.status)
	assert.Contains(t, a.body, `"field":"rate"`)
	a = s.start(`{"job":"a","url":"http://192.0.2.1"}`)
	assert.Equal(t, 400, a.status)
	assert.Contains(t, a.body, `"field":"url"`)
	assert.Contains(t, a.body, "no rule allows 192.0.2.1:80")
	assert.Equal(t, 200, s.start(`{"job":"a","port":1,"workers":8,"delay":60}`).status)
	a = s.start(`{"job":"b","port":1,"workers":3}`)
	assert.Equal(t, 409, a.status)
	assert.Contains(t, a.body, `"code":"limit_reached"`)
	a = s.updateJob(`{"job":"a","workers":11}`)
	assert.Equal(t, 400, a.status)
	assert.Equal(t, 200, s.start(`{"job":"b","port":1,"workers":1,"delay":60}`).status)
	assert.Equal(t, 409, s.updateJob(`{"job":"a","workers":10}`).status)
	assert.Equal(t, 409, s.start(`{"job":"c","port":1,"workers":1}`).status)
	var got httpapi.Limits
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/limits").body), &got))
	assert.Equal(t, 9, got.Workers)
	assert.Equal(t, 2, got.Jobs)

	for _, origin := range []string{"Origin: http://evil.test", "Sec-Fetch-Site: cross-site"} {
		assert.Equal(t, 403, s.do("POST", "/api/stop-all", "", origin).status)
		assert.Equal(t, 403, s.do("POST", "/api/jobs/a/renew", "", origin).status)
	}
	assert.JSONEq(t, `{"jobs":["a","b"]}`, s.post("/api/stop-all", "").body)
	for _, j := range s.manager.List() {
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, loadgen.StateStopped, j.State())
	}
	assert.JSONEq(t, `{"jobs":[]}`, s.post("/api/stop-all", "").body)
	assert.Equal(t, 405, s.get("/api/stop-all").status)
}

func TestLeases(t *testing.T) {
	s := serveLimited(t, loadgen.Limits{})
	assert.Equal(t, 200, s.start(`{"job":"a","port":1,"lease":3600}`).status)
	j, err := s.manager.Get("a")
	require.NoError(t, err)
	assert.Equal(t, time.Hour, j.Config().Lease)
	first := j.LeaseEnds()
	assert.Contains(t, s.get("/api/jobs/a").body, `"lease_ends":"`+first.Format("2006-01-02T15:04:05"))

	var renewed httpapi.Lease
	require.NoError(t, json.Unmarshal([]byte(s.post("/api/jobs/opbeans-a/renew", "").body), &renewed))
	assert.True(t, renewed.Ends.After(first), "%s after %s", renewed.Ends, first)
	assert.Equal(t, 200, s.updateJob(`{"job":"a","lease":"2h"}`).status)
	assert.Equal(t, 2*time.Hour, j.Config().Lease)
	assert.Equal(t, 400, s.updateJob(`{"job":"a","lease":-1}`).status)
	assert.Equal(t, 404, s.post("/api/jobs/b/renew", "").status)

	assert.Equal(t, 200, s.updateJob(`{"job":"a","lease":0.001}`).status)
	<-j.Done()
	a := s.get("/api/jobs/a")
	assert.Contains(t, a.body, `"reason":"its lease of 1ms was not renewed"`)
	assert.NotContains(t, a.body, "lease_ends")
	assert.Equal(t, 409, s.post("/api/jobs/a/renew", "").status)
	assert.Contains(t, s.get("/api/list").body, `"running":false`)

	assert.Equal(t, 200, s.start(`{"job":"c","port":1}`).status)
	assert.JSONEq(t, `{}`, s.post("/api/jobs/c/renew", "").body, "it has none")
}

func TestSecretsAreNotShown(t *testing.T) {
	s := serveLimited(t, loadgen.Limits{})
	const secrets = `"url":"http://user:s3cret@localhost:1/x","proxy":"http://u:s3cret@localhost:3","headers":{"Authorization":"s3cret"}`
	assert.Equal(t, 200, s.start(`{"job":"a",`+secrets+`,"delay":60}`).status)
	assert.Equal(t, 200, s.updateJob(`{"job":"b",`+secrets+`}`).status)
	for _, path := range []string{"/api/list", "/api/jobs", "/api/jobs/a", "/api/jobs/b", "/api/stats", "/api/jobs/a/history"} {
		a := s.get(path)
		assert.Equal(t, 200, a.status)
		assert.NotContains(t, a.body, "s3cret", path)
	}
	assert.Contains(t, s.get("/api/list").body, `"url":"http://user:REDACTED@localhost:1/x"`)
	shown := `"url":"http://user:REDACTED@localhost:1/x","proxy":"http://u:REDACTED@localhost:3","headers":{"Authorization":"REDACTED"}`
	assert.Equal(t, 200, s.updateJob(`{"job":"a",`+shown+`,"workers":2}`).status)
	j, err := s.manager.Get("a")
	require.NoError(t, err)
	cfg := j.Config()
	assert.Equal(t, "http://user:s3cret@localhost:1/x", cfg.BaseURL, "what was shown stands for what is in force")
	assert.Equal(t, "http://u:s3cret@localhost:3", cfg.Client.Proxy)
	assert.Equal(t, "s3cret", cfg.Headers["Authorization"])
	assert.Equal(t, 2, cfg.Workers)
}

func TestSecretsAreNotInTheHistory(t *testing.T) {
	recording(t, func(t *testing.T, m *loadgen.Manager, api *httpapi.API) {
		j, err := m.Start(t.Context(), loadgen.JobConfig{Name: "shop", BaseURL: "http://user:s3cret@shop.test", Scenario: getting("/"), Delay: time.Second})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.BaseURL = "http://user:s3cret2@shop.test" }))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		text, err := json.Marshal(history(t, api, "shop").Revisions)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"field":"url"`, "a change is told")
		assert.Contains(t, string(text), "http://user:REDACTED@shop.test")
		assert.NotContains(t, string(text), "s3cret")
	})
}
