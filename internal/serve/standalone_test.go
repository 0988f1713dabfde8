package serve

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/scenarios"
)

// The weights are those of the file that the original runs without WS.
func TestStandaloneJobsSendTheErrorsOfTheOriginal(t *testing.T) {
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS, scenarios.Standalone()))
	defer m.Close()
	weights := func(service string, variables map[string]string) (map[string]float64, float64) {
		p, err := m.Preview(loadgen.JobConfig{ScenarioName: "standalone", ServiceName: service, Variables: variables})
		require.NoError(t, err)
		total, errors := 0.0, map[string]float64{}
		plain, err := m.Preview(loadgen.JobConfig{ScenarioName: "molotov_scenarios", ServiceName: service})
		require.NoError(t, err)
		usual := map[string]float64{}
		for _, w := range plain.Weights {
			usual[w.Task] = w.Weight
		}
		for _, w := range p.Weights {
			total += w.Weight
			if w.Weight != usual[w.Task] {
				errors[w.Task] = w.Weight
			}
		}
		return errors, total
	}
	noisy := map[string]float64{"log_error": 2, "log_message": 2, "is_it_coffee_time": 1, "throw_error": 1}
	for service, want := range map[string]struct {
		errors map[string]float64
		total  float64
	}{
		"opbeans-python": {map[string]float64{"oopsie": 1}, 96},
		"opbeans-go":     {map[string]float64{"oopsie": 1}, 96},
		"opbeans-node":   {noisy, 101},
		"opbeans-ruby":   {noisy, 100},
		"opbeans-java":   {map[string]float64{}, 94},
	} {
		errors, total := weights(service, nil)
		assert.Equal(t, want.errors, errors, service)
		assert.InDelta(t, want.total, total, 1e-9, service)
	}
	errors, _ := weights("opbeans-ruby", map[string]string{"ERROR_WEIGHT": "0"})
	assert.Empty(t, errors, "ERROR_WEIGHT wins")
	errors, _ = weights("opbeans-go", map[string]string{"ERROR_WEIGHT": "2.5"})
	assert.Equal(t, map[string]float64{"oopsie": 2.5}, errors)

	env := map[string]string{"OPBEANS_URLS": "opbeans-go:http://localhost:1"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	assert.True(t, IsStandalone(lookup))
	env["WS"] = ""
	assert.False(t, IsStandalone(lookup), "WS is set, though empty")
}
