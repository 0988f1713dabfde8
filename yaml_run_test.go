package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/scenarios"
)

func boundTaskOf(t testing.TB, s *Scenario, name string, vars map[string]any) *boundYAMLTask {
	t.Helper()
	for _, task := range s.tasks {
		if task.name == name {
			require.NotNil(t, task.yaml, "a task of a file")
			bt, err := bindSteps(task.yaml, expr.NewBinding(vars, nil))
			require.NoError(t, err)
			return bt
		}
	}
	require.FailNow(t, "no task "+name)
	return nil
}

// stepsOf binds the steps of one task.
func stepsOf(t testing.TB, s *Scenario, name string, vars map[string]any) []boundStep {
	t.Helper()
	return boundTaskOf(t, s, name, vars).steps
}

// onlyTask parses a file with one task, given its lines, and binds it.
func onlyTask(t testing.TB, variables string, lines ...string) (*boundYAMLTask, *scratch) {
	t.Helper()
	s, err := ParseScenarioFile("x", "x.yaml", []byte(variables+"tasks:\n  - name: t\n    "+strings.Join(lines, "\n    ")+"\n"))
	require.NoError(t, err)
	b, f := s.bind(&JobConfig{BaseURL: "http://host/base"}, nil)
	require.NoError(t, validation(f))
	bt := boundTaskOf(t, s, "t", b.vars)
	sc := testScratch(1)
	sc.ev.Use(bt.binding)
	return bt, sc
}

// show prints a request for people and goldens.
func show(c *client.Call) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s\n", c.Method, c.Target)
	for _, h := range c.Header {
		fmt.Fprintf(&out, "%s: %s\n", h.Name, h.Value)
	}
	if c.Body != nil {
		fmt.Fprintf(&out, "\n%s\n", c.Body)
	}
	return out.String()
}

func TestBuiltinRequests(t *testing.T) {
	var out strings.Builder
	for _, name := range []string{"molotov_scenarios", "dyno", "high_error_rates"} {
		s, err := NewCatalogue(scenarios.FS).Load(name)
		require.NoError(t, err)
		b, f := s.bind(&JobConfig{BaseURL: "http://host", ServiceName: "opbeans-python"}, nil)
		require.NoError(t, validation(f))
		for _, task := range s.TaskNames() {
			step := stepsOf(t, s, task, b.vars)[0]
			sc := testScratch(7)
			require.NoError(t, step.render(sc))
			fmt.Fprintf(&out, "## %s %s: expect %s\n%s", name, task, sc.call.Expected, strings.ReplaceAll(show(&sc.call), "\r", ""))
		}
	}
	golden.Check(t, "testdata/scenarios/requests.golden", []byte(out.String()))
}

// All ids and limits that the record names are drawn, and no others.
func TestBuiltinRanges(t *testing.T) {
	s, err := NewCatalogue(scenarios.FS).Load("dyno")
	require.NoError(t, err)
	cfg := JobConfig{BaseURL: "http://host", ServiceName: "opbeans-python", Variables: map[string]string{
		"APP_LATENCY_LOWER_BOUND": "7", "APP_LATENCY_UPPER_BOUND": "5", "LABEL_NAME": "a&b",
	}}
	b, f := s.bind(&cfg, nil)
	require.NoError(t, validation(f))
	draws := func(task string) map[string]int {
		step, sc, seen := stepsOf(t, s, task, b.vars)[0], testScratch(1), map[string]int{}
		for range 2000 {
			require.NoError(t, step.render(sc))
			seen[string(sc.call.Target)]++
		}
		return seen
	}
	limits := map[string]bool{}
	for target := range draws("products_id_customers_limit") {
		u, err := url.Parse(target)
		require.NoError(t, err)
		limits[u.Query().Get("limit")] = true
	}
	assert.Equal(t, map[string]bool{"50": true, "60": true, "70": true, "80": true, "90": true, "100": true, "110": true}, limits)
	assert.Len(t, draws("products_id"), 6)
	assert.Len(t, draws("types_id"), 3)
	latencies := draws("browser_latency")
	assert.Len(t, latencies, 3, "a lower bound above the upper one does no harm")
	assert.Contains(t, latencies, "/labeldelay?delay=6&label=a%26b")
}

