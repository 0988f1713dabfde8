package loadgen

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Limits of a scenario file, besides its size.
const (
	maxYAMLDepth    = 50
	maxSourceErrors = 20
	maxTasks        = 1000
	maxSteps        = 100
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
// name it, and [Scenario.Source] returns it. The file is not opened.
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
		return nil, fmt.Errorf("loadgen: expected a scenario file NAME.yaml, found %q", textkit.Shorten(file))
	}
	src, err := readIn(folder, file, MaxScenarioSize)
	if err != nil {
		return nil, fmt.Errorf("loadgen: scenario file %s: %w", file, err)
	}
	if dir := path.Dir(file); dir != "." {
		if folder, err = fs.Sub(folder, dir); err != nil {
			return nil, fmt.Errorf("loadgen: scenario file %s: %w", file, err)
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
	p := &yamlParser{file: file, folder: folder, vars: map[string]any{}}
	s = NewScenario(name)
	s.source, s.folder = source, folder
	p.parse(s, src)
	if len(p.errs) > 0 {
		slices.SortStableFunc(p.errs, func(a, b SourceError) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, !p.looked, &ScenarioError{File: file, Errors: p.errs}
	}
	return s, !p.looked, nil
}

// yamlParser walks the nodes of one file. It goes on after a fault, to report
// several at once.
type yamlParser struct {
	file  string
	lines [][]rune
	errs  []SourceError
	vars  map[string]any // every variable, with a value of its type

	folder  fs.FS // where the files are that the scenario names
	looked  bool  // into the folder
	feeders []*feederHead
	kept    []string    // names that the set-ups capture
	auth    *yamlHeader // of every request to the job's target, unless it says otherwise
}

func (p *yamlParser) parse(s *Scenario, src []byte) {
	if len(src) > MaxScenarioSize {
		p.errorAt(1, 1, "the file is larger than %d bytes", MaxScenarioSize)
		return
	}
	if !utf8.Valid(src) {
		p.errorAt(1+bytes.Count(src[:validPrefix(src)], []byte("\n")), 1, "the file is not UTF-8 text from this line on")
		return
	}
	p.lines = splitLines(string(src))
	root := p.document(src)
	if root == nil || !p.plain(root) {
		return
	}
	f, ok := p.fields(root, "a scenario", scenarioKeys())
	if !ok {
		return
	}
	if n := f["description"]; n != nil {
		s.description, _ = p.text(n, "the description")
	}
	if n := f["variables"]; n != nil {
		p.variables(s, n)
	}
	p.declare(s)
	p.secrets(s, f["secrets"])
	p.feederList(s, f["feeders"])
	p.session(s, f["session"])
	p.hook(s, hookSetup, f)
	p.hook(s, hookVUSetup, f)
	p.defaultAuth(f["auth"])
	p.hook(s, hookTeardown, f)
	p.hook(s, hookVUTeardown, f)
	if n := f["tasks"]; n != nil {
		p.tasks(s, n)
	} else {
		p.errorf(root, "tasks is missing: a scenario needs at least one task")
	}
	if n := f["thresholds"]; n != nil {
		p.thresholds(s, n)
	}
}

// splitLines splits a text where YAML does: besides \n, also at \r and at the line
// breaks of Unicode.
func splitLines(text string) [][]rune {
	lines := [][]rune{{}}
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
		switch r {
		case '\n', '\r', '\u0085', '\u2028', '\u2029':
			lines = append(lines, nil)
		default:
			lines[len(lines)-1] = append(lines[len(lines)-1], r)
		}
	}
	return lines
}

// document decodes the one document of the file.
func (p *yamlParser) document(src []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(src),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxYAMLDepth))))
	if err != nil {
		p.errorAt(1, 1, "%v", err)
		return nil
	}
	var doc, more yaml.Node
	if err := loader.Load(&doc); err != nil {
		p.syntax(err)
		return nil
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	switch err := loader.Load(&more); {
	case err == nil:
		p.errorf(&more, "expected the end of the file, found a second document: a file holds one scenario")
		return nil
	case !errors.Is(err, io.EOF):
		p.syntax(err)
		return nil
	}
	return root
}

