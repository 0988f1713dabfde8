package scenariofile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/textkit"
)

// The keys of each kind of map in a scenario file. The JSON Schema lists the
// same, which a test holds in step.

// ScenarioKeys are those of a scenario.
func ScenarioKeys() []string {
	return []string{
		"description", "variables", "thresholds", "secrets", "feeders", "session", "auth",
		"setup", "vu_setup", "tasks", "vu_teardown", "teardown",
	}
}

// TaskKeys are those of a task.
func TaskKeys() []string {
	return append([]string{"name", "weight", "when", "steps", "think"}, requestKeys()...)
}

// StepKeys are those of a step.
func StepKeys() []string { return append(requestKeys(), "if", "think") }

// GroupKeys are those of a group of steps.
func GroupKeys() []string { return []string{"group", "steps", "think"} }

func requestKeys() []string {
	return []string{
		"request", "headers", "auth", "expect", "redirects", "json", "body", "form", "multipart", "capture", "check",
	}
}

// FeederKeys are those of a feeder.
func FeederKeys() []string { return []string{"file", "format", "delimiter", "order", "at_end"} }

// AuthKeys are those of credentials.
func AuthKeys() []string { return []string{"user", "password", "bearer"} }

// BodyFileKeys are those of a body that is a file.
func BodyFileKeys() []string { return []string{"file", "content_type", "template"} }

// FileKeys are those of a file in a multipart form.
func FileKeys() []string {
	return []string{"filename", "content_type", "content", "file", "template", "headers"}
}

// errorf reports a fault at a node.
func (p *yamlParser) errorf(n *yaml.Node, format string, args ...any) {
	p.errorAt(max(n.Line, 1), max(n.Column, 1), format, args...)
}

func (p *yamlParser) errorAt(line, column int, format string, args ...any) {
	switch {
	case len(p.errs) < maxSourceErrors:
		p.errs = append(p.errs, Fault{line, column, fmt.Sprintf(format, args...)})
	case len(p.errs) == maxSourceErrors:
		p.errs = append(p.errs, Fault{math.MaxInt32, 1, "there are more errors"})
	}
}

// errorIn reports a fault at an offset in runes within a text.
func (p *yamlParser) errorIn(n *yaml.Node, offset int, message string) {
	line, column := p.position(n, offset)
	p.errorAt(line, column, "%s", message)
}

// plain refuses what the format has no use for: references within the document
// and types of one's own.
func (p *yamlParser) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		p.errorf(n, "expected a value, found an alias: anchors and aliases are not supported")
		return false
	case n.Anchor != "":
		p.errorf(n, "anchors and aliases are not supported: remove &%s", textkit.Shorten(n.Anchor))
		return false
	}
	switch tag := n.ShortTag(); tag {
	case "", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp", "!!merge":
	default:
		p.errorf(n, "the tag %s is not supported", textkit.Shorten(tag))
		return false
	}
	for _, c := range n.Content {
		if !p.plain(c) {
			return false
		}
	}
	return true
}

// pairs calls back for each entry of a map, and reports keys that come twice.
func (p *yamlParser) pairs(n *yaml.Node, what string, each func(key string, k, v *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		p.errorf(n, "expected %s as a map, found %s", what, kindWord(n))
		return false
	}
	if len(n.Content) == 0 {
		p.errorf(n, "expected %s with at least one entry, found an empty map", what)
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			p.errorf(k, "expected a key, found %s", kindWord(k))
			continue
		}
		if line, twice := seen[k.Value]; twice {
			p.errorf(k, "the key %q is already in line %d", textkit.Shorten(k.Value), line)
			continue
		}
		seen[k.Value] = k.Line
		each(k.Value, k, v)
	}
	return true
}

// fields reads a map with a fixed set of keys.
func (p *yamlParser) fields(n *yaml.Node, what string, known []string) (map[string]*yaml.Node, bool) {
	out := map[string]*yaml.Node{}
	ok := p.pairs(n, what, func(key string, k, v *yaml.Node) {
		switch {
		case !slices.Contains(known, key):
			hint := textkit.DidYouMean(key, known)
			if hint == "" {
				hint = "; " + what + " has " + strings.Join(known, ", ")
			}
			p.errorf(k, "unknown key %q%s", textkit.Shorten(key), hint)
		case v.ShortTag() == "!!null" && key != "json" && key != "filename":
			p.errorf(k, "%s has no value", key)
		default:
			out[key] = v
		}
	})
	return out, ok
}

func (p *yamlParser) list(n *yaml.Node, what string) ([]*yaml.Node, bool) {
	if n.Kind != yaml.SequenceNode {
		p.errorf(n, "expected %s as a list, found %s", what, kindWord(n))
		return nil, false
	}
	return n.Content, true
}

// text reads a text. A number or a word like true is not one unless quoted, so
// that nobody is surprised by what 1e3 or no turn into.
func (p *yamlParser) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || (n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp") {
		p.errorf(n, "expected %s as text, found %s", what, kindWord(n))
		return "", false
	}
	return n.Value, true
}

// written reads any scalar but null as it is written, for texts in which a number
// can only mean its digits.
func (p *yamlParser) written(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		p.errorf(n, "expected %s, found %s", what, kindWord(n))
		return "", false
	}
	return n.Value, true
}

