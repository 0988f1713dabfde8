package convert

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/opbeans/loadgen/internal/secrets"
)

const sampleDepth = 6

// sample makes a value that fits a schema: an example, or else one at random. It
// returns what value writes: an object, a list, a template, a number or a bool.
func (s *Scenario) sample(o *Options, name string, schema *openapi3.Schema, depth int) any {
	switch {
	case schema.Example != nil:
		return s.plain(o, name, schema.Example)
	case schema.Default != nil:
		return s.plain(o, name, schema.Default)
	case len(schema.Enum) > 0:
		return s.plain(o, name, schema.Enum[0])
	case depth > sampleDepth:
		return nil
	}
	for _, refs := range []openapi3.SchemaRefs{schema.OneOf, schema.AnyOf} {
		if len(refs) > 0 && refs[0] != nil && refs[0].Value != nil {
			return s.sample(o, name, refs[0].Value, depth+1)
		}
	}
	if len(schema.AllOf) > 0 {
		all := object{}
		for _, ref := range schema.AllOf {
			if ref == nil || ref.Value == nil {
				continue
			}
			v := s.sample(o, name, ref.Value, depth+1)
			more, ok := v.(object)
			if !ok {
				return v
			}
			for _, m := range more {
				all = slices.DeleteFunc(all, func(old member) bool { return old.name == m.name })
				all = append(all, m)
			}
		}
		return all
	}
	switch {
	case schema.Type.Includes("object") || len(schema.Properties) > 0:
		return s.sampleObject(o, schema, depth)
	case schema.Type.Includes("array"):
		if schema.Items == nil || schema.Items.Value == nil {
			return []any{}
		}
		return []any{s.sample(o, name, schema.Items.Value, depth+1)}
	case schema.Type.Includes("integer"):
		low, high := bounds(schema, 1, 100)
		return fmt.Sprintf("${randint(%d, %d)}", int64(math.Ceil(low)), int64(math.Floor(high)))
	case schema.Type.Includes("number"):
		low, high := bounds(schema, 0, 100)
		return fmt.Sprintf("${randfloat(%s, %s)}", decimal(low), decimal(high))
	case schema.Type.Includes("boolean"):
		return true
	}
	return s.sampleText(o, name, schema)
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// bounds are those of the schema within what an expression can hold.
func bounds(schema *openapi3.Schema, low, high float64) (float64, float64) {
	const most = 1e9
	within := func(x float64) float64 { return min(max(x, -most), most) }
	switch {
	case schema.Min != nil && schema.Max != nil:
		low, high = within(*schema.Min), within(*schema.Max)
	case schema.Min != nil:
		low = within(*schema.Min)
		high = max(high, low)
	case schema.Max != nil:
		high = within(*schema.Max)
		low = min(low, high)
	}
	return low, high
}

func (s *Scenario) sampleObject(o *Options, schema *openapi3.Schema, depth int) object {
	names := make([]string, 0, len(schema.Properties))
	for name, ref := range schema.Properties {
		if ref != nil && ref.Value != nil && !ref.Value.ReadOnly && (depth < 2 || slices.Contains(schema.Required, name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	obj := object{}
	for _, name := range names {
		obj = append(obj, member{name, s.sample(o, name, schema.Properties[name].Value, depth+1)})
	}
	return obj
}

func (s *Scenario) sampleText(o *Options, name string, schema *openapi3.Schema) any {
	if secrets.Named(name) {
		return "${" + s.secret(o, name, "") + "}"
	}
	switch schema.Format {
	case "uuid":
		return "${uuid()}"
	case "date-time":
		return "2026-01-01T12:00:00Z"
	case "date":
		return "2026-01-01"
	case "email":
		return "user${randint(1, 1000)}@example.com"
	case "uri", "url":
		return "https://example.com/${randint(1, 1000)}"
	}
	return "text ${randint(1, 1000)}"
}

// plain takes a value as the description has it.
func (s *Scenario) plain(o *Options, name string, v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if t, ok := v.(string); ok {
		return s.value(o, name, t)
	}
	out, _ := s.json(o, string(raw))
	return out
}
