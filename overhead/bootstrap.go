package overhead

import (
	"math"
	"math/rand/v2"
	"slices"
)

// bootstrap draws pairs again, with replacement, and takes percentiles of what comes out
// (Efron's percentile interval). A pair stays a pair: its two times are drawn together.
//
// How often each pair was drawn is enough for sums and quantiles, so that a resample costs
// no sorting.
type bootstrap struct {
	times  [2][]float64
	diff   []float64
	orders [3][]int // of the pairs, by off, by on and by their difference
	counts []int
}

func newBootstrap(times [2][]float64) *bootstrap {
	n := len(times[off])
	b := &bootstrap{times: times, diff: make([]float64, n), counts: make([]int, n)}
	for i := range n {
		b.diff[i] = times[on][i] - times[off][i]
		b.counts[i] = 1
	}
	for k, values := range [][]float64{times[off], times[on], b.diff} {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int {
			switch {
			case values[i] < values[j]:
				return -1
			case values[i] > values[j]:
				return 1
			}
			return i - j
		})
		b.orders[k] = order
	}
	return b
}

// quantile is that of the values which were drawn: the smallest that at least the share q
// of them do not exceed. The median of an even number is the mean of the middle two.
func (b *bootstrap) quantile(values []float64, order []int, q float64) float64 {
	n := len(values)
	rank := max(1, int(math.Ceil(q*float64(n))))
	seen := 0
	for at, i := range order {
		if seen += b.counts[i]; seen < rank {
			continue
		}
		if q != 0.5 || n%2 == 1 || seen > rank {
			return values[i]
		}
		for _, j := range order[at+1:] {
			if b.counts[j] > 0 {
				return (values[i] + values[j]) / 2
			}
		}
		return values[i]
	}
	return values[order[n-1]] // cannot be: as many are drawn as there are
}

// stats are the median and the mean of the differences, and the difference of the 95th
// percentiles.
func (b *bootstrap) stats() (p50, mean, p95 float64) {
	for i, n := range b.counts {
		mean += float64(n) * b.diff[i]
	}
	return b.quantile(b.diff, b.orders[2], 0.5), mean / float64(len(b.diff)),
		b.quantile(b.times[on], b.orders[on], 0.95) - b.quantile(b.times[off], b.orders[off], 0.95)
}

func (b *bootstrap) sideTimes(side int) Times {
	t := Times{P50: b.quantile(b.times[side], b.orders[side], 0.5), P95: b.quantile(b.times[side], b.orders[side], 0.95)}
	for _, x := range b.times[side] {
		t.Mean += x / float64(len(b.times[side]))
	}
	return t
}

// intervals leaves the counts drawn.
func (b *bootstrap) intervals(resamples int, confidence float64, rng *rand.Rand) (p50, mean, p95 Interval) {
	out := [3]*Interval{&p50, &mean, &p95}
	p50.Value, mean.Value, p95.Value = b.stats()
	drawn := [3][]float64{}
	for range resamples {
		clear(b.counts)
		for range b.counts {
			b.counts[rng.IntN(len(b.counts))]++
		}
		x, y, z := b.stats()
		for k, v := range [3]float64{x, y, z} {
			drawn[k] = append(drawn[k], v)
		}
	}
	tail := (1 - confidence) / 2
	for k, list := range drawn {
		slices.Sort(list)
		out[k].Low = list[int(tail*float64(len(list)-1))]
		out[k].High = list[int(math.Ceil((1-tail)*float64(len(list)-1)))]
	}
	return p50, mean, p95
}
