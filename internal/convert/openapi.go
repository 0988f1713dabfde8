package convert

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/opbeans/loadgen/internal/secrets"
)

// OpenAPI makes a task of each operation of an OpenAPI 3 description, in YAML or JSON,
// with the values of its examples, defaults and enumerations, or random ones of the
// right type. What changes data has no weight, unless All is set. References to other
// files are not followed.
func OpenAPI(src []byte, o Options) (*Scenario, error) {
	doc, err := openapi3.NewLoader().LoadFromData(src)
	if err != nil {
		return nil, fmt.Errorf("this is no OpenAPI 3 description: %w", err)
	}
	if doc.OpenAPI == "" || doc.Paths == nil {
		return nil, fmt.Errorf("this is no OpenAPI 3 description: it has no openapi or no paths")
	}
	s := &Scenario{Title: "an API", source: o.Source}
	if doc.Info != nil && doc.Info.Title != "" {
		s.Title = doc.Info.Title
	}
	base := ""
	if len(doc.Servers) > 0 && doc.Servers[0] != nil {
		base = s.server(doc.Servers[0])
	}
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		if item == nil {
			continue
		}
		ops := item.Operations()
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if op := ops[method]; op != nil {
				s.operation(&o, doc, item, op, method, base+path)
			}
		}
	}
	return s, s.finish()
}

// server takes the origin as the base URL, and returns the path below it.
func (s *Scenario) server(server *openapi3.Server) (path string) {
	at := server.URL
	for name, v := range server.Variables {
		if v != nil {
			at = strings.ReplaceAll(at, "{"+name+"}", v.Default)
		}
	}
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	if u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		s.BaseURL = u.Scheme + "://" + u.Host
	}
	return strings.TrimRight(literal(u.EscapedPath()), "/")
}

func (s *Scenario) operation(o *Options, doc *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation, method, path string) {
	t := Task{Name: op.OperationID, Weight: -1}
	if t.Name == "" {
		t.Name = method + " " + path
	}
	switch {
	case op.Deprecated:
		t.Weight, t.Why = 0, "deprecated"
	case method != "GET" && method != "HEAD" && method != "OPTIONS" && !o.All:
		t.Weight, t.Why = 0, "may change data: give it a weight if that is wanted"
	}
	step := Step{Method: method}
	params := map[string]*openapi3.Parameter{} // an operation's own come before those of its path
	var order []string
	for _, list := range []openapi3.Parameters{op.Parameters, item.Parameters} {
		for _, ref := range list {
			if p := ref.Value; p != nil && params[p.In+" "+p.Name] == nil {
				params[p.In+" "+p.Name] = p
				order = append(order, p.In+" "+p.Name)
			}
		}
	}
	var query []string
	for _, key := range order {
		p := params[key]
		switch p.In {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", inPath(s.parameter(o, p)))
		case "query":
			if p.Required {
				query = append(query, literal(url.QueryEscape(p.Name))+"="+inPath(s.parameter(o, p)))
			}
		case "header":
			if p.Required {
				step.Header = append(step.Header, Field{http.CanonicalHeaderKey(p.Name), s.parameter(o, p)})
			}
		}
	}
	step.Header = append(step.Header, s.security(o, doc, op, &query)...)
	step.Header = slices.DeleteFunc(step.Header, func(f Field) bool { return !token(f.Name) || boring(strings.ToLower(f.Name)) })
	step.Target = escapeSpaces(path)
	if !strings.HasPrefix(step.Target, "/") {
		step.Target = "/" + step.Target
	}
	if len(query) > 0 {
		step.Target += "?" + strings.Join(query, "&")
	}
	if op.RequestBody != nil && op.RequestBody.Value != nil && method != "GET" && method != "HEAD" {
		s.requestBody(o, &step, op.RequestBody.Value)
	}
	step.Expect = success(op)
	seen := map[string]bool{}
	step.Header = slices.DeleteFunc(step.Header, func(f Field) bool {
		twice := seen[f.Name]
		seen[f.Name] = true
		return twice
	})
	t.Steps = []Step{step}
	s.Tasks = append(s.Tasks, t)
}

