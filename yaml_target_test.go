package loadgen

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/expr"
)

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
	return string(sc.call.Target), err
}

func testScratch(seed uint64) *scratch {
	sc := &scratch{}
	sc.ev.Begin(rand.New(rand.NewPCG(seed, seed)), 0, 0, nil)
	sc.ev.Use(expr.NewBinding(map[string]any{"A": "a", "B": "b", "N": 3}, nil))
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
	text, ok := s.target.Static()
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
		for i, c := range sc.call.Target {
			require.True(t, c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '\\', "%q at %d of %q", c, i, sc.call.Target)
			if c == '%' {
				require.Less(t, i+2, len(sc.call.Target))
				require.Regexp(t, "^[0-9A-Fa-f]{2}$", string(sc.call.Target[i+1:i+3]))
			}
		}
		if which%5 < 2 {
			u, err := url.ParseRequestURI(string(sc.call.Target))
			require.NoError(t, err)
			if which%5 == 1 {
				assert.Equal(t, url.Values{"a": {a}, "b": {b}}, u.Query(), "values arrive as they were")
			} else {
				assert.Equal(t, "/"+a+"/"+b, u.Path)
			}
		}
	})
}
