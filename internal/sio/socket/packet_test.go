package socket

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func raws(texts ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(texts))
	for i, text := range texts {
		out[i] = json.RawMessage(text)
	}
	return out
}

func TestParsePacket(t *testing.T) {
	for text, want := range map[string]packet{
		`0`:                         {kind: '0', namespace: "/"},
		`0{"token":"x"}`:            {kind: '0', namespace: "/"},
		`0/admin,`:                  {kind: '0', namespace: "/admin"},
		`0/admin?a=1`:               {kind: '0', namespace: "/admin"},
		`1`:                         {kind: '1', namespace: "/"},
		`2["x"]`:                    {kind: '2', namespace: "/", data: raws(`"x"`)},
		`2["x", {"a":[1,2]} ,null]`: {kind: '2', namespace: "/", data: raws(`"x"`, `{"a":[1,2]}`, `null`)},
		`217["x",1]`:                {kind: '2', namespace: "/", id: 17, hasID: true, data: raws(`"x"`, `1`)},
		`2/admin,0["x"]`:            {kind: '2', namespace: "/admin", hasID: true, data: raws(`"x"`)},
		`30[]`:                      {kind: '3', namespace: "/", hasID: true, data: raws()},
		`312["ok"]`:                 {kind: '3', namespace: "/", id: 12, hasID: true, data: raws(`"ok"`)},
	} {
		p, err := parsePacket(text)
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, p, text)
		}
	}
}

func TestMalformedPackets(t *testing.T) {
	for _, text := range []string{
		``, `7`, `x`, `2`, `2[`, `2[]`, `2{}`, `2[1]`, `2[null]`, `2["x"`, `2["echo",null`, `2["x"]]`, `231[`, `3`, `3[]`, `31`,
		`31null`, `31{}`, `4"no"`, `51-["x",{"_placeholder":true,"num":0}]`, `60-1[]`, `299999999999999999999["x"]`,
	} {
		_, err := parsePacket(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestMessagesThatCannotBeWritten(t *testing.T) {
	_, err := NewMessage("x", func() {})
	assert.Error(t, err)
}

func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		`0`, `0/admin?x,{}`, `2["x",{"a":1}]`, `2/a,12["x"]`, `31[]`, `431[`, `2["echo",null]`, `51-["x"]`, `2["\u2028",1e999]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePacket(text)
		if err != nil {
			return
		}
		again, err := parsePacket(p.text())
		require.NoError(t, err, "%q became %q", text, p.text())
		assert.Equal(t, p, again)
	})
}
