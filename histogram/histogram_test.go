package histogram

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded returns a histogram of values.
func recorded(values ...time.Duration) *Histogram {
	h := &Histogram{}
	for _, d := range values {
		h.Record(d)
	}
	return h
}

const largest = time.Duration(histMax) * histUnit // that is told from larger ones

// oracle is the obvious histogram: all values, in order.
type oracle []time.Duration

func newOracle(values []time.Duration) oracle {
	o := slices.Clone(values)
	for i := range o {
		o[i] = max(o[i], 0)
	}
	slices.Sort(o)
	return o
}

// rank returns the value that k of den parts of all do not exceed.
func (o oracle) rank(k, den int) time.Duration {
	return o[max((k*len(o)+den-1)/den, 1)-1]
}

// mean is the exact mean, rounded down.
func (o oracle) mean() time.Duration {
	var sum big.Int
	for _, d := range o {
		sum.Add(&sum, big.NewInt(int64(d)))
	}
	return time.Duration(sum.Div(&sum, big.NewInt(int64(len(o)))).Int64())
}

// requireLike holds a histogram against the oracle.
func requireLike(t *testing.T, o oracle, h *Histogram) {
	t.Helper()
	require.Equal(t, uint64(len(o)), h.Count())
	if len(o) == 0 {
		require.Zero(t, h.Min()+h.Max()+h.Mean()+h.P50()+h.Quantile(0)+h.Quantile(1))
		return
	}
	require.Equal(t, o[0], h.Min())
	require.Equal(t, o[len(o)-1], h.Max())
	require.Equal(t, o.mean(), h.Mean())
	require.InEpsilon(t, 1, (h.Sum().Seconds()+1)/(min(h.Mean().Seconds()*float64(h.Count()), time.Duration(math.MaxInt64).Seconds())+1), 1e-6)
	require.Equal(t, h.Min(), h.Quantile(0))
	require.Equal(t, h.Min(), h.Quantile(math.NaN()))
	require.Equal(t, h.Max(), h.Quantile(2))
	before := time.Duration(0)
	for k := range 1001 { // plain comparisons: a fuzzer runs this a lot
		got, exact := h.Quantile(float64(k)/1000), o.rank(k, 1000)
		if got < before || got < exact {
			require.Fail(t, "too low", "quantile %d/1000 is %s, the one before %s, the exact one %s", k, got, before, exact)
		}
		before = got
		bound := max(float64(histUnit), float64(exact)*h.ErrorBound())
		// The last counter holds everything larger as well.
		if exact < largest-largest/128 && float64(got-exact) > bound {
			require.Fail(t, "too high", "quantile %d/1000 is %s, the exact one %s", k, got, exact)
		}
	}
}

// requireSame compares all that two histograms count.
func requireSame(t *testing.T, want, got *Histogram) {
	t.Helper()
	require.Equal(t, want.Count(), got.Count())
	require.Equal(t, slices.Collect(want.Buckets()), slices.Collect(got.Buckets()))
	require.Equal(t, want.Mean(), got.Mean())
}

func FuzzHistogram(f *testing.F) {
	seed := func(split uint16, values ...time.Duration) {
		var data []byte
		for _, d := range values {
			data = binary.LittleEndian.AppendUint64(data, uint64(d))
		}
		f.Add(data, split)
	}
	seed(0)
	seed(1, 0)
	seed(1, 333, 333, 333)
	seed(2, time.Microsecond, 255999, 256000, 257999, time.Millisecond)
	seed(3, -time.Second, time.Hour, 19*time.Hour, 20*time.Hour, math.MaxInt64, math.MinInt64)
	seed(9, slices.Repeat([]time.Duration{7 * time.Millisecond, 9 * time.Millisecond, 300 * time.Second}, 40)...)
	f.Fuzz(func(t *testing.T, data []byte, split uint16) {
		var values []time.Duration
		for ; len(data) >= 8; data = data[8:] {
			values = append(values, time.Duration(binary.LittleEndian.Uint64(data)))
		}
		whole := recorded(values...)
		requireLike(t, newOracle(values), whole)

		at := int(split) % (len(values) + 1)
		first, second := recorded(values[:at]...), recorded(values[at:]...)
		merged := first.Clone()
		merged.Merge(second)
		requireSame(t, whole, &merged)
		requireLike(t, newOracle(values), &merged)
		requireLike(t, newOracle(values[:at]), first)

		interval := whole.Since(first)
		requireSame(t, second, &interval)
		if second.Count() > 0 {
			require.LessOrEqual(t, interval.Min(), second.Min())
			require.GreaterOrEqual(t, interval.Max(), second.Max())
			require.GreaterOrEqual(t, interval.P50(), second.P50(), "never below the true value, also of an interval")
		}
		total := first.Clone()
		total.Merge(&interval)
		requireSame(t, whole, &total)
	})
}

func TestHistogramAgainstTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draws := map[string]func() time.Duration{
		"uniform":     func() time.Duration { return time.Duration(r.Int64N(int64(time.Second))) },
		"log uniform": func() time.Duration { return time.Duration(math.Exp(r.Float64() * math.Log(float64(largest)))) },
		"exponential": func() time.Duration { return time.Duration(r.ExpFloat64() * float64(20*time.Millisecond)) },
		"two humps": func() time.Duration {
			return time.Duration(math.Exp(r.NormFloat64()/4) * float64([]time.Duration{3 * time.Millisecond, 2 * time.Second}[r.IntN(2)]))
		},
		"constant": func() time.Duration { return 42_424_242 },
	}
	for name, draw := range draws {
		t.Run(name, func(t *testing.T) {
			values := make([]time.Duration, 20_000)
			for i := range values {
				values[i] = draw()
			}
			requireLike(t, newOracle(values), recorded(values...))
		})
	}
}

// The layout, at each place where it changes.
func TestHistogramLayout(t *testing.T) {
	tests := []struct {
		units   uint64
		counter int
		upper   int64 // the largest value in the same counter
	}{
		{0, 0, 0},
		{1, 1, 1},
		{127, 127, 127},
		{128, 128, 128},
		{255, 255, 255},
		{256, 256, 257},
		{257, 256, 257},
		{258, 257, 259},
		{511, 383, 511},
		{512, 384, 515},
		{515, 384, 515},
		{516, 385, 519},
		{1 << 35, 29 * 128, 1<<35 + 1<<28 - 1},
		{1<<36 - 1 - 1<<28, 30*128 - 2, 1<<36 - 1 - 1<<28},
		{1<<36 - 1, 30*128 - 1, 1<<36 - 1},
		{1 << 36, 30*128 - 1, 1<<36 - 1},
		{math.MaxUint64, 30*128 - 1, 1<<36 - 1},
	}
	for _, tt := range tests {
		i := histIndex(tt.units)
		assert.Equal(t, tt.counter, i, "of %d", tt.units)
		assert.Equal(t, tt.upper, histUpper(i), "of %d", tt.units)
	}
	for i := range histLast {
		require.Equal(t, i, histIndex(uint64(histUpper(i))), "the last of a counter")
		require.Equal(t, i+1, histIndex(uint64(histUpper(i)+1)), "the first of the next")
	}
}

func TestHistogramAtTheSeams(t *testing.T) {
	for _, units := range []int64{0, 1, 127, 128, 255, 256, 257, 511, 512, 1<<36 - 1, 1 << 36} {
		d := time.Duration(units) * histUnit
		for _, d := range []time.Duration{d, d + 1, d + histUnit - 1} {
			h := recorded(d, d+time.Minute, d+time.Minute)
			requireLike(t, newOracle([]time.Duration{d, d + time.Minute, d + time.Minute}), h)
		}
	}
}

