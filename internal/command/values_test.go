package command

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"1h30m": 90 * time.Minute, "90": 90 * time.Second, "0.5": time.Second / 2} {
		d, err := ParseSpan(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, d)
	}
	_, err := ParseSpan("1h30")
	assert.EqualError(t, err, "must have a unit at its end: write 1h30m or 1h30s")
	for _, text := range []string{"", "x", "1x", "-1s"} {
		_, err := ParseSpan(text)
		assert.Error(t, err, text)
	}
}
