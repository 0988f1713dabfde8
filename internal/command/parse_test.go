package command

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	tests := []struct {
		args, rest string
		n          int
	}{
		{"", "", 0},
		{"-n 3", "", 3},
		{"a -n 3 b", "a b", 3},
		{"a b -n=3", "a b", 3},
		{"--n 3 -- a -n 4", "a -n 4", 3},
		{"a -- -n 4", "a -n 4", 0},
		{"- -n 3", "-", 3},
	}
	for _, tt := range tests {
		fs := NewFlags()
		n := fs.Int("n", 0, "")
		rest, err := Parse(fs, strings.Fields(tt.args))
		require.NoError(t, err, tt.args)
		assert.Equal(t, tt.rest, strings.Join(rest, " "), tt.args)
		assert.Equal(t, tt.n, *n, tt.args)
	}
	_, err := Parse(NewFlags(), []string{"a", "-h"})
	assert.ErrorIs(t, err, flag.ErrHelp)
}
