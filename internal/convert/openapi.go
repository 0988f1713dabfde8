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
// right type. A description of Swagger 2.0 is read as what it is in OpenAPI 3. What
// changes data has no weight, unless All is set. References to other files are not
// followed.
func OpenAPI(src []byte, o Options) (*Scenario, error) {
	doc, err := describe(utf8Text(src))
	if err != nil {
		return nil, err
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
		s.BaseURL, base = s.server(doc.Servers[0])
	}
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		if item == nil {
			continue
		}
		ops := item.Operations()
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			op := ops[method]
			if op == nil {
				continue
			}
			at, elsewhere := base, ""                                                    // the origin, if it is not that of the job
			for _, servers := range []*openapi3.Servers{op.Servers, ref(item.Servers)} { // the nearest counts
				if servers != nil && len(*servers) > 0 && (*servers)[0] != nil {
					origin, below := s.server((*servers)[0])
					if at = below; origin != "" && s.BaseURL == "" {
						s.BaseURL = origin
					} else if origin != "" && origin != s.BaseURL {
						elsewhere = literal(origin)
					}
					break
				}
			}
			s.operation(&o, doc, item, op, method, elsewhere, at+path)
		}
	}
	return s, s.finish()
}

func ref(servers openapi3.Servers) *openapi3.Servers { return &servers }

// server is the origin of a server, "" if that is where the description is, and the path
// below it.
func (s *Scenario) server(server *openapi3.Server) (base, path string) {
	at := server.URL
	for name, v := range server.Variables {
		if v == nil {
			continue
		}
		value := v.Default
		if value == "" && len(v.Enum) > 0 {
			value = v.Enum[0]
		}
		at = strings.ReplaceAll(at, "{"+name+"}", value)
	}
	if strings.HasPrefix(at, "//") {
		at = "https:" + at
	}
	u, err := url.Parse(at)
	if err != nil || strings.Contains(at, "{") {
		s.note("a server was left out, whose URL cannot be read or has a variable without a value: %s", short(at))
		return "", ""
	}
	if u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		base = origin(u)
	} else if u.Host != "" {
		s.note("a server of another kind than http and https was left out: %s", short(at))
		return "", ""
	}
	below := strings.TrimRight(literal(u.EscapedPath()), "/")
	if below != "" && below[0] != '/' {
		below = "/" + below
	}
	return base, below
}

func (s *Scenario) operation(o *Options, doc *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation, method, elsewhere, path string) {
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
	var query, cookies []string
	for _, key := range order {
		p := params[key]
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", s.inPathStyle(p, s.parameter(o, p)))
		case !p.Required:
		case p.In == "query":
			query = append(query, s.inQuery(p, s.parameter(o, p))...)
		case p.In == "cookie" && token(p.Name):
			cookies = append(cookies, p.Name+"="+listed(p, s.parameter(o, p), ","))
		case p.In == "header" && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(p.Name)): // as the specification says
		case p.In == "header" && (!token(p.Name) || slices.Contains([]string{"host", "connection", "content-length", "transfer-encoding", "trailer", "upgrade"}, strings.ToLower(p.Name))):
			s.note("the header %s of %s was left out: the client decides about it", short(p.Name), short(t.Name))
		case p.In == "header":
			step.Header = append(step.Header, Field{http.CanonicalHeaderKey(p.Name), listed(p, s.parameter(o, p), ",")})
		default:
			s.note("the parameter %s of %s was left out", short(p.Name), short(t.Name))
		}
	}
	for _, f := range s.security(o, doc, op, &query) {
		if f.Name == "Cookie" {
			cookies = append(cookies, f.Value)
		} else if token(f.Name) {
			step.Header = append(step.Header, f)
		}
	}
	if len(cookies) > 0 {
		step.Header = append(step.Header, Field{"Cookie", strings.Join(cookies, "; ")})
	}
	step.Target = escapeSpaces(path)
	if !strings.HasPrefix(step.Target, "/") {
		step.Target = "/" + step.Target
	}
	step.Target = elsewhere + step.Target
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

