package convert

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/convert/shell"
	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/secrets"
)

const maxBody = 256 << 10 // of a request; a scenario file has 1 MiB in all

// body makes a body of what was sent. says is the content type that it has by itself.
func (s *Scenario) body(o *Options, contentType, sent string) (body any, says string) {
	if sent == "" {
		return nil, ""
	}
	if len(sent) > maxBody || !utf8.ValidString(sent) || strings.ContainsFunc(sent, unfit) {
		s.note("a body was left out that is not text, or is larger than %d KiB", maxBody>>10)
		return nil, ""
	}
	if body, says = s.exactBody(o, contentType, sent); says == "" && contentType == "" {
		says = "text/plain"
	}
	return body, says
}

// exactBody makes a body that is sent as it is given, byte for byte: as JSON or a form
// where that is spelled like ours, otherwise as text. Only where a secret is to be taken
// out may the spelling change.
func (s *Scenario) exactBody(o *Options, contentType, sent string) (body any, says string) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(contentType))
	}
	secret := func(read func(*Scenario)) bool {
		var probe Scenario
		read(&probe)
		return len(probe.Vars) > 0 && !o.Secrets
	}
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json") || contentType == "" && strings.HasPrefix(strings.TrimSpace(sent), "{"):
		v, ok := plainJSON(sent)
		if !ok {
			break
		}
		exact := string(appendPlain(nil, v)) == sent
		hidden := secret(func(p *Scenario) { p.json(&Options{}, sent) })
		if exact || hidden {
			if !exact {
				s.note("a body of JSON is sent without the spaces between its values, because it has a secret")
			}
			v, _ := s.json(o, sent)
			return v, "application/json"
		}
	case kind == "application/x-www-form-urlencoded":
		exact := formSpelling(sent)
		hidden := secret(func(p *Scenario) { p.form(&Options{}, sent) })
		if exact || hidden || strings.ContainsRune(sent, shell.Open) {
			if f, ok := s.form(o, sent); ok {
				if !exact {
					s.note("a form is sent as browsers spell it, because it has a secret or a variable")
				}
				return f, kind
			}
		}
	}
	return text(literal(sent)), ""
}

// appendPlain appends a value of JSON as a scenario spells it.
func appendPlain(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(escape.AppendJSONEscaped(append(dst, '"'), m.name), '"', ':')
			dst = appendPlain(dst, m.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendPlain(dst, x)
		}
		return append(dst, ']')
	case json.Number:
		return append(dst, v...)
	case string:
		return append(escape.AppendJSONEscaped(append(dst, '"'), v), '"')
	}
	out, _ := json.Marshal(v)
	return append(dst, out...)
}

// formSpelling tells whether a form is spelled as a scenario spells it, with a name's
// fields side by side.
func formSpelling(sent string) bool {
	seen, last := map[string]bool{}, ""
	for pair := range strings.SplitSeq(sent, "&") {
		name, value, found := strings.Cut(pair, "=")
		if !found || seen[name] && last != name {
			return false
		}
		for _, x := range []string{name, value} {
			plain, err := url.QueryUnescape(x)
			if err != nil || spell(plain) != x {
				return false
			}
		}
		seen[name], last = true, name
	}
	return true
}

// spell encodes a text for a form, but for references to variables.
func spell(s string) string {
	var b strings.Builder
	for s != "" {
		at := strings.IndexRune(s, shell.Open)
		if at < 0 {
			at = len(s)
		}
		out, _ := escape.Form.AppendString(nil, s[:at])
		b.Write(out)
		s = s[at:]
		if end := strings.IndexRune(s, shell.Close); end >= 0 {
			end += len(string(shell.Close))
			b.WriteString(s[:end])
			s = s[end:]
		}
	}
	return b.String()
}

// unfit are characters that YAML, or a form of it, cannot hold as they are.
func unfit(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF'
}

// json reads a value, with secrets made variables.
func (s *Scenario) json(o *Options, sent string) (any, bool) {
	v, ok := plainJSON(sent)
	if !ok {
		return nil, false
	}
	return s.hide(o, "", v), true
}

// plainJSON reads a value.
func plainJSON(sent string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(sent))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return v, true
}

// object is a JSON object with its fields in their order.
type object []member

type member struct {
	name  string
	value any
}

const maxDepth = 40 // of a file's own limit

// decode reads a value and keeps the order of fields.
func decode(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth > maxDepth {
		return nil, io.ErrUnexpectedEOF
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	obj, seen := object{}, map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		v, err := decode(d, depth+1)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, io.ErrUnexpectedEOF // a scenario has each name once
		}
		seen[name] = true
		obj = append(obj, member{name, v})
	}
	_, err = d.Token()
	return obj, err
}

// hide makes texts templates, and secrets variables.
func (s *Scenario) hide(o *Options, name string, v any) any {
	switch v := v.(type) {
	case object:
		for i := range v {
			v[i].value = s.hide(o, v[i].name, v[i].value)
		}
	case []any:
		for i := range v {
			v[i] = s.hide(o, name, v[i])
		}
	case string:
		if ref := references.FindString(v); ref != "" && ref == v { // its own type would be that of what it refers to
			name := strings.Trim(ref, string(shell.Open)+string(shell.Close))
			expression, ok := expressionOf(name)
			if _, isText := s.shellValue(name); !ok && !isText && !slices.ContainsFunc(s.Vars, func(x Variable) bool { return x.Name == name }) {
				expression, ok = variable(name), true
			}
			if ok {
				return literal(computed("string(" + expression + ")"))
			}
		}
		return s.value(o, name, v)
	case json.Number:
		if secrets.Named(name) {
			return "${" + s.secret(o, name, v.String()) + "}"
		}
	}
	return v
}

// form reads fields.
func (s *Scenario) form(o *Options, sent string) (form, bool) {
	var f form
	for pair := range strings.SplitSeq(sent, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil || name == "" || strings.ContainsRune(name, shell.Open) || !utf8.ValidString(name+value) || strings.ContainsFunc(name+value, unfit) || bytes.ContainsAny([]byte(name), "\r\n\t") {
			return nil, false
		}
		f = append(f, Field{name, s.value(o, name, value)})
	}
	return f, len(f) > 0
}
