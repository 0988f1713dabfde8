package stats

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/histogram"
)

// The wrong way round, a difference is nonsense, and no more than that.
func TestDifferencesTheWrongWayRound(t *testing.T) {
	early := Snapshot{Totals: Totals{Service: *exactly(time.Second)}}
	late := Snapshot{Totals: Totals{Service: *exactly(time.Second, time.Minute), Status: map[int]uint64{200: 2}}}
	assert.NotPanics(t, func() { early.Since(&late) })
}

func exactly(values ...time.Duration) *histogram.Histogram {
	h := &histogram.Histogram{}
	h.MakeExact()
	for _, d := range values {
		h.Record(d)
	}
	return h
}
