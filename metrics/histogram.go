package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/opbeans/loadgen"
)

const (
	// schema makes eight native buckets of each doubling.
	schema           = 3
	bucketsPerDouble = 1 << schema

	// Shorter times than the resolution of a loadgen.Histogram count as zero.
	zeroThreshold = float64(time.Microsecond) / float64(time.Second)
)

// classicBounds are the upper bounds of classic buckets, in seconds.
func classicBounds() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

// histogram is a histogram with native and with classic buckets.
type histogram struct{ native, classic prometheus.Metric }

// newHistogram makes a metric of h. Each of its counters goes where its middle belongs,
// which moves a value by less than 0.4% or half a microsecond; the sum is exact.
func newHistogram(desc *prometheus.Desc, h *loadgen.Histogram, created time.Time, labels ...string) (prometheus.Metric, error) {
	var zero, count uint64
	sum := h.Sum().Seconds()
	native := map[int]int64{}
	bounds := classicBounds()
	below := make([]uint64, len(bounds)+1) // not yet added up
	for b := range h.Buckets() {
		middle := (b.From + (b.To-b.From)/2).Seconds()
		count += b.Count
		if middle <= zeroThreshold {
			zero += b.Count
		} else {
			native[int(math.Ceil(math.Log2(middle)*bucketsPerDouble))] += int64(b.Count)
		}
		i := 0
		for i < len(bounds) && middle > bounds[i] {
			i++
		}
		below[i] += b.Count
	}
	classic := make(map[float64]uint64, len(bounds))
	var upTo uint64
	for i, bound := range bounds {
		upTo += below[i]
		classic[bound] = upTo
	}
	n, err := prometheus.NewConstNativeHistogram(desc, count, sum, native, nil, zero, schema, zeroThreshold, created, labels...)
	if err != nil {
		return nil, err
	}
	c, err := prometheus.NewConstHistogramWithCreatedTimestamp(desc, count, sum, classic, created, labels...)
	return histogram{n, c}, err
}

// Desc describes the metric.
func (h histogram) Desc() *prometheus.Desc { return h.native.Desc() }

// Write writes the native histogram with the classic buckets added.
func (h histogram) Write(out *dto.Metric) error {
	if err := h.native.Write(out); err != nil {
		return err
	}
	var classic dto.Metric
	if err := h.classic.Write(&classic); err != nil {
		return err
	}
	out.Histogram.Bucket = classic.Histogram.Bucket
	return nil
}
