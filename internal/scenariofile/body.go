package scenariofile

import (
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/textkit"
)

type bodyKind uint8

// The kinds of bodies.
const (
	BodyNone bodyKind = iota
	BodyText          // content as it is: text, JSON or a form
	BodyMultipart
)

// Body is the body of a request. It is immutable.
type Body struct {
	Kind    bodyKind
	Content expr.Template
	Parts   []Part
}

// Part is a field or a file of a multipart body.
type Part struct {
	Head    expr.Template // the part's header, up to the empty line
	Content expr.Template
}

// body reads the body of a request, which may come in one of four ways.
func (p *yamlParser) body(s *Step, f map[string]*yaml.Node, scope *expr.Scope) {
	first := ""
	for _, key := range []string{"json", "body", "form", "multipart"} {
		n := f[key]
		if n == nil {
			continue
		}
		if first != "" {
			p.errorf(n, "a request has one body: either %s or %s", first, key)
			continue
		}
		first = key
		contentType := ""
		s.Body.Kind = BodyText
		switch key {
		case "json":
			contentType = "application/json"
			p.json(&s.Body.Content, n, scope)
		case "body":
			contentType = "text/plain; charset=utf-8"
			if n.Kind == yaml.MappingNode {
				contentType = p.fileBody(&s.Body.Content, n, scope)
			} else {
				s.Body.Content = p.template(n, "the body as text, or a map with file", escape.None, scope)
			}
		case "form":
			contentType = "application/x-www-form-urlencoded"
			p.form(&s.Body.Content, n, scope)
		case "multipart":
			s.Body.Kind = BodyMultipart
			p.multipart(&s.Body, n, scope)
		}
		own := slices.ContainsFunc(s.Headers, func(h Header) bool { return h.Name == "Content-Type" })
		switch {
		case own && key == "multipart":
			p.errorf(n, "the Content-Type of a multipart body is set with its boundary: remove the header")
		case !own && contentType != "":
			h := Header{Name: "Content-Type"}
			h.Value.Literal(contentType)
			s.Headers = append(s.Headers, h)
		}
	}
}

// json reads a JSON value. A text that is one ${…} becomes the expression's value
// with its own type; other texts stay texts.
func (p *yamlParser) json(t *expr.Template, n *yaml.Node, scope *expr.Scope) {
	switch n.Kind {
	case yaml.MappingNode:
		t.Literal("{")
		if len(n.Content) > 0 {
			first := true
			p.pairs(n, "a JSON object", func(_ string, k, v *yaml.Node) {
				if !first {
					t.Literal(",")
				}
				first = false
				p.jsonText(t, k, scope)
				t.Literal(":")
				p.json(t, v, scope)
			})
		}
		t.Literal("}")
	case yaml.SequenceNode:
		t.Literal("[")
		for i, item := range n.Content {
			if i > 0 {
				t.Literal(",")
			}
			p.json(t, item, scope)
		}
		t.Literal("]")
	default:
		p.jsonScalar(t, n, scope)
	}
}

func (p *yamlParser) jsonScalar(t *expr.Template, n *yaml.Node, scope *expr.Scope) {
	v, ok := p.scalar(n)
	if !ok {
		p.mismatch(n, "expected a JSON value, found %s, which JSON cannot say", kindWord(n))
		return
	}
	text, isText := v.(string)
	if !isText {
		if tag := n.ShortTag(); (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)) {
			t.Literal(n.Value) // as it is written: 1.50, or more digits than a float has
			return
		}
		out, err := escape.AppendJSON(nil, v)
		if err != nil {
			p.errorf(n, "%v", err)
			return
		}
		t.Literal(string(out))
		return
	}
	if source, offset, is := expr.OnlyExpr(strings.TrimSpace(text)); is {
		offset += len([]rune(text[:strings.Index(text, "${")]))
		if e := p.compile(n, source, offset, 0, scope); e != nil {
			t.Expression(e, escape.JSON)
		}
		return
	}
	p.jsonText(t, n, scope)
}

func (p *yamlParser) jsonText(t *expr.Template, n *yaml.Node, scope *expr.Scope) {
	t.Literal(`"`)
	t.Add(p.template(n, "a JSON text", escape.Quoted, scope))
	t.Literal(`"`)
}

// form reads the fields of a form; a list gives a field several values.
func (p *yamlParser) form(t *expr.Template, n *yaml.Node, scope *expr.Scope) {
	first := true
	p.pairs(n, "the form", func(key string, _, v *yaml.Node) {
		name, _ := escape.Form.AppendString(nil, key)
		for _, value := range several(v) {
			if !first {
				t.Literal("&")
			}
			first = false
			t.Literal(string(name) + "=")
			t.Add(p.template(value, "the field's value", escape.Form, scope))
		}
	})
}

// multipart reads the fields and files of a multipart body; a list gives a name several.
// The body may also be a list of maps, for fields of one name with others between them.
func (p *yamlParser) multipart(b *Body, n *yaml.Node, scope *expr.Scope) {
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) == 0 {
			p.errorf(n, "expected the multipart body with at least one field, found an empty list")
		}
		for _, item := range n.Content {
			if item.Kind != yaml.MappingNode {
				p.errorf(item, "expected a field of the multipart body as a map, found %s", kindWord(item))
				continue
			}
			p.multipart(b, item, scope)
		}
		return
	}
	p.pairs(n, "the multipart body", func(key string, k, v *yaml.Node) {
		for _, value := range several(v) {
			var part Part
			part.Head.Literal(`Content-Disposition: form-data; name="` + string(escape.AppendName(nil, key)) + `"`)
			if value.Kind != yaml.MappingNode {
				part.Content = p.template(value, "the field as text, or a map with filename, content_type and content", escape.None, scope)
			} else if f, ok := p.fields(value, "a file", FileKeys()); ok {
				p.filePart(&part, f, k, scope)
			}
			part.Head.Literal("\r\n\r\n")
			b.Parts = append(b.Parts, part)
		}
	})
}

