package loadgen

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplitTemplate(t *testing.T) {
	for source, want := range map[string][]segment{
		``:                     nil,
		`plain`:                {{text: "plain"}},
		`a${N}b`:               {{text: "a"}, {text: "N", isExpr: true, offset: 3}, {text: "b"}},
		`é${N}`:                {{text: "é"}, {text: "N", isExpr: true, offset: 3}},
		`$${N} $ {} $`:         {{text: "${N} $ {} $"}},
		`${ {a: {b: 1}} }`:     {{text: " {a: {b: 1}} ", isExpr: true, offset: 2}},
		`${"}" + '}' + f(x)}}`: {{text: `"}" + '}' + f(x)`, isExpr: true, offset: 2}, {text: "}"}},
		"${`}`}":               {{text: "`}`", isExpr: true, offset: 2}},
		`${a /* } */}`:         {{text: "a /* } */", isExpr: true, offset: 2}},
		`${"\"}"}`:             {{text: `"\"}"`, isExpr: true, offset: 2}},
		`${a}${b}`:             {{text: "a", isExpr: true, offset: 2}, {text: "b", isExpr: true, offset: 6}},
	} {
		got, fault := splitTemplate(source)
		require.Nil(t, fault, source)
		assert.Equal(t, want, got, source)
	}
	for _, source := range []string{`${`, `a ${b`, `${"}`, `${{}`, "${" + strings.Repeat("x", maxExprLen+1) + "}"} {
		_, fault := splitTemplate(source)
		require.NotNil(t, fault, source)
	}
}

func TestEscapes(t *testing.T) {
	value := "a b/c?d&e=f#g%41+é\"\\\r\n\x00:@"
	for how, want := range map[escape]string{
		escapeNone:   value,
		escapePath:   "a%20b%2Fc%3Fd&e=f%23g%2541+%C3%A9%22%5C%0D%0A%00:@",
		escapeQuery:  "a%20b%2Fc%3Fd%26e%3Df%23g%2541%2B%C3%A9%22%5C%0D%0A%00%3A%40",
		escapeTarget: "a%20b/c?d&e=f%23g%41+%C3%A9%22%5C%0D%0A%00:@",
		escapeForm:   "a+b%2Fc%3Fd%26e%3Df%23g%2541%2B%C3%A9%22%5C%0D%0A%00%3A%40",
		escapeQuoted: `a b/c?d&e=f#g%41+é\"\\\r\n\u0000:@`,
		escapeJSON:   `"a b/c?d&e=f#g%41+é\"\\\r\n\u0000:@"`,
		escapeName:   "a b/c?d&e=f#g%41+é%22\\%0D%0A%00:@",
	} {
		got, err := how.append(nil, value)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	_, err := escapeHeader.append(nil, value)
	require.ErrorIs(t, err, errControl)
}

func TestValuesAsText(t *testing.T) {
	for _, c := range []struct {
		value any
		text  string
		json  string
	}{
		{"x\"y", `x"y`, `"x\"y"`},
		{-3, "-3", "-3"},
		{int64(7), "7", "7"},
		{1.0, "1", "1"},
		{0.1, "0.1", "0.1"},
		{1e6, "1000000", "1000000"},
		{1e300, "1e+300", "1e+300"},
		{true, "true", "true"},
		{1500 * time.Millisecond, "1.5s", `"1.5s"`},
		{time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), "2020-01-02T03:04:05Z", `"2020-01-02T03:04:05Z"`},
		{[]int{1, 2}, "[1,2]", "[1,2]"},
		{map[string]any{"b": nil, "a": []any{"x"}}, `{"a":["x"],"b":null}`, `{"a":["x"],"b":null}`},
		{map[any][]any{1: {2}}, `{"1":[2]}`, `{"1":[2]}`},
		{"\xff\u2028", "\xff\u2028", "\"\ufffd\u2028\""},
	} {
		text, err := appendText(nil, c.value)
		require.NoError(t, err)
		assert.Equal(t, c.text, string(text))
		out, err := appendJSON(nil, c.value)
		require.NoError(t, err)
		assert.Equal(t, c.json, string(out))
	}
	_, err := appendText(nil, nil)
	require.ErrorIs(t, err, errNothing)
	for _, v := range []any{func() {}, struct{}{}, []any{make(chan int)}} {
		_, err = appendJSON(nil, v)
		require.Error(t, err)
	}
	loop := []any{nil}
	loop[0] = loop
	_, err = appendJSON(nil, loop)
	require.ErrorContains(t, err, "nested deeper")
}

// boundRequest parses a request, and binds it under some variables.
func boundRequest(t testing.TB, request string, vars map[string]string) boundStep {
	t.Helper()
	s, err := ParseScenario("t", []byte("variables: {A: a, B: b, N: 3}\ntasks: [{name: t, request: "+quoteYAML(request)+"}]"))
	require.NoError(t, err)
	b, f := s.bind(&JobConfig{BaseURL: "http://host:1/base", Variables: vars}, nil)
	require.NoError(t, validation(f))
	return stepsOf(t, s, "t", b.vars)[0]
}

func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func renderTarget(t testing.TB, request string, vars map[string]string) (string, error) {
	t.Helper()
	s := boundRequest(t, request, vars)
	sc := testScratch(1)
	err := s.render(sc)
	return string(sc.call.target), err
}

