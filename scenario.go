package loadgen

import (
	"context"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/secrets"
	"github.com/opbeans/loadgen/internal/textkit"
)

// TaskFunc is one iteration of a task. It runs on the goroutine of its VU,
// which nobody else uses meanwhile, and should return when ctx is done.
//
// A nil error is a success. An error counts as one failed iteration, under the
// class that [ClassOf] finds in it; an error that wraps [ErrAbort] also ends the
// job as failed. A panic is counted as a failed iteration of class panic.
type TaskFunc func(ctx context.Context, vu *VU) error

// Scenario is a named, weighted set of tasks. Build one with [NewScenario], or
// read one from YAML with [ParseScenario]; both give the same thing.
//
// Building is not safe for concurrent use. A job copies what it needs when it
// starts, so that later additions never change a running job, and any number of
// jobs may run one Scenario at the same time.
type Scenario struct {
	name        string
	description string
	source      string // the file it was read from, if any
	folder      fs.FS  // where files are that it names; nil: nowhere
	variables   []Variable
	secrets     []string
	feeders     []namedFeeder
	hooks       [scenariofile.NumHooks]*hook
	newSession  bool // each iteration has a session of its own
	tasks       []task
	thresholds  []Threshold
	badTexts    []error // of Threshold
}

// task is one weighted entry of a scenario.
type task struct {
	name   string
	weight weigher
	bind   binder             // nil if the task lacks its function
	yaml   *scenariofile.Task // what bind binds, if the task is from a file
}

// weigher gives a task's weight under resolved variables. An error is a fault
// in what the job's variables hold.
type weigher func(b *expr.Binding) (float64, error)

// binder makes a task ready to run under resolved variables: what depends on
// nothing else is computed here, once for each revision of a job.
type binder func(b *expr.Binding) (TaskFunc, error)

// Variable is a named default that a job, or the process environment, may
// override.
type Variable struct {
	Name string `json:"name"`
	// Default is a string, bool, int64 or float64. Its type is the variable's
	// type: a job's value is converted to it or refused.
	Default any `json:"default"`
}

// TaskWeight is the effective weight of one task: what is left of it after
// conditions, expressions and a job's overrides. Zero means never picked.
type TaskWeight struct {
	Task   string  `json:"task"`
	Weight float64 `json:"weight"`
}

// NewScenario returns an empty scenario. The name is what statistics and
// listings call it.
func NewScenario(name string) *Scenario { return &Scenario{name: name} }

// Describe sets a one-line description and returns s.
func (s *Scenario) Describe(text string) *Scenario {
	s.description = text
	return s
}

// Variable declares a variable with its default, and returns s. The default is
// a string, bool, or a number of any Go type; a job's own value for the variable
// must fit its type. A second declaration of a name replaces the first.
func (s *Scenario) Variable(name string, def any) *Scenario {
	v := Variable{Name: name, Default: normalize(def)}
	for i := range s.variables {
		if s.variables[i].Name == name {
			s.variables[i] = v
			return s
		}
	}
	s.variables = append(s.variables, v)
	return s
}

// Task adds a task with a fixed weight and returns s. The chance of a task is
// its weight divided by the sum of all weights; a weight of zero or less means
// never. Names must be unique, and run must not be nil; a Manager reports what
// is wrong when it takes a job with the scenario.
func (s *Scenario) Task(name string, weight float64, run TaskFunc) *Scenario {
	t := task{name: name, weight: func(*expr.Binding) (float64, error) { return weight, nil }}
	if run != nil {
		t.bind = func(*expr.Binding) (TaskFunc, error) { return run, nil }
	}
	s.tasks = append(s.tasks, t)
	return s
}

// Threshold adds a threshold, written as [ParseThreshold] reads it, for every job that
// runs the scenario, and returns s. A Manager reports one that cannot be read when it
// takes a job with the scenario.
func (s *Scenario) Threshold(text string) *Scenario {
	t, err := ParseThreshold(text)
	if err != nil {
		s.badTexts = append(s.badTexts, err)
		return s
	}
	s.thresholds = append(s.thresholds, t)
	return s
}

// Thresholds returns the thresholds for every job that runs the scenario.
func (s *Scenario) Thresholds() []Threshold { return slices.Clone(s.thresholds) }

// Name is the scenario's name.
func (s *Scenario) Name() string { return s.name }

// Description is the scenario's one-line description, or "".
func (s *Scenario) Description() string { return s.description }

// File is the file that the scenario was read from, or "" if it was built in Go.
func (s *Scenario) File() string { return s.source }

// Variables returns the declared variables with their defaults, in the order of
// their declaration.
func (s *Scenario) Variables() []Variable { return slices.Clone(s.variables) }

// TaskNames returns the names of all tasks in their order, whatever their weight.
func (s *Scenario) TaskNames() []string {
	names := make([]string, len(s.tasks))
	for i, t := range s.tasks {
		names[i] = t.name
	}
	return names
}