// parameter is the value of a parameter.
func (s *Scenario) parameter(o *Options, p *openapi3.Parameter) any {
	schema, example, examples := p.Schema, p.Example, p.Examples
	for kind, media := range p.Content { // there is one
		if media != nil {
			if schema, example, examples = media.Schema, media.Example, media.Examples; strings.Contains(kind, "json") {
				return asJSON(s.parameterValue(o, p.Name, schema, example, examples))
			}
		}
	}
	return s.parameterValue(o, p.Name, schema, example, examples)
}

func (s *Scenario) parameterValue(o *Options, name string, schema *openapi3.SchemaRef, example any, examples openapi3.Examples) any {
	var v any
	switch {
	case example != nil:
		v = s.plain(o, name, example)
	case firstExample(examples) != nil:
		v = s.plain(o, name, firstExample(examples))
	case schema != nil && schema.Value != nil:
		v = s.sample(o, name, schema.Value, 0)
	default:
		v = "x"
	}
	if t, ok := v.(string); ok && secrets.Named(name) && !strings.HasPrefix(t, "${") {
		return s.value(o, name, t)
	}
	return v
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

// success is the first status that is described, if neither a success nor a default is;
// 0 where any 2xx or 3xx is a success.
func success(op *openapi3.Operation) int {
	if op.Responses == nil {
		return 0
	}
	var codes []int
	for code := range op.Responses.Map() {
		if lower := strings.ToLower(code); lower == "default" || lower == "2xx" || lower == "3xx" {
			return 0
		}
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

// requestBody takes JSON if it can, then a form, parts, or a text.
func (s *Scenario) requestBody(o *Options, step *Step, body *openapi3.RequestBody) {
	kinds := make([]string, 0, len(body.Content))
	for kind := range body.Content {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		media := body.Content[kind]
		base, _, _ := strings.Cut(kind, ";")
		if base = strings.TrimSpace(base); media == nil {
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
		obj, isObject := v.(object)
		switch {
		case base == "application/json" || base == "*/*" || strings.HasSuffix(base, "+json"):
			if step.Body = v; strings.HasSuffix(base, "+json") {
				step.Header = append(step.Header, Field{"Content-Type", base})
			}
			return
		case base == "application/x-www-form-urlencoded" && isObject && len(obj) > 0:
			step.Body = formOf(obj)
			return
		case base == multipartForm && isObject && len(obj) > 0:
			step.Body = partsOf(obj, media.Schema)
			return
		case base == "text/plain":
			if t, ok := v.(string); ok {
				step.Body = text(t)
				return
			}
		}
	}
	if len(kinds) > 0 {
		s.note("a body of type %s is still to be written: %s %s", kinds[0], step.Method, step.Target)
	}
}

// formOf are the fields of a form; a list gives a field several values.
func formOf(obj object) (f form) {
	for _, m := range obj {
		switch v := m.value.(type) {
		case []any:
			for _, x := range v {
				f = append(f, Field{m.name, flat(x)})
			}
		case object:
			f = append(f, Field{m.name, asJSON(v)})
		default:
			f = append(f, Field{m.name, flat(v)})
		}
	}
	return f
}

// partsOf are the parts of a multipart body: files where the schema says so.
func partsOf(obj object, schema *openapi3.SchemaRef) (list parts) {
	for _, m := range obj {
		p := part{name: m.name, content: flat(m.value)}
		if v, ok := m.value.(object); ok {
			p.content, p.contentType = asJSON(v), "application/json"
		}
		if schema != nil && schema.Value != nil {
			if ref := schema.Value.Properties[m.name]; ref != nil && ref.Value != nil && (ref.Value.Format == "binary" || ref.Value.Format == "byte") {
				p.filename, p.named, p.contentType = m.name+".txt", true, "text/plain"
			}
		}
		list = append(list, p)
	}
	return list
}
