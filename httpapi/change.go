package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// What start uses for what its body does not say, besides the variables.
const (
	defaultScenario = "molotov_scenarios"
	defaultWorkers  = 3
	defaultDelay    = "0.600"
	defaultDuration = "31536000" // a year
)

// The names of variables that have a key of their own.
const (
	errorWeight       = "ERROR_WEIGHT"
	appLatencyWeight  = "APP_LATENCY_WEIGHT"
	appLatencyLabel   = "APP_LATENCY_LABEL"
	appLatencyLower   = "APP_LATENCY_LOWER_BOUND"
	appLatencyUpper   = "APP_LATENCY_UPPER_BOUND"
	maxLabelLen       = 200
	maxLatencyBoundMS = 3_600_000
)

// variables are those with a key of their own, with their defaults.
func variables() map[string]string {
	return map[string]string{
		errorWeight: "0", appLatencyWeight: "0", appLatencyLabel: "dyno_latency",
		appLatencyLower: "1", appLatencyUpper: "1000",
	}
}

// setter puts a value that is known to be valid in its kind into a configuration
// whose maps nobody shares.
type setter func(*loadgen.JobConfig)

// field is one key of the bodies of start and update.
type field struct {
	name  string
	fault string // the field that a fault of the configuration names
	shows string // the key of a listing that echoes it, if any
	read  func(raw json.RawMessage) (setter, error)
}

// fields are applied in this order: where two set the same, the later wins.
func (a *API) fields() []field {
	fields := []field{
		{name: "scenario", fault: "scenario", read: readScenario},
		{name: "workers", fault: "workers", shows: "workers", read: readWorkers},
	}
	for _, name := range []string{"delay", "duration"} {
		fields = append(fields, field{name: name, fault: name, shows: name, read: configKey(name)})
	}
	for _, name := range []string{
		"service_name", "max_workers", "rate", "stages", "ramp_up", "max_iterations", "segment", "start_at", "lease", "thresholds", "weights", "headers",
		"trace", "trace_ratio", "tracestate", "baggage", "trace_header", "seed",
		"grace", "connect_timeout", "header_timeout", "timeout", "max_body", "http",
		"reuse", "proxy", "connect_to", "local_addr", "dns_ttl", "insecure", "ca_certs",
	} {
		fields = append(fields, field{name: name, fault: name, read: configKey(name)})
	}
	weight := func(variable string) func(json.RawMessage) (setter, error) {
		return readVariable(variable, loadgen.MaxWeight, func(x float64) float64 { return x })
	}
	bound := func(variable string) func(json.RawMessage) (setter, error) {
		return readVariable(variable, maxLatencyBoundMS, math.Trunc) // as of workers, the whole part counts
	}
	variable := func(name, of, shows string, read func(json.RawMessage) (setter, error)) field {
		return field{name: name, fault: "variables." + of, shows: shows, read: read}
	}
	return append(fields,
		field{name: "variables", fault: "variables", read: readVariables},
		variable("error_weight", errorWeight, "error_weight", weight(errorWeight)),
		variable("label_weight", appLatencyWeight, "app_latency_weight", weight(appLatencyWeight)),
		variable("app_latency_weight", appLatencyWeight, "app_latency_weight", weight(appLatencyWeight)),
		variable("label_name", appLatencyLabel, "app_latency_label", readLabel),
		variable("app_latency_label", appLatencyLabel, "app_latency_label", readLabel),
		variable("app_latency_lower_bound", appLatencyLower, "app_latency_lower_bound", bound(appLatencyLower)),
		variable("app_latency_upper_bound", appLatencyUpper, "app_latency_upper_bound", bound(appLatencyUpper)),
		field{name: "port", fault: "url", shows: "port", read: a.readPort},
		field{name: "url", fault: "url", read: configKey("url")},
	)
}

// change is a decoded body: what it wants of which job.
type change struct {
	job      string // as given
	settings []setting
}

type setting struct {
	field
	raw json.RawMessage // as given
	set setter
}