func TestJSONBodies(t *testing.T) {
	for source, want := range map[string]string{
		`json: '${ {id: N, tags: map(1..2, {{n: #}})} }'`:                          `{"id":3,"tags":[{"n":1},{"n":2}]}`,
		`json: {a: 1.50, b: [true, null, "5", 0x1F], c: "${N}", d: "n=${N} ${T}"}`: `{"a":1.50,"b":[true,null,"5",31],"c":3,"d":"n=3 a\"b\nc"}`,
		`json: {"${T}": {}, e: []}`:                                                `{"a\"b\nc":{},"e":[]}`,
		`json: null`:                                                               `null`,
		`json: "${T}"`:                                                             `"a\"b\nc"`,
		`json: "${string(randint(4, 4))}"`:                                         `"4"`,
		`json: ["${randint(4, 4)}", "${randint(4, 4)}x"]`:                          `[4,"4x"]`,
		`json: 2001-01-01`:                                                         `"2001-01-01"`,
		`json: 123456789012345678901234567890`:                                     `123456789012345678901234567890`,
		`body: "x ${T}"`:                                                           "x a\"b\nc",
		`body: ""`:                                                                 "",
		`form: {a b: "c&d ${T}", l: [1, "${N}"]}`:                                  "a+b=c%26d+a%22b%0Ac&l=1&l=3",
	} {
		bt, sc := onlyTask(t, "variables: {N: 3, T: \"a\\\"b\\nc\"}\n", "request: POST /", source)
		require.NoError(t, bt.steps[0].render(sc), source)
		require.NotNil(t, sc.call.Body)
		assert.Equal(t, want, string(sc.call.Body), source)
		kind, _, _ := strings.Cut(source, ":")
		assert.Equal(t, map[string]string{
			"json": "application/json", "body": "text/plain; charset=utf-8", "form": "application/x-www-form-urlencoded",
		}[kind], string(sc.call.Header[0].Value))
	}
	bt, sc := onlyTask(t, "", "request: POST /", "headers: {content-type: application/vnd.x+json}", "json: {}")
	require.NoError(t, bt.steps[0].render(sc))
	assert.Equal(t, "POST /\nContent-Type: application/vnd.x+json\n\n{}\n", show(&sc.call))
}

func TestMultipart(t *testing.T) {
	bt, sc := onlyTask(t, "variables: {Q: \"a\\\"b\\r\\nc\"}\n", "request: POST /up", "multipart:",
		"  customer: ${randint(5, 5)}",
		"  file: {filename: 'x ${Q}.csv', content_type: text/csv, content: \"1,2\\n${randint(3, 3)},4\"}",
		"  tags: [new, {filename: t.txt, content: old}]", "  none: []")
	require.NoError(t, bt.steps[0].render(sc))
	media, params, err := mime.ParseMediaType(string(sc.call.Header[0].Value))
	require.NoError(t, err)
	assert.Equal(t, "multipart/form-data", media)
	r := multipart.NewReader(strings.NewReader(string(sc.call.Body)), params["boundary"])
	var got []string
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(p)
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", p.FormName(), p.FileName(), p.Header.Get("Content-Type"), content))
	}
	assert.Equal(t, []string{"customer|||5", "file|x a%22b%0D%0Ac.csv|text/csv|1,2\n3,4", "tags|||new", "tags|t.txt||old"}, got)
}

func TestHeaders(t *testing.T) {
	bt, sc := onlyTask(t, "variables: {A: x}\n", "request: GET /", "headers:", "  x-fixed: a $${b}", "  X-Var: ${A}", "  X-Draw: n${randint(5, 5)}", "  X-Last: ${uuid()}")
	require.NoError(t, bt.steps[0].render(sc))
	assert.Regexp(t, `^GET /\nX-Fixed: a \$\{b\}\nX-Var: x\nX-Draw: n5\nX-Last: [0-9a-f-]{36}\n$`, show(&sc.call))

	s, err := ParseScenario("x", []byte("variables: {A: x}\ntasks: [{name: t, request: GET /, headers: {A: '${A}'}}]"))
	require.NoError(t, err)
	_, f := s.bind(&JobConfig{Variables: map[string]string{"A": "x\r\nEvil: y"}}, nil)
	require.Len(t, f, 1, "a value that breaks out of its header never gets to a request")
	assert.Contains(t, f[0].Message, "control character")
}

