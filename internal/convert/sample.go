package convert

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/opbeans/loadgen/internal/secrets"
)

const sampleDepth = 6

// sample makes a value that fits a schema: an example, or else one at random. It
// returns what value writes: an object, a list, a template, a number or a bool.
func (s *Scenario) sample(o *Options, name string, schema *openapi3.Schema, depth int) any {
	switch {
	case schema.Const != nil:
		return s.plain(o, name, schema.Const)
	case schema.Example != nil:
		return s.plain(o, name, schema.Example)
	case len(schema.Examples) > 0:
		return s.plain(o, name, schema.Examples[0])
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
		return integer(schema)
	case schema.Type.Includes("number"):
		low, high := bounds(schema, 0, 100)
		if margin := (high - low) / 1000; margin > 0 {
			if schema.ExclusiveMin.IsSet() {
				low += margin
			}
			if schema.ExclusiveMax.IsSet() {
				high -= margin
			}
		}
		return fmt.Sprintf("${randfloat(%s, %s)}", decimal(low), decimal(high))
	case schema.Type.Includes("boolean"):
		return true
	}
	return s.sampleText(o, name, schema)
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// integer draws a number within the bounds of a schema, which may be beyond what a
// float64 has exactly.
func integer(schema *openapi3.Schema) string {
	low, high, hasLow, hasHigh := int64(1), int64(100), false, false
	take := func(key string, x *float64, exclusive bool, to *int64, has *bool, step int64) {
		if x == nil {
			return
		}
		n, exact := int64(0), false
		if t, ok := schema.Extensions[exactBound+key].(string); ok {
			v, err := strconv.ParseInt(t, 10, 64)
			n, exact = v, err == nil
		}
		if !exact {
			f := min(max(*x, -9e18), 9e18)
			if step > 0 {
				n = int64(math.Ceil(f))
			} else {
				n = int64(math.Floor(f))
			}
			exclusive = exclusive && float64(n) == f
		}
		if exclusive {
			n += step
		}
		if !*has || step > 0 && n > *to || step < 0 && n < *to {
			*to, *has = n, true
		}
	}
	take("minimum", schema.Min, schema.ExclusiveMin.IsTrue(), &low, &hasLow, 1)
	take("exclusiveMinimum", schema.ExclusiveMin.Value, true, &low, &hasLow, 1)
	take("maximum", schema.Max, schema.ExclusiveMax.IsTrue(), &high, &hasHigh, -1)
	take("exclusiveMaximum", schema.ExclusiveMax.Value, true, &high, &hasHigh, -1)
	switch {
	case hasLow && !hasHigh && low > 1:
		high = low + min(99, math.MaxInt64-low)
	case hasHigh && !hasLow && high < 100:
		low = min(low, high)
	}
	if low > high {
		high = low
	}
	if m := schema.MultipleOf; m != nil && *m >= 1 && *m < 1e9 && *m == math.Trunc(*m) {
		by := int64(*m)
		from, to := low/by, high/by
		if from*by < low {
			from++
		}
		if to*by > high {
			to--
		}
		return fmt.Sprintf("${randint(%d, %d) * %d}", from, max(from, to), by)
	}
	if low == high {
		return fmt.Sprintf("${%d}", low)
	}
	return fmt.Sprintf("${randint(%d, %d)}", low, high)
}

// bounds are those of the schema within what an expression can hold.
func bounds(schema *openapi3.Schema, low, high float64) (float64, float64) {
	const most = 1e15
	least, greatest := schema.Min, schema.Max
	if x := schema.ExclusiveMin.Value; x != nil && (least == nil || *x > *least) {
		least = x
	}
	if x := schema.ExclusiveMax.Value; x != nil && (greatest == nil || *x < *greatest) {
		greatest = x
	}
	within := func(x float64) float64 { return min(max(x, -most), most) }
	switch {
	case least != nil && greatest != nil:
		low, high = within(*least), within(*greatest)
	case least != nil:
		low = within(*least)
		high = max(high, low+1)
	case greatest != nil:
		high = within(*greatest)
		low = min(low, high-1)
	}
	return low, max(low, high)
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
	switch least, most := schema.MinLength, schema.MaxLength; {
	case schema.Pattern != "":
		s.note("a text has to match %s: see whether it does where it is %q", short(cleanNote(schema.Pattern)), "text …")
	case most != nil && *most == 0:
		return ""
	case most != nil && *most < 9:
		n := int(min(*most, 6))
		return fmt.Sprintf("${randint(%d, %d)}", int(math.Pow10(n-1)), int(math.Pow10(n))-1) + strings.Repeat("x", int(max(least, uint64(n)))-n)
	case least > 6 && least < 1000:
		return "text ${randint(1, 1000)}" + strings.Repeat("x", int(least)-6)
	}
	return "text ${randint(1, 1000)}"
}

// plain takes a value as the description has it.
func (s *Scenario) plain(o *Options, name string, v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if t, ok := v.(string); ok && !strings.HasPrefix(t, exactNumber) {
		return s.value(o, name, t)
	}
	out, _ := s.json(o, string(raw))
	return digits(out)
}

// digits makes numbers of what stands for them.
func digits(v any) any {
	switch v := v.(type) {
	case string:
		if n, ok := strings.CutPrefix(v, exactNumber); ok {
			return json.Number(n)
		}
	case []any:
		for i := range v {
			v[i] = digits(v[i])
		}
	case object:
		for i := range v {
			v[i].value = digits(v[i].value)
		}
	}
	return v
}
