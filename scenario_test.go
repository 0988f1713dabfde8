package loadgen

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/scenarios"
)

func nop(context.Context, *VU) error { return nil }

// fieldsOf lists the faults of an error as "field: message".
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	var ve *ValidationError
	require.ErrorAs(t, err, &ve)
	var out []string
	for _, f := range ve.Fields {
		out = append(out, f.Field+": "+f.Message)
	}
	return out
}

func total(weights []TaskWeight) float64 {
	sum := 0.0
	for _, w := range weights {
		sum += w.Weight
	}
	return sum
}

func TestBuiltinWeights(t *testing.T) {
	catalogue := NewCatalogue(scenarios.FS)
	services := []string{"opbeans-python", "opbeans-go", "opbeans-node", "opbeans-ruby", "opbeans-java", "default"}
	var out strings.Builder
	for _, name := range []string{"molotov_scenarios", "dyno", "high_error_rates"} {
		s, err := catalogue.Load(name)
		require.NoError(t, err)
		for _, service := range services {
			for _, ew := range []float64{0, 2, 7.5} {
				for _, lw := range []float64{0, 3.7} {
					cfg := JobConfig{ServiceName: service, Variables: map[string]string{
						"ERROR_WEIGHT": fmt.Sprint(ew), "APP_LATENCY_WEIGHT": fmt.Sprint(lw),
					}}
					weights, err := weightsOf(s, cfg)
					require.NoError(t, err)
					fmt.Fprintf(&out, "%s %s ERROR_WEIGHT=%g APP_LATENCY_WEIGHT=%g total %g\n", name, service, ew, lw, total(weights))
					for _, w := range weights {
						if w.Weight > 0 {
							fmt.Fprintf(&out, "  %-28s %g\n", w.Task, w.Weight)
						}
					}
					if name == "molotov_scenarios" {
						want := map[string]float64{
							"opbeans-python": 95 + ew + lw, "opbeans-go": 95 + ew, "opbeans-node": 95 + 4*ew, "opbeans-ruby": 94 + 4*ew,
							"opbeans-java": 94, "default": 94,
						}[service]
						assert.InDelta(t, want, total(weights), 1e-9, "%s EW=%g LW=%g", service, ew, lw)
					}
				}
			}
		}
	}
	golden.Check(t, "testdata/scenarios/weights.golden", []byte(out.String()))
}

func TestBuiltinsRunWithoutVariables(t *testing.T) {
	for _, info := range NewCatalogue(scenarios.FS).List() {
		require.NoError(t, info.Err)
		s, err := NewCatalogue(scenarios.FS).Load(info.Name)
		require.NoError(t, err)
		for _, service := range []string{"", "opbeans-node", "opbeans-python-2"} {
			b, f := s.bind(&JobConfig{ServiceName: service, BaseURL: "http://h"}, nil)
			require.NoError(t, validation(f))
			assert.NotEmpty(t, b.tasks)
		}
	}
}

func TestBuilder(t *testing.T) {
	s := NewScenario("shop").Describe("a shop").Variable("N", 3).Variable("F", float32(0.1)).Variable("N", uint8(4)).
		Task("home", 3, nop).Task("never", 0, nop).Task("less", -1, nop)
	assert.Equal(t, "shop", s.Name())
	assert.Equal(t, "a shop", s.Description())
	assert.Empty(t, s.File())
	assert.Equal(t, []Variable{{"N", int64(4)}, {"F", 0.1}}, s.Variables())
	assert.Equal(t, []string{"home", "never", "less"}, s.TaskNames())

	b, f := s.bind(&JobConfig{BaseURL: "http://h", Weights: map[string]float64{"never": 2}}, nil)
	require.NoError(t, validation(f))
	require.Len(t, b.tasks, 2)
	assert.Equal(t, "home", b.tasks[0].name)
	assert.InDelta(t, 3.0, b.tasks[0].weight, 0)
	assert.InDelta(t, 2.0, b.tasks[1].weight, 0)

	s.Task("late", 1, nop).Variable("N", "now text")
	assert.Len(t, b.tasks, 2, "what is bound does not change with the builder")
	assert.Equal(t, 4, b.vars["N"])
}

func TestBuilderMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		scenario *Scenario
		cfg      JobConfig
		want     []string
	}{
		"no tasks":       {scenario: NewScenario("x"), want: []string{`scenario: scenario "x" has no tasks`}},
		"no name":        {scenario: NewScenario("x").Task("", 1, nop), want: []string{"scenario: task 1 has no name"}},
		"twice":          {scenario: NewScenario("x").Task("a", 1, nop).Task("a", 1, nop), want: []string{`scenario: two tasks are named "a"`}},
		"no function":    {scenario: NewScenario("x").Task("a", 1, nil), want: []string{`scenario: task "a" has no function to run`}},
		"long name":      {scenario: NewScenario("x").Task(strings.Repeat("a", 201), 1, nop), want: []string{"scenario: the name of task 1 is longer than 200 bytes"}},
		"not a number":   {scenario: NewScenario("x").Task("a", math.NaN(), nop), want: []string{`scenario: task "a": the weight must be a number up to 1e+09, not NaN`}},
		"infinite":       {scenario: NewScenario("x").Task("a", math.Inf(1), nop), want: []string{`scenario: task "a": the weight must be a number up to 1e+09, not +Inf`}},
		"nothing left":   {scenario: NewScenario("x").Task("a", 0, nop), want: []string{`scenario: scenario "x": no task has a weight above zero`}},
		"a struct":       {scenario: NewScenario("x").Task("a", 1, nop).Variable("V", struct{}{}), want: []string{`scenario: variable "V": the default must be a string, bool or number, not struct {}`}},
		"nil":            {scenario: NewScenario("x").Task("a", 1, nop).Variable("V", nil), want: []string{`scenario: variable "V": the default must be a string, bool or number, not <nil>`}},
		"same twice":     {scenario: NewScenario("x").Task("a", 1, nop).Variable("LABEL_WEIGHT", 1).Variable("APP_LATENCY_WEIGHT", 1), want: []string{`scenario: variables "LABEL_WEIGHT" and "APP_LATENCY_WEIGHT" mean the same: declare one`}},
		"unknown weight": {scenario: NewScenario("x").Task("home", 1, nop), cfg: JobConfig{Weights: map[string]float64{"hom": 1}}, want: []string{`weights.hom: scenario "x" has no such task (did you mean "home"?)`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, f := c.scenario.bind(&c.cfg, nil)
			assert.Equal(t, c.want, fieldsOf(t, validation(f)))
		})
	}
}

func TestWeightsReportsEveryFault(t *testing.T) {
	s := NewScenario("x").Variable("N", 1).Task("a", 1, nop)
	_, err := weightsOf(s, JobConfig{
		Variables: map[string]string{"N": "one", "M": "1"},
		Weights:   map[string]float64{"b": 1},
	})
	assert.Equal(t, []string{
		`variables.N: must be a whole number, not "one"`,
		`variables.M: scenario "x" has no such variable; it declares N`,
		`weights.b: scenario "x" has no such task`,
	}, fieldsOf(t, err))
}

