package histogram

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func exactly(values ...time.Duration) *Histogram {
	h := &Histogram{}
	h.MakeExact()
	for _, d := range values {
		h.Record(d)
	}
	return h
}

// Whole, in parts and as a difference, every quantile is that of the sorted values.
func TestExactHistogramIsTheSortedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		all := make([]time.Duration, 2+rng.IntN(300))
		for i := range all {
			all[i] = time.Duration(rng.Int64N(50)) * 1_234_567
		}
		cut := 1 + rng.IntN(len(all)-1)
		before, after := exactly(all[:cut]...), exactly(all[cut:]...)
		sum := before.Clone()
		sum.Merge(after)
		empty := Histogram{}
		empty.Merge(before)
		rest := sum.Since(before)
		for want, h := range map[*Histogram]*Histogram{exactly(all...): &sum, before: &empty, after: &rest} {
			require.Zero(t, h.ErrorBound())
			require.Equal(t, want, h)
		}
		o := newOracle(all)
		for k := 1; k <= 100; k++ {
			require.Equal(t, o.rank(k, 100), sum.Quantile(float64(k)/100), "p%d of %d values", k, len(all))
		}
	}
}

// What knows too much, or is merged with what knows too little, is an ordinary one.
func TestExactHistogramHasItsLimits(t *testing.T) {
	many := make([]time.Duration, maxExactValues+1)
	for i := range many {
		many[i] = time.Duration(i) * time.Millisecond
	}
	full := exactly(many[:maxExactValues]...)
	assert.Zero(t, full.ErrorBound())
	assert.Equal(t, recorded(many...), exactly(many...))
	full.Merge(exactly(many[maxExactValues]))
	assert.Equal(t, recorded(many...), full)
	mixed := exactly(time.Second)
	mixed.Merge(recorded(time.Minute))
	assert.Equal(t, recorded(time.Second, time.Minute), mixed)
	mixed = recorded(time.Second)
	mixed.Merge(exactly(time.Minute))
	assert.Equal(t, recorded(time.Second, time.Minute), mixed)
}
