package expr

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testEvaluator has variables, a seed, and a response.
func testEvaluator(vars map[string]any) *Evaluator {
	b := NewBinding(vars, nil)
	b.ev.state.rand = rand.New(rand.NewPCG(1, 2))
	b.ev.state.vu, b.ev.state.iteration = 3, 4
	b.ev.state.response = Response{
		Status: 201, Service: 300 * time.Millisecond,
		Body: []byte(`{"id": 7, "big": 12345678901234567, "price": 1.5, "tags": ["a", "b"], "a b": {"0": null}}`),
		Head: headFunc(func(name string) []byte {
			if name == "X-Id" {
				return []byte("h1")
			}
			return nil
		}),
	}
	b.ev.env["status"], b.ev.env["duration"] = 201, 300*time.Millisecond
	b.ev.env["body"] = string(b.ev.state.response.Body)
	return b.ev
}

func exprVars() map[string]any {
	return map[string]any{"N": 3, "F": 0.5, "T": "text", "B": true}
}

func TestExpressions(t *testing.T) {
	for source, want := range map[string]any{
		`N + 1`:                            4,
		`N > 2 && B`:                       true,
		`T startsWith "te"`:                true,
		`T + "!"`:                          "text!",
		`string(N) + string(F)`:            "30.5",
		`string([1, "a"])`:                 `[1,"a"]`,
		`join(["a", 1, 2.5], ", ")`:        "a, 1, 2.5",
		`join(["a", "b"])`:                 "ab",
		`replace("aXbX", "X", "--")`:       "a--b--",
		`toJSON({b: 1, a: [true, nil]})`:   `{"a":[true,null],"b":1}`,
		`map(1..N, {{id: #}})`:             []any{map[string]any{"id": 1}, map[string]any{"id": 2}, map[string]any{"id": 3}},
		`len(filter(1..10, # > N))`:        7,
		`max(N, 10)`:                       10,
		`1m30s == 90s && 1.5s == 1500ms`:   true,
		`"500ms" + '1s' /* 5s */`:          "500ms1s",
		`int(F * 10)`:                      5,
		`randint(5, 5)`:                    5,
		`choice(["x"])`:                    "x",
		`vu() * 10 + iteration()`:          34,
		`let x = N; x * x`:                 9,
		`json("$.id")`:                     7,
		`json("$.big") + 1`:                12345678901234568,
		`json("$.price")`:                  1.5,
		`json("$.tags.1")`:                 "b",
		`json("$.tags[0]")`:                "a",
		`json("$['a b'].0")`:               nil,
		`json("$.nothing.here")`:           nil,
		`json("$.tags[9]")`:                nil,
		`len(json("$"))`:                   5,
		`json("$." + "id")`:                7,
		`header("X-Id")`:                   "h1",
		`header("X-Other")`:                nil,
		`regexp("\"id\": (\\d+)")`:         "7",
		`regexp("pri..")`:                  "price",
		`regexp("none")`:                   nil,
		`regexp("p" + "r")`:                "pr",
		`status == 201`:                    true,
		`duration < 500ms`:                 true,
		`body contains "price"`:            true,
		`status in [200, 201] ? "ok":"no"`: "ok",
	} {
		t.Run(source, func(t *testing.T) {
			scope := &Scope{Place: InResponse, Vars: exprVars()}
			e, fault := Compile(source, 0, scope)
			require.Nil(t, fault)
			got, err := testEvaluator(exprVars()).Eval(e)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestExpressionFaults(t *testing.T) {
	for source, want := range map[string]struct {
		place   Place
		offset  int
		message string
	}{
		``:                           {InRequest, 0, "expected an expression, found nothing"},
		`1 +`:                        {InRequest, 2, "unexpected token EOF"},
		`M + 1`:                      {InRequest, 0, `unknown name "M"`},
		`randint(M, 1)`:              {InRequest, 8, `unknown name "M"`},
		`map(1..3, {{a: M}})`:        {InRequest, 15, `unknown name "M"`},
		`randin(1, 2)`:               {InRequest, 0, `unknown name "randin" (did you mean "randint"?)`},
		`randint(1)`:                 {InRequest, 0, "randint takes 2 arguments, not 1"},
		`randint(F, 1)`:              {InRequest, 0, "argument 1 of randint must be a whole number, not float64; int(…) cuts the fraction off"},
		`choice(N)`:                  {InRequest, 0, "argument 1 of choice must be a list, not int"},
		`replace(T, 1, "")`:          {InRequest, 0, "argument 2 of replace must be text, not int"},
		`N startsWith "a"`:           {InRequest, 2, "invalid operation: startsWith (mismatched types int and string)"},
		`$env`:                       {InRequest, 0, "$env is not available: name the variable itself"},
		`status == 200`:              {InRequest, 0, `"status" is only known in capture and check, which follow the response`},
		`raw(T)`:                     {InRequest, 0, `"raw" is only known in a request's target`},
		`"a" + raw(T)`:               {InTarget, 6, "raw() must be the whole of a ${…}, not a part of it"},
		`uuid()`:                     {InWeight, 0, `"uuid" has no value in weights and conditions, which are evaluated when a job starts or changes`},
		`json("id")`:                 {InResponse, 5, `no $ at the start in the path "id"; a path is $ and then .name, .0, [0] or ["name"] for each level`},
		`json("$.a..b")`:             {InResponse, 5, `an empty name in the path "$.a..b"; a path is $ and then .name, .0, [0] or ["name"] for each level`},
		`json("$[x]")`:               {InResponse, 5, `an index that is not a number in the path "$[x]"; a path is $ and then .name, .0, [0] or ["name"] for each level`},
		`regexp("(")`:                {InResponse, 7, "error parsing regexp: missing closing ): `(`"},
		`duration < 5`:               {InResponse, 9, "invalid operation: < (mismatched types time.Duration and int); a duration has a unit, such as 500ms"},
		`500ms > "é" && x`:           {InResponse, 6, "invalid operation: > (mismatched types time.Duration and string); a duration has a unit, such as 500ms"},
		`"é" == "é" && 1s > 2s && x`: {InResponse, 25, `unknown name "x"`},
	} {
		t.Run(source, func(t *testing.T) {
			_, fault := Compile(source, 0, &Scope{Place: want.place, Vars: exprVars()})
			require.NotNil(t, fault)
			assert.Equal(t, want.message, fault.Message)
			assert.Equal(t, want.offset, fault.Offset)
		})
	}
	_, fault := Compile(strings.Repeat("(", maxExprLen+1), 0, &Scope{})
	require.NotNil(t, fault)
	assert.Contains(t, fault.Message, "longer than 4096 bytes")
	_, fault = Compile(strings.Repeat("1+", 1500)+"1", 0, &Scope{})
	require.NotNil(t, fault, "too many nodes")
}

// No expression may eat the machine, whatever a job puts into variables.
func TestExpressionsAreBounded(t *testing.T) {
	for _, source := range []string{
		`map(1..1000000000, #)`,
		`sum(map(1..999999, #)) + sum(map(1..999999, #))`,
		`let r = 1..1000; len(filter(r, {len(filter(r, # >= 0)) >= 0}))`,
		`repeat("x", 100000000)`,
		`let a = repeat("x", 900000); let b = a + a; let c = b + b; len(c)`,
		`reduce(1..900000, #acc + "xxxxxxxxx", "")`,
		`join(map(1..9000, T), repeat("x", 900))`,
		`replace(repeat("x", 9000), "x", repeat("y", 9000))`,
		`toJSON(map(1..90000, repeat("x", 900)))`,
		`string(map(1..90000, repeat("x", 900)))`,
	} {
		e, fault := Compile(source, 0, &Scope{Place: InRequest, Vars: exprVars()})
		require.Nil(t, fault, source)
		began := time.Now()
		_, err := testEvaluator(exprVars()).Eval(e)
		require.Error(t, err, source)
		assert.Less(t, time.Since(began), 20*time.Second, source)
	}
}

func TestEvaluationErrorsNameTheExpression(t *testing.T) {
	e, fault := Compile(`10 % (N - 3)`, 0, &Scope{Place: InRequest, Vars: exprVars()})
	require.Nil(t, fault)
	e.At = "shop.yaml:3:4"
	_, err := testEvaluator(exprVars()).Eval(e)
	require.Error(t, err)
	assert.Equal(t, "shop.yaml:3:4: 10 % (N - 3): integer divide by zero", err.Error())
	assert.NotContains(t, err.Error(), "\n")
}

func TestPurity(t *testing.T) {
	scope := &Scope{Place: InResponse, Vars: exprVars(), Captures: []string{"id"}}
	for source, pure := range map[string]bool{
		`N + 1`: true, `map(1..N, string(#))`: true, `T + "x"`: true, `date("2020-01-01").Year()`: true,
		`randint(1, 2)`: false, `now().Year()`: false, `id`: false, `status`: false, `body`: false, `json("$")`: false,
		`vu()`: false, `[1, uuid()]`: false, `duration > 1s`: false, `header("a")`: false,
	} {
		e, fault := Compile(source, 0, scope)
		require.Nil(t, fault, source)
		assert.Equal(t, pure, e.pure, source)
	}
}

func TestRandomFunctions(t *testing.T) {
	ev := testEvaluator(exprVars())
	run := func(ev *Evaluator, source string) any {
		e, fault := Compile(source, 0, &Scope{Place: InRequest, Vars: exprVars()})
		require.Nil(t, fault)
		v, err := ev.Eval(e)
		require.NoError(t, err)
		return v
	}
	seen := map[any]int{}
	for range 3000 {
		seen[run(ev, `randint(1, 6)`)]++
	}
	assert.Len(t, seen, 6, "both ends are drawn")
	for v, n := range seen {
		assert.InDelta(t, 500, n, 120, "%v", v)
	}
	for range 100 {
		f, _ := run(ev, `randfloat(2, 3)`).(float64)
		assert.True(t, f >= 2 && f < 3)
		assert.Regexp(t, regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`), run(ev, `uuid()`))
		assert.Contains(t, []any{1, 2}, run(ev, `randint(2, 1)`), "bounds may come in any order")
	}
	source := `string(randint(1, 1000000)) + uuid() + string(choice(1..100)) + string(randfloat(0, 1))`
	assert.Equal(t, run(testEvaluator(nil), source), run(testEvaluator(nil), source), "the same seed gives the same values")
	_, fault := Compile(`choice([])`, 0, &Scope{Place: InRequest})
	require.Nil(t, fault)
}

func FuzzDrawInt(f *testing.F) {
	f.Add(1, 6, uint64(1))
	f.Add(math.MinInt, math.MaxInt, uint64(2))
	f.Add(5, -5, uint64(3))
	f.Fuzz(func(t *testing.T, a, b int, seed uint64) {
		n := DrawInt(rand.New(rand.NewPCG(seed, 0)), a, b)
		assert.GreaterOrEqual(t, n, min(a, b))
		assert.LessOrEqual(t, n, max(a, b))
	})
}

func FuzzHideDurations(f *testing.F) {
	for _, s := range []string{`duration < 500ms`, `"1s" + '2s' + 3s // 4s`, `1..5`, `1.5h2m`, "`5s", `a5s_`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(showDurations(s), "")
		hidden := hideDurations(s)
		assert.Equal(t, s, showDurations(hidden))
		assert.Equal(t, len([]rune(s)), len([]rune(hidden)), "positions stay")
	})
}

// headFunc is the header of a response that pretends to have come.
type headFunc func(name string) []byte

func (f headFunc) Header(name string) []byte    { return f(name) }
func (f headFunc) Cookie(string) (string, bool) { return "", false }
