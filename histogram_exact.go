package loadgen

import (
	"maps"
	"slices"
	"time"
)

// maxExactValues is how many values an exact histogram tells apart.
const maxExactValues = 10_000

// WithExactTimes makes percentiles exact, with an [Histogram.ErrorBound] of 0, for as long
// as a histogram counts at most 10,000 distinct durations. Beyond that it is an ordinary
// one. This is for virtual time, where a day of load may have a handful of durations; by a
// real clock hardly two are alike. It costs some 40 bytes for each duration of a task.
func WithExactTimes() Option { return func(e *environment) { e.exactTimes = true } }

// newRecorder is what a run of the job measures with.
func (j *Job) newRecorder() *recorder {
	r := newRecorder(time.Now(), j.m.watch.sink())
	if r.exact = j.m.env.exactTimes; r.exact {
		r.lag.exactly()
	}
	return r
}

// exactly makes a histogram that is empty an exact one.
func (h *Histogram) exactly() { h.values = map[int64]uint64{} }

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
	d.exactly()
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
