package histogram

import (
	"maps"
	"slices"
	"time"
)

// maxExactValues is how many values an exact histogram tells apart.
const maxExactValues = 10_000

// MakeExact makes a histogram that is empty an exact one.
func (h *Histogram) MakeExact() { h.values = map[int64]uint64{} }

// countValue counts a value in an exact histogram.
func (h *Histogram) countValue(v int64, n uint64) {
	if h.values[v] += n; len(h.values) > maxExactValues {
		h.values = nil
	}
}

// mergeValues is the part of Merge for exact histograms: a sum is exact if both parts are.
// It comes first, when h does not have o's count yet.
func (h *Histogram) mergeValues(o *Histogram) {
	switch {
	case o.values == nil:
		h.values = nil
	case h.count == 0:
		h.values = maps.Clone(o.values)
	case h.values != nil:
		for v, n := range o.values {
			if h.countValue(v, n); h.values == nil {
				return
			}
		}
	}
}

// sinceValues is the part of since for exact histograms: then its least and its largest
// are exact, too.
func (h *Histogram) sinceValues(prev, d *Histogram) {
	if h.values == nil || prev.values == nil || h.count < prev.count {
		return
	}
	d.MakeExact()
	for v, n := range h.values {
		if n -= prev.values[v]; n > 0 {
			d.values[v] = n
		}
	}
	sorted := slices.Sorted(maps.Keys(d.values))
	d.min, d.max = sorted[0], sorted[len(sorted)-1]
}

// valueAt is the value of a rank in an exact histogram.
func (h *Histogram) valueAt(rank uint64) time.Duration {
	var seen uint64
	for _, v := range slices.Sorted(maps.Keys(h.values)) {
		if seen += h.values[v]; seen >= rank {
			return time.Duration(v)
		}
	}
	return h.Max()
}
