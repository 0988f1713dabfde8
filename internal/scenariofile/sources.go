package scenariofile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/textkit"
)

// readFile reads a file of the scenario's folder.
func (p *yamlParser) readFile(name string) ([]byte, error) {
	p.out.Looked = true
	return feed.ReadIn(p.folder, name, escape.MaxRendered)
}

// secrets reads the names of environment variables that are secrets. To expressions
// they are texts.
func (p *yamlParser) secrets(n *yaml.Node) {
	if n == nil {
		return
	}
	items, ok := p.list(n, "secrets")
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > maxSecrets {
		p.errorf(n, "expected 1 to %d names of environment variables, found %d", maxSecrets, len(items))
	}
	for _, item := range items {
		name, ok := p.text(item, "the name of an environment variable")
		if !ok || !p.newName(item, name, "a secret") {
			continue
		}
		p.vars[name] = ""
		p.out.Secrets = append(p.out.Secrets, name)
	}
}

// newName checks a name that expressions are to know something by.
func (p *yamlParser) newName(n *yaml.Node, name, what string) bool {
	_, taken := p.vars[name]
	switch {
	case !textkit.IsIdentifier(name):
		p.errorf(n, "%q cannot be the name of %s: expected letters, digits and _, not beginning with a digit", textkit.Shorten(name), what)
	case slices.Contains(expr.ReservedNames(), name):
		p.errorf(n, "%q cannot be the name of %s: expressions already have something of that name", textkit.Shorten(name), what)
	case taken:
		p.errorf(n, "%q is a variable or secret already", textkit.Shorten(name))
	default:
		return true
	}
	return false
}

// feederList reads the feeders.
func (p *yamlParser) feederList(n *yaml.Node) {
	if n == nil {
		return
	}
	p.pairs(n, "feeders", func(name string, k, v *yaml.Node) {
		if len(p.out.Feeders) == maxFeeders {
			p.errorf(k, "expected at most %d feeders", maxFeeders)
			return
		}
		if !p.newName(k, name, "a feeder") {
			return
		}
		def, at, ok := p.feeder(v)
		if !ok {
			return
		}
		def.Name, def.Folder = name, p.folder
		p.out.Looked = true
		columns, err := feed.ReadColumns(&def)
		if err != nil {
			p.errorf(at, "%v", err)
		}
		p.out.Feeders = append(p.out.Feeders, Feeder{def, columns})
		p.feeders = append(p.feeders, &expr.FeederHead{Name: name, Index: len(p.feeders), Columns: columns})
	})
}

// feeder reads one feeder: the name of its file, or a map. The node is that of the
// file.
func (p *yamlParser) feeder(n *yaml.Node) (def feed.Definition, at *yaml.Node, ok bool) {
	f := map[string]*yaml.Node{"file": n}
	if n.Kind != yaml.ScalarNode {
		if f, ok = p.fields(n, "a feeder", FeederKeys()); !ok {
			return def, n, false
		}
	}
	if at = f["file"]; at == nil {
		p.errorf(n, "the feeder has no file, such as \"file: users.csv\"")
		return def, n, false
	}
	faults := len(p.errs)
	def.File, _ = p.text(at, "the name of a file such as users.csv")
	word := func(key string) string {
		if f[key] == nil {
			return ""
		}
		text, _ := p.text(f[key], "a word")
		return text
	}
	def.Format, def.Order, def.AtEnd = word("format"), word("order"), word("at_end")
	if d := word("delimiter"); d != "" {
		if utf8.RuneCountInString(d) != 1 {
			p.errorf(f["delimiter"], "expected one character such as ; as the delimiter, found %q", textkit.Shorten(d))
		}
		def.Delimiter, _ = utf8.DecodeRuneInString(d)
	}
	if len(p.errs) > faults {
		return def, at, false
	}
	if msg := def.Check(); msg != "" {
		where := at
		for _, key := range []string{"format", "delimiter", "order", "at_end"} {
			if f[key] != nil && def.CheckWithout(key) == "" {
				where = f[key]
			}
		}
		p.errorf(where, "%s", msg)
		return def, at, false
	}
	return def, at, true
}