func TestExpect(t *testing.T) {
	for source, want := range map[string]struct {
		words   string
		yes, no []int
	}{
		"request: GET /":                           {"2xx or 3xx", []int{200, 204, 302, 399}, []int{100, 199, 400, 500, 0, -1, 1000}},
		"request: GET /\n    expect: 500":          {"500", []int{500}, []int{200, 501}},
		"request: GET /\n    expect: [200, 404]":   {"200 or 404", []int{200, 404}, []int{201, 500}},
		"request: GET /\n    expect: 2xx, 304":     {"2xx or 304", []int{200, 299, 304}, []int{301, 199}},
		"request: GET /\n    expect: ['4XX', 599]": {"4xx or 599", []int{400, 499, 599}, []int{598, 200}},
	} {
		bt, sc := onlyTask(t, "", source)
		require.NoError(t, bt.steps[0].render(sc))
		assert.Equal(t, want.words, sc.call.Expected)
		for _, status := range want.yes {
			assert.True(t, sc.call.Expect(status), "%s: %d", source, status)
		}
		for _, status := range want.no {
			assert.False(t, sc.call.Expect(status), "%s: %d", source, status)
		}
	}
	bt, sc := onlyTask(t, "", "request: GET /", "redirects: false")
	require.NoError(t, bt.steps[0].render(sc))
	assert.True(t, sc.call.NoRedirect)
	assert.False(t, sc.call.ReadBody)
}

// location is the header of a response that pretends to have come.
type location string

func (l location) Header(name string) []byte {
	if name == "Location" {
		return []byte(l)
	}
	return nil
}

func (location) Cookie(string) (string, bool) { return "", false }

// answer pretends that a response came back.
func answer(sc *scratch, status int, body string) {
	sc.ev.Receive(expr.Response{Status: status, Body: []byte(body), Service: 20 * time.Millisecond, Head: location("/orders/9")})
}

func TestCapturesAndChecks(t *testing.T) {
	bt, sc := onlyTask(t, "", "steps:",
		`  - request: GET /products`,
		`    capture: {id: json("$.0.id"), where: header("Location"), word: regexp("na(m.)")}`,
		`  - request: GET /products/${id}?w=${word}`,
		`    capture: {id: json("$.id")}`,
		`    check: [status == 200, json("$.stock") >= 0, duration < 500ms, body contains "stock"]`,
		`  - request: GET ${where}/${id}`)
	assert.True(t, bt.steps[0].step.ReadBody)
	assert.False(t, bt.steps[2].step.ReadBody)

	require.NoError(t, bt.steps[0].render(sc))
	answer(sc, 200, `[{"id": "a/b", "name": 1}]`)
	require.NoError(t, bt.steps[0].settle(sc))
	require.NoError(t, bt.steps[1].render(sc))
	assert.Equal(t, "/products/a%2Fb?w=me", string(sc.call.Target))
	answer(sc, 200, `{"id": 8, "stock": 0}`)
	require.NoError(t, bt.steps[1].settle(sc))
	require.NoError(t, bt.steps[2].render(sc))
	assert.Equal(t, "/orders/9/8", string(sc.call.Target))

	bt.forget(sc)
	for _, name := range []string{"id", "body"} {
		_, known := sc.ev.Value(name)
		assert.False(t, known, "the next iteration starts anew, without %s", name)
	}
}

