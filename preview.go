package loadgen

import (
	"slices"

	"github.com/opbeans/loadgen/internal/expr"
)

// Preview is what a scenario would run under a job's configuration.
type Preview struct {
	Scenario *Scenario
	// Variables are the values in force of those that the scenario declares and of
	// [StandardVariables], by name: a string, bool, int or float64 each.
	Variables map[string]any
	// Weights are the effective weights of all tasks, in their order.
	Weights []TaskWeight
	// Config is the configuration with its defaults filled in.
	Config JobConfig
	// Refused is the error that Start would return, such as for a URL or a secret that is
	// missing; nil if it would start the job, as far as is known without starting it.
	Refused error
}

// Preview reports what a job with cfg would run: which tasks, how often, under which values of
// variables, in the environment that the Manager's jobs see. It starts nothing. Of cfg it needs
// Scenario or ScenarioName alone; what else is missing is no fault here. The error is a
// [*ValidationError] that lists every fault of the scenario and of cfg, wraps [ErrScenarioNotFound], or says why the scenario
// cannot be read.
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
	if err := validation(slices.Concat(present(cfg.check()), f, wf)); err != nil {
		return nil, err
	}
	out := &Preview{Scenario: scenario, Variables: vars, Weights: weights, Config: cfg.withDefaults()}
	if _, p, err := m.compile(cfg, scenario); err != nil {
		out.Refused = err
	} else {
		out.Config = p.cfg.clone()
	}
	return out, nil
}
