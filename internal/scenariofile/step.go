package scenariofile

import (
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/textkit"
)

// step reads a request with all that belongs to it. known are the names that are
// captured so far; those of this step are added.
func (p *yamlParser) step(f map[string]*yaml.Node, label string, known *[]string, kind HookKind) Step {
	s := Step{Label: label, Expect: statusRange(200, 399), Expected: "2xx or 3xx"}
	scope := p.scope(expr.InRequest, *known, kind)
	if n := f["if"]; n != nil {
		s.If = p.wholeExpr(n, reflect.Bool, scope)
	}
	bare := p.request(&s, f["request"], scope)
	if n := f["headers"]; n != nil {
		p.headers(&s, n, scope)
	}
	p.authorize(&s, f["auth"], scope, kind)
	p.body(&s, f, scope)
	if s.Body.Kind != BodyNone && bare {
		p.errorf(f["request"], "a request with a body needs its method, such as \"POST %s\"", textkit.Shorten(f["request"].Value))
	}
	if n := f["expect"]; n != nil {
		s.Expect, s.Expected = p.expect(n)
	}
	if n := f["redirects"]; n != nil {
		v, _ := p.scalar(n)
		follow, ok := v.(bool)
		if !ok {
			p.errorf(n, "expected true or false, whether redirects are followed, found %s", kindWord(n))
		}
		s.NoRedirect = ok && !follow
	}
	after := p.scope(expr.InResponse, *known, kind)
	if n := f["capture"]; n != nil {
		p.captures(&s, n, after)
		*known = after.Captures
	}
	if n := f["check"]; n != nil {
		p.checks(&s, n, after)
	}
	s.Simple = len(s.Captures) == 0 && !slices.ContainsFunc(s.Checks, func(e *expr.Expression) bool { return !e.IsLimit() })
	return s
}

// request reads "METHOD target", and tells whether the method was left out.
func (p *yamlParser) request(s *Step, n *yaml.Node, scope *expr.Scope) (bare bool) {
	source, ok := p.text(n, "a request such as \"GET /path\"")
	if !ok {
		return false
	}
	method, target, offset, err := splitRequest(source)
	if err != nil {
		p.errorf(n, "%v", err)
		return false
	}
	s.Method = method
	segments, fault := expr.SplitTemplate(target)
	shift := len([]rune(source[:offset]))
	if fault != nil {
		p.errorIn(n, shift+fault.Offset, fault.Message)
		return false
	}
	targets := *scope
	targets.Place = expr.InTarget
	how := escape.Path
	for i, seg := range segments {
		if !seg.IsExpr {
			if msg := checkTargetText(seg.Text, i == 0); msg != "" {
				p.errorf(n, "%s", msg)
			}
			if strings.Contains(seg.Text, "?") {
				how = escape.Query
			}
			s.Target.Literal(string(escape.AppendTarget(nil, seg.Text)))
			continue
		}
		e := p.compile(n, seg.Text, shift+seg.Offset, reflect.Invalid, &targets)
		if e == nil {
			continue
		}
		s.Open = s.Open || i == 0
		if i == 0 || e.Raw {
			s.Target.Expression(e, escape.Target)
		} else {
			s.Target.Expression(e, how)
		}
	}
	return offset == 0
}

// checkTargetText says what is wrong with the fixed text of a target, or "".
func checkTargetText(text string, first bool) string {
	switch {
	case strings.ContainsAny(text, " \t\r\n"):
		return "a target cannot hold a space: write %20"
	case strings.Contains(text, "#"):
		return "a target cannot hold a #: what follows it is never sent; write %23 for the character"
	case escape.HasControl(text):
		return "a target cannot hold a control character"
	case first && CheckTarget([]byte(text)) != nil && CheckTarget([]byte(text+"x")) != nil:
		return CheckTarget([]byte(text)).Error()
	}
	return ""
}

