package httpapi_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// scenario asks for the details of a scenario.
func (s *service) scenario(path string) httpapi.ScenarioDetails {
	s.t.Helper()
	a := s.get("/api/catalogue/" + path)
	require.Equal(s.t, 200, a.status, a.body)
	var d httpapi.ScenarioDetails
	require.NoError(s.t, json.Unmarshal([]byte(a.body), &d))
	return d
}

func weights(tasks []httpapi.Task) map[string]float64 {
	all := map[string]float64{}
	for _, t := range tasks {
		all[t.Task] = t.Weight
	}
	return all
}

func TestCatalogueDescribesEveryFile(t *testing.T) {
	s := serve(t)
	s.folder["broken.yaml"] = &fstest.MapFile{Data: []byte("tasks:\n  - {name: a, request: GET /, wieght: 2}\n  - 5\n")}
	s.folder["a.yml"] = &fstest.MapFile{Data: []byte("description: one\ntasks:\n  - {name: a, request: GET /}\n")}
	var c httpapi.Catalogue
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/catalogue").body), &c))
	var names []string
	for _, info := range c.Scenarios {
		names = append(names, info.Name)
	}
	assert.Equal(t, []string{"molotov_scenarios", "a", "broken", "dyno", "high_error_rates"}, names)
	assert.Equal(t, "Opbeans traffic, the default mix", c.Scenarios[0].Description)
	assert.Equal(t, httpapi.ScenarioInfo{ScenarioInfo: loadgen.ScenarioInfo{Name: "a", Description: "one", File: "a.yml"}}, c.Scenarios[1])

	broken := c.Scenarios[2]
	require.NotNil(t, broken.Error)
	require.Len(t, broken.Error.Faults, 2)
	assert.Equal(t, 2, broken.Error.Faults[0].Line)
	assert.Equal(t, 31, broken.Error.Faults[0].Column)
	assert.Contains(t, broken.Error.Faults[0].Message, "weight")
	assert.Equal(t, 3, broken.Error.Faults[1].Line)

	d := s.scenario("broken")
	assert.Equal(t, broken.Error, d.Error)
	assert.Contains(t, d.Source, "wieght")
	assert.Nil(t, d.Tasks)
}

func TestScenarioWeighsItsTasks(t *testing.T) {
	s := serve(t)
	d := s.scenario("molotov_scenarios")
	assert.Equal(t, "molotov_scenarios.yaml", d.File)
	assert.Contains(t, d.Source, "ERROR_WEIGHT: 0")
	assert.Zero(t, weights(d.Tasks)["oopsie"])
	var shares float64
	for _, task := range d.Tasks {
		shares += task.Share
	}
	assert.InDelta(t, 1, shares, 1e-9)
	require.NotEmpty(t, d.Variables)
	assert.Equal(t, "ERROR_WEIGHT", d.Variables[0].Name)

	d = s.scenario("molotov_scenarios?job=opbeans-python&variables[ERROR_WEIGHT]=2.5&weights[root]=7")
	assert.InDelta(t, 2.5, weights(d.Tasks)["oopsie"], 0)
	assert.InDelta(t, 7, weights(d.Tasks)["root"], 0)
	assert.InDelta(t, 2.5, d.Variables[0].Value, 0)
	assert.Zero(t, weights(s.scenario("molotov_scenarios?job=node&variables[ERROR_WEIGHT]=2").Tasks)["oopsie"])

	for path, want := range map[string]struct {
		status int
		field  string
	}{
		"none": {404, "scenario"},
		"dyno?job=python&variables[ERROR_WEIGHT]=x": {400, "variables.ERROR_WEIGHT"},
		"dyno?variables[NONE]=1":                    {400, "variables.NONE"},
		"dyno?weights[none]=1":                      {400, "weights.none"},
		"dyno?weights[root]=x":                      {400, "weights.root"},
		"dyno?wieghts[root]=1":                      {400, "wieghts[root]"},
		"dyno?weights[root]=1&weights[root]=2":      {400, "weights[root]"},
		"dyno?job=%zz":                              {400, ""},
	} {
		a := s.get("/api/catalogue/" + path)
		assert.Equal(t, want.status, a.status, path)
		assert.Equal(t, want.field, refusal(t, a).Field, path)
	}
}

func TestJobShowsWhatItsScenarioComesTo(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000,"error_weight":3}`))
	effective := func() *httpapi.Effective {
		var job httpapi.Job
		require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs/python").body), &struct {
			Effective **httpapi.Effective `json:"effective"`
		}{&job.Effective}))
		require.NotNil(t, job.Effective)
		return job.Effective
	}
	assert.InDelta(t, 3, weights(effective().Tasks)["oopsie"], 0)
	s.ok(s.updateJob(`{"job":"python","weights":{"oopsie":5}}`))
	assert.InDelta(t, 5, weights(effective().Tasks)["oopsie"], 0)
	s.ok(s.updateJob(`{"job":"python","weights":{"oopsie":null},"error_weight":4}`))
	assert.InDelta(t, 4, weights(effective().Tasks)["oopsie"], 0)

	s.ended("python")
	s.ok(s.updateJob(`{"job":"python","error_weight":6}`))
	assert.InDelta(t, 6, weights(effective().Tasks)["oopsie"], 0, "of the next start")

	s.folder["mine.yaml"] = &fstest.MapFile{Data: []byte("tasks: 5\n")}
	_, err := s.manager.Prepare(loadgen.JobConfig{Name: "go", ScenarioName: "mine"})
	require.NoError(t, err)
	assert.NotContains(t, s.get("/api/jobs/go").body, `"effective"`)
}

func TestDistributionCountsEverything(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000,"delay":0,"max_iterations":500}`))
	j := s.job("python")
	require.NoError(t, j.Wait(t.Context()))
	var d httpapi.Distribution
	require.NoError(t, json.Unmarshal([]byte(s.get("/api/jobs/python/distribution").body), &d))
	snap := j.Snapshot()
	for name, test := range map[string]struct {
		buckets []httpapi.Bucket
		want    uint64
	}{"service": {d.Service, snap.Service.Count()}, "response": {d.Response, snap.Response.Count()}} {
		var sum uint64
		last := 0.0
		for _, b := range test.buckets {
			assert.GreaterOrEqual(t, b.From, last, name)
			assert.Greater(t, b.To, b.From, name)
			sum, last = sum+b.Count, b.To
		}
		assert.Equal(t, test.want, sum, name)
	}
	assert.Equal(t, 404, s.get("/api/jobs/none/distribution").status)
	assert.Equal(t, 404, s.get("/api/jobs/none/history").status)
}