// scalar reads a string, bool, int64, float64 or null (nil).
func (p *yamlParser) scalar(n *yaml.Node) (any, bool) {
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	if oddNumber(n) != "" {
		return nil, false
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!int":
		var i int64
		if err := n.Decode(&i); err == nil {
			return i, true
		}
		fallthrough // too large for an int64
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		return f, true
	}
	return n.Value, true
}

// mismatch reports that a value is not what was expected. A number that people read
// otherwise than YAML gets an explanation instead.
func (p *yamlParser) mismatch(n *yaml.Node, format string, args ...any) {
	if why := oddNumber(n); why != "" {
		p.errorf(n, "%s", why)
		return
	}
	p.errorf(n, format, args...)
}

// oddNumber explains a number of YAML that people would not read as that number, or that
// would lose digits: a postcode such as 01234, which is octal to YAML, 1_000, or a
// telephone number such as +49151. It is "" for others.
func oddNumber(n *yaml.Node) string {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		return ""
	}
	text := strings.TrimPrefix(n.Value, "-")
	digits := strings.HasPrefix(text, "0") && len(text) > 1 && '0' <= text[1] && text[1] <= '9'
	if !digits && !strings.HasPrefix(text, "+") && !strings.Contains(text, "_") {
		return ""
	}
	var v any
	if n.Decode(&v) != nil {
		return ""
	}
	return fmt.Sprintf("found %s, which YAML reads as the number %v: write \"%[1]s\" with its quotes for the text, or %[2]v for the number", textkit.Shorten(n.Value), v)
}

// losesDigits tells whether a number has more digits than one keeps that is computed with.
func losesDigits(n *yaml.Node) bool {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		return false
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(n.Value), "e")
	mantissa = strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(mantissa), "0")
	var i int64
	return len(mantissa) > 17 && (tag == "!!float" || n.Decode(&i) != nil)
}

// kindWord says what was found, for messages.
func kindWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	value := textkit.Shorten(n.Value)
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return value
	}
	return "the text " + strconv.Quote(value)
}

// position finds where a rune of a text stands in the file. It follows the text
// through quotes, escapes, folded lines and block indentation, and stops at the
// last place it is sure of.
func (p *yamlParser) position(n *yaml.Node, offset int) (line, column int) {
	if n.Style == wholeFile {
		return placeIn(n.Value, offset)
	}
	w := sourceWalk{lines: p.lines, line: n.Line - 1, column: n.Column - 1}
	block := n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case block:
		w.enterBlock()
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.quote = w.at()
		w.column++
	}
	for _, r := range n.Value {
		if offset == 0 || !w.step(r) {
			break
		}
		offset--
	}
	w.settle()
	return w.line + 1, w.column + 1
}

// wholeFile marks a text that is all of a file, so that its places are those of the
// file.
const wholeFile yaml.Style = 1 << 20

// placeIn is the line and column of a rune of a text.
func placeIn(text string, offset int) (line, column int) {
	line, column = 1, 1
	for _, r := range text {
		if offset--; offset < 0 {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}

// sourceWalk is a place in the source that moves along with a text.
type sourceWalk struct {
	lines        [][]rune
	line, column int
	quote        rune // ' or " or 0
	indent       int  // of a block
	block        bool
}

// at is the rune at the place, or 0 at the end of a line.
func (w *sourceWalk) at() rune {
	if w.line < 0 || w.line >= len(w.lines) || w.column >= len(w.lines[w.line]) {
		return 0
	}
	return w.lines[w.line][w.column]
}

func (w *sourceWalk) blank() int {
	n := 0
	for n < len(w.lines[w.line]) && w.lines[w.line][n] == ' ' {
		n++
	}
	return n
}

// enterBlock moves to the first line of a block text.
func (w *sourceWalk) enterBlock() {
	first := w.line + 1
	for w.line = first; w.line < len(w.lines); w.line++ {
		if n := w.blank(); n < len(w.lines[w.line]) {
			w.block, w.indent = true, n
			break
		}
	}
	w.line, w.column = first, w.indent
}

// step moves over one rune of the text, if the source shows it here.
func (w *sourceWalk) step(r rune) bool {
	c := w.at()
	switch {
	case c == 0 && (r == '\n' || r == ' ') && w.line+1 < len(w.lines) && (w.block || r == ' '):
		w.line++
		w.column = w.indent
		if !w.block {
			w.column = w.blank()
		}
	case w.quote == '\'' && c == '\'' && r == '\'':
		w.column += 2
	case w.quote == '"' && c == '\\':
		return w.escape()
	case c == r && c != 0:
		w.column++
	default:
		return false
	}
	return true
}

// escape moves over an escape of a double-quoted text.
func (w *sourceWalk) escape() bool {
	w.column++
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[w.at()]
	if w.at() == 0 {
		return false // a line that is joined to the next
	}
	w.column += 1 + digits
	return true
}

// settle keeps the place within the file.
func (w *sourceWalk) settle() {
	w.line = max(0, min(w.line, len(w.lines)-1))
	w.column = max(w.column, 0)
}
