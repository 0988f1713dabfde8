package loadgen_test

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestPreview(t *testing.T) {
	folder := fstest.MapFS{
		"shop.yaml": {Data: []byte("variables: {BUYERS: 1, ERROR_WEIGHT: 0}\ntasks:\n" +
			"  - {name: buy, weight: \"${BUYERS * 2}\", request: GET /}\n" +
			"  - {name: oopsie, when: SERVICE_NAME == \"go\", weight: \"${ERROR_WEIGHT}\", request: GET /}\n")},
		"broken.yaml": {Data: []byte("tasks: 5\n")},
	}
	m := loadgen.New(loadgen.WithScenarios(folder), loadgen.WithEnv(func(name string) (string, bool) {
		return "5", name == "BUYERS"
	}))
	defer m.Close()

	p, err := m.Preview(loadgen.JobConfig{ScenarioName: "shop"})
	require.NoError(t, err)
	assert.Equal(t, "shop", p.Scenario.Name())
	assert.Equal(t, 5, p.Variables["BUYERS"], "of the environment")
	assert.Equal(t, []loadgen.TaskWeight{{Task: "buy", Weight: 10}, {Task: "oopsie"}}, p.Weights)

	p, err = m.Preview(loadgen.JobConfig{
		Scenario: p.Scenario, ServiceName: "go", Variables: map[string]string{"BUYERS": "2", "ERROR_WEIGHT": "1.5"},
		Weights: map[string]float64{"buy": 3},
	})
	require.NoError(t, err)
	assert.Equal(t, []loadgen.TaskWeight{{Task: "buy", Weight: 3}, {Task: "oopsie", Weight: 1.5}}, p.Weights)

	_, err = m.Preview(loadgen.JobConfig{ScenarioName: "shop", Variables: map[string]string{"BUYERS": "many"}})
	var invalid *loadgen.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "variables.BUYERS", invalid.Fields[0].Field)
	_, err = m.Preview(loadgen.JobConfig{ScenarioName: "none"})
	require.ErrorIs(t, err, loadgen.ErrScenarioNotFound)
	var parse *loadgen.ScenarioError
	_, err = m.Preview(loadgen.JobConfig{ScenarioName: "broken"})
	require.ErrorAs(t, err, &parse)
}

// TestDistributionIsBuckets holds the coarse buckets against the fine ones: bounds
// are theirs, counts are sums of theirs.
func TestDistributionIsBuckets(t *testing.T) {
	var h loadgen.Histogram
	assert.Empty(t, h.Distribution())
	for d := time.Duration(1); d < 30*time.Hour; d += d/3 + 1 {
		h.Record(d)
		h.Record(d + d/7)
	}
	coarse := h.Distribution()
	assert.Less(t, len(coarse), 300)
	var sum uint64
	for i, b := range coarse {
		sum += b.Count
		assert.Less(t, b.From, b.To)
		if i > 0 {
			assert.GreaterOrEqual(t, b.From, coarse[i-1].To)
		}
		assert.LessOrEqual(t, float64(b.To-b.From), max(float64(b.From)/8, float64(time.Microsecond)))
	}
	assert.Equal(t, h.Count(), sum)
	for fine := range h.Buckets() {
		i := slices.IndexFunc(coarse, func(b loadgen.Bucket) bool { return b.From <= fine.From && fine.To <= b.To })
		assert.GreaterOrEqual(t, i, 0, "%v is within one bucket", fine)
	}
}
