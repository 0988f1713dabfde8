// Package jsonform writes and reads JSON objects field by field: leniently about numbers,
// strictly about names, and with every fault at once.
package jsonform

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Field is one key of the JSON form of a T.
type Field[T any] struct {
	Name  string
	Write func(c *T) any // nil: the key is left out
	Read  func(c *T, raw json.RawMessage, f *Faults)
}

// Fault is what is wrong with a field.
type Fault struct{ Field, Message string }

// Faults lists every fault.
type Faults []Fault

// Add adds a fault.
func (f *Faults) Add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

// Write returns the JSON object of c.
func Write[T any](fields []Field[T], c *T) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for _, field := range fields {
		value := field.Write(c)
		if value == nil {
			continue
		}
		text, err := textkit.MarshalPlain(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.Name, err)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", field.Name, text)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Read reads an object into c. Keys that are not there, or null, leave c as it is. of
// names what has the fields, for a key that is none of them.
func Read[T any](fields []Field[T], object map[string]json.RawMessage, c *T, of string) Faults {
	var f Faults
	var names []string
	rest := map[string]json.RawMessage{}
	for name, raw := range object {
		rest[name] = raw
	}
	for _, field := range fields {
		names = append(names, field.Name)
		raw, given := object[field.Name]
		delete(rest, field.Name)
		if given && !textkit.IsNull(raw) {
			field.Read(c, raw, &f)
		}
	}
	for _, name := range textkit.SortedKeys(rest) {
		f.Add(textkit.Shorten(name), "is not a setting of %s%s", of, textkit.DidYouMean(name, names))
	}
	return f
}
