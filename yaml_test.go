package loadgen

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/scenarios"
)

// The example of the design, word for word.
const exampleYAML = `
description: Opbeans traffic, the default mix
variables:                       # defaults
  SERVICE_NAME: default
  ERROR_WEIGHT: 2
tasks:
  - name: products_id            # also the name in statistics
    weight: 6
    request: GET /api/products/${randint(1, 6)}
    expect: 200                  # default: 2xx or 3xx
  - name: oopsie
    when: SERVICE_NAME startsWith "opbeans-python" || SERVICE_NAME startsWith "opbeans-go"
    weight: ${ERROR_WEIGHT}
    request: GET /oopsie
    expect: 500
  - name: orders_post
    request: POST /api/orders
    json: '${ {customer_id: randint(1, 1000), lines: map(1..randint(1, 5), {{id: randint(1, 6), amount: randint(1, 4)}})} }'
  - name: browse                 # several steps: one iteration, one session
    think: 200ms..2s
    steps:
      - request: GET /api/products
        capture: {id: json("$.0.id")}
      - request: GET /api/products/${id}
        check: [status == 200, json("$.stock") >= 0, duration < 500ms]
`

func TestParseScenario(t *testing.T) {
	s, err := ParseScenario("mix", []byte(exampleYAML))
	require.NoError(t, err)
	assert.Equal(t, "mix", s.Name())
	assert.Equal(t, "Opbeans traffic, the default mix", s.Description())
	assert.Equal(t, []Variable{{"SERVICE_NAME", "default"}, {"ERROR_WEIGHT", int64(2)}}, s.Variables())
	assert.Equal(t, []string{"products_id", "oopsie", "orders_post", "browse"}, s.TaskNames())

	weights, err := s.Weights(JobConfig{ServiceName: "opbeans-go-2", Variables: map[string]string{"ERROR_WEIGHT": "0.5"}})
	require.NoError(t, err)
	assert.Equal(t, []TaskWeight{{"products_id", 6}, {"oopsie", 0.5}, {"orders_post", 1}, {"browse", 1}}, weights)
	weights, err = s.Weights(JobConfig{ServiceName: "opbeans-java"})
	require.NoError(t, err)
	assert.Zero(t, weights[1].Weight)

	browse := s.tasks[3].yaml
	assert.Equal(t, thinkTime{min: 200 * time.Millisecond, max: 2 * time.Second}, browse.steps[0].think)
	assert.Zero(t, browse.steps[1].think)
	assert.True(t, browse.steps[1].readBody)
}

