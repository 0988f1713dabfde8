// Package jsonpath finds values in JSON documents by paths.
package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Decode parses one JSON value; whole numbers become int, others float64.
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
	return plainNumbers(doc), nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
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
