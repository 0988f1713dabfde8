package httpapi_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

func TestListEchoesEachValueAsItWasGiven(t *testing.T) {
	for _, spelled := range []string{
		`"app_latency_label":"<b>&\"é"`, `"app_latency_label":5`,
		`"app_latency_lower_bound":"420"`, `"app_latency_lower_bound":420.0`, `"app_latency_lower_bound":"420.5"`,
		`"app_latency_upper_bound":2e3`, `"app_latency_weight":3.7`, `"app_latency_weight":"3.70"`,
		`"delay":0.25`, `"delay":"0.50"`, `"delay":"1m30s"`, `"delay":0`,
		`"duration":60`, `"duration":"60"`, `"error_weight":42`, `"error_weight":"42"`, `"error_weight":0.5`,
		`"port":8001`, `"port":"8001"`, `"workers":7.3`, `"workers":"7"`, `"workers":0.1`, `"workers":0`, `"workers":1e1`,
	} {
		t.Run(spelled, func(t *testing.T) {
			s := serve(t)
			s.ok(s.updateJob(`{"job":"python",` + spelled + `}`))
			assert.Regexp(t, regexp.QuoteMeta(spelled)+`[,}]`, s.get("/api/list").body, "prepared")
			s.ok(s.start(`{"job":"ruby","port":8000}`))
			s.ok(s.updateJob(`{"job":"ruby",` + spelled + `}`))
			assert.Regexp(t, regexp.QuoteMeta(spelled)+`[,}].*`+regexp.QuoteMeta(spelled)+`[,}]`, s.get("/api/list").body, "running")
			key, _, _ := strings.Cut(spelled, ":")
			var name string
			require.NoError(t, json.Unmarshal([]byte(key), &name))
			assert.Equal(t, s.listing("python")[name], s.listing("ruby")[name])
		})
	}
}

func TestFractionOfAWorkerRuns(t *testing.T) {
	s := serve(t)
	for sent, workers := range map[string]int{"0": 1, "0.1": 1, `"0.9"`: 1, "1.99": 1, "3.3": 3, "7": 7} {
		s.ok(s.start(`{"job":"python","port":8000,"workers":` + sent + `}`))
		assert.Equal(t, workers, s.config("python").Workers, sent)
	}
}

func TestTheWholePartOfALatencyBoundCounts(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000,"app_latency_lower_bound":"420.5","app_latency_upper_bound":1000.9}`))
	assert.Equal(t, "420", s.config("python").Variables["APP_LATENCY_LOWER_BOUND"])
	assert.Equal(t, "1000", s.config("python").Variables["APP_LATENCY_UPPER_BOUND"])
}

func TestOldNamesAndNewOnes(t *testing.T) {
	s := serve(t)
	s.ok(s.updateJob(`{"job":"python","label_weight":2,"label_name":"foo_label"}`))
	l := s.listing("python")
	assert.EqualValues(t, 2, l["label_weight"])
	assert.EqualValues(t, 2, l["app_latency_weight"])
	assert.Equal(t, "foo_label", l["label_name"])
	assert.Equal(t, "foo_label", l["app_latency_label"])

	s.ok(s.updateJob(`{"app_latency_weight":4,"label_weight":3,"app_latency_label":"new","label_name":"old","job":"python"}`))
	l = s.listing("python")
	assert.EqualValues(t, 4, l["label_weight"], "the new name wins")
	assert.Equal(t, "new", l["label_name"])

	s.ok(s.start(`{"job":"python","port":8000,"variables":{"LABEL_WEIGHT":"5"}}`))
	assert.Equal(t, "5", s.listing("python")["app_latency_weight"], "names of one variable")
	assert.NotContains(t, s.config("python").Variables, "APP_LATENCY_WEIGHT")
}

func TestListShowsWhatOthersChanged(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000,"workers":3.3,"error_weight":7,"delay":1}`))
	err := jobOf(t, s.manager, "python").Update(func(c *loadgen.JobConfig) {
		c.Workers, c.Delay = 5, 1234567*time.Microsecond
		c.BaseURL = "https://example.com/base"
		c.Variables["ERROR_WEIGHT"] = "9"
	})
	require.NoError(t, err)
	l := s.listing("python")
	assert.Equal(t, "5", l["workers"])
	assert.Equal(t, "1.234567", l["delay"])
	assert.Equal(t, "9", l["error_weight"])
	assert.Nil(t, l["port"])
	assert.Equal(t, "https://example.com/base", l["url"])

	s.ended("python")
	_, err = s.manager.Start(t.Context(), loadgen.JobConfig{
		Name: "python", BaseURL: "http://localhost:9", Scenario: hang(), Workers: 3, Grace: loadgen.Off,
	})
	require.NoError(t, err)
	l = s.listing("python")
	assert.Equal(t, "3", l["workers"], "another job of that name has none of its spellings")
	assert.Equal(t, "9", l["port"])
	assert.Equal(t, "scenarios/hang.py", l["scenario"])
}

