package loadgen

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorClassesAreNumbered(t *testing.T) {
	for i, class := range errorClasses() {
		assert.Equal(t, uint8(i), classNumber(class))
	}
	assert.Equal(t, classNumber(ClassTask), classNumber("made-up"))
	all := errorClasses()
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(all[:]))), len(all))
}
