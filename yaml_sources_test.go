package loadgen

import (
	"strings"
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

func TestParseSourcesErrors(t *testing.T) {
	const home = "tasks: [{name: t, request: GET /}]\n"
	get := func(target string) string {
		return "feeders: {u: users.csv}\ntasks:\n  - name: t\n    request: " + target + "\n"
	}
	post := func(lines ...string) string {
		return "tasks:\n  - name: t\n    request: POST /\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"secrets": {"secrets: [1a, len, SERVICE_NAME, A, A]\n" + home, []string{
			`1:11: "1a" cannot be the name of a secret: expected letters, digits and _, not beginning with a digit`,
			`1:15: "len" cannot be the name of a secret: expressions already have something of that name`,
			`1:20: "SERVICE_NAME" is a variable or secret already`,
			`1:37: "A" is a variable or secret already`,
		}},
		"secrets text":   {"secrets: A\n" + home, []string{`1:10: expected secrets as a list, found the text "A"`}},
		"secrets none":   {"secrets: []\n" + home, []string{"1:10: expected 1 to 100 names of environment variables, found 0"}},
		"secret unknown": {"tasks: [{name: t, request: 'GET /${API_TOKEN}'}]\n", []string{`1:36: unknown name "API_TOKEN"`}},
		"feeder file":    {"feeders:\n  u: {order: random}\n" + home, []string{"2:6: the feeder has no file, such as \"file: users.csv\""}},
		"feeder key":     {"feeders:\n  u: {file: users.csv, atend: stop}\n" + home, []string{`2:24: unknown key "atend" (did you mean "at_end"?)`}},
		"feeder values": {"feeders:\n  a: {file: users.csv, order: any}\n  b: {file: users.csv, at_end: wrap}\n  c: {file: users.csv, delimiter: ';;'}\n  d: {file: users.csv, order: random, at_end: stop}\n  e: {file: users.txt}\n  f: {file: users.csv, format: xml}\n" + home, []string{
			`2:31: expected the order sequential, random or unique, found "any"`,
			`3:32: expected cycle or stop as what happens at the end, found "wrap"`,
			`4:35: expected one character such as ; as the delimiter, found ";;"`,
			`5:47: rows in random order have no end to stop at`,
			`6:13: the name "users.txt" does not tell its format: expected a name in .csv, .tsv, .jsonl or .ndjson, or format: csv or jsonl`,
			`7:32: expected the format csv or jsonl, found "xml"`,
		}},
		"feeder places": {"feeders:\n  a: ../users.csv\n  b: /etc/users.csv\n  c: none.csv\n  d: twice.csv\n  e: empty.csv\n" + home, []string{
			`2:6: expected a file in the scenario's folder, such as data/users.csv, with / and without .., found "../users.csv"`,
			`3:6: expected a file in the scenario's folder, such as data/users.csv, with / and without .., found "/etc/users.csv"`,
			"4:6: none.csv: there is no such file in the scenario's folder",
			`5:6: twice.csv:1:1: two columns are named "a"`,
			"6:6: empty.csv:1:1: the file is empty: expected a first line that names the columns",
		}},
		"column":          {get("GET /${u.nmae}"), []string{`4:23: unknown column "nmae" (did you mean "name"?)`}},
		"column far":      {get("GET /${u.x}"), []string{`4:23: unknown column "x"; there are name, a b`}},
		"column type":     {get("GET /${u.name + 1}"), []string{"4:28: invalid operation: + (mismatched types string and int)"}},
		"row in weight":   {"feeders: {u: users.csv}\ntasks:\n  - name: t\n    weight: ${u.name}\n    request: GET /\n", []string{`4:15: the feeder "u" has rows for virtual users only: not for weights, conditions, and the job's own set-up and tear-down`}},
		"row in setup":    {"feeders: {u: users.csv}\nsetup: [{request: 'GET /${u.name}'}]\n" + home, []string{`2:27: the feeder "u" has rows for virtual users only: not for weights, conditions, and the job's own set-up and tear-down`}},
		"capture a row":   {get("GET /") + "    capture: {u: status}\n", []string{`5:15: "u" is a feeder already`}},
		"session":         {"session: task\n" + home, []string{`1:10: expected vu or iteration, for how long cookies and connections are kept, found "task"`}},
		"setup":           {"setup: {request: GET /}\n" + home, []string{"1:8: expected the steps as a list, found a map"}},
		"setup none":      {"vu_setup: []\n" + home, []string{"1:11: expected 1 to 100 steps, found 0"}},
		"setup weight":    {"teardown: [{request: GET /, weight: 1}]\n" + home, []string{`1:29: unknown key "weight"; a step has request, headers, auth, expect, redirects, json, body, form, multipart, capture, check, think`}},
		"setup captures":  {"setup: [{request: GET /, capture: {id: status}}]\ntasks: [{name: t, request: GET /, capture: {id: status}}]\n", []string{`2:45: "id" is captured by a set-up already, for all iterations`}},
		"setup too early": {"setup: [{request: 'GET /${id}'}]\nvu_setup: [{request: GET /, capture: {id: status}}]\n" + home, []string{`1:27: unknown name "id"`}},
		"group": {"tasks:\n  - name: t\n    steps:\n      - group: a\n      - group: ''\n        steps: [{request: GET /}]\n      - group: b\n        request: GET /\n        steps: [{group: c, steps: [{request: GET /}]}]\n", []string{
			`4:9: the group "a" has no steps`, "5:16: the group's name is empty", `8:9: unknown key "request"; a group has group, steps, think`, `9:17: groups cannot be nested: this one is within "b"`,
		}},
		"think": {"tasks:\n  - name: t\n    think: 1s +/- 120%\n    steps:\n      - request: GET /\n        think: 1s +/- 2s\n      - request: GET /\n        think: 1s..2s +/- 5%\n", []string{
			`3:12: expected a duration with its unit such as 200ms, a range such as 200ms..2s, or one with a jitter such as 1s +/- 20%, found "1s +/- 120%"`,
			`6:16: expected a jitter from 0 to the pause itself, found "1s +/- 2s"`,
			`8:16: expected a duration with its unit such as 200ms, a range such as 200ms..2s, or one with a jitter such as 1s +/- 20%, found "1s..2s +/- 5%"`,
		}},
		"auth":          {"auth: none\n" + home, []string{`1:7: expected {bearer: TOKEN}, {user: NAME, password: PASSWORD} or none, found the text "none"`}},
		"auths":         {post("auth: {bearer: a, user: b}", "headers: {X: y}"), []string{"4:11: expected either bearer, or user and password, found both"}},
		"auth twice":    {post("auth: {bearer: a}", "headers: {authorization: b}"), []string{"4:11: the header Authorization is there already: a request has either that or auth"}},
		"auth user":     {post("auth: {password: b}"), []string{"4:11: the password has no user"}},
		"auth colon":    {post("auth: {user: 'a:b'}"), []string{"4:18: the name of a user cannot hold a colon, which ends it"}},
		"auth break":    {post(`auth: {bearer: "a\nb"}`), []string{"4:20: the value holds a control character, such as a line break"}},
		"body file":     {post("body: {template: true}"), []string{"4:11: expected a file, such as {file: order.json}"}},
		"body none":     {post("body: {file: none.json}"), []string{"4:18: none.json: there is no such file in the scenario's folder"}},
		"body away":     {post("body: {file: a/../../b}"), []string{`4:18: a/../../b: expected a file in the scenario's folder, such as data/users.csv, with / and without .., found "a/../../b"`}},
		"body template": {post("body: {file: t.txt, template: true}"), []string{"4:18: t.txt:3:1: this ${ is not closed with }; write $${ for the text itself"}},
		"body bytes":    {post("body: {file: bad.txt, template: true}"), []string{"4:18: bad.txt: a template must be UTF-8 text"}},
		"file twice":    {post("multipart: {f: {file: raw.txt, content: x}}"), []string{"4:27: a file has either content or the name of a file, not both"}},
		"file template": {post("multipart: {f: {content: x, template: true}}"), []string{"4:43: template is for a file; content is always a template"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseScenario("x", "x.yaml", "", sourcesFolder(), []byte(c.src))
			require.Error(t, err)
			assert.Equal(t, "x.yaml:"+strings.Join(c.want, "\nx.yaml:"), err.Error())
		})
	}
	_, err := parseScenario("x", "x.yaml", "", sourcesFolder(), []byte(post("body: {file: raw.txt}")))
	assert.NoError(t, err)
	folder := sourcesFolder()
	folder["t.txt"].Data = []byte("one\ntwo ${ nope }\n")
	_, err = parseScenario("x", "x.yaml", "", folder, []byte(post("body: {file: t.txt, template: true}")))
	assert.EqualError(t, err, `x.yaml:4:18: t.txt:2:8: unknown name "nope"`)
	_, err = ParseScenario("x", []byte("feeders: {u: users.csv}\n"+home))
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
	assert.Equal(t, "a/shop.yaml", s.Source())
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

