// Package histogram counts durations in memory of fixed size, after the layout of an
// HdrHistogram, and writes them as JSON.
package histogram

import (
	"iter"
	"maps"
	"math"
	"math/bits"
	"time"
)

// The layout is that of an HdrHistogram with two significant digits and a unit
// of one microsecond (http://hdrhistogram.org): values below 256 have a counter
// each; above, every doubling of the value is split into 128 counters.
const (
	histSub     = 128                  // counters per doubling
	histSubBits = 7                    // log2(histSub)
	histUnit    = time.Microsecond     // resolution
	histMax     = 1<<36 - 1            // largest counted value in units, some 19 hours
	histPages   = 36 - histSubBits + 1 // pages of histSub counters that hold it
	histError   = 1.0 / histSub        // upper bound of the relative error
	histLast    = histPages*histSub - 1
)

// Histogram is a distribution of durations in memory of fixed size. The zero
// value is an empty one. It holds values from 0 to 19 hours by the microsecond,
// with a relative error of at most 1/128 (see [Histogram.ErrorBound]); larger
// ones are counted as 19 hours, while Max stays exact. [WithExactTimes] has it count
// without an error.
//
// A Histogram that a [Snapshot] holds is a copy that nobody writes to. Methods
// that read are safe for concurrent use with each other.
type Histogram struct {
	count    uint64
	sum      uint128 // in nanoseconds
	min, max int64   // in nanoseconds; valid if count > 0
	// pages are allocated when a value first falls into them: most
	// distributions touch a few of them.
	pages [histPages]*histPage
	// values are how often each value was counted, in nanoseconds; nil if that is not known.
	values map[int64]uint64
	form   histogramForm // of its JSON; other than readable in copies for a SnapshotRecord alone
}

// histPage holds the counters of one doubling, split in two: most of them never get
// beyond 16 bits, and a server that runs a hundred jobs has thousands of pages.
type histPage struct {
	low  [histSub]uint16
	high *[histSub]uint64 // in units of 1<<16; nil until the first carry
}

// at is counter i.
func (p *histPage) at(i int) uint64 {
	n := uint64(p.low[i])
	if p.high != nil {
		n += p.high[i] << 16
	}
	return n
}

// add adds n to counter i.
func (p *histPage) add(i int, n uint64) {
	low := uint64(p.low[i]) + n&math.MaxUint16
	p.low[i] = uint16(low)
	if n = n>>16 + low>>16; n > 0 {
		p.carry(i, n)
	}
}

func (p *histPage) carry(i int, n uint64) {
	if p.high == nil {
		p.high = new([histSub]uint64)
	}
	p.high[i] += n
}

func (p *histPage) clone() *histPage {
	c := *p
	if p.high != nil {
		high := *p.high
		c.high = &high
	}
	return &c
}

// histIndex is the counter of v units: the position of the highest bit chooses
// the page, the next seven bits the counter within it. Values below 256 fill
// the first two pages one by one.
func histIndex(v uint64) int {
	if v > histMax {
		v = histMax
	}
	shift := bits.Len64(v|(2*histSub-1)) - (histSubBits + 1)
	return shift<<histSubBits + int(v>>shift)
}

// histUpper is the largest value in units that counter i counts.
func histUpper(i int) int64 {
	if i < 2*histSub {
		return int64(i)
	}
	shift := i>>histSubBits - 1
	sub := i&(histSub-1) + histSub
	return int64(sub+1)<<shift - 1
}

// Record counts one duration; a negative one counts as zero. It is not safe for
// concurrent use.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	i := histIndex(uint64(d / histUnit))
	page := h.pages[i>>histSubBits]
	if page == nil {
		page = new(histPage)
		h.pages[i>>histSubBits] = page
	}
	page.add(i&(histSub-1), 1)
	if h.count == 0 || int64(d) < h.min {
		h.min = int64(d)
	}
	h.max = max(h.max, int64(d))
	h.sum = h.sum.plus(uint128{lo: uint64(d)})
	h.count++
	if h.values != nil {
		h.countValue(int64(d), 1)
	}
}

// Merge adds everything that o counts. It is not safe for concurrent use.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	h.mergeValues(o)
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
	h.sum = h.sum.plus(o.sum)
	for p, from := range o.pages {
		if from == nil {
			continue
		}
		if h.pages[p] == nil {
			h.pages[p] = from.clone()
			continue
		}
		for i := range histSub {
			h.pages[p].add(i, from.at(i))
		}
	}
}

// Clone returns a copy that shares nothing with h.
func (h *Histogram) Clone() Histogram {
	c := *h
	c.values = maps.Clone(h.values)
	for p, page := range h.pages {
		if page != nil {
			c.pages[p] = page.clone()
		}
	}
	return c
}

// Since returns what h counts beyond prev, an earlier state of it. The least and
// the largest of the difference are known within the error bound only, which is 0 if
// both are exact.
func (h *Histogram) Since(prev *Histogram) Histogram {
	if prev.count == 0 {
		return h.Clone()
	}
	d := Histogram{count: h.count - prev.count, sum: h.sum.minus(prev.sum)}
	first, last := -1, -1
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		old := prev.pages[p]
		var own *histPage
		for i := range histSub {
			n := page.at(i)
			if old != nil {
				n -= old.at(i)
			}
			if n == 0 {
				continue
			}
			if own == nil {
				own = new(histPage)
			}
			own.add(i, n)
			last = p*histSub + i
			if first < 0 {
				first = last
			}
		}
		d.pages[p] = own
	}
	if d.count == 0 {
		return Histogram{}
	}
	d.min = h.min
	if first > 0 {
		d.min = max(h.min, (histUpper(first-1)+1)*int64(histUnit))
	}
	d.max = min(h.max, (histUpper(last)+1)*int64(histUnit)-1)
	if last == histLast {
		d.max = h.max
	}
	h.sinceValues(prev, &d)
	return d
}

