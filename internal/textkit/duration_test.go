package textkit

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMissingUnit(t *testing.T) {
	for text, want := range map[string]string{
		"1h30":    "must have a unit at its end: write 1h30m or 1h30s",
		"-1h30":   "must have a unit at its end: write -1h30m or -1h30s",
		"1m30":    "must have a unit at its end: write 1m30s or 1m30ms",
		"1h2m3.5": "must have a unit at its end: write 1h2m3.5s or 1h2m3.5ms",
		"5ms7":    "must have a unit at its end: write 5ms7us or 5ms7ns",
		"5µs7":    "must have a unit at its end: write 5µs7ns",
	} {
		assert.EqualError(t, MissingUnit(text), want)
	}
	for _, text := range []string{"", "1h30m", "90", "1.5", "h", "1d12", "5ns1", "1h.", "1h30 ", "h30", "1e5"} {
		assert.NoError(t, MissingUnit(text), text)
	}
}
