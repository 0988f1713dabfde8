// Package scenariofile reads scenario files: YAML, decoded strictly, into a plain File.
package scenariofile

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// Parse reads a scenario file. It finds every fault, in the order of the file; only
// without one is the result of use, apart from whether the parser has looked into the
// folder.
func Parse(src []byte, options Options) (*File, []Fault) {
	p := &yamlParser{
		file: options.File, folder: options.Folder, variables: options.Variables,
		out: &File{}, vars: map[string]any{},
	}
	p.parse(src)
	slices.SortStableFunc(p.errs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p.out, p.errs
}

// yamlParser walks the nodes of one file. It goes on after a fault, to report
// several at once.
type yamlParser struct {
	file      string
	folder    fs.FS
	variables variableRules

	out   *File
	lines [][]rune
	errs  []Fault
	vars  map[string]any // every variable, with a value of its type

	feeders []*expr.FeederHead
	kept    []string // names that the set-ups capture
	auth    *Header  // of every request to the job's target, unless it says otherwise
}

func (p *yamlParser) parse(src []byte) {
	if len(src) > MaxFileSize {
		p.errorAt(1, 1, "the file is larger than %d bytes", MaxFileSize)
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
	f, ok := p.fields(root, "a scenario", ScenarioKeys())
	if !ok {
		return
	}
	if n := f["description"]; n != nil {
		p.out.Description, _ = p.text(n, "the description")
	}
	if n := f["variables"]; n != nil {
		p.declareAll(n)
	}
	p.vars = p.variables.Values(p.out.Variables)
	p.secrets(f["secrets"])
	p.feederList(f["feeders"])
	p.session(f["session"])
	p.hook(HookSetup, f)
	p.hook(HookVUSetup, f)
	p.defaultAuth(f["auth"])
	p.hook(HookTeardown, f)
	p.hook(HookVUTeardown, f)
	if n := f["tasks"]; n != nil {
		p.tasks(n)
	} else {
		p.errorf(root, "tasks is missing: a scenario needs at least one task")
	}
	if n := f["thresholds"]; n != nil {
		p.thresholds(n)
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

// declareAll reads the variables with their defaults.
func (p *yamlParser) declareAll(n *yaml.Node) {
	p.pairs(n, "variables", func(key string, k, v *yaml.Node) {
		def, ok := p.scalar(v)
		switch {
		case !textkit.IsIdentifier(key):
			p.errorf(k, "%q cannot be a variable: expected letters, digits and _, not beginning with a digit", key)
			return
		case slices.Contains(expr.ReservedNames(), key):
			p.errorf(k, "%q cannot be a variable: expressions already have something of that name", key)
			return
		case !ok || def == nil:
			p.mismatch(v, "variable %s: expected a text, number, true or false as its default, found %s", key, kindWord(v))
			return
		}
		if losesDigits(v) {
			p.errorf(v, "variable %s: the number %s has more digits than can be computed with: write it in quotes, and all of them are kept", key, textkit.Shorten(v.Value))
			return
		}
		variable := Variable{key, def}
		if msg := p.variables.Check(variable); msg != "" {
			p.errorf(v, "variable %s: %s", key, msg)
			return
		}
		if other := p.variables.Alias(key, p.out.Variables); other != "" {
			p.errorf(k, "%s means the same as %s: declare one of them", key, other)
			return
		}
		p.out.Variables = append(p.out.Variables, variable)
	})
}

// tasks reads the list of tasks.
func (p *yamlParser) tasks(n *yaml.Node) {
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
		if t.Name == "" {
			continue
		}
		if line, twice := seen[t.Name]; twice {
			p.errorf(at, "two tasks are named %q; the other is in line %d", t.Name, line)
			continue
		}
		seen[t.Name] = at.Line
		p.out.Tasks = append(p.out.Tasks, t)
	}
}

// thresholds reads the list of thresholds; the tasks are known.
func (p *yamlParser) thresholds(n *yaml.Node) {
	items, ok := p.list(n, "thresholds")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > stats.MaxThresholds {
		p.errorf(n, "expected 1 to %d thresholds, found %d", stats.MaxThresholds, len(items))
		return
	}
	var names []string
	for _, t := range p.out.Tasks {
		names = append(names, t.Name)
	}
	groups := p.out.groupNames()
	for _, item := range items {
		text, ok := p.text(item, "a threshold")
		if !ok {
			continue
		}
		t, err := stats.ParseThreshold(text)
		switch {
		case err != nil:
			p.errorf(item, "the %v", err)
		case t.Task != "" && !slices.Contains(names, t.Task):
			p.errorf(item, "the threshold %q: there is no task %q%s", textkit.Shorten(text), t.Task, textkit.DidYouMean(t.Task, names))
		case t.Group != "" && !slices.Contains(groups, t.Group):
			p.errorf(item, "the threshold %q: there is no group %q%s", textkit.Shorten(text), t.Group, GroupHint(t.Group, groups))
		default:
			p.out.Thresholds = append(p.out.Thresholds, t)
		}
	}
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
