package loadgen

import (
	"io/fs"
	"slices"

	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// Limits of a scenario file.
const (
	maxFileSize     = 1 << 20 // bytes
	maxYAMLDepth    = 50
	maxSourceErrors = 20
	maxTasks        = 1000
	maxSteps        = 100
	maxSecrets      = 100
	maxFeeders      = 100
	maxWeight       = 1e9
)

// scenarioFile is what a scenario file says. Nothing in it changes once it is parsed.
type scenarioFile struct {
	description string
	variables   []fileVariable
	secrets     []string // names of environment variables
	feeders     []fileFeeder
	newSession  bool // each iteration has a session of its own
	hooks       [numHooks]*fileHook
	tasks       []fileTask
	thresholds  []stats.Threshold

	looked bool // into the folder, so that it depends on more than its text
}

// fileVariable is a variable with its default: a string, bool, int64 or float64.
type fileVariable struct {
	name string
	def  any
}

// fileFeeder is a feeder, and the columns that the expressions of the file were compiled
// against.
type fileFeeder struct {
	def     feedDefinition
	columns []string // of CSV; nil: not known before the row
}

// fileHook is a set-up or tear-down.
type fileHook struct {
	steps  *yamlTask
	source string // what the file says, in whatever style
}

// fileTask is a task with its weight.
type fileTask struct {
	name   string
	weight fileWeight
	steps  *yamlTask
}

// fileWeight is the weight of a task: a number or an expression, and a condition.
type fileWeight struct {
	fixed     float64     // without number
	number    *expression // or nil
	condition *expression // or nil
}

// of computes the weight.
func (w *fileWeight) of(b *binding) (float64, error) {
	if w.condition != nil {
		v, err := b.eval(w.condition)
		if yes, _ := v.(bool); err != nil || !yes {
			return 0, err
		}
	}
	if w.number == nil {
		return w.fixed, nil
	}
	v, err := b.eval(w.number)
	f, _ := v.(float64)
	return f, err
}

// fileFault is one fault in a scenario file.
type fileFault struct {
	line, column int // from 1, the column in characters
	message      string
}

// parseOptions are what a file is parsed with.
type parseOptions struct {
	file      string // its name in messages
	folder    fs.FS  // where the files are that it names; nil: nowhere
	variables variableRules
}

// variableRules are the rules for variables that expressions do not know.
type variableRules interface {
	// Check says what is wrong with a declaration, or "".
	Check(v fileVariable) string
	// Alias returns the one of the declared variables that means the same as name, or "".
	Alias(name string, declared []fileVariable) string
	// Values gives every variable, also those that need no declaration, a value of its
	// type.
	Values(declared []fileVariable) map[string]any
}

// hookKind is one of the tasks that a scenario runs beside its iterations.
type hookKind uint8

const (
	hookSetup      hookKind = iota // once, before the first iteration of the job
	hookTeardown                   // once, after the last
	hookVUSetup                    // of each VU, before its first iteration
	hookVUTeardown                 // of each VU, after its last
	numHooks
)

// String is the name in scenario files; in parentheses, it is that in statistics.
func (k hookKind) String() string {
	return [numHooks]string{"setup", "teardown", "vu_setup", "vu_teardown"}[k]
}

// groupNames are the groups that the steps of the file are in.
func (f *scenarioFile) groupNames() (names []string) {
	for i := range f.tasks {
		names = f.tasks[i].steps.addGroups(names)
	}
	for _, h := range f.hooks {
		if h != nil {
			names = h.steps.addGroups(names)
		}
	}
	return names
}

// addGroups adds the groups of the task's steps to names.
func (y *yamlTask) addGroups(names []string) []string {
	for i := range y.steps {
		if name := y.steps[i].group; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// groupHint helps with the name of a group that is none of names.
func groupHint(name string, names []string) string {
	if hint := textkit.DidYouMean(name, names); hint != "" {
		return hint
	}
	return textkit.List("; there are ", names)
}
