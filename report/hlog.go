package report

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/opbeans/loadgen"
)

// The layout of logged histograms: nanoseconds with three digits, so that what a
// [loadgen.Histogram] knows to 1/128 loses next to nothing more.
const (
	hlogLowest  = int64(time.Microsecond)
	hlogHighest = int64(24 * time.Hour)
	hlogDigits  = 3
)

// WriteHLog writes an HdrHistogram log, version 1.3, which the tools of that project
// read: the response times of each interval without a tag, and its service times with
// the tag "service". Values are nanoseconds; times are seconds since the job's start. A
// report without intervals is logged as one.
//
// The format is that of HistogramLogWriter in https://github.com/HdrHistogram/HdrHistogram.
func (r *Report) WriteHLog(w io.Writer) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	start := r.Snapshot.Started
	at := float64(start.UnixMilli()) / 1e3
	if start.IsZero() {
		at = 0
	}
	for _, comment := range []string{
		"[" + cut(r.title()) + "; response times, and service times by tag, in nanoseconds]",
		"[Histogram log format version " + hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION + "]",
		fmt.Sprintf("[BaseTime: %.3f (seconds since epoch)]", at),
		fmt.Sprintf("[StartTime: %.3f (seconds since epoch), %s]", at, start.UTC().Format(time.RFC3339)),
	} {
		if err := log.OutputComment(comment); err != nil {
			return err
		}
	}
	if err := log.OutputLegend(); err != nil {
		return err
	}
	h := hdrhistogram.New(hlogLowest, hlogHighest, hlogDigits)
	for _, i := range r.intervalsOrWhole() {
		for _, part := range []struct {
			tag string
			of  *loadgen.Histogram
		}{{"", &i.Response}, {"service", &i.Service}} {
			if err := fillHLog(h, part.of); err != nil {
				return err
			}
			h.SetTag(part.tag)
			h.SetStartTimeMs(i.From.Milliseconds())
			h.SetEndTimeMs(i.To.Milliseconds())
			if err := log.OutputIntervalHistogram(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillHLog makes h count what from does, each value as the largest that it may be.
func fillHLog(h *hdrhistogram.Histogram, from *loadgen.Histogram) error {
	h.Reset()
	for b := range from.Buckets() {
		v := min(max(b.To-1, from.Min()), from.Max())
		if err := h.RecordValues(min(int64(v), hlogHighest), int64(b.Count)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// intervalsOrWhole are the intervals, or the whole run as one.
func (r *Report) intervalsOrWhole() []Interval {
	if len(r.Intervals) > 0 {
		return r.Intervals
	}
	s := r.Snapshot
	return []Interval{{To: s.Elapsed, VUs: s.VUs, Starved: s.LateStarts, Dropped: s.Dropped, Lag: s.Lag, Totals: s.Totals}}
}