// several is the values of a field that may have a list of them.
func several(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

func (p *yamlParser) filePart(part *Part, f map[string]*yaml.Node, k *yaml.Node, scope *expr.Scope) {
	kind := ""
	switch {
	case f["content"] != nil && f["file"] != nil:
		p.errorf(f["file"], "a file has either content or the name of a file, not both")
	case f["file"] != nil:
		part.Content, kind = p.fileContent(f["file"], f["template"], scope)
	case f["content"] == nil:
		p.errorf(k, "the file %q has no content", textkit.Shorten(k.Value))
	default:
		if n := f["template"]; n != nil {
			p.errorf(n, "template is for a file; content is always a template")
		}
		part.Content = p.template(f["content"], "the file's content as text", escape.None, scope)
	}
	if n := f["file"]; n != nil && f["filename"] == nil {
		part.Head.Literal(`; filename="` + string(escape.AppendName(nil, path.Base(n.Value))) + `"`)
	}
	switch n := f["filename"]; {
	case n != nil && n.ShortTag() == "!!null" && f["file"] == nil:
		p.errorf(n, "filename has no value")
	case n != nil && n.ShortTag() != "!!null":
		part.Head.Literal(`; filename="`)
		part.Head.Add(p.template(n, "the file's name", escape.Name, scope))
		part.Head.Literal(`"`)
	}
	if n := f["content_type"]; n != nil {
		kind = p.mediaType(n)
	}
	if kind != "" {
		part.Head.Literal("\r\nContent-Type: " + kind)
	}
	if n := f["headers"]; n != nil {
		p.pairs(n, "headers", func(key string, k, v *yaml.Node) {
			if name := http.CanonicalHeaderKey(key); !textkit.IsToken(key) || name == "Content-Disposition" || name == "Content-Type" {
				p.errorf(k, "%q cannot be a header of a part: its name and type are keys of their own", textkit.Shorten(key))
				return
			}
			part.Head.Literal("\r\n" + key + ": ")
			part.Head.Add(p.template(v, "the header's value", escape.Header, scope))
		})
	}
}

// mediaType reads a media type.
func (p *yamlParser) mediaType(n *yaml.Node) string {
	text, ok := p.text(n, "a media type such as text/plain")
	if !ok {
		return ""
	}
	if _, _, err := mime.ParseMediaType(text); err != nil || !strings.Contains(text, "/") || escape.HasControl(text) {
		p.errorf(n, "expected a media type such as text/plain, found %q", textkit.Shorten(text))
		return ""
	}
	return text
}

// fileBody reads a body that is a file of the scenario's folder, and returns its
// media type.
func (p *yamlParser) fileBody(t *expr.Template, n *yaml.Node, scope *expr.Scope) (contentType string) {
	f, ok := p.fields(n, "a body", BodyFileKeys())
	if !ok {
		return ""
	}
	if f["file"] == nil {
		p.errorf(n, "expected a file, such as {file: order.json}")
		return ""
	}
	*t, contentType = p.fileContent(f["file"], f["template"], scope)
	if n := f["content_type"]; n != nil {
		contentType = p.mediaType(n)
	}
	return contentType
}

// fileContent reads a file of the scenario's folder: as it is, or as a template.
func (p *yamlParser) fileContent(n, asTemplate *yaml.Node, scope *expr.Scope) (t expr.Template, contentType string) {
	name, ok := p.text(n, "the name of a file")
	if !ok {
		return nil, ""
	}
	templated := false
	if asTemplate != nil {
		v, _ := p.scalar(asTemplate)
		if templated, ok = v.(bool); !ok {
			p.errorf(asTemplate, "expected true or false, whether ${…} in the file are expressions, found %s", kindWord(asTemplate))
		}
	}
	data, err := p.readFile(name)
	if err != nil {
		p.errorf(n, "%s: %v", textkit.Shorten(name), err)
		return nil, ""
	}
	if !templated {
		t.Literal(string(data))
		return t, mediaType(name)
	}
	// The file is read like a text of this one; errors name it instead.
	q := &yamlParser{file: path.Join(path.Dir(p.file), name), vars: p.vars, feeders: p.feeders}
	if !utf8.Valid(data) {
		p.errorf(n, "%s: a template must be UTF-8 text", textkit.Shorten(name))
		return nil, ""
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	t = q.template(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: wholeFile, Value: text, Line: 1, Column: 1}, "", escape.None, scope)
	for _, e := range q.errs {
		p.errorf(n, "%s:%d:%d: %s", name, e.Line, e.Column, e.Message)
	}
	return t, mediaType(name)
}

// mediaType guesses the media type of a file from its name.
func mediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return "application/json"
	case ".jsonl", ".ndjson":
		return "application/x-ndjson"
	case ".xml":
		return "application/xml"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".pdf":
		return "application/pdf"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".svg":
		return "image/svg+xml"
	case ".webp":
		return "image/webp"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}
