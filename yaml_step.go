package loadgen

import (
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/textkit"
)

// step reads a request with all that belongs to it. known are the names that are
// captured so far; those of this step are added.
func (p *yamlParser) step(f map[string]*yaml.Node, label string, known *[]string, kind hookKind) yamlStep {
	s := yamlStep{label: label, expect: statusRange(200, 399), expected: "2xx or 3xx"}
	scope := p.scope(inRequest, *known, kind)
	bare := p.request(&s, f["request"], scope)
	if n := f["headers"]; n != nil {
		p.headers(&s, n, scope)
	}
	p.authorize(&s, f["auth"], scope, kind)
	p.body(&s, f, scope)
	if s.body.kind != bodyNone && bare {
		p.errorf(f["request"], "a request with a body needs its method, such as \"POST %s\"", textkit.Shorten(f["request"].Value))
	}
	if n := f["expect"]; n != nil {
		s.expect, s.expected = p.expect(n)
	}
	if n := f["redirects"]; n != nil {
		v, _ := p.scalar(n)
		follow, ok := v.(bool)
		if !ok {
			p.errorf(n, "expected true or false, whether redirects are followed, found %s", kindWord(n))
		}
		s.noRedirect = ok && !follow
	}
	after := p.scope(inResponse, *known, kind)
	if n := f["capture"]; n != nil {
		p.captures(&s, n, after)
		*known = after.captures
	}
	if n := f["check"]; n != nil {
		p.checks(&s, n, after)
	}
	s.simple = len(s.captures) == 0 && !slices.ContainsFunc(s.checks, func(e *expression) bool { return !e.isLimit() })
	return s
}

