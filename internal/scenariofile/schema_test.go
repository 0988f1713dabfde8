package scenariofile

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/scenarios"
)

func scenarioSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	src, err := scenarios.FS.ReadFile("schema.json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", doc))
	schema, err := c.Compile("schema.json")
	require.NoError(t, err)
	return schema
}

// asDocument decodes YAML as an editor does for a schema.
func asDocument(t *testing.T, src []byte) any {
	t.Helper()
	var doc any
	require.NoError(t, yaml.Unmarshal(src, &doc))
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return out
}

func TestSchemaAcceptsWhatParses(t *testing.T) {
	schema := scenarioSchema(t)
	folder, sources := docBlocks(t)
	example, err := os.ReadFile("testdata/good/example.yaml")
	require.NoError(t, err)
	sources = append(sources, example)
	for _, name := range []string{"molotov_scenarios.yaml", "dyno.yaml", "high_error_rates.yaml"} {
		src, err := scenarios.FS.ReadFile(name)
		require.NoError(t, err)
		sources = append(sources, src)
	}
	for _, src := range sources {
		_, faults := Parse(src, testOptions(folder))
		require.Empty(t, faults, "%s", src)
		assert.NoError(t, schema.Validate(asDocument(t, src)), "%s", src)
	}
}

func TestSchemaRefusesWhatDoesNotParse(t *testing.T) {
	schema := scenarioSchema(t)
	for _, src := range []string{
		"description: x",
		"tasks: []",
		"tasks: [{request: GET /}]",
		"tasks: [{name: a}]",
		"tasks: [{name: a, request: GET /, steps: [{request: GET /}]}]",
		"tasks: [{name: a, request: GET /, think: 1s}]",
		"tasks: [{name: a, steps: [{request: GET /}], expect: 200}]",
		"tasks: [{name: a, steps: []}]",
		"tasks: [{name: a, steps: [{expect: 200}]}]",
		"tasks: [{name: a, wieght: 1, request: GET /}]",
		"tasks: [{name: a, weight: -1, request: GET /}]",
		"tasks: [{name: a, request: get /}]",
		"tasks: [{name: a, request: GET x}]",
		"tasks: [{name: a, request: GET /, expect: 700}]",
		"tasks: [{name: a, request: GET /, expect: 2x}]",
		"tasks: [{name: a, request: GET /, redirects: 1}]",
		"tasks: [{name: a, request: GET /, headers: {a b: c}}]",
		"tasks: [{name: a, request: GET /, headers: {a: []}}]",
		"tasks: [{name: a, request: POST /, multipart: []}]",
		"tasks: [{name: a, request: POST /, multipart: [a]}]",
		"tasks: [{name: a, request: POST /, multipart: {f: {content: x, headers: {}}}}]",
		"tasks: [{name: a, request: POST /, multipart: {f: {filename: x}}}]",
		"tasks: [{name: a, request: GET /, check: []}]",
		"tasks: [{name: a, request: GET /, capture: {a-b: '1'}}]",
		"variables: {A: []}\ntasks: [{name: a, request: GET /}]",
		"think: 1s\ntasks: [{name: a, request: GET /}]",
		"secrets: []\ntasks: [{name: a, request: GET /}]",
		"secrets: [1a]\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: ../users.csv}\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: /users.csv}\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: {order: random}}\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: {file: a.csv, order: shuffled}}\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: {file: a.csv, at_end: wrap}}\ntasks: [{name: a, request: GET /}]",
		"feeders: {u: {file: a.csv, delimiter: ';;'}}\ntasks: [{name: a, request: GET /}]",
		"session: forever\ntasks: [{name: a, request: GET /}]",
		"auth: none\ntasks: [{name: a, request: GET /}]",
		"auth: {user: a, bearer: b}\ntasks: [{name: a, request: GET /}]",
		"setup: []\ntasks: [{name: a, request: GET /}]",
		"vu_setup: [{expect: 200}]\ntasks: [{name: a, request: GET /}]",
		"tasks: [{name: a, request: GET /, auth: {password: b}}]",
		"tasks: [{name: a, request: POST /, body: {template: true}}]",
		"tasks: [{name: a, request: POST /, multipart: {f: {file: a.txt, content: b}}}]",
		"tasks: [{name: a, steps: [{group: a}]}]",
		"tasks: [{name: a, steps: [{group: a, steps: [{group: b, steps: [{request: GET /}]}]}]}]",
		"tasks: [{name: a, steps: [{request: GET /, think: 5}]}]",
		"tasks: [{name: a, steps: [{request: GET /, if: 5}]}]",
		"tasks: [{name: a, request: GET /, if: 'true'}]",
	} {
		_, faults := Parse([]byte(src), testOptions(nil))
		require.NotEmpty(t, faults, src)
		assert.Error(t, schema.Validate(asDocument(t, []byte(src))), src)
	}
}

