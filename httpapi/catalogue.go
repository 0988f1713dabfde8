package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Catalogue is what [API.Catalogue] gives.
type Catalogue struct {
	Scenarios []ScenarioInfo `json:"scenarios"` // the default first, then by name
}

// ScenarioInfo describes one scenario file.
type ScenarioInfo struct {
	loadgen.ScenarioInfo
	Error *ScenarioFault `json:"error,omitempty"` // why it cannot be used, if it cannot
}

// ScenarioFault says what is wrong with a scenario file.
type ScenarioFault struct {
	Message string                `json:"message"`
	Faults  []loadgen.SourceError `json:"faults,omitempty"` // with line and column, if it does not parse
}

// ScenarioDetails is what [API.Scenario] gives. What only a file that parses has is
// left out of one that does not.
type ScenarioDetails struct {
	ScenarioInfo
	Source    string     `json:"source"` // the text of the file
	Variables []Variable `json:"variables,omitempty"`
	Tasks     []Task     `json:"tasks,omitempty"`
}

// Variable is a variable of a scenario.
type Variable struct {
	loadgen.Variable
	Value any `json:"value"` // in force
}

// Task is a task of a scenario, with its weight in force.
type Task struct {
	loadgen.TaskWeight
	Share float64 `json:"share"` // of all iterations, from 0 to 1
}

// Catalogue describes every scenario file, also those that cannot be used.
func (a *API) Catalogue() Catalogue {
	c := Catalogue{Scenarios: []ScenarioInfo{}}
	for _, info := range a.m.Catalogue().List() {
		c.Scenarios = append(c.Scenarios, scenarioInfo(info))
	}
	slices.SortStableFunc(c.Scenarios, func(x, y ScenarioInfo) int { return cmp.Compare(rank(x.Name), rank(y.Name)) })
	return c
}

func scenarioInfo(info loadgen.ScenarioInfo) ScenarioInfo {
	s := ScenarioInfo{ScenarioInfo: info}
	if info.Err != nil {
		s.Error = &ScenarioFault{Message: info.Err.Error()}
		var parse *loadgen.ScenarioError
		if errors.As(info.Err, &parse) {
			s.Error.Faults = parse.Errors
		}
	}
	return s
}

// Scenario describes one scenario: its file, its variables, and its tasks with their
// weights, as a job would have them whose settings are in the body. The body has the
// name as "scenario", and may have what the weights depend on: job, whose service
// name counts, variables and weights. The error is an [*Error].
func (a *API) Scenario(body json.RawMessage) (ScenarioDetails, error) {
	var asked struct {
		Scenario  string            `json:"scenario"`
		Job       string            `json:"job"`
		Variables map[string]string `json:"variables"`
		Weights   map[string]string `json:"weights"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return ScenarioDetails{}, badRequest(CodeBadJSON, "", "the body must be an object with a scenario: %v", err)
	}
	files := a.m.Catalogue().List()
	at := slices.IndexFunc(files, func(f loadgen.ScenarioInfo) bool { return f.Name == asked.Scenario })
	source, err := a.m.Catalogue().Source(asked.Scenario)
	switch {
	case errors.Is(err, loadgen.ErrScenarioNotFound), at < 0:
		return ScenarioDetails{}, &Error{Status: http.StatusNotFound, Code: CodeUnknownScenario, Message: err.Error(), Field: "scenario", err: err}
	case err != nil:
		source = nil // as large as no scenario is, or unreadable: the info says so
	}
	d := ScenarioDetails{ScenarioInfo: scenarioInfo(files[at]), Source: strings.ToValidUTF8(string(source), "\uFFFD")}
	if d.Error != nil {
		return d, nil
	}
	cfg, err := previewConfig(asked.Scenario, asked.Job, asked.Variables, asked.Weights)
	if err != nil {
		return ScenarioDetails{}, toError(err)
	}
	p, err := a.m.Preview(cfg)
	if err != nil {
		return ScenarioDetails{}, toError(err)
	}
	d.Variables, d.Tasks = variablesOf(p), tasksOf(p)
	return d, nil
}

func previewConfig(scenario, job string, variables, weights map[string]string) (loadgen.JobConfig, error) {
	cfg := loadgen.JobConfig{ScenarioName: scenario, Variables: variables}
	if name := jobName(job); name != "" {
		cfg.Name, cfg.ServiceName = name, namePrefix+name
	}
	if len(weights) == 0 {
		return cfg, nil
	}
	text, err := json.Marshal(map[string]any{"weights": weights})
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.UnmarshalJSON(text)
}

func variablesOf(p *loadgen.Preview) []Variable {
	all := []Variable{}
	for _, v := range p.Scenario.Variables() {
		all = append(all, Variable{Variable: v, Value: p.Variables[v.Name]})
	}
	return all
}

func tasksOf(p *loadgen.Preview) []Task {
	var sum float64
	for _, w := range p.Weights {
		sum += w.Weight
	}
	all := []Task{}
	for _, w := range p.Weights {
		t := Task{TaskWeight: w}
		if sum > 0 {
			t.Share = w.Weight / sum
		}
		all = append(all, t)
	}
	return all
}

// scenarioArgs takes the scenario of the path and what a query says of its weights:
// ?job=NAME&variables[NAME]=VALUE&weights[TASK]=NUMBER.
func scenarioArgs(_ http.ResponseWriter, r *http.Request, p httprouter.Params) (json.RawMessage, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(CodeInvalidField, "", "the query cannot be read: %v", err)
	}
	variables, weights := map[string]string{}, map[string]string{}
	args := map[string]any{"scenario": p.ByName("name"), "variables": variables, "weights": weights}
	for key, values := range query {
		kind, name, ok := strings.Cut(strings.TrimSuffix(key, "]"), "[")
		switch {
		case len(values) > 1:
			return nil, badRequest(CodeInvalidField, textkit.Shorten(key), "only one value can be given")
		case key == "job":
			args["job"] = values[0]
		case ok && kind == "variables":
			variables[name] = values[0]
		case ok && kind == "weights":
			weights[name] = values[0]
		default:
			return nil, badRequest(CodeUnknownField, textkit.Shorten(key), "there is no parameter %q; there are job, variables[NAME] and weights[TASK]", textkit.Shorten(key))
		}
	}
	return json.Marshal(args)
}