// request reads "METHOD target", and tells whether the method was left out.
func (p *yamlParser) request(s *yamlStep, n *yaml.Node, scope *exprScope) (bare bool) {
	source, ok := p.text(n, "a request such as \"GET /path\"")
	if !ok {
		return false
	}
	method, target, offset, err := splitRequest(source)
	if err != nil {
		p.errorf(n, "%v", err)
		return false
	}
	s.method = method
	segments, fault := splitTemplate(target)
	shift := len([]rune(source[:offset]))
	if fault != nil {
		p.errorIn(n, shift+fault.offset, fault.message)
		return false
	}
	targets := *scope
	targets.place = inTarget
	how := escapePath
	for i, seg := range segments {
		if !seg.isExpr {
			if msg := checkTargetText(seg.text, i == 0); msg != "" {
				p.errorf(n, "%s", msg)
			}
			if strings.Contains(seg.text, "?") {
				how = escapeQuery
			}
			s.target.literal(string(appendTarget(nil, seg.text)))
			continue
		}
		e := p.compile(n, seg.text, shift+seg.offset, reflect.Invalid, &targets)
		if e == nil {
			continue
		}
		s.open = s.open || i == 0
		if i == 0 || e.raw {
			s.target.expression(e, escapeTarget)
		} else {
			s.target.expression(e, how)
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
	case hasControl(text):
		return "a target cannot hold a control character"
	case first && checkTarget([]byte(text)) != nil && checkTarget([]byte(text+"x")) != nil:
		return checkTarget([]byte(text)).Error()
	}
	return ""
}

func (p *yamlParser) headers(s *yamlStep, n *yaml.Node, scope *exprScope) {
	p.pairs(n, "headers", func(key string, k, v *yaml.Node) {
		name := http.CanonicalHeaderKey(key)
		switch {
		case !isToken(key):
			p.errorf(k, "%q cannot be the name of a header", textkit.Shorten(key))
		case name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection":
			p.errorf(k, "%s is set by the client, from the body and the connection", name)
		case slices.ContainsFunc(s.headers, func(h yamlHeader) bool { return h.name == name }):
			p.errorf(k, "the header %s is there already", name)
		default:
			value := p.template(v, "the header's value", escapeHeader, scope)
			s.headers = append(s.headers, yamlHeader{name: name, value: value})
		}
	})
}

// isToken tells whether a text can name a header.
func isToken(s string) bool {
	for i := range len(s) {
		if !textkit.IsPlain(s[i], "!#$%&'*+-.^_`|~") {
			return false
		}
	}
	return s != "" && len(s) <= textkit.MaxNameLen
}

// scope is what expressions of a step can see.
func (p *yamlParser) scope(place exprPlace, captures []string, kind hookKind) *exprScope {
	scope := &exprScope{place: place, vars: p.vars, captures: slices.Clone(captures)}
	if kind != hookSetup && kind != hookTeardown {
		scope.feeders = p.feeders
	}
	for _, f := range p.feeders {
		scope.feederNames = append(scope.feederNames, f.name)
	}
	return scope
}

// template reads a text with embedded expressions.
func (p *yamlParser) template(n *yaml.Node, what string, how escape, scope *exprScope) template {
	source, ok := p.written(n, what)
	if !ok {
		return nil
	}
	var t template
	segments, fault := splitTemplate(source)
	if fault != nil {
		p.errorIn(n, fault.offset, fault.message)
		return nil
	}
	for _, seg := range segments {
		if seg.isExpr {
			if e := p.compile(n, seg.text, seg.offset, reflect.Invalid, scope); e != nil {
				t.expression(e, how)
			}
			continue
		}
		text, err := how.appendString(nil, seg.text)
		if err != nil {
			p.errorf(n, "%v", err)
		}
		t.literal(string(text))
	}
	return t
}

func (p *yamlParser) captures(s *yamlStep, n *yaml.Node, scope *exprScope) {
	p.pairs(n, "capture", func(key string, k, v *yaml.Node) {
		_, isVariable := p.vars[key]
		switch {
		case !textkit.IsIdentifier(key) || slices.Contains(reservedNames(), key):
			p.errorf(k, "%q cannot be a captured name: expected letters, digits and _, and no word of the expression language", textkit.Shorten(key))
			return
		case isVariable:
			p.errorf(k, "%q is a variable already", key)
			return
		case slices.ContainsFunc(p.feeders, func(f *feederHead) bool { return f.name == key }):
			p.errorf(k, "%q is a feeder already", key)
			return
		case slices.Contains(p.kept, key):
			p.errorf(k, "%q is captured by a set-up already, for all iterations", key)
			return
		}
		e := p.wholeExpr(v, reflect.Invalid, scope)
		if !slices.Contains(scope.captures, key) {
			scope.captures = append(scope.captures, key)
		}
		if e != nil {
			s.captures = append(s.captures, yamlCapture{key, e})
			s.readBody = s.readBody || e.needBody
			s.bodyText = s.bodyText || e.bodyText
		}
	})
}

func (p *yamlParser) checks(s *yamlStep, n *yaml.Node, scope *exprScope) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) == 0 {
		p.errorf(n, "expected at least one condition, found an empty list")
	}
	for _, item := range items {
		if e := p.wholeExpr(item, reflect.Bool, scope); e != nil {
			s.checks = append(s.checks, e)
			s.readBody = s.readBody || e.needBody
			s.bodyText = s.bodyText || e.bodyText
		}
	}
}

// statusSet is a set of HTTP statuses from 100 to 599.
type statusSet [(600 + 63) / 64]uint64

func (s *statusSet) add(status int) { s[status/64] |= 1 << (status % 64) }

func (s *statusSet) has(status int) bool {
	return status >= 0 && status < 600 && s[status/64]&(1<<(status%64)) != 0
}

func statusRange(first, last int) statusSet {
	var s statusSet
	for status := first; status <= last; status++ {
		s.add(status)
	}
	return s
}

// expect reads a status such as 200, a class such as 2xx, or several of them in a
// list or separated by commas.
func (p *yamlParser) expect(n *yaml.Node) (set statusSet, words string) {
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

// checkTarget says what is wrong with a rendered target, if anything: it must be
// a path, or an absolute URL.
func checkTarget(target []byte) error {
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
