package loadgen

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sourcesFolder has what the tests of this file name.
func sourcesFolder() fstest.MapFS {
	return fstest.MapFS{
		"users.csv":   {Data: []byte("name,a b\nada,1\n")},
		"twice.csv":   {Data: []byte("a,a\n1,2\n")},
		"empty.csv":   {Data: []byte("")},
		"carts.jsonl": {Data: []byte("{\"id\": 1}\n")},
		"t.txt":       {Data: []byte("one\ntwo ${ nope }\n${vu(}\n")},
		"raw.txt":     {Data: []byte("one ${ nope }")},
		"bad.txt":     {Data: []byte("\xff")},
	}
}

// flowYAML is a flow as people write it: rows, groups, pauses, credentials that were
// fetched by a set-up, checks.
const flowYAML = `
secrets: [KEY]
variables: {LIMIT: 5}
feeders: {users: {file: users.csv, order: random}}
vu_setup:
  - request: GET /
    capture: {token: header("ETag")}
tasks:
  - name: flow
    think: 1us +/- 20%
    steps:
      - request: GET /products/${randint(1, LIMIT)}?user=${users.name}
        auth: {user: "${users.name}", password: "${KEY}"}
        check: [status == 200, duration < 10s]
      - group: browse
        steps:
          - request: GET /users/${users.name}?limit=${LIMIT}
            headers: {X-User: "${users.id}", X-Draw: "n${randint(1, 9)}"}
            auth: {bearer: "${token}"}
          - request: GET /
            check: status < 300
      - request: GET /last
`

func TestTemplatesInFiles(t *testing.T) {
	post := func(line string) []byte {
		return []byte("tasks:\n  - name: t\n    request: POST /\n    " + line + "\n")
	}
	_, err := parseScenario("x", "x.yaml", "", sourcesFolder(), post("body: {file: raw.txt}"))
	assert.NoError(t, err)
	folder := sourcesFolder()
	folder["t.txt"].Data = []byte("one\ntwo ${ nope }\n")
	_, err = parseScenario("x", "x.yaml", "", folder, post("body: {file: t.txt, template: true}"))
	assert.EqualError(t, err, `x.yaml:4:18: t.txt:2:8: unknown name "nope"`)
	_, err = ParseScenario("x", []byte("feeders: {u: users.csv}\ntasks: [{name: t, request: GET /}]\n"))
	assert.ErrorContains(t, err, "users.csv: this scenario was not read from a folder, so there is none to look for the file in")
}

func TestBuilderSourcesErrors(t *testing.T) {
	s := NewScenario("s").Task("t", 1, nil).Secret("A=B", "ERROR_WEIGHT").Feeder("u", Feeder{File: "../a.csv"})
	_, f := s.bind(&JobConfig{}, nil)
	text := validation(f).Error()
	assert.Contains(t, text, `"A=B" cannot be the name of a secret`)
	assert.Contains(t, text, `"ERROR_WEIGHT" is a variable, which cannot be a secret`)
	assert.Contains(t, text, `feeder "u": expected a file in the scenario's folder`)
}

func TestLoadScenario(t *testing.T) {
	folder := fstest.MapFS{
		"a/shop.yaml":  {Data: []byte("feeders: {u: data/u.csv}\ntasks: [{name: t, request: 'GET /${u.n}'}]")},
		"a/data/u.csv": {Data: []byte("n\n1\n")}, "b.txt": {Data: []byte("x")}, "big.yaml": {Data: make([]byte, MaxScenarioSize+1)},
	}
	s, err := LoadScenario(folder, "a/shop.yaml")
	require.NoError(t, err)
	assert.Equal(t, "shop", s.Name())
	assert.Equal(t, "a/shop.yaml", s.File())
	require.NoError(t, s.CheckFiles())
	folder["a/data/u.csv"].Data = []byte("n\n1\n2,3\n")
	assert.ErrorContains(t, s.CheckFiles(), `feeder "u": data/u.csv:3:1: expected 1 column, as in the first line, found 2`)
	for file, want := range map[string]string{
		"b.txt": "expected a scenario file NAME.yaml", "none.yaml": "none.yaml: there is no such file", "../a.yaml": "without ..",
		"big.yaml": "larger than 1048576 bytes",
	} {
		_, err := LoadScenario(folder, file)
		assert.ErrorContains(t, err, want)
	}
}
