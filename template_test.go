package loadgen

import (
	"strings"
	"testing"

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