func TestParseScenarioErrors(t *testing.T) {
	task := func(lines ...string) string { // lines begin in column 5 of line 3
		return "tasks:\n  - name: t\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"empty":         {"", []string{"1:1: the file is empty: a scenario needs at least one task"}},
		"comment":       {"# nothing\n", []string{"1:1: the file is empty: a scenario needs at least one task"}},
		"not YAML":      {"a: [", []string{"2:1: not valid YAML: while parsing a flow node: did not find expected node content"}},
		"not UTF-8":     {"description: x\nname: \xff", []string{"2:1: the file is not UTF-8 text from this line on"}},
		"a list":        {"- a\n", []string{"1:1: expected a scenario as a map, found a list"}},
		"a text":        {"hello\n", []string{`1:1: expected a scenario as a map, found the text "hello"`}},
		"no tasks":      {"description: x\n", []string{"1:1: tasks is missing: a scenario needs at least one task"}},
		"tasks null":    {"tasks:\n", []string{"1:1: tasks has no value", "1:1: tasks is missing: a scenario needs at least one task"}},
		"tasks text":    {"tasks: none\n", []string{`1:8: expected tasks as a list, found the text "none"`}},
		"tasks empty":   {"tasks: []\n", []string{"1:8: expected 1 to 1000 tasks, found 0"}},
		"two documents": {homeYAML + "---\n" + homeYAML, []string{"5:1: expected the end of the file, found a second document: a file holds one scenario"}},
		"alias":         {"tasks: &a []\nx: *a\n", []string{"1:8: anchors and aliases are not supported: remove &a"}},
		"tag":           {task("request: !!binary aGVsbG8="), []string{"3:14: the tag !!binary is not supported"}},
		"merge":         {task("<<: {weight: 1}", "request: GET /"), []string{`3:5: unknown key "<<"; a task has name, weight, when, steps, think, request, headers, auth, expect, redirects, json, body, form, multipart, capture, check`}},
		"unknown key":   {task("wieght: 2", "request: GET /"), []string{`3:5: unknown key "wieght" (did you mean "weight"?)`}},
		"key twice":     {task("request: GET /", "request: GET /x"), []string{`4:5: the key "request" is already in line 3`}},
		"several": {task("weight: [1]", "when: 5 +", "request: GET", "expect: ok", "think: 1"), []string{
			"3:13: expected the weight as a number or an expression, found a list",
			"4:13: unexpected token EOF",
			`5:14: expected a target after GET, such as "GET /path"`,
			`6:13: expected a status such as 200, or a class such as 2xx, found "ok"`,
			"7:12: think is the pause between steps; this task has one request",
		}},
		"name missing":     {"tasks:\n  - request: GET /\n", []string{"2:5: the task has no name"}},
		"name number":      {"tasks:\n  - name: 5\n    request: GET /\n", []string{"2:11: expected the name as text, found the number 5"}},
		"name control":     {"tasks:\n  - name: \"a\\tb\"\n    request: GET /\n", []string{"2:11: the task's name holds a control character"}},
		"names twice":      {homeYAML + "  - name: home\n    request: GET /\n", []string{`5:11: two tasks are named "home"; the other is in line 3`}},
		"nothing to do":    {task("weight: 1"), []string{`2:5: a task needs a request, such as "GET /path", or a list of steps`}},
		"both":             {task("request: GET /", "steps: [{request: GET /}]"), []string{"4:12: a task has either request or steps, not both"}},
		"steps and expect": {task("steps: [{request: GET /}]", "expect: 200"), []string{"4:13: expect belongs to a step, because this task has steps"}},
		"steps empty":      {task("steps: []"), []string{"3:12: expected 1 to 100 steps, found 0"}},
		"step of nothing":  {task("steps: [{expect: 200}]"), []string{`3:13: the step has no request, such as "GET /path"`}},
		"weight below 0":   {task("weight: -1", "request: GET /"), []string{"3:13: expected a weight from 0 to 1e+09, found -1"}},
		"weight nan":       {task("weight: .nan", "request: GET /"), []string{"3:13: expected the weight as a number or an expression, found the number .nan"}},
		"weight text":      {task(`weight: '"a"'`, "request: GET /"), []string{"3:14: expected a number, found string"}},
		"weight random":    {task("weight: ${randint(1, 2)}", "request: GET /"), []string{`3:15: "randint" has no value in weights and conditions, which are evaluated when a job starts or changes`}},
		"when no bool":     {task("when: 1 + 1", "request: GET /"), []string{"3:11: expected a condition that is true or false, found int"}},
		"when unknown":     {task("when: ERROR_WEIGTH > 1", "request: GET /"), []string{`3:11: unknown name "ERROR_WEIGTH" (did you mean "ERROR_WEIGHT"?)`}},
		"lower method":     {task("request: get /"), []string{`3:14: expected a method and a target such as "GET /path", found "get /"; methods are in capitals: GET`}},
		"no method":        {task("request: FETCH /"), []string{`3:14: expected a method and a target such as "GET /path", found "FETCH /"; the methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, and a target begins with /, http:// or ${`}},
		"relative":         {task("request: GET api/x"), []string{`3:14: the target must begin with /, http:// or https://, not "api/x"`}},
		"space":            {task("request: GET /a HTTP/1.1"), []string{"3:14: a target cannot hold a space: write %20"}},
		"fragment":         {task("request: GET /a#b"), []string{"3:14: a target cannot hold a #: what follows it is never sent; write %23 for the character"}},
		"unclosed":         {task("request: GET /a/${1"), []string{"3:21: this ${ is not closed with }; write $${ for the text itself"}},
		"in a target":      {task("request: GET /a/${1}/${ nope }"), []string{`3:29: unknown name "nope"`}},
		"in double quotes": {task(`request: "GET /\u0041\x41/${ nope }"`), []string{`3:34: unknown name "nope"`}},
		"in single quotes": {task(`request: 'GET /''/${ nope }'`), []string{`3:26: unknown name "nope"`}},
		"in a block":       {task("request: POST /", "body: |", "  one", "    two ${ nope }"), []string{`6:16: unknown name "nope"`}},
		"in a folded text": {task("request: POST /", "body: >-", "  one", "  two ${ nope }"), []string{`6:14: unknown name "nope"`}},
		"in a plain text":  {task("request: POST /", "body: one", "  two ${ nope }"), []string{`5:14: unknown name "nope"`}},
		"after letters":    {task("when: 'SERVICE_NAME == \"é\" && nope'", "request: GET /"), []string{`3:35: unknown name "nope"`}},
		"body of a bare":   {task("request: /x", "body: a"), []string{`3:14: a request with a body needs its method, such as "POST /x"`}},
		"two bodies":       {task("request: POST /x", "body: a", "json: 1"), []string{"4:11: a request has one body: either json or body"}},
		"header":           {task("request: GET /", "headers: {a b: c}"), []string{`4:15: "a b" cannot be the name of a header`}},
		"header twice":     {task("request: GET /", "headers: {A: c, a: d}"), []string{"4:21: the header A is there already"}},
		"header of ours":   {task("request: GET /", "headers: {content-length: 5}"), []string{"4:15: Content-Length is set by the client, from the body and the connection"}},
		"header break":     {task("request: GET /", `headers: {A: "b\r\nC: d"}`), []string{"4:18: the value holds a control character, such as a line break"}},
		"header empty":     {task("request: GET /", "headers: {}"), []string{"4:14: expected headers with at least one entry, found an empty map"}},
		"expect":           {task("request: GET /", "expect: [200, 2x, 700]"), []string{`4:19: expected a status such as 200, or a class such as 2xx, found "2x"`, `4:23: expected a status such as 200, or a class such as 2xx, found "700"`}},
		"expect nothing":   {task("request: GET /", "expect: []"), []string{"4:13: expected at least one status, found an empty list"}},
		"redirects":        {task("request: GET /", "redirects: 3"), []string{"4:16: expected true or false, whether redirects are followed, found the number 3"}},
		"think":            {task("think: 2s..1s", "steps: [{request: GET /}]"), []string{`3:12: the range "2s..1s" ends before it begins`}},
		"think unit":       {task("think: 200", "steps: [{request: GET /}]"), []string{`3:12: expected a duration with its unit such as 200ms, a range such as 200ms..2s, or one with a jitter such as 1s +/- 20%, found "200"`}},
		"think long":       {task("think: 25h", "steps: [{request: GET /}]"), []string{`3:12: expected a duration from 0 to 24h, found "25h"`}},
		"capture": {task("request: GET /", `capture: {a-b: "1", len: "1", ERROR_WEIGHT: "1"}`), []string{
			`4:15: "a-b" cannot be a captured name: expected letters, digits and _, and no word of the expression language`,
			`4:25: "len" cannot be a captured name: expected letters, digits and _, and no word of the expression language`,
			`4:35: "ERROR_WEIGHT" is a variable already`,
		}},
		"captured later": {task("steps:", "  - request: GET /${id}", "    capture: {id: json('$.id')}"), []string{`4:25: unknown name "id"`}},
		"check": {task("request: GET /", "check: [status = 200, nope, duration < 5]"), []string{
			`4:20: unexpected =; == compares`, `4:27: unknown name "nope"`, "4:42: invalid operation: < (mismatched types time.Duration and int); a duration has a unit, such as 500ms",
		}},
		"check nothing":  {task("request: GET /", "check: []"), []string{"4:12: expected at least one condition, found an empty list"}},
		"json":           {task("request: POST /", "json: {a: .inf}"), []string{"4:15: expected a JSON value, found the number .inf, which JSON cannot say"}},
		"json key twice": {task("request: POST /", "json: {a: 1, a: 2}"), []string{`4:18: the key "a" is already in line 4`}},
		"file": {task("request: POST /", "multipart:", "  f: {filname: x, content_type: text}"), []string{
			"5:7: the file \"f\" has no content", `5:11: unknown key "filname" (did you mean "filename"?)`, `5:37: expected a media type such as text/plain, found "text"`,
		}},
		"multipart type": {task("request: POST /", "headers: {Content-Type: a/b}", "multipart: {a: b}"), []string{"5:16: the Content-Type of a multipart body is set with its boundary: remove the header"}},
		"variables": {"variables:\n  1a: 1\n  len: 1\n  N:\n  L: []\n  SERVICE_NAME: 5\n  LABEL_NAME: a\n  APP_LATENCY_LABEL: b\n" + homeYAML[18:], []string{
			`2:3: "1a" cannot be a variable: expected letters, digits and _, not beginning with a digit`,
			`3:3: "len" cannot be a variable: expressions already have something of that name`,
			"4:5: variable N: expected a text, number, true or false as its default, found nothing",
			"5:6: variable L: expected a text, number, true or false as its default, found a list",
			"6:17: variable SERVICE_NAME: SERVICE_NAME is a standard variable: its default must be text",
			"8:3: APP_LATENCY_LABEL means the same as LABEL_NAME: declare one of them",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseScenarioFile("x", "scenarios/x.yaml", []byte(c.src))
			require.Error(t, err)
			assert.Equal(t, "scenarios/x.yaml:"+strings.Join(c.want, "\nscenarios/x.yaml:"), err.Error())
		})
	}
}

