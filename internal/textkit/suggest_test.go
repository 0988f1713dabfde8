package textkit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDidYouMean(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"wieght", ` (did you mean "weight"?)`},
		{"hedaers", ` (did you mean "headers"?)`},
		{"WEIGHT", ` (did you mean "weight"?)`},
		{"banana", ""},
		{strings.Repeat("w", 100), ""},
	} {
		assert.Equal(t, c.want, DidYouMean(c.word, []string{"name", "weight", "headers"}), c.word)
	}
}

func FuzzEditDistance(f *testing.F) {
	f.Add("abc", "acb")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 40 || len(b) > 40 {
			return
		}
		d := editDistance(a, b)
		assert.Equal(t, d, editDistance(b, a))
		assert.Equal(t, d == 0, a == b)
		assert.LessOrEqual(t, d, max(len(a), len(b)))
		assert.GreaterOrEqual(t, d, max(len(a), len(b))-min(len(a), len(b)))
	})
}
