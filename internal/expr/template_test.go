package expr

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplitTemplate(t *testing.T) {
	for source, want := range map[string][]Segment{
		``:                     nil,
		`plain`:                {{Text: "plain"}},
		`a${N}b`:               {{Text: "a"}, {Text: "N", IsExpr: true, Offset: 3}, {Text: "b"}},
		`é${N}`:                {{Text: "é"}, {Text: "N", IsExpr: true, Offset: 3}},
		`$${N} $ {} $`:         {{Text: "${N} $ {} $"}},
		`${ {a: {b: 1}} }`:     {{Text: " {a: {b: 1}} ", IsExpr: true, Offset: 2}},
		`${"}" + '}' + f(x)}}`: {{Text: `"}" + '}' + f(x)`, IsExpr: true, Offset: 2}, {Text: "}"}},
		"${`}`}":               {{Text: "`}`", IsExpr: true, Offset: 2}},
		`${a /* } */}`:         {{Text: "a /* } */", IsExpr: true, Offset: 2}},
		`${"\"}"}`:             {{Text: `"\"}"`, IsExpr: true, Offset: 2}},
		`${a}${b}`:             {{Text: "a", IsExpr: true, Offset: 2}, {Text: "b", IsExpr: true, Offset: 6}},
	} {
		got, fault := SplitTemplate(source)
		require.Nil(t, fault, source)
		assert.Equal(t, want, got, source)
	}
	for _, source := range []string{`${`, `a ${b`, `${"}`, `${{}`, "${" + strings.Repeat("x", maxExprLen+1) + "}"} {
		_, fault := SplitTemplate(source)
		require.NotNil(t, fault, source)
	}
}
