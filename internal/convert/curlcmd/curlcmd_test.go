package curlcmd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOptionsMakeRequests(t *testing.T) {
	requests, notes, err := Parse(strings.Fields("-sXPUT -d a -d @f http://x --next -kI --no-buffer --verb -- http://y"), nil, "")
	require.NoError(t, err)
	require.Len(t, requests, 2)
	assert.Equal(t, "PUT", requests[0].Method)
	assert.Equal(t, []Data{{Text: "a"}, {File: "f"}}, requests[0].Data)
	assert.Equal(t, []string{"http://y"}, requests[1].URLs)
	assert.True(t, requests[1].Head)
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "-k of curl")
}

// Every option takes a value or none, under one name.
func TestOptionsAreListedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, list := range []string{flags, values, quietFlags, quietValues, jobFlags, jobValues, lostFlags, lostValues} {
		for _, name := range strings.Fields(list) {
			assert.False(t, seen[name], name)
			seen[name] = true
		}
	}
}
