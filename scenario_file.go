package loadgen

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/textkit"
)

// SourceError is one fault in a scenario file.
type SourceError struct {
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`
}

// ScenarioError lists the faults of a scenario file, in the order of the file.
type ScenarioError struct {
	File   string        `json:"file"`
	Errors []SourceError `json:"errors"`
}

// Error lists the faults, one to a line, each with file, line and column.
func (e *ScenarioError) Error() string {
	lines := make([]string, len(e.Errors))
	for i, s := range e.Errors {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.File, s.Line, s.Column, s.Message)
	}
	return strings.Join(lines, "\n")
}

// ParseScenario reads a scenario in YAML; docs/scenarios.md describes the format.
// The error is a [*ScenarioError] that lists every fault found, and calls the
// file by the scenario's name.
func ParseScenario(name string, src []byte) (*Scenario, error) {
	return parseScenario(name, name, "", nil, src)
}

// ParseScenarioFile is [ParseScenario] for text that was read from a file: errors
// name it, and [Scenario.File] returns it. The file is not opened.
func ParseScenarioFile(name, file string, src []byte) (*Scenario, error) {
	return parseScenario(name, file, file, nil, src)
}

// LoadScenario reads a scenario file of a folder, such as os.DirFS("scenarios"). The
// scenario is named like the file, without .yaml. The files that it names, for
// feeders and bodies, are read from the folder, and from nowhere else.
//
// The error is a [*ScenarioError] if the file does not parse.
func LoadScenario(folder fs.FS, file string) (*Scenario, error) {
	name, ok := scenarioName(path.Base(file))
	if !ok {
		return nil, fmt.Errorf("expected a scenario file NAME.yaml, found %q", textkit.Shorten(file))
	}
	src, err := feed.ReadIn(folder, file, MaxScenarioSize)
	if err != nil {
		return nil, fmt.Errorf("scenario file %s: %w", file, err)
	}
	if dir := path.Dir(file); dir != "." {
		if folder, err = fs.Sub(folder, dir); err != nil {
			return nil, fmt.Errorf("scenario file %s: %w", file, err)
		}
	}
	return parseScenario(name, file, file, folder, src)
}

func parseScenario(name, file, source string, folder fs.FS, src []byte) (*Scenario, error) {
	s, _, err := parseText(name, file, source, folder, src)
	return s, err
}

// parseText is parseScenario, and tells whether what has come of it depends on the text
// alone, and on no other file.
func parseText(name, file, source string, folder fs.FS, src []byte) (s *Scenario, alone bool, err error) {
	f, faults := scenariofile.Parse(src, scenariofile.Options{File: file, Folder: folder, Variables: standardRules{}})
	if len(faults) > 0 {
		se := &ScenarioError{File: file}
		for _, fault := range faults {
			se.Errors = append(se.Errors, SourceError{Line: fault.Line, Column: fault.Column, Message: fault.Message})
		}
		return nil, !f.Looked, se
	}
	s = NewScenario(name)
	s.source, s.folder = source, folder
	s.take(f)
	return s, !f.Looked, nil
}

// take makes s what a file says.
func (s *Scenario) take(f *scenariofile.File) {
	s.description, s.newSession = f.Description, f.NewSession
	for _, v := range f.Variables {
		s.variables = append(s.variables, Variable{Name: v.Name, Default: v.Def})
	}
	s.secrets = f.Secrets
	for _, d := range f.Feeders {
		s.feeders = append(s.feeders, namedFeeder{
			name: d.Def.Name,
			Feeder: Feeder{
				File: d.Def.File, Format: d.Def.Format, Delimiter: d.Def.Delimiter,
				Order: FeedOrder(d.Def.Order), AtEnd: FeedEnd(d.Def.AtEnd),
			},
			fixed: true, columns: d.Columns,
		})
	}
	for kind, h := range f.Hooks {
		if h != nil {
			s.hooks[kind] = &hook{bind: binderOf(h.Steps), source: h.Source, yaml: h.Steps}
		}
	}
	for i := range f.Tasks {
		t := &f.Tasks[i]
		s.tasks = append(s.tasks, task{name: t.Name, weight: t.Weight.Of, bind: binderOf(t.Steps), yaml: t.Steps})
	}
	s.thresholds = f.Thresholds
}

// standardRules are the rules for the variables of a file.
type standardRules struct{}

// Check implements the interface of the parser.
func (standardRules) Check(v scenariofile.Variable) string {
	return checkVariable(Variable{Name: v.Name, Default: v.Def})
}

// Alias implements the interface of the parser.
func (standardRules) Alias(name string, declared []scenariofile.Variable) string {
	row := standardRow(name)
	for _, v := range declared {
		if slices.Contains(row, v.Name) {
			return v.Name
		}
	}
	return ""
}

// Values implements the interface of the parser.
func (standardRules) Values(declared []scenariofile.Variable) map[string]any {
	s := &Scenario{}
	for _, v := range declared {
		s.variables = append(s.variables, Variable{Name: v.Name, Default: v.Def})
	}
	vars, _ := s.resolve(&JobConfig{}, nil)
	return vars
}
