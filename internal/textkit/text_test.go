package textkit

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutMessage(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{"short", "connection refused", "connection refused"},
		{"lines", "a\nb\tc\x00d\x7fe", "a b c d e"},
		{"just fits", strings.Repeat("x", 200), strings.Repeat("x", 200)},
		{"one too long", strings.Repeat("x", 201), strings.Repeat("x", 197) + "…"},
		{"two bytes a rune", strings.Repeat("д", 150), strings.Repeat("д", 98) + "…"},
		{"three bytes a rune", strings.Repeat("語", 150), strings.Repeat("語", 65) + "…"},
		{"four bytes a rune", strings.Repeat("🫘", 150), strings.Repeat("🫘", 49) + "…"},
		{"out of step", "x" + strings.Repeat("語", 150), "x" + strings.Repeat("語", 65) + "…"},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
		{"no UTF-8 at all", strings.Repeat("\xff", 500), "\uFFFD…"},
		{"grows when repaired", strings.Repeat("a\xff", 100), strings.Repeat("a\uFFFD", 49) + "a…"},
		{"very long", strings.Repeat("y", 10<<20), strings.Repeat("y", 197) + "…"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, Message(tt.message)) })
	}
}

func FuzzCutMessage(f *testing.F) {
	f.Add("short")
	f.Add(strings.Repeat("語x", 100))
	f.Add(strings.Repeat("\xe8", 300))
	f.Fuzz(func(t *testing.T, message string) {
		got := Message(message)
		require.LessOrEqual(t, len(got), maxSample)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\n")
		kept := strings.TrimSuffix(got, "…")
		if utf8.ValidString(message) && len(message) > maxSample {
			require.Greater(t, len(kept), maxSample-len("…")-utf8.UTFMax, "no more is cut than need be")
		}
	})
}
