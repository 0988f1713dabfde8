package expr

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestHostileExpressions tries what is small to write and large to do: each is refused,
// fails, or is done soon.
func TestHostileExpressions(t *testing.T) {
	deep := func(open, inner, end string) string {
		n := (maxExprLen - len(inner)) / (len(open) + len(end))
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, source := range map[string]string{
		"parentheses":  deep("(", "1", ")"),
		"lists":        deep("[", "1", "]"),
		"maps":         deep("{a:", "1", "}"),
		"calls":        deep("len(", `"x"`, ")"),
		"closures":     deep("map(1..9, ", "1", ")"),
		"not":          deep("!", "true", ""),
		"minus":        deep("-", "1", ""),
		"conditions":   deep("true ? ", "1", " : 2"),
		"power":        deep("9 ** ", "9", ""),
		"members":      "T" + strings.Repeat(".a", 2000),
		"pattern":      `repeat("a", 9000) matches "(a{1,1000}){1,1000}"`,
		"slow pattern": `repeat("a", 90000) matches "^(a+)+$b"`,
		"doubling":     strings.Repeat("let x = T; ", 300) + "x",
		"sort":         `sort(map(1..900000, 900000 - #))`,
		"group":        `groupBy(1..900000, #)`,
		"nested all":   `all(1..9000, {all(1..9000, {# >= 0})})`,
		"split":        `split(repeat("x", 900000), "")`,
		"json":         `fromJSON(repeat("[", 100000))`,
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if e, fault := Compile(source, 0, &Scope{Place: InRequest, Vars: exprVars()}); fault == nil {
				_, _ = testEvaluator(exprVars()).Eval(e)
			}
			assert.Less(t, time.Since(began), 10*time.Second)
		})
	}
}
