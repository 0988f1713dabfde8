// Package jsonpath finds values in JSON documents by paths.
package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Decode parses one JSON value. A number becomes an int or a float64 if these are written with
// the same digits, otherwise it stays a [json.Number]; see [Plain].
func Decode(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the body is not JSON: it is empty")
		}
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body is not JSON: more follows the first value")
	}
	return eachNumber(doc, shortest), nil
}

// shortest keeps the digits of a number that int and float64 would write otherwise.
func shortest(v json.Number) any {
	if n, err := strconv.Atoi(v.String()); err == nil && strconv.Itoa(n) == v.String() {
		return n
	}
	if f, err := v.Float64(); err == nil {
		if text, err := escape.AppendText(nil, f); err == nil && string(text) == v.String() {
			return f
		}
	}
	return v
}

// Plain makes numbers fit to compute with: a json.Number, also within lists and maps, becomes an
// int, a float64, or text if it is beyond both. What holds none is returned as it is.
func Plain(v any) any {
	if !holdsNumber(v) {
		return v
	}
	return eachNumber(v, func(v json.Number) any {
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	})
}

func holdsNumber(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsNumber)
	case map[string]any:
		for _, one := range v {
			if holdsNumber(one) {
				return true
			}
		}
	}
	return false
}

// eachNumber returns a copy of v with each number replaced.
func eachNumber(v any, f func(json.Number) any) any {
	switch v := v.(type) {
	case json.Number:
		return f(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = eachNumber(v[i], f)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = eachNumber(v[k], f)
		}
		return out
	}
	return v
}

// Path leads to a value within a JSON document.
type Path struct {
	keys []string
}

// Parse reads a path: $ for the whole document, then .name, .0, [0] or
// ["name"] for each level.
func Parse(s string) (*Path, error) {
	bad := func(what string) error {
		return fmt.Errorf("%s in the path %q; a path is $ and then .name, .0, [0] or [\"name\"] for each level", what, textkit.Shorten(s))
	}
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, bad("no $ at the start")
	}
	p := &Path{}
	for rest != "" {
		var key string
		switch {
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			key, rest = rest[1:1+end], rest[1+end:]
			if key == "" {
				return nil, bad("an empty name")
			}
		case len(rest) > 1 && rest[0] == '[' && (rest[1] == '"' || rest[1] == '\''):
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, bad("a bracket that is not closed")
			}
			key, rest = rest[2:2+end], rest[2+end+2:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, bad("a bracket that is not closed")
			}
			key, rest = rest[1:end], rest[end+1:]
			if _, err := strconv.ParseUint(key, 10, 31); err != nil {
				return nil, bad("an index that is not a number")
			}
		default:
			return nil, bad(fmt.Sprintf("an unexpected %q", rest[0]))
		}
		p.keys = append(p.keys, key)
	}
	return p, nil
}

// Find returns what the path leads to, or nil if there is nothing.
func (p *Path) Find(doc any) any {
	for _, key := range p.keys {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[key]
		case []any:
			i, err := strconv.ParseUint(key, 10, 31)
			if err != nil || i >= uint64(len(v)) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}
