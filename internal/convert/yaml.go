package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// YAML is the scenario file.
func (s *Scenario) YAML() ([]byte, error) {
	root := mapping()
	put(root, "description", str(cleanName(s.Title)))
	vars, secrets := mapping(), &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range s.Vars {
		if v.Secret {
			secrets.Content = append(secrets.Content, str(v.Name))
		} else {
			value := str(v.Value)
			if v.Number {
				value = &yaml.Node{Kind: yaml.ScalarNode, Value: v.Value}
			}
			put(vars, v.Name, value)
		}
	}
	if len(vars.Content) > 0 {
		put(root, "variables", vars)
	}
	if len(secrets.Content) > 0 {
		secrets.HeadComment = "# Environment variables that a run needs; their values are not written here, nor shown."
		put(root, "secrets", secrets)
	}
	if len(s.Setup) > 0 {
		put(root, "setup", stepsNode(s.Setup))
	}
	if len(s.VUSetup) > 0 {
		put(root, "vu_setup", stepsNode(s.VUSetup))
	}
	tasks := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range s.Tasks {
		tasks.Content = append(tasks.Content, s.Tasks[i].node())
	}
	put(root, "tasks", tasks)
	tasks.FootComment = comment(s.After)
	var out bytes.Buffer
	out.WriteString(s.head())
	// A line that is wrapped would part an expression.
	enc, err := yaml.NewDumper(&out, yaml.WithV3Defaults(), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, err
	}
	if err := enc.Dump(root); err != nil {
		return nil, err
	}
	err = enc.Close()
	return out.Bytes(), err
}

// head is the comment at the top.
func (s *Scenario) head() string {
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=https://raw.githubusercontent.com/opbeans/loadgen/main/scenarios/schema.json\n")
	if s.source != "" {
		fmt.Fprintf(&b, "# Made of %s by loadgen from.\n", cleanName(s.source))
	}
	if s.BaseURL != "" {
		fmt.Fprintf(&b, "# The target was %s; -url says which it is now.\n", cleanName(s.BaseURL))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "# - %s\n", cleanNote(n))
	}
	if s.skipped > 0 {
		fmt.Fprintf(&b, "# - and %d notes more\n", s.skipped)
	}
	return b.String()
}