// The schema and the parser know the same keys, and each is explained in the
// schema and in the documentation.
func TestSchemaKnowsTheParsersKeys(t *testing.T) {
	src, err := scenarios.FS.ReadFile("schema.json")
	require.NoError(t, err)
	type object struct {
		Properties  map[string]json.RawMessage
		Description string
		Ref         string            `json:"$ref"`
		Defs        map[string]object `json:"$defs"`
	}
	var schema object
	require.NoError(t, json.Unmarshal(src, &schema))
	docs, err := os.ReadFile(inRepository(t, "docs", "scenarios.md"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		keys   []string
		object object
	}{
		"scenario": {ScenarioKeys(), schema},
		"task":     {TaskKeys(), schema.Defs["task"]},
		"step":     {StepKeys(), schema.Defs["step"]},
		"group":    {GroupKeys(), schema.Defs["group"]},
		"feeder":   {FeederKeys(), schema.Defs["feeder"]},
		"auth":     {AuthKeys(), schema.Defs["credentials"]},
		"body":     {BodyFileKeys(), schema.Defs["body_file"]},
		"file":     {FileKeys(), schema.Defs["file"]},
	} {
		assert.ElementsMatch(t, c.keys, slices.Collect(maps.Keys(c.object.Properties)), name)
		for key, raw := range c.object.Properties {
			var p object
			require.NoError(t, json.Unmarshal(raw, &p))
			if p.Description == "" {
				p = schema.Defs[strings.TrimPrefix(p.Ref, "#/$defs/")]
			}
			assert.NotEmpty(t, p.Description, "%s.%s", name, key)
			assert.Contains(t, string(docs), "`"+key+"`", "../../docs/scenarios.md explains %s", key)
		}
	}
	for _, place := range []expr.Place{expr.InTarget, expr.InResponse} {
		for _, name := range expr.FunctionNames(place) {
			assert.Contains(t, string(docs), name+"(", "../../docs/scenarios.md explains %s", name)
		}
	}
}

// docBlocks returns the folder of the blocks of docs/scenarios.md that are files,
// and its blocks of YAML.
func docBlocks(t *testing.T) (folder fstest.MapFS, examples [][]byte) {
	t.Helper()
	src, err := os.ReadFile(inRepository(t, "docs", "scenarios.md"))
	require.NoError(t, err)
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	folder = fstest.MapFS{}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)( [^\n]+)?\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		if name := strings.TrimSpace(m[2]); name != "" {
			folder[name] = &fstest.MapFile{Data: []byte(m[3])}
		} else if m[1] == "yaml" {
			examples = append(examples, []byte(m[3]))
		}
	}
	require.NotEmpty(t, examples)
	return folder, examples
}

// inRepository is the path of a file of the repository, wherever the test stands in it.
func inRepository(t *testing.T, parts ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir}, parts...)...)
		}
		require.NotEqual(t, dir, filepath.Dir(dir), "outside of a module")
		dir = filepath.Dir(dir)
	}
}
