package engine

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPayloads(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version int
		packets []string
		payload string
	}{
		{"one, protocol 4", 4, []string{"4hello"}, "4hello"},
		{"several, protocol 4", 4, []string{"4hello", "2", "4€"}, "4hello\x1e2\x1e4€"},
		{"one, protocol 3", 3, []string{"4hello"}, "6:4hello"},
		{"several, protocol 3", 3, []string{"4hello", "2", "4€"}, "6:4hello1:22:4€"},
		{"protocol 3 counts UTF-16 units", 3, []string{"4😀", "2"}, "3:4😀1:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := codecOf(tt.version)
			var frames []Frame
			for _, p := range tt.packets {
				frames = append(frames, Frame(p))
			}
			assert.Equal(t, tt.payload, string(c.encode(frames)))
			packets, err := c.decode(tt.payload)
			require.NoError(t, err)
			assert.Equal(t, tt.packets, packets)
		})
	}
}

func TestMalformedPayloads(t *testing.T) {
	for _, payload := range []string{
		"", ":", "4hello", "7:4hello", "-1:4", "2:", "x:4", "1:21", "2:4😀", "99999999999999999999:4", "1:22:",
	} {
		_, err := decode3(payload)
		assert.Error(t, err, "%q", payload)
	}
	_, err := decode4("")
	assert.Error(t, err)
}

func TestMalformedPackets(t *testing.T) {
	for _, text := range []string{"", "7", "x", "bAQID", "4\xff", "\x00", "é"} {
		_, err := decodePacket(text)
		assert.Error(t, err, "%q", text)
	}
}

func FuzzPayload3(f *testing.F) {
	for _, seed := range []string{"6:4hello", "3:4😀1:2", "0:", "1:", "18446744073709551616:4", "2:4\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		packets, err := decode3(payload)
		if err != nil {
			return
		}
		var frames []Frame
		for _, p := range packets {
			frames = append(frames, Frame(p))
			if utf8.ValidString(p) {
				assert.Equal(t, len(utf16.Encode([]rune(p))), utf16Len([]byte(p)), "%q", p)
			}
		}
		again, err := decode3(string(encode3(frames)))
		require.NoError(t, err)
		assert.Equal(t, packets, again)
	})
}

func FuzzPayload4(f *testing.F) {
	for _, seed := range []string{"4hello", "4a\x1e4b", "\x1e", "\x1e\x1e2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		packets, err := decode4(payload)
		if err != nil {
			assert.Empty(t, payload)
			return
		}
		assert.Len(t, packets, strings.Count(payload, separator)+1)
		var frames []Frame
		for _, p := range packets {
			frames = append(frames, Frame(p))
		}
		assert.Equal(t, payload, string(encode4(frames)))
	})
}

func FuzzPacket(f *testing.F) {
	for _, seed := range []string{"2probe", "4", "0{}", "b", "42[\"x\"]", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := decodePacket(text)
		if err != nil {
			return
		}
		assert.Equal(t, text, string(frame(p.kind, p.data)))
		assert.True(t, utf8.ValidString(text))
	})
}
