package loadgen

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/scenariofile"
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

	weights, err := weightsOf(s, JobConfig{ServiceName: "opbeans-go-2", Variables: map[string]string{"ERROR_WEIGHT": "0.5"}})
	require.NoError(t, err)
	assert.Equal(t, []TaskWeight{{"products_id", 6}, {"oopsie", 0.5}, {"orders_post", 1}, {"browse", 1}}, weights)
	weights, err = weightsOf(s, JobConfig{ServiceName: "opbeans-java"})
	require.NoError(t, err)
	assert.Zero(t, weights[1].Weight)

	browse := s.tasks[3].yaml
	assert.Equal(t, scenariofile.Think{Min: 200 * time.Millisecond, Max: 2 * time.Second}, browse.Steps[0].Think)
	assert.Zero(t, browse.Steps[1].Think)
	assert.True(t, browse.Steps[1].ReadBody)
}

// The faults of files are those of TestBadFiles; here is how they are reported, and the
// rules for standard variables.
func TestParseScenarioErrors(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"not UTF-8":     {"description: x\nname: \xff", []string{"2:1: the file is not UTF-8 text from this line on"}},
		"two documents": {homeYAML + "---\n" + homeYAML, []string{"5:1: expected the end of the file, found a second document: a file holds one scenario"}},
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
	require.Len(t, se.Errors, 21)
	assert.Equal(t, "there are more errors", se.Errors[20].Message)
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
	lineBreak := regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]") // where YAML begins another line
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
			lines := len(lineBreak.Split(string(src), -1)) + 1
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
		vu := &VU{plan: &plan{feeds: feeds}, rand: testScratch(1).ev.Random()}
		for _, task := range s.tasks {
			bt, err := bindSteps(task.yaml, expr.NewBinding(b.vars, nil))
			if err != nil {
				continue
			}
			sc := testScratch(1)
			sc.ev.Use(bt.binding)
			sc.ev.Begin(sc.ev.Random(), 0, 0, (*vuRows)(vu))
			for i := range bt.steps {
				_ = bt.steps[i].render(sc)
			}
		}
	})
}
