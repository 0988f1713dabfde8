package secrets

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMask(t *testing.T) {
	m := NewMask([]string{"", "a b", "longer than six", "x"})
	for text, want := range map[string]string{
		"nothing here":                "nothing here",
		"a b, a%20b, a+b and YSBi":    "REDACTED, REDACTED, REDACTED and REDACTED",
		"longer than six":             "REDACTED",
		"it is longer th…":            "it is REDACTED…",
		"long is fine":                "long is fine",
		"x x":                         "REDACTED REDACTED",
		"k=longer%20than%20six&y=z":   "k=REDACTED&y=z",
		"longer than seven is longer": "REDACTEDeven is REDACTED",
	} {
		assert.Equal(t, want, m.Text(text))
	}
	assert.Nil(t, NewMask([]string{""}))
	assert.Equal(t, "as it is", (*Mask)(nil).Text("as it is"))
}

// No text that is masked holds a secret of some length.
func FuzzMask(f *testing.F) {
	f.Add("s3cret", "before s3cret after", 3)
	f.Add(`a "b" c&d`, "x", 0)
	f.Fuzz(func(t *testing.T, secret, around string, at int) {
		if len(secret) < 1 || len(secret) > 1000 || len(around) > 1000 || strings.Contains(Redacted, secret) {
			return
		}
		m := NewMask([]string{secret})
		at = min(max(at, 0), len(around))
		for _, form := range m.forms {
			text := m.Text(around[:at] + form + around[at:])
			if !strings.Contains(around, form) && !strings.Contains(Redacted+around[at:], form) && !strings.Contains(Redacted, form) && !strings.Contains(around[:at]+Redacted, form) {
				require.NotContains(t, text, form)
			}
		}
	})
}