func TestVariableSources(t *testing.T) {
	env := func(pairs ...string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1], true
				}
			}
			return "", false
		}
	}
	for name, c := range map[string]struct {
		declare map[string]any
		cfg     JobConfig
		env     func(string) (string, bool)
		want    map[string]any
	}{
		"default":                {declare: map[string]any{"N": 5}, want: map[string]any{"N": 5}},
		"environment":            {declare: map[string]any{"N": 5}, env: env("N", "6"), want: map[string]any{"N": 6}},
		"job over environment":   {declare: map[string]any{"N": 5}, env: env("N", "6"), cfg: JobConfig{Variables: map[string]string{"N": "7"}}, want: map[string]any{"N": 7}},
		"empty environment":      {declare: map[string]any{"N": 5}, env: env("N", ""), want: map[string]any{"N": 5}},
		"undeclared environment": {env: env("ERROR_WEIGHT", "6"), want: map[string]any{"ERROR_WEIGHT": 0.0}},
		"environment by alias":   {declare: map[string]any{"APP_LATENCY_WEIGHT": 1}, env: env("LABEL_WEIGHT", "6.5"), want: map[string]any{"APP_LATENCY_WEIGHT": 6.5, "LABEL_WEIGHT": 6.5}},
		"job by alias":           {cfg: JobConfig{Variables: map[string]string{"LABEL_NAME": "x"}}, want: map[string]any{"APP_LATENCY_LABEL": "x", "LABEL_NAME": "x"}},
		"fraction of a weight":   {declare: map[string]any{"ERROR_WEIGHT": 2}, cfg: JobConfig{Variables: map[string]string{"ERROR_WEIGHT": "7.5"}}, want: map[string]any{"ERROR_WEIGHT": 7.5}},
		"base URL":               {cfg: JobConfig{BaseURL: "http://h/b"}, want: map[string]any{"SERVER_URL": "http://h/b", "OPBEANS_BASE_URL": "http://h/b"}},
		"service":                {cfg: JobConfig{ServiceName: "opbeans-go"}, want: map[string]any{"SERVICE_NAME": "opbeans-go", "OPBEANS_NAME": "opbeans-go"}},
		"no service":             {want: map[string]any{"SERVICE_NAME": "default"}},
		"declared service":       {declare: map[string]any{"SERVICE_NAME": "shop"}, want: map[string]any{"OPBEANS_NAME": "shop"}},
		"service of environment": {declare: map[string]any{"SERVICE_NAME": "shop"}, env: env("OPBEANS_NAME", "e"), want: map[string]any{"SERVICE_NAME": "e"}},
		"job over service":       {cfg: JobConfig{ServiceName: "a", Variables: map[string]string{"OPBEANS_NAME": "b"}}, want: map[string]any{"SERVICE_NAME": "b"}},
		"whole as float":         {declare: map[string]any{"N": 5}, cfg: JobConfig{Variables: map[string]string{"N": "4.2e2"}}, want: map[string]any{"N": 420}},
		"bool":                   {declare: map[string]any{"B": false}, cfg: JobConfig{Variables: map[string]string{"B": "true"}}, want: map[string]any{"B": true}},
		"text as it is":          {declare: map[string]any{"T": ""}, cfg: JobConfig{Variables: map[string]string{"T": " 1 "}}, want: map[string]any{"T": " 1 "}},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewScenario("x").Task("a", 1, nop)
			for k, v := range c.declare {
				s.Variable(k, v)
			}
			b, f := s.bind(&c.cfg, c.env)
			require.NoError(t, validation(f))
			for k, v := range c.want {
				assert.Equal(t, v, b.vars[k], k)
			}
		})
	}
}

func TestVariableFaults(t *testing.T) {
	s := NewScenario("x").Task("a", 1, nop).Variable("N", 1).Variable("F", 0.5).Variable("B", true).Variable("T", "")
	long := strings.Repeat("x", maxVariableLen+1)
	_, f := s.bind(&JobConfig{Variables: map[string]string{
		"N": "1.5", "F": "NaN", "B": "perhaps", "T": long, "LABEL_NAME": "a", "APP_LATENCY_LABEL": "b",
	}}, nil)
	assert.ElementsMatch(t, []string{
		`variables.LABEL_NAME: means the same as APP_LATENCY_LABEL, so that they cannot have two values`,
		`variables.N: must be a whole number, not "1.5"`,
		`variables.F: must be a number, not "NaN"`,
		`variables.B: must be true or false, not "perhaps"`,
		`variables.T: must be at most 65536 bytes long, not 65537`,
	}, fieldsOf(t, validation(f)))

	_, f = s.bind(&JobConfig{}, func(string) (string, bool) { return "x", true })
	assert.Contains(t, fieldsOf(t, validation(f)), `variables.N: the value from the environment must be a whole number, not "x"`)
}

// weightsOf are the weights of the tasks of s under cfg.
func weightsOf(s *Scenario, cfg JobConfig) ([]TaskWeight, error) {
	m := New()
	defer m.Close()
	cfg.Scenario = s
	p, err := m.Preview(cfg)
	if err != nil {
		return nil, err
	}
	return p.Weights, nil
}
