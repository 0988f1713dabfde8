package loadgen

import "github.com/opbeans/loadgen/internal/expr"

// Preview is what a scenario comes to under a job's configuration.
type Preview struct {
	Scenario *Scenario
	// Variables are the values in force of those that the scenario declares and of
	// [StandardVariables], by name: a string, bool, int or float64 each.
	Variables map[string]any
	// Weights are the effective weights of all tasks, in their order.
	Weights []TaskWeight
}

// Preview tells what a job with cfg would run: which tasks, how often, under which
// values of variables. Other than [Scenario.Weights] it counts the environment that
// the Manager's jobs see. Of cfg it needs Scenario or ScenarioName alone. The error
// is a [*ValidationError] that lists every fault, wraps [ErrScenarioNotFound], or
// says why the scenario cannot be read.
func (m *Manager) Preview(cfg JobConfig) (*Preview, error) {
	scenario := cfg.Scenario
	if scenario == nil {
		var err error
		if scenario, err = m.env.catalogue.Load(cfg.ScenarioName); err != nil {
			return nil, err
		}
	}
	vars, f := scenario.resolve(&cfg, m.env.lookupEnv)
	f = append(scenario.check(), f...)
	hidden, _ := scenario.resolveSecrets(nil) // their values are not to be seen
	weights, wf := scenario.weigh(expr.NewBinding(vars, hidden), &cfg)
	if err := validation(append(f, wf...)); err != nil {
		return nil, err
	}
	return &Preview{Scenario: scenario, Variables: vars, Weights: weights}, nil
}
