package escape

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEscapes(t *testing.T) {
	value := "a b/c?d&e=f#g%41+é\"\\\r\n\x00:@"
	for how, want := range map[Mode]string{
		None:   value,
		Path:   "a%20b%2Fc%3Fd&e=f%23g%2541+%C3%A9%22%5C%0D%0A%00:@",
		Query:  "a%20b%2Fc%3Fd%26e%3Df%23g%2541%2B%C3%A9%22%5C%0D%0A%00%3A%40",
		Target: "a%20b/c?d&e=f%23g%41+%C3%A9%22%5C%0D%0A%00:@",
		Form:   "a+b%2Fc%3Fd%26e%3Df%23g%2541%2B%C3%A9%22%5C%0D%0A%00%3A%40",
		Quoted: `a b/c?d&e=f#g%41+é\"\\\r\n\u0000:@`,
		JSON:   `"a b/c?d&e=f#g%41+é\"\\\r\n\u0000:@"`,
		Name:   "a b/c?d&e=f#g%41+é%22\\%0D%0A%00:@",
	} {
		got, err := how.Append(nil, value)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	_, err := Header.Append(nil, value)
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
		text, err := AppendText(nil, c.value)
		require.NoError(t, err)
		assert.Equal(t, c.text, string(text))
		out, err := AppendJSON(nil, c.value)
		require.NoError(t, err)
		assert.Equal(t, c.json, string(out))
	}
	_, err := AppendText(nil, nil)
	require.ErrorIs(t, err, errNothing)
	for _, v := range []any{func() {}, struct{}{}, []any{make(chan int)}} {
		_, err = AppendJSON(nil, v)
		require.Error(t, err)
	}
	loop := []any{nil}
	loop[0] = loop
	_, err = AppendJSON(nil, loop)
	require.ErrorContains(t, err, "nested deeper")
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
