package convert

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/opbeans/loadgen/internal/escape"
)

// inQuery is a parameter of a query, which may become several pairs: templates.
func (s *Scenario) inQuery(p *openapi3.Parameter, v any) (pairs []string) {
	add := func(name, value string) {
		pairs = append(pairs, literal(url.QueryEscape(name))+"="+inPath(value))
	}
	exploded := p.Explode == nil || *p.Explode
	switch v := v.(type) {
	case object:
		switch {
		case len(p.Content) == 0 && p.Style == "deepObject":
			deep(add, p.Name, v)
		case exploded && p.Style != "pipeDelimited" && p.Style != "spaceDelimited":
			for _, m := range v {
				add(m.name, flat(m.value))
			}
		default:
			add(p.Name, listed(p, v, ","))
		}
	case []any:
		between := map[string]string{"pipeDelimited": "|", "spaceDelimited": " "}[p.Style]
		if between != "" || !exploded {
			if between == "" {
				between = ","
			}
			add(p.Name, listed(p, v, between))
			break
		}
		for _, x := range v {
			add(p.Name, flat(x))
		}
	default:
		add(p.Name, flat(v))
	}
	return pairs
}

// deep names each value of an object by its path, as in filter[color]=red.
func deep(add func(name, value string), name string, v object) {
	for _, m := range v {
		at := name + "[" + m.name + "]"
		switch inner := m.value.(type) {
		case object:
			deep(add, at, inner)
		case []any:
			for _, x := range inner {
				add(at, flat(x))
			}
		default:
			add(at, flat(inner))
		}
	}
}

// inPathStyle is a parameter of a path, a template.
func (s *Scenario) inPathStyle(p *openapi3.Parameter, v any) string {
	exploded := p.Explode != nil && *p.Explode
	switch p.Style {
	case "label":
		if exploded {
			return "." + inPath(listed(p, v, "."))
		}
		return "." + inPath(listed(p, v, ","))
	case "matrix":
		if list, ok := v.([]any); ok && exploded {
			var b strings.Builder
			for _, x := range list {
				b.WriteString(";" + literal(url.PathEscape(p.Name)) + "=" + inPath(flat(x)))
			}
			return b.String()
		}
		return ";" + literal(url.PathEscape(p.Name)) + "=" + inPath(listed(p, v, ","))
	}
	return inPath(listed(p, v, ","))
}

// listed is a value as text, with what is between those of a list.
func listed(p *openapi3.Parameter, v any, between string) string {
	var all []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			all = append(all, flat(x))
		}
	case object:
		for _, m := range v {
			if p.Explode != nil && *p.Explode {
				all = append(all, literal(m.name)+"="+flat(m.value))
			} else {
				all = append(all, literal(m.name), flat(m.value))
			}
		}
	default:
		return flat(v)
	}
	return strings.Join(all, between)
}

// asJSON is the template of a value as JSON. A text that is one expression of a number
// becomes one.
func asJSON(v any) string {
	switch v := v.(type) {
	case object:
		var all []string
		for _, m := range v {
			all = append(all, asJSON(literal(m.name))+":"+asJSON(m.value))
		}
		return "{" + strings.Join(all, ",") + "}"
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, asJSON(x))
		}
		return "[" + strings.Join(all, ",") + "]"
	case json.Number:
		return v.String()
	case string:
		if strings.HasPrefix(v, "${rand") && strings.IndexByte(v, '}') == len(v)-1 {
			return v
		}
		return `"` + string(escape.AppendJSONEscaped(nil, v)) + `"`
	}
	out, _ := json.Marshal(v)
	return string(out)
}
