package failure

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorClassesAreNumbered(t *testing.T) {
	for i, class := range Classes() {
		assert.Equal(t, uint8(i), Number(class))
	}
	assert.Equal(t, Number(Task), Number("made-up"))
	all := Classes()
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(all[:]))), len(all))
}