// uint128 is a sum that neither overflows nor rounds, so that intervals add up.
type uint128 struct{ hi, lo uint64 }

func (a uint128) plus(b uint128) uint128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	return uint128{hi: a.hi + b.hi + carry, lo: lo}
}

func (a uint128) minus(b uint128) uint128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	return uint128{hi: a.hi - b.hi - borrow, lo: lo}
}

// Count is the number of values.
func (h *Histogram) Count() uint64 { return h.count }

// Mean is the mean of the exact values, rounded down to the nanosecond; 0 if there
// are none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 || h.sum.hi >= h.count { // no sum of durations is that large
		return 0
	}
	mean, _ := bits.Div64(h.sum.hi, h.sum.lo, h.count)
	return time.Duration(mean)
}

// Sum is the exact sum of all values, or the largest Duration (292 years) if it is more.
func (h *Histogram) Sum() time.Duration {
	if h.sum.hi > 0 || h.sum.lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(h.sum.lo)
}

// Min is the least value; 0 if there are none.
func (h *Histogram) Min() time.Duration {
	if h.count == 0 {
		return 0
	}
	return time.Duration(h.min)
}

// Max is the largest value; 0 if there are none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile is the value that the fraction q of all values does not exceed, from
// 0, the least, to 1, the largest; 0 if there are none. It is never below the
// true value of that rank, and above it by at most [Histogram.ErrorBound] or a
// microsecond; among values near 19 hours and beyond, it is the largest.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	if !(q > 0) {
		return h.Min()
	}
	rank := Rank(q, h.count)
	if rank == h.count {
		return h.Max()
	}
	if h.values != nil {
		return h.valueAt(rank)
	}
	var seen uint64
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		for i := range histSub {
			if seen += page.at(i); seen >= rank {
				// A counter holds all that rounds down to its last unit.
				at := p*histSub + i
				upper := (histUpper(at)+1)*int64(histUnit) - 1
				if at == histLast {
					upper = h.max
				}
				return time.Duration(min(max(upper, h.min), h.max))
			}
		}
	}
	return h.Max()
}

// Rank is the rank, from 1, of the fraction q of n values.
func Rank(q float64, n uint64) uint64 {
	// 0.07 times 100 is a little above 7, but its rank is 7: take that little off.
	exact := min(q, 1) * float64(n)
	return min(max(uint64(math.Ceil(exact-exact*0x1p-50)), 1), n)
}

// P50 is the median.
func (h *Histogram) P50() time.Duration { return h.Quantile(0.50) }

// P90 is the 90th percentile.
func (h *Histogram) P90() time.Duration { return h.Quantile(0.90) }

// P95 is the 95th percentile.
func (h *Histogram) P95() time.Duration { return h.Quantile(0.95) }

// P99 is the 99th percentile.
func (h *Histogram) P99() time.Duration { return h.Quantile(0.99) }

// P999 is the 99.9th percentile.
func (h *Histogram) P999() time.Duration { return h.Quantile(0.999) }

// ErrorBound is the largest relative error of a quantile, above the exact value:
// 1/128. Below 256 microseconds the error is at most one microsecond instead.
func (h *Histogram) ErrorBound() float64 {
	if h.values != nil {
		return 0
	}
	return histError
}

// Buckets returns every counter that counted something, from small to large.
func (h *Histogram) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		for p, page := range h.pages {
			if page == nil {
				continue
			}
			for i := range histSub {
				n := page.at(i)
				if n == 0 {
					continue
				}
				at := p*histSub + i
				b := Bucket{To: time.Duration(histUpper(at)+1) * histUnit, Count: n}
				if at > 0 {
					b.From = time.Duration(histUpper(at-1)+1) * histUnit
				}
				if !yield(b) {
					return
				}
			}
		}
	}
}

// Bucket is one counter of a [Histogram].
type Bucket struct {
	From, To time.Duration // From is counted, To is not
	Count    uint64
}

// Buckets of [Histogram.Distribution]: as many for each power of two.
const bucketsPerOctave = 8

// Distribution sums up the counters of a histogram in at most a few hundred buckets
// that are fit for drawing: each is an eighth of the power of two below it wide, in
// microseconds, so that bounds are the same for every histogram. Buckets that count
// nothing are left out.
func (h *Histogram) Distribution() []Bucket {
	var all []Bucket
	for b := range h.Buckets() {
		from, to := coarse(b.From)
		if n := len(all); n > 0 && all[n-1].From == from {
			all[n-1].Count += b.Count
			continue
		}
		all = append(all, Bucket{From: from, To: to, Count: b.Count})
	}
	return all
}

// coarse gives the bounds of the bucket of a Distribution that a duration is in.
func coarse(d time.Duration) (from, to time.Duration) {
	width := time.Microsecond
	for d/width >= 2*bucketsPerOctave {
		width *= 2
	}
	from = d / width * width
	return from, from + width
}