// syntax reports what the decoder says about text that is not YAML.
func (p *yamlParser) syntax(err error) {
	var le *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		p.errorAt(1, 1, "the file is empty: a scenario needs at least one task")
	case errors.As(err, &le):
		msg := le.Message
		if le.ContextMsg != "" {
			msg = le.ContextMsg + ": " + msg
		}
		mark := le.Mark
		if mark.Line == 0 {
			mark = le.ContextMark
		}
		p.errorAt(max(mark.Line, 1), max(mark.Column, 1), "not valid YAML: %s", msg)
	default:
		p.errorAt(1, 1, "not valid YAML: %v", err)
	}
}

// variables reads the defaults.
func (p *yamlParser) variables(s *Scenario, n *yaml.Node) {
	p.pairs(n, "variables", func(key string, k, v *yaml.Node) {
		def, ok := p.scalar(v)
		switch {
		case !textkit.IsIdentifier(key):
			p.errorf(k, "%q cannot be a variable: expected letters, digits and _, not beginning with a digit", key)
			return
		case slices.Contains(reservedNames(), key):
			p.errorf(k, "%q cannot be a variable: expressions already have something of that name", key)
			return
		case !ok || def == nil:
			p.errorf(v, "variable %s: expected a text, number, true or false as its default, found %s", key, kindWord(v))
			return
		}
		variable := Variable{Name: key, Default: def}
		if msg := checkVariable(variable); msg != "" {
			p.errorf(v, "variable %s: %s", key, msg)
			return
		}
		if row := standardRow(key); row != nil {
			for _, other := range s.variables {
				if slices.Contains(row, other.Name) {
					p.errorf(k, "%s means the same as %s: declare one of them", key, other.Name)
					return
				}
			}
		}
		s.Variable(key, def)
	})
}

// declare gives the compiler every variable with its type.
func (p *yamlParser) declare(s *Scenario) {
	p.vars, _ = s.resolve(&JobConfig{}, nil)
}

// tasks reads the list of tasks.
func (p *yamlParser) tasks(s *Scenario, n *yaml.Node) {
	items, ok := p.list(n, "tasks")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > maxTasks {
		p.errorf(n, "expected 1 to %d tasks, found %d", maxTasks, len(items))
		return
	}
	seen := map[string]int{}
	for _, item := range items {
		t, at := p.task(item)
		if t.name == "" {
			continue
		}
		if line, twice := seen[t.name]; twice {
			p.errorf(at, "two tasks are named %q; the other is in line %d", t.name, line)
			continue
		}
		seen[t.name] = at.Line
		s.tasks = append(s.tasks, t)
	}
}

// thresholds reads the list of thresholds; the tasks are known.
func (p *yamlParser) thresholds(s *Scenario, n *yaml.Node) {
	items, ok := p.list(n, "thresholds")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > MaxThresholds {
		p.errorf(n, "expected 1 to %d thresholds, found %d", MaxThresholds, len(items))
		return
	}
	for _, item := range items {
		text, ok := p.text(item, "a threshold")
		if !ok {
			continue
		}
		t, err := ParseThreshold(text)
		switch names := s.TaskNames(); {
		case err != nil:
			p.errorf(item, "the %v", err)
		case t.Task != "" && !slices.Contains(names, t.Task):
			p.errorf(item, "the threshold %q: there is no task %q%s", textkit.Shorten(text), t.Task, textkit.DidYouMean(t.Task, names))
		case t.Group != "" && p.lacksGroup(s, item, t.Group):
		default:
			s.thresholds = append(s.thresholds, t)
		}
	}
}

// lacksGroup reports a threshold about a group that no step is in.
func (p *yamlParser) lacksGroup(s *Scenario, item *yaml.Node, group string) bool {
	hint, lacks := s.lacksGroup(group)
	if lacks {
		p.errorf(item, "the threshold %q: there is no group %q%s", textkit.Shorten(item.Value), group, hint)
	}
	return lacks
}

func validPrefix(src []byte) int {
	n := 0
	for n < len(src) {
		r, size := utf8.DecodeRune(src[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}