// readChange decodes the body of start or update. Keys that clients copy from a
// listing and that cannot be set are passed over, as is a key that is null.
func (a *API) readChange(body json.RawMessage) (*change, error) {
	object, err := readObject(body)
	if err != nil {
		return nil, err
	}
	invalid := &loadgen.ValidationError{}
	c := &change{job: readJob(object, invalid)}
	fields := a.fields()
	for _, f := range fields {
		raw, given := object[f.name]
		delete(object, f.name)
		if !given || isNull(raw) {
			continue
		}
		set, err := f.read(raw)
		var several *loadgen.ValidationError
		switch {
		case errors.As(err, &several):
			invalid.Fields = append(invalid.Fields, several.Fields...)
		case err != nil:
			invalid.Fields = append(invalid.Fields, loadgen.FieldError{Field: f.name, Message: err.Error()})
		default:
			c.settings = append(c.settings, setting{field: f, raw: raw, set: set})
		}
	}
	if err := unknownKey(object, fields); err != nil {
		return nil, err
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return c, nil
}

// readJob takes the name of the job out of a body.
func readJob(object map[string]json.RawMessage, invalid *loadgen.ValidationError) (name string) {
	raw, given := object["job"]
	delete(object, "job")
	switch {
	case given && !isNull(raw) && json.Unmarshal(raw, &name) != nil:
		invalid.Fields = append(invalid.Fields, loadgen.FieldError{Field: "job", Message: "must be text, not " + textkit.Shorten(string(raw))})
	case jobName(name) == "":
		invalid.Fields = append(invalid.Fields, missingJob())
	}
	return name
}

func missingJob() loadgen.FieldError {
	return loadgen.FieldError{
		Field: "job", Missing: true,
		Message: `is required: the name of a job, for instance "opbeans-python"`,
	}
}

// unknownKey refuses what is left of a body, the first by name.
func unknownKey(object map[string]json.RawMessage, fields []field) error {
	delete(object, "name")
	delete(object, "running")
	if len(object) == 0 {
		return nil
	}
	key := slices.Min(slices.Collect(maps.Keys(object)))
	names := []string{"job"}
	for _, f := range fields {
		names = append(names, f.name)
	}
	hint := textkit.DidYouMean(key, names)
	if hint == "" {
		hint = "; there are " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	}
	return badRequest(CodeUnknownField, textkit.Shorten(key), "there is no setting %q%s", textkit.Shorten(key), hint)
}

// apply changes a configuration. Its maps must not be shared.
func (c *change) apply(cfg *loadgen.JobConfig) {
	before := *cfg // whose headers a setter replaces, and leaves as they are
	for _, s := range c.settings {
		s.set(cfg)
	}
	cfg.KeepSecrets(&before)
	if c.has("stages") && !c.has("duration") {
		cfg.Duration = 0 // the stages say when the job ends
	}
}

// update applies the change to a job that is there. To name its scenario again
// asks for the file to be read again.
func (c *change) update(j *loadgen.Job) error {
	if c.has("scenario") {
		return j.Reload(c.apply)
	}
	return j.Update(c.apply)
}

func (c *change) has(name string) bool {
	return slices.ContainsFunc(c.settings, func(s setting) bool { return s.name == name })
}

// fault makes an error of the configuration speak of the fields of the body.
func (c *change) fault(err error) error {
	var invalid *loadgen.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	told := &loadgen.ValidationError{}
	for _, f := range invalid.Fields {
		sent := slices.IndexFunc(c.settings, func(s setting) bool { return s.fault == f.Field })
		switch {
		case sent >= 0:
			f.Field = c.settings[sent].name
		case f.Field == "url" && f.Missing:
			f.Field, f.Message = "port", `is required when a job first starts, for instance "8000"; or else url, the whole base URL`
		case f.Field == "service_name":
			continue // it is made of the name, whose fault is told
		}
		told.Fields = append(told.Fields, f)
	}
	return told
}

// defaults is what a new job has that says nothing else.
func (a *API) defaults(name string) loadgen.JobConfig {
	cfg := loadgen.JobConfig{
		Name: name, ScenarioName: defaultScenario, ServiceName: namePrefix + name,
		Workers: defaultWorkers, Variables: variables(),
	}
	for name, value := range map[string]string{"delay": defaultDelay, "duration": defaultDuration} {
		if set, err := configKey(name)(json.RawMessage(value)); err == nil {
			set(&cfg)
		}
	}
	return cfg
}

// configKey reads a key that the JSON form of a JobConfig has as well.
func configKey(name string) func(json.RawMessage) (setter, error) {
	return func(raw json.RawMessage) (setter, error) {
		object := json.RawMessage(fmt.Sprintf(`{%q:%s}`, name, raw))
		if err := new(loadgen.JobConfig).UnmarshalJSON(object); err != nil {
			return nil, err
		}
		return func(cfg *loadgen.JobConfig) { _ = cfg.UnmarshalJSON(object) }, nil // it has just worked
	}
}

// readScenario takes the name of a scenario, or the form in which it is listed. A
// job that was given a scenario by value keeps it under its name.
func readScenario(raw json.RawMessage) (setter, error) {
	var name string
	if json.Unmarshal(raw, &name) != nil || name == "" {
		return nil, fmt.Errorf("must be the name of a scenario, not %s", textkit.Shorten(string(raw)))
	}
	if file, ok := strings.CutPrefix(name, scenarioPrefix); ok {
		if stem, ok := strings.CutSuffix(file, scenarioSuffix); ok {
			name = stem
		}
	}
	return func(cfg *loadgen.JobConfig) {
		if cfg.Scenario == nil || cfg.Scenario.Name() != name {
			cfg.Scenario, cfg.ScenarioName = nil, name
		}
	}, nil
}

// readWorkers rounds down what a slider sends, to 1 at least.
func readWorkers(raw json.RawMessage) (setter, error) {
	x, err := number(raw, 0, loadgen.MaxWorkers)
	if err != nil {
		return nil, err
	}
	n := max(int(x), 1)
	return func(cfg *loadgen.JobConfig) { cfg.Workers = n }, nil
}

func (a *API) readPort(raw json.RawMessage) (setter, error) {
	x, err := number(raw, 1, math.MaxUint16)
	if err != nil || x != math.Trunc(x) {
		return nil, fmt.Errorf("must be a port from 1 to 65535, not %s", textkit.Shorten(string(raw)))
	}
	base := strings.ReplaceAll(a.target, portPlace, strconv.Itoa(int(x)))
	return func(cfg *loadgen.JobConfig) { cfg.BaseURL = base }, nil
}

// readVariable takes a number from 0 to most.
func readVariable(variable string, most float64, part func(float64) float64) func(json.RawMessage) (setter, error) {
	return func(raw json.RawMessage) (setter, error) {
		x, err := number(raw, 0, most)
		if err != nil {
			return nil, err
		}
		return setVariable(variable, strconv.FormatFloat(part(x), 'f', -1, 64)), nil
	}
}

func readLabel(raw json.RawMessage) (setter, error) {
	label, ok := text(raw)
	if !ok || len(label) > maxLabelLen || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("must be text of at most %d bytes without control characters, not %s", maxLabelLen, textkit.Shorten(string(raw)))
	}
	return setVariable(appLatencyLabel, label), nil
}

// readVariables takes variables by their names. A value for one of the names that
// mean the same replaces a value for another.
func readVariables(raw json.RawMessage) (setter, error) {
	set, err := configKey("variables")(raw)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	return func(cfg *loadgen.JobConfig) {
		for name := range object {
			clearVariable(cfg, name)
		}
		set(cfg)
	}, nil
}

func setVariable(name, value string) setter {
	return func(cfg *loadgen.JobConfig) {
		clearVariable(cfg, name)
		if cfg.Variables == nil {
			cfg.Variables = map[string]string{}
		}
		cfg.Variables[name] = value
	}
}

// clearVariable removes a variable under all of its names.
func clearVariable(cfg *loadgen.JobConfig, name string) {
	for _, alias := range variableNames(name) {
		delete(cfg.Variables, alias)
	}
}

// variableNames are the names that mean the same as one, itself included.
func variableNames(name string) []string {
	for _, row := range loadgen.StandardVariables() {
		if slices.Contains(row, name) {
			return row
		}
	}
	return []string{name}
}
