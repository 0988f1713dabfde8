package lossy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/internal/lossy"
)

type broken struct{ err error }

func (b *broken) Write(p []byte) (int, error) { return len(p), b.err }

func TestWhatCannotBeWrittenIsCountedAndReportedOnce(t *testing.T) {
	to, tell := &broken{}, &strings.Builder{}
	w := lossy.New(to, tell)
	for _, err := range []error{nil, errors.New("broken pipe"), errors.New("broken pipe"), nil} {
		to.err = err
		n, err := w.Write([]byte("line\n"))
		assert.Equal(t, 5, n)
		assert.NoError(t, err)
	}
	assert.EqualValues(t, 2, w.Lost())
	assert.Equal(t, "loadgen: the log cannot be written (broken pipe): lines are lost, and jobs go on\n", tell.String())
}
