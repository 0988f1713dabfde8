package overhead

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzQuantile: counting how often each was drawn gives what sorting all that were drawn
// gives.
func FuzzQuantile(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{0, 0, 2})
	f.Add([]byte{5, 5, 1, 9}, []byte{3, 2, 1, 0})
	f.Fuzz(func(t *testing.T, values, draws []byte) {
		n := min(len(values), len(draws), 200)
		if n == 0 {
			return
		}
		var times [2][]float64
		for _, v := range values[:n] {
			times[off] = append(times[off], float64(v))
			times[on] = append(times[on], 2*float64(v))
		}
		b := newBootstrap(times)
		clear(b.counts)
		var drawn []float64
		for _, d := range draws[:n] {
			b.counts[int(d)%n]++
			drawn = append(drawn, times[off][int(d)%n])
		}
		slices.Sort(drawn)
		median := (drawn[(n-1)/2] + drawn[n/2]) / 2
		p95 := drawn[int(math.Ceil(0.95*float64(n)))-1]
		sum := 0.0
		for _, x := range drawn {
			sum += x
		}
		p50, mean, shift := b.stats() // of differences that are the values themselves
		assert.InDelta(t, median, p50, 0)
		assert.InDelta(t, sum/float64(n), mean, 1e-9)
		assert.InDelta(t, p95, shift, 0)
	})
}

func TestIntervalString(t *testing.T) {
	for want, i := range map[string]Interval{
		"+0.8 ms [-1.2, 2.9]":        {0.8, -1.2, 2.9},
		"+0.80 ms [0.70, 0.92]":      {0.801, 0.7, 0.92},
		"-0.010 ms [-0.012, -0.009]": {-0.0101, -0.012, -0.009},
	} {
		assert.Equal(t, want, i.String())
	}
}