func TestMask(t *testing.T) {
	m := newMask([]string{"", "a b", "longer than six", "x"})
	for text, want := range map[string]string{
		"nothing here":                "nothing here",
		"a b, a%20b, a+b and YSBi":    "***, ***, *** and ***",
		"longer than six":             "***",
		"it is longer th…":            "it is ***…",
		"long is fine":                "long is fine",
		"x x":                         "*** ***",
		"k=longer%20than%20six&y=z":   "k=***&y=z",
		"longer than seven is longer": "***even is ***",
	} {
		assert.Equal(t, want, m.text(text))
	}
	assert.Nil(t, newMask([]string{""}))
	assert.Equal(t, "as it is", (*mask)(nil).text("as it is"))
}

// No text that is masked holds a secret of some length.
func FuzzMask(f *testing.F) {
	f.Add("s3cret", "before s3cret after", 3)
	f.Add(`a "b" c&d`, "x", 0)
	f.Fuzz(func(t *testing.T, secret, around string, at int) {
		if len(secret) < 1 || len(secret) > 1000 || len(around) > 1000 || strings.Contains(maskText, secret) {
			return
		}
		m := newMask([]string{secret})
		at = min(max(at, 0), len(around))
		for _, form := range m.forms {
			text := m.text(around[:at] + form + around[at:])
			if !strings.Contains(around, form) && !strings.Contains(maskText+around[at:], form) && !strings.Contains(around[:at]+maskText, form) {
				require.NotContains(t, text, form)
			}
		}
	})
}