func cleanNote(s string) string {
	return strings.Map(func(r rune) rune {
		if unfit(r) || r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func (t *Task) node() *yaml.Node {
	n := mapping()
	n.HeadComment = comment(t.Comments)
	put(n, "name", str(t.Name))
	if t.When != "" {
		put(n, "when", str(t.When))
	}
	if t.Share != "" {
		put(n, "weight", share(t.Share))
	}
	if t.Weight >= 0 {
		w := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(t.Weight), LineComment: t.Why}
		put(n, "weight", w)
	}
	if len(t.Steps) == 1 && t.Steps[0].Think == "" {
		t.Steps[0].fill(n)
		n.HeadComment = comment(append(slices.Clone(t.Comments), t.Steps[0].Comments...))
		afterwards(n, t.Steps[0].After)
		return n
	}
	if t.Think[0] > 0 {
		think := t.Think[0].String()
		if t.Think[1] > t.Think[0] {
			think += ".." + t.Think[1].String()
		}
		put(n, "think", str(think))
	}
	put(n, "steps", stepsNode(t.Steps))
	return n
}

func stepsNode(list []Step) *yaml.Node {
	steps := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range list {
		step := mapping()
		list[i].fill(step)
		if list[i].Think != "" {
			put(step, "think", str(list[i].Think))
		}
		step.HeadComment = comment(list[i].Comments)
		afterwards(step, list[i].After)
		steps.Content = append(steps.Content, step)
	}
	return steps
}

// afterwards puts comments on what comes after a request before its last key, since a
// comment at its end would be read with what follows.
func afterwards(n *yaml.Node, lines []string) {
	if key := n.Content[len(n.Content)-2]; len(lines) > 0 {
		key.HeadComment = comment(append([]string{"after this request:"}, lines...))
	}
}

// comment is a comment of several lines.
func comment(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("# " + cleanNote(line) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// share is a weight: a number, or an expression.
func share(s string) *yaml.Node {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	}
	return str("${" + s + "}")
}

// fill adds the keys of a request.
func (p *Step) fill(n *yaml.Node) {
	put(n, "request", str(p.Method+" "+p.Target))
	if len(p.Header)+len(p.Without) > 0 {
		m := fields(p.Header)
		for _, name := range p.Without {
			put(m, name, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
		}
		put(n, "headers", m)
	}
	if p.Auth != nil {
		m := mapping()
		put(m, "user", str(p.Auth[0]))
		put(m, "password", str(p.Auth[1]))
		put(n, "auth", m)
	}
	switch b := p.Body.(type) {
	case nil:
	case form:
		put(n, "form", fields(b))
	case parts:
		put(n, "multipart", b.node())
	case bodyFile:
		m := mapping()
		put(m, "file", str(string(b)))
		put(n, "body", m)
	case text:
		put(n, "body", str(string(b)))
	default:
		put(n, "json", value(b))
	}
	if p.NoRedirect {
		put(n, "redirects", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"})
	}
	if p.Statuses != "" {
		statuses := str(p.Statuses)
		if _, err := strconv.Atoi(p.Statuses); err == nil {
			statuses = &yaml.Node{Kind: yaml.ScalarNode, Value: p.Statuses}
		}
		put(n, "expect", statuses)
	}
	if len(p.Captures) > 0 {
		put(n, "capture", fields(p.Captures))
	}
	if len(p.Checks) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, c := range p.Checks {
			list.Content = append(list.Content, str(c))
		}
		put(n, "check", list)
	}
	if p.Expect != 0 {
		put(n, "expect", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(p.Expect)})
	}
}

// node is a multipart body: a map, or a list where a map would change the order.
func (b parts) node() *yaml.Node {
	m, list := mapping(), &yaml.Node{Kind: yaml.SequenceNode}
	seen, ordered := map[string]bool{}, true
	for i, x := range b {
		ordered = ordered && (!seen[x.name] || b[i-1].name == x.name)
		seen[x.name] = true
		add(m, x.name, x.node())
		one := mapping()
		put(one, x.name, x.node())
		list.Content = append(list.Content, one)
	}
	if ordered {
		return m
	}
	return list
}

func (x *part) node() *yaml.Node {
	if !x.named && x.contentType == "" && x.file == "" && len(x.header) == 0 {
		return str(x.content)
	}
	m := mapping()
	if x.named {
		put(m, "filename", str(x.filename))
	} else if x.file != "" {
		put(m, "filename", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
	}
	if x.contentType != "" {
		put(m, "content_type", str(x.contentType))
	}
	if len(x.header) > 0 {
		put(m, "headers", fields(x.header))
	}
	if x.file != "" {
		put(m, "file", str(x.file))
	} else {
		put(m, "content", str(x.content))
	}
	return m
}

// Files are the names of the files that have to be beside the scenario.
func (s *Scenario) Files() (names []string) {
	all := slices.Concat(s.Setup, s.VUSetup)
	for _, t := range s.Tasks {
		all = append(all, t.Steps...)
	}
	for _, step := range all {
		switch b := step.Body.(type) {
		case bodyFile:
			names = append(names, string(b))
		case parts:
			for _, p := range b {
				if p.file != "" {
					names = append(names, p.file)
				}
			}
		}
	}
	return names
}

// write appends all texts of a task.
func (t *Task) write(b *strings.Builder) {
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		b.WriteString(n.Value + "\n")
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(t.node())
}

// value is a JSON value, whose texts are templates.
func value(v any) *yaml.Node {
	switch v := v.(type) {
	case object:
		m := mapping()
		for _, x := range v {
			put(m, literal(x.name), value(x.value))
		}
		if len(v) == 0 {
			m.Style = yaml.FlowStyle
		}
		return m
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, x := range v {
			list.Content = append(list.Content, value(x))
		}
		if len(v) == 0 {
			list.Style = yaml.FlowStyle
		}
		return list
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case string:
		return str(v)
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func fields(list []Field) *yaml.Node {
	m := mapping()
	for _, f := range list {
		add(m, f.Name, str(f.Value))
	}
	return m
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func str(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func put(m *yaml.Node, name string, v *yaml.Node) { m.Content = append(m.Content, str(name), v) }

// add puts a value under a name that may be there already: then it becomes a list.
func add(m *yaml.Node, name string, v *yaml.Node) {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value != name {
			continue
		}
		if old := m.Content[i+1]; old.Kind == yaml.SequenceNode {
			old.Content = append(old.Content, v)
		} else {
			m.Content[i+1] = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{old, v}}
		}
		return
	}
	put(m, name, v)
}