// session reads for how long a session lasts.
func (p *yamlParser) session(n *yaml.Node) {
	if n == nil {
		return
	}
	text, ok := p.text(n, "vu or iteration")
	switch {
	case !ok:
	case text == "iteration":
		p.out.NewSession = true
	case text != "vu":
		p.errorf(n, "expected vu or iteration, for how long cookies and connections are kept, found %q", textkit.Shorten(text))
	}
}

// hook reads a set-up or tear-down: a list of steps. What a set-up captures, all
// iterations know.
func (p *yamlParser) hook(kind HookKind, f map[string]*yaml.Node) {
	n := f[kind.String()]
	if n == nil {
		return
	}
	y := &Task{name: kind.String()}
	known := p.stepList(y, kind.String(), n, nil, kind)
	if kind == HookSetup || kind == HookVUSetup {
		p.kept = known
	}
	p.out.Hooks[kind] = &Hook{Steps: y, Source: nodeText(n)}
}

// nodeText is what a node says, wherever and in whatever style that is written.
func nodeText(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.ShortTag() + strconv.Quote(n.Value)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d(", n.Kind)
	for _, c := range n.Content {
		out.WriteString(nodeText(c))
		out.WriteByte(',')
	}
	out.WriteByte(')')
	return out.String()
}

// defaultAuth reads the credentials of all tasks.
func (p *yamlParser) defaultAuth(n *yaml.Node) {
	if n == nil {
		return
	}
	p.auth = p.credentials(n, p.scope(expr.InRequest, p.kept, NumHooks))
}

// authorize gives a step its credentials: its own, or those of all tasks if it goes
// to the job's target.
func (p *yamlParser) authorize(s *Step, n *yaml.Node, scope *expr.Scope, kind HookKind) {
	own := slices.ContainsFunc(s.Headers, func(h Header) bool { return h.Name == "Authorization" })
	if n == nil {
		atTarget := strings.HasPrefix(s.Target.Prefix(), "/")
		if p.auth != nil && !own && atTarget && (kind == NumHooks || kind == HookVUTeardown) {
			s.Headers = append(s.Headers, *p.auth)
		}
		return
	}
	if n.Kind == yaml.ScalarNode && n.Value == "none" {
		return
	}
	if own {
		p.errorf(n, "the header Authorization is there already: a request has either that or auth")
		return
	}
	if h := p.credentials(n, scope); h != nil {
		s.Headers = append(s.Headers, *h)
	}
}

// credentials reads the value of auth, which becomes a header.
func (p *yamlParser) credentials(n *yaml.Node, scope *expr.Scope) *Header {
	if n.Kind == yaml.ScalarNode {
		p.errorf(n, "expected {bearer: TOKEN}, {user: NAME, password: PASSWORD} or none, found %s", kindWord(n))
		return nil
	}
	f, ok := p.fields(n, "auth", AuthKeys())
	if !ok {
		return nil
	}
	h := &Header{Name: "Authorization"}
	switch {
	case f["bearer"] != nil && (f["user"] != nil || f["password"] != nil):
		p.errorf(n, "expected either bearer, or user and password, found both")
		return nil
	case f["bearer"] != nil:
		h.Value.Literal("Bearer ")
		h.Value.Add(p.template(f["bearer"], "the token", escape.Header, scope))
	case f["user"] != nil:
		h.Basic = true
		if strings.Contains(f["user"].Value, ":") && !strings.Contains(f["user"].Value, "${") {
			p.errorf(f["user"], "the name of a user cannot hold a colon, which ends it")
		}
		h.Value = p.template(f["user"], "the user's name", escape.None, scope)
		h.Value.Literal(":")
		if f["password"] != nil {
			h.Value.Add(p.template(f["password"], "the password", escape.None, scope))
		}
	default:
		p.errorf(n, "the password has no user")
		return nil
	}
	return h
}
