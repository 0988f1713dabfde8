package httpapi

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

const (
	namePrefix     = "opbeans-"   // one of which a job's name loses
	scenarioPrefix = "scenarios/" // around the name of a scenario in listings
	scenarioSuffix = ".py"
	portPlace      = "{port}" // in a target
)

// Listing is a job as [API.List] shows it. Each value has the JSON type and the
// spelling in which a client gave it; what nobody gave is text, but for the bounds.
// The names label_name and label_weight are older ones for app_latency_label and
// app_latency_weight.
type Listing struct {
	AppLatencyLabel      json.RawMessage `json:"app_latency_label"`
	AppLatencyLowerBound json.RawMessage `json:"app_latency_lower_bound"` // ms
	AppLatencyUpperBound json.RawMessage `json:"app_latency_upper_bound"` // ms
	AppLatencyWeight     json.RawMessage `json:"app_latency_weight"`
	Delay                json.RawMessage `json:"delay"`    // seconds
	Duration             json.RawMessage `json:"duration"` // seconds; 0: until stopped
	ErrorWeight          json.RawMessage `json:"error_weight"`
	LabelName            json.RawMessage `json:"label_name"`
	LabelWeight          json.RawMessage `json:"label_weight"`
	Name                 string          `json:"name"`
	Port                 json.RawMessage `json:"port"`    // null if the job's URL is not made of a port
	Running              bool            `json:"running"` // and not yet stopping
	Scenario             string          `json:"scenario"`
	URL                  string          `json:"url,omitempty"` // if there is no port
	Workers              json.RawMessage `json:"workers"`
}

// spelling is how a client wrote a value, for as long as that is in force.
type spelling struct {
	raw   json.RawMessage
	value string // of the configuration, that it led to
}

// held is what the API knows about a job beyond the job itself.
type held struct {
	job       *loadgen.Job // that it is about; another of the same name is not meant
	spellings map[string]spelling
}

// hold returns what is held about a job; a is locked.
func (a *API) hold(j *loadgen.Job) *held {
	h := a.held[j.Name()]
	if h == nil || h.job != j {
		h = &held{job: j, spellings: map[string]spelling{}}
		a.held[j.Name()] = h
	}
	return h
}

// spelled remembers how the values of a change were written that cfg now has.
func (a *API) spelled(h *held, c *change, cfg *loadgen.JobConfig) {
	shown := a.shown(cfg, nil)
	for _, s := range c.settings {
		switch {
		case s.shows == "port" && c.has("url"):
			delete(h.spellings, "port") // the URL has won
		case s.shows != "":
			h.spellings[s.shows] = spelling{raw: s.raw, value: shown[s.shows]}
		}
	}
}

// forget drops what is held about jobs that are gone; a is locked.
func (a *API) forget(jobs []*loadgen.Job) {
	there := make(map[string]*loadgen.Job, len(jobs))
	for _, j := range jobs {
		there[j.Name()] = j
	}
	for name, h := range a.held {
		if there[name] != h.job {
			delete(a.held, name)
		}
	}
}

// listing shows a job; a is locked.
func (a *API) listing(j *loadgen.Job) Listing {
	h, cfg := a.held[j.Name()], j.Config()
	var spellings map[string]spelling
	if h != nil && h.job == j {
		spellings = h.spellings
	}
	if next, ok := j.Next(); ok {
		cfg = next
	}
	shown := a.shown(&cfg, j.Scenario())
	show := func(name string, write func(string) json.RawMessage) json.RawMessage {
		if s, ok := spellings[name]; ok && s.value == shown[name] {
			return s.raw
		}
		return write(shown[name])
	}
	l := Listing{
		AppLatencyLabel:      show("app_latency_label", quoted),
		AppLatencyLowerBound: show("app_latency_lower_bound", bare),
		AppLatencyUpperBound: show("app_latency_upper_bound", bare),
		AppLatencyWeight:     show("app_latency_weight", quoted),
		Delay:                show("delay", quoted),
		Duration:             show("duration", quoted),
		ErrorWeight:          show("error_weight", quoted),
		Name:                 j.Name(),
		Port:                 show("port", a.portOf),
		Running:              j.State() == loadgen.StateRunning,
		Scenario:             scenarioPrefix + scenarioName(&cfg) + scenarioSuffix,
		Workers:              show("workers", quoted),
	}
	l.LabelName, l.LabelWeight = l.AppLatencyLabel, l.AppLatencyWeight
	if isNull(l.Port) {
		l.URL = cfg.Redacted().BaseURL
	}
	return l
}

// shown gives the values of a configuration by the keys of a listing. The port is
// that of the base URL, which stands for it. A variable that the job does not set
// has the scenario's default.
func (a *API) shown(cfg *loadgen.JobConfig, scenario *loadgen.Scenario) map[string]string {
	values := variables()
	if scenario != nil {
		for _, v := range scenario.Variables() {
			if name := variableNames(v.Name)[0]; values[name] != "" {
				values[name] = defaultText(v.Default)
			}
		}
	}
	for name := range values {
		for _, alias := range variableNames(name) {
			if v, ok := cfg.Variables[alias]; ok {
				values[name] = v
			}
		}
	}
	return map[string]string{
		"workers":                 strconv.Itoa(cfg.Workers),
		"delay":                   seconds(cfg.Delay, 3),
		"duration":                seconds(cfg.Duration, 0),
		"port":                    cfg.BaseURL,
		"error_weight":            values[errorWeight],
		"app_latency_weight":      values[appLatencyWeight],
		"app_latency_label":       values[appLatencyLabel],
		"app_latency_lower_bound": values[appLatencyLower],
		"app_latency_upper_bound": values[appLatencyUpper],
	}
}

func scenarioName(cfg *loadgen.JobConfig) string {
	if cfg.Scenario != nil {
		return cfg.Scenario.Name()
	}
	return cfg.ScenarioName
}

// portOf is the port that the target makes a base URL of, or null.
func (a *API) portOf(base string) json.RawMessage {
	before, after, ok := strings.Cut(a.target, portPlace)
	port, starts := strings.CutPrefix(base, before)
	port, ends := strings.CutSuffix(port, after)
	if n, err := strconv.ParseUint(port, 10, 16); !ok || !starts || !ends || err != nil || n == 0 {
		return json.RawMessage("null")
	}
	return quoted(port)
}

// seconds writes a duration the way that the defaults are written, 0.600 or
// 31536000, with more decimals only if it has them.
func seconds(d time.Duration, decimals int) string {
	if s := strconv.FormatFloat(d.Seconds(), 'f', -1, 64); len(s)-strings.IndexByte(s+".", '.') > decimals+1 {
		return s
	}
	return strconv.FormatFloat(d.Seconds(), 'f', decimals, 64)
}

// defaultText writes the default of a variable, which has a type of its own.
func defaultText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return "0"
}

func quoted(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // cannot be
	}
	return text
}

// bare writes a number as one, and what is none as text.
func bare(s string) json.RawMessage {
	var n json.Number
	if json.Unmarshal([]byte(s), &n) == nil && n != "" && s[0] != '"' {
		return json.RawMessage(s)
	}
	return quoted(s)
}