func TestParseScenarioLimits(t *testing.T) {
	_, err := ParseScenario("x", []byte(homeYAML+strings.Repeat("#", MaxScenarioSize)))
	require.ErrorContains(t, err, "x:1:1: the file is larger than 1048576 bytes")
	_, err = ParseScenario("x", []byte("tasks: "+strings.Repeat("[", 10_000)))
	require.ErrorContains(t, err, "not valid YAML")
	_, err = ParseScenario("x", []byte("tasks:\n"+strings.Repeat("  - {}\n", 900)))
	var se *ScenarioError
	require.ErrorAs(t, err, &se)
	assert.Len(t, se.Errors, maxSourceErrors+1)
	assert.Equal(t, "there are more errors", se.Errors[maxSourceErrors].Message)
}

func FuzzParseScenario(f *testing.F) {
	f.Add([]byte(exampleYAML))
	f.Add([]byte(homeYAML))
	for _, name := range []string{"dyno.yaml", "molotov_scenarios.yaml"} {
		src, err := scenarios.FS.ReadFile(name)
		require.NoError(f, err)
		f.Add(src)
	}
	f.Add([]byte("tasks:\n- name: a\n  request: \"POST /\\u0041${raw(\"\n  json: >\n   ${ {a: [1.5s]} }\n"))
	f.Add([]byte(flowYAML))
	f.Add([]byte("setup: [{request: GET /, capture: {id: cookie('a') ?? 1}}]\nsession: iteration\nfeeders: {c: {file: carts.jsonl, at_end: stop}}\n" +
		"tasks:\n- name: a\n  steps:\n  - group: g\n    think: 1s +/- 20%\n    steps: [{request: 'POST /${id}', json: '${c}', auth: {user: '${c.id}'}}]\n" +
		"  - {request: POST /, body: {file: raw.txt, template: false}, think: 1ms..2ms}\n"))
	folder := sourcesFolder()
	folder["users.csv"].Data = []byte("id,name\n1,ada\n2,\"b \"\"x\"\"\"\n")
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 {
			return
		}
		began := time.Now()
		s, err := parseScenario("x", "x", "", folder, src)
		require.Less(t, time.Since(began), 10*time.Second)
		if err != nil {
			var se *ScenarioError
			require.True(t, errors.As(err, &se))
			lines := len(splitLines(string(src))) + 1
			for _, e := range se.Errors {
				require.NotEmpty(t, e.Message)
				require.GreaterOrEqual(t, e.Column, 1)
				require.True(t, e.Line >= 1 && (e.Line <= lines || e.Message == "there are more errors"), "%v", e)
			}
			return
		}
		// What parses can be bound and rendered, or says why not.
		b, faults := s.bind(&JobConfig{BaseURL: "http://h"}, nil)
		if len(faults) > 0 {
			return
		}
		feeds, faults := s.openFeeds(nil, Segment{})
		if len(faults) > 0 {
			return // a file in another format than it has
		}
		vu := &VU{plan: &plan{feeds: feeds}, rand: testScratch(1).state.rand}
		for _, task := range s.tasks {
			bt, err := task.yaml.bindSteps(newBinding(b.vars, nil))
			if err != nil {
				continue
			}
			sc := testScratch(1)
			sc.use(bt.binding)
			sc.state.user = vu
			for i := range bt.steps {
				_ = bt.steps[i].render(sc)
			}
		}
	})
}