func testScratch(seed uint64) *scratch {
	sc := &scratch{}
	sc.state.rand = rand.New(rand.NewPCG(seed, seed))
	sc.use(newBinding(map[string]any{"A": "a", "B": "b", "N": 3}, nil))
	return sc
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		request string
		vars    map[string]string
		want    string
	}{
		{"GET /", nil, "/"},
		{"/x", nil, "/x"},
		{"GET /a/${A}/b", map[string]string{"A": "x/y?z"}, "/a/x%2Fy%3Fz/b"},
		{"GET /s?q=${A}&r=${B}", map[string]string{"A": "1&r=2", "B": "é +"}, "/s?q=1%26r%3D2&r=%C3%A9%20%2B"},
		{"GET /${A}?${B}", map[string]string{"A": "?", "B": "&"}, "/%3F?%26"},
		{"GET ${A}", map[string]string{"A": "/p/q?x=1&y=%20 z"}, "/p/q?x=1&y=%20%20z"},
		{"${A}", map[string]string{"A": "https://other/x"}, "https://other/x"},
		{"GET ${SERVER_URL}/x/${A}", map[string]string{"A": "/"}, "http://host:1/base/x/%2F"},
		{"GET http://${A}/x", map[string]string{"A": "h:80"}, "http://h:80/x"},
		{"GET /${raw(A)}", map[string]string{"A": "x/y?z=1\r\n#"}, "/x/y?z=1%0D%0A%23"},
		{"GET /é$${x}", nil, "/%C3%A9$%7Bx%7D"},
		{"GET /${N}/${N * 2}/${randint(4, 4)}", nil, "/3/6/4"},
	} {
		got, err := renderTarget(t, c.request, c.vars)
		require.NoError(t, err, c.request)
		assert.Equal(t, c.want, got, c.request)
	}
}

// A target of text and draws must cost nothing, because it is every request.
func TestRenderingDoesNotAllocate(t *testing.T) {
	for _, request := range []string{
		"GET /api/products",
		"GET /api/products/${randint(1, 6)}/customers?limit=${randint(5, 11)}0",
		"GET /api/${A}/${randint(-1, N)}?${N}",
	} {
		s := boundRequest(t, request, nil)
		sc := testScratch(1)
		require.NoError(t, s.render(sc))
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = s.render(sc) }), request)
	}
}

func BenchmarkRenderTarget(b *testing.B) {
	s := boundRequest(b, "GET /api/products/${randint(1, 6)}/customers?limit=${randint(5, 11)}0", nil)
	sc := testScratch(1)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.render(sc)
	}
}

// What is computed from variables only is computed once.
func TestConstantsAreFolded(t *testing.T) {
	s := boundRequest(t, `GET /${A + "/" + B}/${N * 2}?x=${toJSON([A])}`, nil)
	text, ok := s.target.static()
	assert.True(t, ok)
	assert.Equal(t, "/a%2Fb/6?x=%5B%22a%22%5D", string(text))
}

// Whatever the values, a rendered target is one that can be sent as it is.
func FuzzTargetEscaping(f *testing.F) {
	requests := []string{
		"GET /${A}/${B}", "GET /x?a=${A}&b=${B}", "GET /${raw(A)}?${raw(B)}", "GET ${A}/${B}", "GET http://h/${A}?x=${B}",
	}
	f.Add(uint8(0), "a b", "\r\nX: y")
	f.Add(uint8(3), "http://h", "#%zz%41")
	f.Fuzz(func(t *testing.T, which uint8, a, b string) {
		request := requests[int(which)%len(requests)]
		y, err := ParseScenario("t", []byte("variables: {A: a, B: b}\ntasks: [{name: t, request: "+quoteYAML(request)+"}]"))
		require.NoError(t, err)
		bound, faults := y.bind(&JobConfig{BaseURL: "http://h", Variables: map[string]string{"A": a, "B": b}}, nil)
		if len(faults) > 0 {
			return // it does not begin as a target can
		}
		s := stepsOf(t, y, "t", bound.vars)[0]
		sc := testScratch(1)
		if err := s.render(sc); err != nil {
			return
		}
		for i, c := range sc.call.target {
			require.True(t, c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '\\', "%q at %d of %q", c, i, sc.call.target)
			if c == '%' {
				require.Less(t, i+2, len(sc.call.target))
				require.True(t, isHex(sc.call.target[i+1]) && isHex(sc.call.target[i+2]))
			}
		}
		if which%5 < 2 {
			u, err := url.ParseRequestURI(string(sc.call.target))
			require.NoError(t, err)
			if which%5 == 1 {
				assert.Equal(t, url.Values{"a": {a}, "b": {b}}, u.Query(), "values arrive as they were")
			} else {
				assert.Equal(t, "/"+a+"/"+b, u.Path)
			}
		}
	})
}

// JSON is valid whatever is put into it.
func FuzzJSONText(f *testing.F) {
	f.Add("a\"\\\n\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		out := appendJSONString(nil, s)
		var back string
		require.NoError(t, json.Unmarshal(out, &back))
		assert.Equal(t, string([]rune(s)), back)
	})
}