// bound is a scenario under one job's configuration.
type bound struct {
	vars    map[string]any // every variable by name, both names of an alias
	secrets map[string]string
	mask    *secrets.Mask
	hooks   [scenariofile.NumHooks]TaskFunc
	tasks   []boundTask // those with a weight above zero
}

type boundTask struct {
	name   string
	weight float64
	run    TaskFunc
}

// bind prepares the scenario for a job: it resolves the variables, evaluates
// conditions and weights, and specialises the tasks that are left. It shares
// nothing with s that s could still change.
func (s *Scenario) bind(cfg *JobConfig, lookupEnv func(string) (string, bool)) (bound, fault.List) {
	vars, f := s.resolve(cfg, lookupEnv)
	f = append(s.check(), f...)
	hidden, sf := s.resolveSecrets(lookupEnv)
	out := bound{vars: vars, secrets: hidden, mask: secrets.NewMask(slices.Collect(maps.Values(hidden)))}
	defer func() { maskFaults(out.mask, f) }()
	b := expr.NewBinding(vars, hidden)
	weights, wf := s.weigh(b, cfg)
	if f = append(append(f, sf...), wf...); len(f) > 0 {
		return out, f
	}
	out.hooks = s.bindHooks(b, &f)
	for i, w := range weights {
		if w.Weight <= 0 {
			continue
		}
		run, err := s.tasks[i].bind(b)
		if err != nil {
			f.Add("scenario", "task %q: %v", w.Task, err)
			continue
		}
		out.tasks = append(out.tasks, boundTask{name: w.Task, weight: w.Weight, run: run})
	}
	if len(f) == 0 && len(out.tasks) == 0 {
		f.Add("scenario", "scenario %q: no task has a weight above zero", s.name)
	}
	return out, f
}

// check finds the mistakes of a builder.
func (s *Scenario) check() fault.List {
	var f fault.List
	for _, v := range s.variables {
		if msg := checkVariable(v); msg != "" {
			f.Add("scenario", "variable %q: %s", v.Name, msg)
		}
	}
	for i, v := range s.variables {
		if row := standardRow(v.Name); row != nil {
			for _, w := range s.variables[:i] {
				if slices.Contains(row, w.Name) {
					f.Add("scenario", "variables %q and %q mean the same: declare one", w.Name, v.Name)
				}
			}
		}
	}
	for _, err := range s.badTexts {
		f.Add("scenario", "%v", err)
	}
	if len(s.tasks) == 0 {
		f.Add("scenario", "scenario %q has no tasks", s.name)
	}
	seen := map[string]bool{}
	for i, t := range s.tasks {
		switch {
		case t.name == "":
			f.Add("scenario", "task %d has no name", i+1)
		case len(t.name) > MaxNameLen:
			f.Add("scenario", "the name of task %d is longer than %d bytes", i+1, MaxNameLen)
		case seen[t.name]:
			f.Add("scenario", "two tasks are named %q", t.name)
		}
		seen[t.name] = true
		if t.bind == nil {
			f.Add("scenario", "task %q has no function to run", t.name)
		}
	}
	s.checkSources(&f)
	return f
}

// weigh computes the effective weight of every task.
func (s *Scenario) weigh(b *expr.Binding, cfg *JobConfig) ([]TaskWeight, fault.List) {
	var f fault.List
	names := s.TaskNames()
	for _, name := range textkit.SortedKeys(cfg.Weights) {
		if !slices.Contains(names, name) {
			f.Add("weights."+name, "scenario %q has no such task%s", s.name, textkit.DidYouMean(name, names))
		}
	}
	weights := make([]TaskWeight, len(s.tasks))
	for i, t := range s.tasks {
		weights[i].Task = t.name
		w, given := cfg.Weights[t.name]
		if !given {
			var err error
			if w, err = t.weight(b); err != nil {
				f.Add("scenario", "task %q: %v", t.name, err)
				continue
			}
		}
		if math.IsNaN(w) || w > MaxWeight {
			f.Add("scenario", "task %q: the weight must be a number up to %g, not %g", t.name, MaxWeight, w)
			continue
		}
		weights[i].Weight = max(w, 0)
	}
	return weights, f
}

// checkSources finds the mistakes of a builder in secrets and feeders.
func (s *Scenario) checkSources(f *fault.List) {
	for _, name := range s.secrets {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			f.Add("scenario", "%q cannot be the name of a secret", name)
		}
		if standardRow(name) != nil || slices.ContainsFunc(s.variables, func(v Variable) bool { return v.Name == name }) {
			f.Add("scenario", "%q is a variable, which cannot be a secret", name)
		}
	}
	for _, d := range s.feeders {
		def := d.definition(s.folder)
		if msg := def.Check(); msg != "" {
			f.Add("scenario", "feeder %q: %s", d.name, msg)
		}
	}
}