func (p *yamlParser) headers(s *Step, n *yaml.Node, scope *expr.Scope) {
	p.pairs(n, "headers", func(key string, k, v *yaml.Node) {
		name := http.CanonicalHeaderKey(key)
		switch {
		case !textkit.IsToken(key) || len(key) > textkit.MaxNameLen:
			p.errorf(k, "%q cannot be the name of a header", textkit.Shorten(key))
		case name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection":
			p.errorf(k, "%s is set by the client, from the body and the connection", name)
		case slices.ContainsFunc(s.Headers, func(h Header) bool { return h.Name == name }):
			p.errorf(k, "the header %s is there already", name)
		case v.ShortTag() == "!!null" && name == "Host":
			p.errorf(v, "no request goes without Host")
		case v.ShortTag() == "!!null":
			s.Headers = append(s.Headers, Header{Name: name, Absent: true})
		case v.Kind == yaml.SequenceNode && (len(v.Content) == 0 || name == "Host" || name == "Content-Type" || name == "Authorization"):
			p.errorf(v, "expected one value for %s", name)
		default:
			for _, item := range several(v) {
				value := p.template(item, "the header's value", escape.Header, scope)
				s.Headers = append(s.Headers, Header{Name: name, Value: value})
			}
		}
	})
}

// scope is what expressions of a step can see.
func (p *yamlParser) scope(place expr.Place, captures []string, kind HookKind) *expr.Scope {
	scope := &expr.Scope{Place: place, Vars: p.vars, Captures: slices.Clone(captures)}
	if kind != HookSetup && kind != HookTeardown {
		scope.Feeders = p.feeders
	}
	for _, f := range p.feeders {
		scope.FeederNames = append(scope.FeederNames, f.Name)
	}
	return scope
}

// template reads a text with embedded expressions.
func (p *yamlParser) template(n *yaml.Node, what string, how escape.Mode, scope *expr.Scope) expr.Template {
	source, ok := p.written(n, what)
	if !ok {
		return nil
	}
	var t expr.Template
	segments, fault := expr.SplitTemplate(source)
	if fault != nil {
		p.errorIn(n, fault.Offset, fault.Message)
		return nil
	}
	for _, seg := range segments {
		if seg.IsExpr {
			if e := p.compile(n, seg.Text, seg.Offset, reflect.Invalid, scope); e != nil {
				t.Expression(e, how)
			}
			continue
		}
		text, err := how.AppendString(nil, seg.Text)
		if err != nil {
			p.errorf(n, "%v", err)
		}
		t.Literal(string(text))
	}
	return t
}

func (p *yamlParser) captures(s *Step, n *yaml.Node, scope *expr.Scope) {
	p.pairs(n, "capture", func(key string, k, v *yaml.Node) {
		_, isVariable := p.vars[key]
		switch {
		case !textkit.IsIdentifier(key) || slices.Contains(expr.ReservedNames(), key):
			p.errorf(k, "%q cannot be a captured name: expected letters, digits and _, and no word of the expression language", textkit.Shorten(key))
			return
		case isVariable:
			p.errorf(k, "%q is a variable already", key)
			return
		case slices.ContainsFunc(p.feeders, func(f *expr.FeederHead) bool { return f.Name == key }):
			p.errorf(k, "%q is a feeder already", key)
			return
		case slices.Contains(p.kept, key):
			p.errorf(k, "%q is captured by a set-up already, for all iterations", key)
			return
		}
		e := p.wholeExpr(v, reflect.Invalid, scope)
		if !slices.Contains(scope.Captures, key) {
			scope.Captures = append(scope.Captures, key)
		}
		if e != nil {
			s.Captures = append(s.Captures, Capture{key, e})
			s.ReadBody = s.ReadBody || e.NeedBody
			s.BodyText = s.BodyText || e.BodyText
		}
	})
}