func TestHistogramBeyondItsRange(t *testing.T) {
	h := recorded(-time.Second, time.Millisecond, 100*time.Hour, math.MaxInt64)
	assert.Equal(t, time.Duration(0), h.Min(), "a negative value is zero")
	assert.Equal(t, time.Duration(math.MaxInt64), h.Max())
	assert.Equal(t, time.Duration(math.MaxInt64), h.Quantile(0.75), "never below the true value")
	assert.InEpsilon(t, time.Millisecond, h.P50(), 1.0/128)
	buckets := slices.Collect(h.Buckets())
	require.Len(t, buckets, 3)
	assert.Equal(t, Bucket{From: (1<<36 - 1<<28) * histUnit, To: 1 << 36 * histUnit, Count: 2}, buckets[2])
}

func TestHistogramBuckets(t *testing.T) {
	h := recorded(0, 999, time.Microsecond, 300*time.Microsecond, 301*time.Microsecond)
	assert.Equal(t, []Bucket{
		{From: 0, To: time.Microsecond, Count: 2},
		{From: time.Microsecond, To: 2 * time.Microsecond, Count: 1},
		{From: 300 * time.Microsecond, To: 302 * time.Microsecond, Count: 2},
	}, slices.Collect(h.Buckets()))
	for range h.Buckets() {
		break // must not be asked for more
	}
	assert.Empty(t, slices.Collect((&Histogram{}).Buckets()))
}

// In floating point, 0.07 times 23760 is above 1663.2 by chance, and 0.07 times
// 100 above 7: the rank must not become 8.
func TestHistogramRankIsExact(t *testing.T) {
	for _, n := range []int{10, 100, 1000, 23_800} {
		h, o := &Histogram{}, oracle{}
		for i := range n {
			d := time.Duration(i%200) * time.Microsecond // a counter each
			h.Record(d)
			o = append(o, d)
		}
		slices.Sort(o)
		for k := 1; k < 100; k++ {
			require.Equal(t, o.rank(k, 100), h.Quantile(float64(k)/100).Truncate(histUnit), "%d%% of %d", k, n)
		}
	}
}

// The mean is exact: for values that have no exact sum in floating point, for sums
// beyond 64 bits, and for what is left of such a sum.
func TestHistogramMeanIsExact(t *testing.T) {
	h := &Histogram{}
	for range 100_000 {
		h.Record(333)
	}
	assert.Equal(t, time.Duration(333), h.Mean())
	for range 4 {
		h.Record(math.MaxInt64)
	}
	before := h.Clone()
	h.Record(1001)
	h.Record(1002)
	d := h.Since(&before)
	assert.Equal(t, time.Duration(1001), d.Mean())
}

func TestHistogramSince(t *testing.T) {
	h := recorded(time.Millisecond, time.Second)
	before := h.Clone()
	assert.Zero(t, *ptr(h.Since(&before)), "nothing happened")
	h.Record(20 * time.Millisecond)
	h.Record(30 * time.Millisecond)
	d := h.Since(&before)
	assert.Equal(t, uint64(2), d.Count())
	assert.Equal(t, 25*time.Millisecond, d.Mean())
	assert.InEpsilon(t, 20*time.Millisecond, d.Min(), 1.0/128)
	assert.InEpsilon(t, 30*time.Millisecond, d.Max(), 1.0/128)
	assert.InEpsilon(t, 20*time.Millisecond, d.P50(), 1.0/128)
	assert.Equal(t, uint64(2), before.Count(), "the copy is left alone")
}

// TestHistogramOfManyEqualValues has counters that outgrow their first 16 bits.
func TestHistogramOfManyEqualValues(t *testing.T) {
	const n = 3<<16 - 1
	common, rare := 5*time.Millisecond, 7*time.Millisecond
	h := recorded(rare)
	for range n {
		h.Record(common)
	}
	counts := func(h *Histogram) (out []uint64) {
		for b := range h.Buckets() {
			out = append(out, b.Count)
		}
		return out
	}
	require.Equal(t, []uint64{n, 1}, counts(h))
	early := h.Clone()
	h.Record(common) // carries
	require.Equal(t, []uint64{n, 1}, counts(&early), "a copy shares nothing")
	require.Equal(t, []uint64{n + 1, 1}, counts(h))
	one := h.Since(&early)
	require.Equal(t, []uint64{1}, counts(&one))

	sum := h.Clone()
	for range 20 { // doubles
		sum.Merge(ptr(sum.Clone()))
	}
	require.Equal(t, []uint64{(n + 1) << 20, 1 << 20}, counts(&sum))
	require.Equal(t, uint64(n+2)<<20, sum.Count())
	require.InDelta(t, common, sum.P99(), float64(common)*sum.ErrorBound())
	rest := sum.Since(h)
	require.Equal(t, []uint64{(n + 1) * (1<<20 - 1), 1<<20 - 1}, counts(&rest))
	rest.Merge(h)
	requireSame(t, &sum, &rest)
}