// escapeSpaces keeps what a target cannot hold out of a path that is a template.
func escapeSpaces(s string) string {
	var b strings.Builder
	depth := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '$' && i+1 < len(s) && s[i+1] == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		}
		if depth == 0 && unsendable(c) {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// inPath percent-escapes the text of a template, but not its expressions, which escape
// themselves.
func inPath(v string) string {
	var b strings.Builder
	for {
		i := strings.Index(v, "${")
		if i < 0 {
			return b.String() + url.PathEscape(v)
		}
		end := strings.IndexByte(v[i:], '}') + i + 1
		if i > 0 && v[i-1] == '$' || end <= i { // no expression, but this text
			text := strings.TrimSuffix(v[:i], "$")
			b.WriteString(url.PathEscape(text + "${"))
			v = v[i+len("${"):]
			continue
		}
		b.WriteString(url.PathEscape(v[:i]) + v[i:end])
		v = v[end:]
	}
}

// parameter is the template of a parameter's value.
func (s *Scenario) parameter(o *Options, p *openapi3.Parameter) string {
	var v any
	switch {
	case p.Example != nil:
		v = s.plain(o, p.Name, p.Example)
	case firstExample(p.Examples) != nil:
		v = s.plain(o, p.Name, firstExample(p.Examples))
	case p.Schema != nil && p.Schema.Value != nil:
		v = s.sample(o, p.Name, p.Schema.Value, 0)
	default:
		v = "x"
	}
	if t, ok := v.(string); ok && secrets.Named(p.Name) && !strings.HasPrefix(t, "${") {
		return s.value(o, p.Name, t)
	}
	return flat(v)
}

// flat is a value as text.
func flat(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		if len(v) > 0 {
			return flat(v[0])
		}
		return ""
	case object, map[string]any, nil:
		return "x"
	}
	return literal(fmt.Sprint(v))
}

func firstExample(all openapi3.Examples) any {
	names := make([]string, 0, len(all))
	for name, e := range all {
		if e != nil && e.Value != nil && e.Value.Value != nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return all[slices.Min(names)].Value.Value
}

// success is the first status of the 2xx and 3xx that is described, if there is one;
// 0 where that needs no saying.
func success(op *openapi3.Operation) int {
	if op.Responses == nil {
		return 0
	}
	var codes []int
	for code := range op.Responses.Map() {
		if n, err := strconv.Atoi(code); err == nil && n >= 100 && n < 600 {
			codes = append(codes, n)
		}
	}
	if len(codes) == 0 {
		return 0
	}
	slices.Sort(codes)
	if i := slices.IndexFunc(codes, func(n int) bool { return n >= 200 && n < 400 }); i >= 0 {
		return 0 // any 2xx or 3xx
	}
	return codes[0]
}

// security adds what the first way to sign in needs.
func (s *Scenario) security(o *Options, doc *openapi3.T, op *openapi3.Operation, query *[]string) []Field {
	needs := doc.Security
	if op.Security != nil {
		needs = *op.Security
	}
	if len(needs) == 0 || doc.Components == nil {
		return nil
	}
	var out []Field
	names := make([]string, 0, len(needs[0]))
	for name := range needs[0] {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		ref := doc.Components.SecuritySchemes[name]
		if ref == nil || ref.Value == nil {
			continue
		}
		scheme := ref.Value
		variable := "${" + s.secret(o, name, "") + "}"
		switch {
		case scheme.Type == "http" && strings.EqualFold(scheme.Scheme, "basic"):
			out = append(out, Field{"Authorization", "Basic " + variable})
		case scheme.Type == "http", scheme.Type == "oauth2", scheme.Type == "openIdConnect":
			out = append(out, Field{"Authorization", "Bearer " + variable})
		case scheme.Type == "apiKey" && scheme.In == "header":
			out = append(out, Field{http.CanonicalHeaderKey(scheme.Name), variable})
		case scheme.Type == "apiKey" && scheme.In == "query":
			*query = append(*query, literal(url.QueryEscape(scheme.Name))+"="+variable)
		case scheme.Type == "apiKey" && scheme.In == "cookie" && token(scheme.Name):
			out = append(out, Field{"Cookie", scheme.Name + "=" + variable})
		}
	}
	return out
}

// requestBody takes JSON if it can, then a form.
func (s *Scenario) requestBody(o *Options, step *Step, body *openapi3.RequestBody) {
	kinds := make([]string, 0, len(body.Content))
	for kind := range body.Content {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		media := body.Content[kind]
		base, _, _ := strings.Cut(kind, ";")
		if media == nil || base != "application/json" && !strings.HasSuffix(base, "+json") && base != "application/x-www-form-urlencoded" {
			continue
		}
		var v any
		switch {
		case media.Example != nil:
			v = s.plain(o, "", media.Example)
		case firstExample(media.Examples) != nil:
			v = s.plain(o, "", firstExample(media.Examples))
		case media.Schema != nil && media.Schema.Value != nil:
			v = s.sample(o, "", media.Schema.Value, 0)
		}
		if base != "application/x-www-form-urlencoded" {
			if step.Body = v; base != "application/json" {
				step.Header = append(step.Header, Field{"Content-Type", base})
			}
			return
		}
		if obj, ok := v.(object); ok && len(obj) > 0 {
			var f form
			for _, m := range obj {
				f = append(f, Field{m.name, flat(m.value)})
			}
			step.Body = f
			return
		}
	}
	if len(kinds) > 0 {
		s.note("a body of type %s is still to be written: %s", kinds[0], step.Target)
	}
}