func (p *yamlParser) checks(s *Step, n *yaml.Node, scope *expr.Scope) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) == 0 {
		p.errorf(n, "expected at least one condition, found an empty list")
	}
	for _, item := range items {
		if e := p.wholeExpr(item, reflect.Bool, scope); e != nil {
			s.Checks = append(s.Checks, e)
			s.ReadBody = s.ReadBody || e.NeedBody
			s.BodyText = s.BodyText || e.BodyText
		}
	}
}

// StatusSet is a set of HTTP statuses from 100 to 599.
type StatusSet [(600 + 63) / 64]uint64

func (s *StatusSet) add(status int) { s[status/64] |= 1 << (status % 64) }

// Has reports whether status is in the set.
func (s *StatusSet) Has(status int) bool {
	return status >= 0 && status < 600 && s[status/64]&(1<<(status%64)) != 0
}

func statusRange(first, last int) StatusSet {
	var s StatusSet
	for status := first; status <= last; status++ {
		s.add(status)
	}
	return s
}

// expect reads a status such as 200, a class such as 2xx, or several of them in a
// list or separated by commas.
func (p *yamlParser) expect(n *yaml.Node) (set StatusSet, words string) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var all []string
	class := regexp.MustCompile(`^[1-5](xx|XX|[0-9][0-9])$`)
	for _, item := range items {
		text, ok := p.written(item, "a status such as 200 or 2xx")
		if !ok {
			continue
		}
		for word := range strings.SplitSeq(text, ",") {
			word = strings.TrimSpace(word)
			if !class.MatchString(word) {
				p.errorf(item, "expected a status such as 200, or a class such as 2xx, found %q", textkit.Shorten(word))
				continue
			}
			all = append(all, strings.ToLower(word))
			first, _ := strconv.Atoi(strings.NewReplacer("x", "0", "X", "0").Replace(word))
			last := first
			if strings.HasSuffix(strings.ToLower(word), "xx") {
				last += 99
			}
			for status := first; status <= last; status++ {
				set.add(status)
			}
		}
	}
	if len(items) == 0 {
		p.errorf(n, "expected at least one status, found an empty list")
	}
	return set, strings.Join(all, " or ")
}

// CheckTarget says what is wrong with a rendered target, if anything: it must be
// a path, or an absolute URL.
func CheckTarget(target []byte) error {
	if len(target) > 0 && target[0] == '/' {
		return nil
	}
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) > len(scheme) && strings.EqualFold(string(target[:len(scheme)]), scheme) {
			return nil
		}
	}
	return errors.New("the target must begin with /, http:// or https://, not " + textkit.Describe(string(target)))
}

// methods are those that a request may have; there is no use for CONNECT here.
func methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
}

// splitRequest splits "METHOD target", of which the method may be left out. The
// offset is that of the target, in bytes.
func splitRequest(s string) (method, target string, offset int, err error) {
	if s == "" {
		return "", "", 0, errors.New("expected a request such as \"GET /path\", found nothing")
	}
	if s[0] == '/' || strings.HasPrefix(s, "${") || strings.Contains(strings.SplitN(s, " ", 2)[0], "://") {
		return "GET", s, 0, nil
	}
	method, rest, ok := strings.Cut(s, " ")
	if !slices.Contains(methods(), method) {
		return "", "", 0, errors.New("expected a method and a target such as \"GET /path\", found " +
			textkit.Describe(s) + "; " + methodHint(method))
	}
	target = strings.TrimLeft(rest, " ")
	if !ok || target == "" {
		return "", "", 0, errors.New("expected a target after " + method + ", such as \"" + method + " /path\"")
	}
	return method, target, len(s) - len(target), nil
}

func methodHint(word string) string {
	if up := strings.ToUpper(word); slices.Contains(methods(), up) {
		return "methods are in capitals: " + up
	}
	return "the methods are " + strings.Join(methods(), ", ") + ", and a target begins with /, http:// or ${"
}
