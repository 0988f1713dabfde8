package report

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opbeans/loadgen"
)

// minBlocks is how many intervals a run needs for them to be resampled.
const minBlocks = 20

// drawer draws what a run could have been as well: for each metric, its value in one
// resample.
type drawer interface{ draw(values []float64) }

// newDrawer resamples whole intervals where a run has enough of them: latencies that
// are close in time are alike, so that single ones would make a run look surer than it
// is. Where there are too few, single iterations have to do.
func newDrawer(r *Report, metrics []comparedMetric, rng *rand.Rand, byIntervals bool) drawer {
	if byIntervals {
		return newBlockDrawer(r, metrics, rng)
	}
	return &singleDrawer{of: whole(r.Snapshot), metrics: metrics, rng: rng}
}

// blockDrawer draws intervals with replacement.
type blockDrawer struct {
	r       *Report
	metrics []comparedMetric
	rng     *rand.Rand
	times   map[timeKind]*blockTimes
	drawn   []uint64 // how often each interval was drawn
}

// blockTimes are the histograms of all intervals over the buckets that any of them has.
type blockTimes struct {
	upper  []time.Duration // of each bucket
	blocks [][]bucketCount
	sums   []float64
	total  []uint64 // of the resample, by bucket
}

type bucketCount struct {
	at    int
	count uint64
}

func newBlockDrawer(r *Report, metrics []comparedMetric, rng *rand.Rand) *blockDrawer {
	d := &blockDrawer{r: r, metrics: metrics, rng: rng, times: map[timeKind]*blockTimes{}, drawn: make([]uint64, len(r.Intervals))}
	for _, m := range metrics {
		if m.time != noTime && d.times[m.time] == nil {
			d.times[m.time] = newBlockTimes(r.Intervals, m.time)
		}
	}
	return d
}

func newBlockTimes(intervals []Interval, kind timeKind) *blockTimes {
	b := &blockTimes{blocks: make([][]bucketCount, len(intervals)), sums: make([]float64, len(intervals))}
	index := map[time.Duration]int{}
	for i := range intervals {
		for bucket := range kind.of(&intervals[i].Totals).Buckets() {
			index[bucket.To] = 0
		}
	}
	for to := range index {
		b.upper = append(b.upper, to)
	}
	slices.Sort(b.upper)
	for at, to := range b.upper {
		index[to] = at
	}
	for i := range intervals {
		h := kind.of(&intervals[i].Totals)
		b.sums[i] = h.Sum().Seconds()
		for bucket := range h.Buckets() {
			b.blocks[i] = append(b.blocks[i], bucketCount{index[bucket.To], bucket.Count})
		}
	}
	b.total = make([]uint64, len(b.upper))
	return b
}

// count is the number of times in the resample.
func (b *blockTimes) count() (n uint64) {
	for _, c := range b.total {
		n += c
	}
	return n
}

// quantile is that of the resample, in seconds.
func (b *blockTimes) quantile(q float64) float64 {
	var seen uint64
	rank := max(uint64(math.Ceil(q*float64(b.count())-1e-9)), 1)
	for at, c := range b.total {
		if seen += c; seen >= rank {
			return (b.upper[at] - 1).Seconds()
		}
	}
	return 0
}

func (d *blockDrawer) draw(values []float64) {
	clear(d.drawn)
	for range d.drawn {
		d.drawn[d.rng.IntN(len(d.drawn))]++
	}
	var totals loadgen.Totals
	var length, offered time.Duration
	for i, n := range d.drawn {
		in := &d.r.Intervals[i]
		length += time.Duration(n) * in.Length()
		offered += time.Duration(n) * in.Offered
		totals.Iterations += n * in.Iterations
		totals.FailedIterations += n * in.FailedIterations
		totals.Requests += n * in.Requests
		totals.FailedRequests += n * in.FailedRequests
	}
	sums := map[timeKind]float64{}
	for kind, b := range d.times {
		clear(b.total)
		for i, n := range d.drawn {
			if n == 0 {
				continue
			}
			sums[kind] += float64(n) * b.sums[i]
			for _, c := range b.blocks[i] {
				b.total[c.at] += n * c.count
			}
		}
	}
	for at, m := range d.metrics {
		switch {
		case m.time != noTime && m.mean:
			values[at] = sums[m.time] / max(float64(d.times[m.time].count()), 1)
		case m.time != noTime:
			values[at] = d.times[m.time].quantile(m.q)
		default:
			values[at] = m.value(&totals, cmp.Or(offered, length))
		}
	}
}

// singleDrawer draws iterations and requests one by one. It does so at once: the value
// of rank k among n that were drawn with replacement is the quantile of what they were
// drawn from at a Beta(k, n-k+1) distributed place.
type singleDrawer struct {
	of      measured
	metrics []comparedMetric
	rng     *rand.Rand
}

func (d *singleDrawer) draw(values []float64) {
	for at, m := range d.metrics {
		if m.time == noTime {
			values[at] = m.drawn(d.of.Totals, d.of.length, d.rng)
			continue
		}
		h := m.time.of(d.of.Totals)
		n := float64(h.Count())
		if m.mean {
			// Its logarithm is about as normal as itself, and no mean falls below 0.
			mean := h.Mean().Seconds()
			values[at] = mean * math.Exp(d.rng.NormFloat64()*deviation(h)/(math.Sqrt(n)*max(mean, 1e-9)))
			continue
		}
		k := max(math.Ceil(m.q*n-1e-9), 1)
		values[at] = h.Quantile(beta(d.rng, k, n-k+1)).Seconds()
	}
}

// deviation is the standard deviation of a distribution, in seconds.
func deviation(h *loadgen.Histogram) float64 {
	mean, sum := h.Mean().Seconds(), 0.0
	for b := range h.Buckets() {
		d := (b.From+b.To).Seconds()/2 - mean
		sum += d * d * float64(b.Count)
	}
	return math.Sqrt(sum / max(float64(h.Count())-1, 1))
}

// beta draws from the Beta distribution, by two Gamma distributed numbers.
func beta(rng *rand.Rand, a, b float64) float64 {
	x, y := gamma(rng, a), gamma(rng, b)
	return x / (x + y)
}

// gamma draws from the Gamma distribution of a shape and scale 1, by the method of
// Marsaglia and Tsang (A simple method for generating gamma variables, 2000).
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rng, shape+1) * math.Pow(1-rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