func TestFailedChecks(t *testing.T) {
	for _, c := range []struct{ line, body, want string }{
		{`check: status == 200`, ``, `task "t": x.yaml:4:12: check failed: status == 200 (status 404, 20ms)`},
		{`check: [status > 0, "json('$.a') > 1"]`, `{"a": 1}`, `task "t": x.yaml:4:26: check failed: json('$.a') > 1 (status 404, 20ms)`},
		{`check: json("$.a") > 1`, `{}`, `task "t": check: x.yaml:4:12: json("$.a") > 1: invalid operation: <nil> > int`},
		{`check: json("$.a") > 1`, `<html>`, `task "t": check: x.yaml:4:12: json("$.a") > 1: the body is not JSON: invalid character '<' looking for beginning of value`},
		{`check: json("$.a") > 1`, ``, `task "t": check: x.yaml:4:12: json("$.a") > 1: the body is not JSON: it is empty`},
		{`check: json("$.a") > 1`, `{} x`, `task "t": check: x.yaml:4:12: json("$.a") > 1: the body is not JSON: more follows the first value`},
		{`capture: {id: json("$.a")}`, `{}`, `task "t": capture id: x.yaml:4:19: json("$.a") finds nothing in the response (status 404)`},
	} {
		bt, sc := onlyTask(t, "", "request: GET /", c.line)
		answer(sc, 404, c.body)
		err := bt.steps[0].settle(sc)
		require.Error(t, err, c.line)
		assert.Equal(t, c.want, err.Error())
		assert.Equal(t, ClassCheck, ClassOf(err))
	}
}

func TestRenderingFaults(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"request: GET /${10 % (vu() - vu())}", "x.yaml:3:21: 10 % (vu() - vu()): "},
		{"request: GET ${choice(['x'])}", `the target must begin with /, http:// or https://, not "x"`},
		{"request: GET /${first(filter([vu()], false))}", "x.yaml:3:21: first(filter([vu()], false)): the value is nil: there is nothing to write"},
		{"request: GET /\n    headers: {A: \"${choice(['a\\\\nb'])}\"}", "the value holds a control character"},
	} {
		bt, sc := onlyTask(t, "", c.line)
		assert.ErrorContains(t, bt.steps[0].render(sc), c.want, c.line)
	}
	// What can be known when the job starts is refused then.
	s, err := ParseScenario("x", []byte("variables: {N: 1}\ntasks: [{name: t, request: 'GET /${10 % N}'}]"))
	require.NoError(t, err)
	_, f := s.bind(&JobConfig{Variables: map[string]string{"N": "0"}}, nil)
	require.Len(t, f, 1)
	assert.Contains(t, f[0].Message, `task "t": x:2:36: 10 % N: integer divide by zero`)
}

// The same seed gives the same requests; a bound task serves any number of VUs.
func TestScenarioSharedByVUs(t *testing.T) {
	s, err := ParseScenario("mix", []byte(exampleYAML))
	require.NoError(t, err)
	b, f := s.bind(&JobConfig{BaseURL: "http://host"}, nil)
	require.NoError(t, validation(f))
	bt := boundTaskOf(t, s, "orders_post", b.vars)
	results := make([]string, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			sc := testScratch(5)
			sc.ev.Use(bt.binding)
			var out strings.Builder
			for range 200 {
				if err := bt.steps[0].render(sc); err != nil {
					t.Error(err)
				}
				out.Write(sc.call.Body)
			}
			results[i] = out.String()
		})
	}
	wg.Wait()
	for _, r := range results {
		assert.Equal(t, results[0], r)
	}
	assert.Contains(t, results[0], `"customer_id":`)
}

func TestTaskErrorsHaveTheirClass(t *testing.T) {
	s, err := ParseScenario("x", []byte("tasks: [{name: t, request: 'GET /${10 % (vu() - vu())}'}]"))
	require.NoError(t, err)
	b, f := s.bind(&JobConfig{BaseURL: "http://host"}, nil)
	require.NoError(t, validation(f))
	vu := &VU{rand: testScratch(1).ev.Random()}
	err = b.tasks[0].run(context.Background(), vu)
	require.Error(t, err)
	assert.Equal(t, ClassTask, ClassOf(err))
	assert.ErrorContains(t, err, `task "t": `)
}
