package scenariofile

import (
	"io/fs"
	"slices"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// Limits of a scenario file.
const (
	MaxFileSize     = 1 << 20 // bytes
	maxYAMLDepth    = 50
	maxSourceErrors = 20
	maxTasks        = 1000
	maxSteps        = 100
	maxSecrets      = 100
	maxFeeders      = 100
	MaxWeight       = 1e9
)

// File is what a scenario file says. Nothing in it changes once it is parsed.
type File struct {
	Description string
	Variables   []Variable
	Secrets     []string // names of environment variables
	Feeders     []Feeder
	NewSession  bool // each iteration has a session of its own
	Hooks       [NumHooks]*Hook
	Tasks       []NamedTask
	Thresholds  []stats.Threshold

	Looked bool // into the folder, so that it depends on more than its text
}

// Variable is a variable with its default: a string, bool, int64 or float64.
type Variable struct {
	Name string
	Def  any
}

// Feeder is a feeder, and the columns that the expressions of the file were compiled
// against.
type Feeder struct {
	Def     feed.Definition
	Columns []string // of CSV; nil: not known before the row
}

// Hook is a set-up or tear-down.
type Hook struct {
	Steps  *Task
	Source string // what the file says, in whatever style
}

// NamedTask is a task with its weight.
type NamedTask struct {
	Name   string
	Weight Weight
	Steps  *Task
}

// Weight is the weight of a task: a number or an expression, and a condition.
type Weight struct {
	fixed     float64          // without number
	number    *expr.Expression // or nil
	condition *expr.Expression // or nil
}

// Of computes the weight.
func (w *Weight) Of(b *expr.Binding) (float64, error) {
	if w.condition != nil {
		v, err := b.Eval(w.condition)
		if yes, _ := v.(bool); err != nil || !yes {
			return 0, err
		}
	}
	if w.number == nil {
		return w.fixed, nil
	}
	v, err := b.Eval(w.number)
	f, _ := v.(float64)
	return f, err
}

// Fault is one fault in a scenario file.
type Fault struct {
	Line, Column int // from 1, the column in characters
	Message      string
}

// Options are what a file is parsed with.
type Options struct {
	File      string // its name in messages
	Folder    fs.FS  // where the files are that it names; nil: nowhere
	Variables variableRules
}

// variableRules are the rules for variables that expressions do not know.
type variableRules interface {
	// Check says what is wrong with a declaration, or "".
	Check(v Variable) string
	// Alias returns the one of the declared variables that means the same as name, or "".
	Alias(name string, declared []Variable) string
	// Values gives every variable, also those that need no declaration, a value of its
	// type.
	Values(declared []Variable) map[string]any
}

// HookKind is one of the tasks that a scenario runs beside its iterations.
type HookKind uint8

// The hooks of a scenario.
const (
	HookSetup      HookKind = iota // once, before the first iteration of the job
	HookTeardown                   // once, after the last
	HookVUSetup                    // of each VU, before its first iteration
	HookVUTeardown                 // of each VU, after its last
	NumHooks
)

// String is the name in scenario files; in parentheses, it is that in statistics.
func (k HookKind) String() string {
	return [NumHooks]string{"setup", "teardown", "vu_setup", "vu_teardown"}[k]
}

// groupNames are the groups that the steps of the file are in.
func (f *File) groupNames() (names []string) {
	for i := range f.Tasks {
		names = f.Tasks[i].Steps.AddGroups(names)
	}
	for _, h := range f.Hooks {
		if h != nil {
			names = h.Steps.AddGroups(names)
		}
	}
	return names
}

// AddGroups adds the groups of the task's steps to names.
func (y *Task) AddGroups(names []string) []string {
	for i := range y.Steps {
		if name := y.Steps[i].Group; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// GroupHint helps with the name of a group that is none of names.
func GroupHint(name string, names []string) string {
	if hint := textkit.DidYouMean(name, names); hint != "" {
		return hint
	}
	return textkit.List("; there are ", names)
}