func TestListShowsDefaultsOfTheScenario(t *testing.T) {
	s := serve(t)
	s.folder["mine.yaml"] = &fstest.MapFile{Data: []byte(
		"variables: {ERROR_WEIGHT: 2, LABEL_NAME: mine, APP_LATENCY_LOWER_BOUND: 5}\ntasks:\n  - {name: root, request: GET /}\n")}
	_, err := s.manager.Start(t.Context(), loadgen.JobConfig{Name: "go", BaseURL: "http://localhost:9", ScenarioName: "mine"})
	require.NoError(t, err)
	l := s.listing("go")
	assert.Equal(t, "2", l["error_weight"])
	assert.Equal(t, "mine", l["label_name"])
	assert.EqualValues(t, 5, l["app_latency_lower_bound"])
}

func TestNamesLoseOnePrefix(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"opbeans-opbeans-x","port":8000}`))
	assert.Equal(t, "opbeans-opbeans-x", s.config("opbeans-x").ServiceName)
	s.ok(s.updateJob(`{"job":"opbeans-opbeans-x","workers":5}`))
	assert.Equal(t, 5, s.config("opbeans-x").Workers)
	s.ok(s.updateJob(`{"job":"my-opbeans-x"}`))
	assert.Equal(t, "my-opbeans-x", s.listing("my-opbeans-x")["name"], "only a leading one")

	a := s.get("/api/jobs/opbeans-opbeans-x")
	assert.Equal(t, 200, a.status)
	s.ok(s.get("/api/stop?job=opbeans-x"))
	assert.NotEqual(t, loadgen.StateRunning, s.job("opbeans-x").State(), "a name with the prefix is found as it is, too")
}

func TestAPreparedJobStartsWithWhatItWasPreparedWith(t *testing.T) {
	s := serve(t)
	s.ok(s.updateJob(`{"job":"python","workers":7.3,"error_weight":5,"variables":{"APP_LATENCY_USER_AGENT":"me"}}`))
	s.ok(s.updateJob(`{"job":"python","error_weight":6,"rate":"50/s"}`))
	s.ok(s.start(`{"job":"opbeans-python","port":"8000","delay":2}`))
	cfg := s.config("python")
	assert.Equal(t, 7, cfg.Workers)
	assert.Equal(t, loadgen.PerSecond(50), cfg.Rate)
	assert.Equal(t, 2*time.Second, cfg.Delay)
	assert.Equal(t, "6", cfg.Variables["ERROR_WEIGHT"])
	assert.Equal(t, "me", cfg.Variables["APP_LATENCY_USER_AGENT"])
	assert.EqualValues(t, 7.3, s.listing("python")["workers"])
}

func TestAnEndedJobStartsAgain(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8001,"workers":9,"error_weight":5}`))
	s.ended("python")
	s.ok(s.start(`{"job":"python"}`))
	assert.Equal(t, "http://localhost:8001", s.config("python").BaseURL, "where it led before")
	assert.EqualValues(t, 8001, s.listing("python")["port"])
	assert.Equal(t, "3", s.listing("python")["workers"], "else the defaults")
	assert.Equal(t, "0", s.listing("python")["error_weight"])
}

