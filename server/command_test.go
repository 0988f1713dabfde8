package main

import (
	"bytes"
	"context"
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHelpFits holds every command to a screen of 24 lines with one example, and its
// short help to flags that there are.
func TestHelpFits(t *testing.T) {
	for _, c := range commands() {
		var out bytes.Buffer
		require.NoError(t, run(context.Background(), &system{stdout: &out}, []string{c.name, "-h"}))
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		assert.LessOrEqual(t, len(lines), 24, "loadgen %s -h", c.name)
		for _, line := range lines {
			assert.LessOrEqual(t, len(line), 130, "loadgen %s -h: %s", c.name, line)
		}
		assert.Contains(t, out.String(), "\nExample: loadgen "+c.name)
		assert.NotEmpty(t, c.summary)
		for _, name := range c.brief {
			assert.NotNil(t, c.flags.Lookup(name), "loadgen %s has no flag -%s", c.name, name)
		}
	}
}

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
		fs := newFlags()
		n := fs.Int("n", 0, "")
		rest, err := parse(fs, strings.Fields(tt.args))
		require.NoError(t, err, tt.args)
		assert.Equal(t, tt.rest, strings.Join(rest, " "), tt.args)
		assert.Equal(t, tt.n, *n, tt.args)
	}
	_, err := parse(newFlags(), []string{"a", "-h"})
	assert.ErrorIs(t, err, flag.ErrHelp)
}
