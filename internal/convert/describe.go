package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v4"
)

// What a description's reader would take for a float64 goes past it as text: a number
// among values begins with exactNumber, and a bound is also under its name with exactBound
// before it.
const (
	exactNumber = "\U000F0002"
	exactBound  = "x-exact-"
)

var manyDigits = regexp.MustCompile(`[0-9]{16}`)

// describe reads a description of OpenAPI 3, or of Swagger 2.0 as one.
func describe(src []byte) (doc *openapi3.T, err error) {
	var root yaml.Node
	readable := yaml.Unmarshal(src, &root) == nil && root.Kind == yaml.DocumentNode && len(root.Content) == 1
	if readable {
		top := root.Content[0]
		if version := lookup(top, "swagger"); version != nil {
			return swagger(top, version.Value)
		}
		if manyDigits.Match(src) {
			keepDigits(top, "", false)
			if plain, err := json.Marshal(plainNode(top, 0)); err == nil {
				src = plain
			}
		}
	}
	if doc, err = openapi3.NewLoader().LoadFromData(src); err != nil {
		return nil, fmt.Errorf("this is no OpenAPI 3 description: %w", err)
	}
	return doc, nil
}

func lookup(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// swagger reads a description of version 2.0.
func swagger(top *yaml.Node, version string) (doc *openapi3.T, err error) {
	const how = "convert it to OpenAPI 3 first, for instance with npx swagger2openapi"
	if version != "2.0" {
		return nil, fmt.Errorf("this is a description of Swagger %s: %s", short(version), how)
	}
	defer func() {
		if r := recover(); r != nil { // the conversion does not expect all that can be written
			doc, err = nil, fmt.Errorf("this description of Swagger 2.0 cannot be read: %s", how)
		}
	}()
	raw, err := json.Marshal(plainNode(top, 0))
	if err != nil {
		return nil, fmt.Errorf("this description of Swagger 2.0 cannot be read: %s: %w", how, err)
	}
	var old openapi2.T
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, fmt.Errorf("this description of Swagger 2.0 cannot be read: %s: %w", how, err)
	}
	if doc, err = openapi2conv.ToV3(&old); err != nil {
		return nil, fmt.Errorf("this description of Swagger 2.0 cannot be read: %s: %w", how, err)
	}
	if doc == nil || doc.Paths == nil {
		return nil, errors.New("this description of Swagger 2.0 has no paths")
	}
	return doc, nil
}

// plainNode is what JSON has for a node. Keys are texts, as in JSON.
func plainNode(n *yaml.Node, depth int) any {
	if depth > 200 {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainNode(n.Content[i+1], depth+1)
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plainNode(c, depth+1))
		}
		return list
	case yaml.AliasNode:
		return plainNode(n.Alias, depth+20) // an alias may be of what it is in
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
	case "!!str", "!!timestamp":
		return n.Value
	}
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	if _, err := json.Marshal(v); err != nil {
		return n.Value
	}
	return v
}

// keepDigits makes texts of the integers that a float64 does not have. under is the key
// that a node is the value of; value tells whether it is one for the API, not a schema.
func keepDigits(n *yaml.Node, under string, value bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if value && beyond(n) {
			n.SetString(exactNumber + n.Value)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			keepDigits(c, under, value)
		}
	case yaml.MappingNode:
		named := under == "properties" || under == "schemas" || under == "parameters" // of people's own choice
		size := len(n.Content)
		for i := 0; i+1 < size; i += 2 {
			key, v := n.Content[i].Value, n.Content[i+1]
			if named {
				keepDigits(v, "", value)
				continue
			}
			if slices.Contains([]string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, key) && !value && beyond(v) {
				n.Content = append(n.Content, str(exactBound+key), str(v.Value))
				continue
			}
			keepDigits(v, key, value || slices.Contains([]string{"example", "examples", "default", "const", "enum"}, key))
		}
	}
}

func beyond(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" || !json.Valid([]byte(n.Value)) {
		return false
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	return err == nil && (f >= 1<<53 || f <= -(1<<53)) || len(n.Value) > 17
}