func TestAnEndedJobIsUpdatedForItsNextStart(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8001,"workers":9.9}`))
	s.ended("python")
	old := s.job("python")
	final := old.Snapshot().Totals
	s.ok(s.updateJob(`{"job":"python","error_weight":42}`))
	s.ok(s.updateJob(`{"job":"python","scenario":"scenarios/dyno.py"}`))
	l := s.listing("python")
	assert.EqualValues(t, 42, l["error_weight"])
	assert.EqualValues(t, 9.9, l["workers"])
	assert.Equal(t, "scenarios/dyno.py", l["scenario"])
	assert.Equal(t, false, l["running"])
	assert.Same(t, old, s.job("python"))
	assert.Equal(t, final, old.Snapshot().Totals)
	assert.Equal(t, "0", old.Config().Variables["ERROR_WEIGHT"], "what it was, it was")
	next, _ := old.Next()
	assert.Equal(t, "42", next.Variables["ERROR_WEIGHT"], "which every subscriber of the Manager is told")
	assert.Regexp(t, `"next":\{[^}]*"scenario":"dyno"`, s.get("/api/jobs/python").body)

	s.ok(s.start(`{"job":"python","delay":"0.1"}`))
	assert.NotContains(t, s.get("/api/jobs/python").body, `"next"`)
	cfg := s.config("python")
	assert.Equal(t, "42", cfg.Variables["ERROR_WEIGHT"])
	assert.Equal(t, 9, cfg.Workers)
	assert.Equal(t, "dyno", cfg.ScenarioName)
	assert.NotEqual(t, old.Config().Seed, cfg.Seed, "another run")
}

func TestUpdateTakesEverything(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000}`))
	s.ok(s.updateJob(`{"job":"opbeans-python","workers":5,"delay":"0.2","duration":"1h","scenario":"dyno","url":"http://localhost:9/base",
		"rate":"100/s","ramp_up":3,"max_iterations":"1000000","variables":{"APP_LATENCY_USER_AGENT":"me"},"seed":"18446744073709551615",
		"max_workers":50,"weights":{"root":4.5},"headers":{"X-A":"b"},"error_weight":1.5,"app_latency_weight":"2","app_latency_label":"l",
		"app_latency_lower_bound":3,"app_latency_upper_bound":"4","name":"x","running":true,"port":null}`))
	cfg := s.config("python")
	assert.Equal(t, loadgen.JobConfig{
		Name: "python", ScenarioName: "dyno", BaseURL: "http://localhost:9/base", ServiceName: "opbeans-python",
		Workers: 5, MaxWorkers: 50, Delay: 200 * time.Millisecond, Duration: time.Hour, Rate: loadgen.PerSecond(100),
		RampUp: 3 * time.Second, MaxIterations: 1e6, Seed: 18446744073709551615,
		Variables: map[string]string{
			"APP_LATENCY_USER_AGENT": "me", "ERROR_WEIGHT": "1.5", "APP_LATENCY_WEIGHT": "2", "APP_LATENCY_LABEL": "l",
			"APP_LATENCY_LOWER_BOUND": "3", "APP_LATENCY_UPPER_BOUND": "4",
		},
		Weights: map[string]float64{"root": 4.5}, Headers: map[string]string{"X-A": "b"},
		Grace: loadgen.DefaultGrace, Client: loadgen.ClientConfig{
			ConnectTimeout: loadgen.DefaultConnectTimeout, Timeout: loadgen.DefaultTimeout, MaxBody: loadgen.DefaultMaxBody, DNSTTL: loadgen.DefaultDNSTTL,
		},
	}, cfg)
	assert.EqualValues(t, 2, s.job("python").Status().Revision, "one update, one revision")
	assert.Equal(t, loadgen.StateRunning, s.job("python").State())
}

