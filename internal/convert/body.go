package convert

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

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
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(contentType))
	}
	switch {
	case kind == "application/json" || contentType == "" && strings.HasPrefix(strings.TrimSpace(sent), "{"):
		if v, ok := s.json(o, sent); ok {
			return v, "application/json"
		}
	case kind == "application/x-www-form-urlencoded":
		if f, ok := s.form(o, sent); ok {
			return f, kind
		}
	}
	says = ""
	if contentType == "" {
		says = "text/plain"
	}
	return text(literal(sent)), says
}

// unfit are characters that YAML, or a form of it, cannot hold as they are.
func unfit(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF'
}

// json reads a value, with secrets made variables.
func (s *Scenario) json(o *Options, sent string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(sent))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return s.hide(o, "", v), true
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
		if err != nil || err2 != nil || name == "" || !utf8.ValidString(name+value) || strings.ContainsFunc(name+value, unfit) || bytes.ContainsAny([]byte(name), "\r\n\t") {
			return nil, false
		}
		f = append(f, Field{name, s.value(o, name, value)})
	}
	return f, len(f) > 0
}