func ptr[T any](v T) *T { return &v }

func TestHistogramJSON(t *testing.T) {
	empty, err := json.Marshal(Histogram{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"count":0,"min_ms":null,"mean_ms":null,"p50_ms":null,"p90_ms":null,"p95_ms":null,
		"p99_ms":null,"p999_ms":null,"max_ms":null,"relative_error":0.0078125}`, string(empty))
	one, err := json.Marshal(recorded(1234567 * time.Nanosecond))
	require.NoError(t, err)
	assert.JSONEq(t, `{"count":1,"min_ms":1.235,"mean_ms":1.235,"p50_ms":1.235,"p90_ms":1.235,"p95_ms":1.235,
		"p99_ms":1.235,"p999_ms":1.235,"max_ms":1.235,"relative_error":0.0078125}`, string(one))
	zero, err := json.Marshal(recorded(0))
	require.NoError(t, err)
	assert.Contains(t, string(zero), `"min_ms":0,`, "zero is a value, unlike none")
}

// The reference implementation, with the same layout, counts alike.
func TestHistogramAgainstHdrHistogram(t *testing.T) {
	reference := hdrhistogram.New(1, histMax, 2)
	h := &Histogram{}
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		units := int64(math.Exp(r.Float64() * math.Log(histMax)))
		require.NoError(t, reference.RecordValue(units))
		h.Record(time.Duration(units) * histUnit)
	}
	var want []Bucket
	for _, b := range reference.Distribution() {
		if b.Count > 0 {
			want = append(want, Bucket{From: time.Duration(b.From) * histUnit, To: time.Duration(b.To+1) * histUnit, Count: uint64(b.Count)})
		}
	}
	assert.Equal(t, want, slices.Collect(h.Buckets()))
	for k := 1; k < 1000; k++ {
		// The reference answers with the largest value of a counter, here in
		// whole microseconds.
		want := time.Duration(reference.ValueAtQuantile(float64(k)/10)+1)*histUnit - 1
		require.InDelta(t, want, h.Quantile(float64(k)/1000), float64(want)/128+1, "%d/1000", k)
	}
}

// A histogram in use allocates nothing, nor does reading it.
func TestHistogramAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	h, o := &Histogram{}, &Histogram{}
	draw := func() time.Duration { return time.Duration(r.ExpFloat64() * float64(time.Second)) }
	for range 100_000 {
		h.Record(draw())
		o.Record(draw())
	}
	h.Merge(o)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { h.Record(draw() % h.Max()) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { h.Merge(o) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { h.Quantile(0.99) }))
}

func BenchmarkHistogram(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	var values [4096]time.Duration
	h := &Histogram{}
	for i := range values {
		values[i] = time.Duration(math.Exp(r.NormFloat64()/2) * float64(20*time.Millisecond))
		h.Record(values[i])
	}
	b.Run("Record", func(b *testing.B) {
		b.ReportAllocs()
		h, i := h.Clone(), 0
		for b.Loop() {
			h.Record(values[i%len(values)])
			i++
		}
	})
	b.Run("Merge", func(b *testing.B) {
		b.ReportAllocs()
		sum := h.Clone()
		for b.Loop() {
			sum.Merge(h)
		}
	})
	for _, q := range []float64{0.5, 0.99} {
		b.Run(fmt.Sprintf("Quantile/%g", q), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Quantile(q)
			}
		})
	}
	b.Run("clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := h.Clone()
			_ = c.Count()
		}
	})
}