func TestAListingCanBeSentBack(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000,"workers":3.3}`))
	before := s.config("python")
	l := s.listing("python")
	l["job"] = l["name"]
	body, err := json.Marshal(l)
	require.NoError(t, err)
	s.ok(s.updateJob(string(body)))
	assert.Equal(t, before, s.config("python"))
}

func TestNamingAScenarioReadsItsFileAgain(t *testing.T) {
	s := serve(t)
	file := func(task string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("tasks:\n  - {name: " + task + ", request: GET /}\n")}
	}
	s.folder["mine.yaml"] = file("before")
	s.ok(s.start(`{"job":"python","port":8000,"scenario":"mine"}`))
	s.folder["mine.yaml"] = file("after")
	s.ok(s.updateJob(`{"job":"python","workers":4}`))
	assert.Equal(t, []string{"before"}, s.job("python").Scenario().TaskNames())
	s.ok(s.updateJob(`{"job":"python","scenario":"mine"}`))
	assert.Equal(t, []string{"after"}, s.job("python").Scenario().TaskNames())
}

func TestScenariosAreReadAtEachRequest(t *testing.T) {
	s := serve(t)
	s.folder["a_new_one.yaml"] = &fstest.MapFile{Data: []byte("tasks:\n  - {name: root, request: GET /}\n")}
	assert.Equal(t, `{"scenarios":["molotov_scenarios","a_new_one","dyno","high_error_rates"]}`, s.get("/api/scenarios").body)
	s.folder["broken.yaml"] = &fstest.MapFile{Data: []byte("tasks: 5\n")}
	var got httpapi.Scenarios
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/scenarios").body), &got))
	assert.NotContains(t, got.Scenarios, "broken")
	assert.Contains(t, got.Errors["broken"], "broken.yaml:1")
}

func TestJobStatsAndRemoval(t *testing.T) {
	s := serve(t)
	threeJobs(s)
	var stats struct{ Jobs []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/stats").body), &stats))
	require.Len(t, stats.Jobs, 3)
	assert.Equal(t, "node", stats.Jobs[0]["job"])
	assert.Equal(t, "stopped", stats.Jobs[0]["state"])
	assert.Contains(t, stats.Jobs[0], "elapsed_s")

	var jobs struct{ Jobs []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs").body), &jobs))
	require.Len(t, jobs.Jobs, 3)
	assert.NotContains(t, jobs.Jobs[0], "snapshot")

	var job struct {
		Job      string
		State    loadgen.State
		Revision int
		Config   loadgen.JobConfig
		Snapshot map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs/opbeans-python").body), &job))
	assert.Equal(t, "python", job.Job)
	assert.Equal(t, loadgen.StateRunning, job.State)
	assert.Equal(t, s.config("python"), job.Config)
	assert.Equal(t, "python", job.Snapshot["job"])

	s.ok(s.do("DELETE", "/api/jobs/opbeans-node", ""))
	s.ok(s.do("DELETE", "/api/jobs/ruby", ""))
	assert.Equal(t, 404, s.get("/api/jobs/node").status)
	assert.Len(t, s.api.List(), 1)
	assert.JSONEq(t, `{"status":"ok"}`, s.get("/healthz").body)
}

// TestValidity has a job with work that was due and never began.
func TestValidity(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"short","scenario":"molotov_scenarios","port":8000,"rate":"1000000/s","workers":1,"max_workers":1,"duration":0.05,"grace":-1}`))
	require.NoError(t, s.job("short").Wait(t.Context()))
	type snapshot struct {
		Valid   bool
		Invalid []string
	}
	var job struct{ Snapshot snapshot }
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs/short").body), &job))
	var stats struct{ Jobs []snapshot }
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/stats").body), &stats))
	require.Len(t, stats.Jobs, 1)
	for where, got := range map[string]snapshot{"job": job.Snapshot, "stats": stats.Jobs[0]} {
		assert.False(t, got.Valid, where)
		assert.Regexp(t, "dropped work: [0-9]+ iterations were due and never began", strings.Join(got.Invalid, "; "), where)
	}
}

func TestStopByPost(t *testing.T) {
	for what, stop := range map[string]func(s *service) answer{
		"body":  func(s *service) answer { return s.post("/api/stop", `{"job":"opbeans-python"}`) },
		"query": func(s *service) answer { return s.post("/api/stop?job=python", ``) },
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t)
			s.ok(s.start(`{"job":"python","port":8000}`))
			s.ok(stop(s))
			require.NoError(t, s.job("python").Wait(t.Context()))
			assert.Equal(t, loadgen.StateStopped, s.job("python").State())
		})
	}
}

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
