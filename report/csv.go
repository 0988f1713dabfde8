package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/opbeans/loadgen"
)

// column is a number of an interval, for CSV and JSON alike. The value is "" where
// nothing was measured: unknown, not zero.
type column struct {
	name  string
	value func(i *Interval) string
}

func columns() []column {
	count := func(name string, of func(i *Interval) uint64) column {
		return column{name, func(i *Interval) string { return strconv.FormatUint(of(i), 10) }}
	}
	real := func(name string, of func(i *Interval) float64) column {
		return column{name, func(i *Interval) string { return decimal(of(i)) }}
	}
	list := []column{
		real("from_s", func(i *Interval) float64 { return i.From.Seconds() }),
		real("to_s", func(i *Interval) float64 { return i.To.Seconds() }),
		count("vus", func(i *Interval) uint64 { return uint64(max(i.VUs, 0)) }),
		count("iterations", func(i *Interval) uint64 { return i.Iterations }),
		count("failed_iterations", func(i *Interval) uint64 { return i.FailedIterations }),
		count("interrupted", func(i *Interval) uint64 { return i.Interrupted }),
		real("iterations_per_s", func(i *Interval) float64 { return perSecond(i.Iterations, i.Length()) }),
		count("requests", func(i *Interval) uint64 { return i.Requests }),
		count("failed_requests", func(i *Interval) uint64 { return i.FailedRequests }),
		real("requests_per_s", func(i *Interval) float64 { return perSecond(i.Requests, i.Length()) }),
		count("starved", func(i *Interval) uint64 { return i.Starved }),
		count("dropped", func(i *Interval) uint64 { return i.Dropped }),
		count("bytes_sent", func(i *Interval) uint64 { return i.Sent }),
		count("bytes_received", func(i *Interval) uint64 { return i.Received }),
	}
	for _, h := range []struct {
		name string
		of   func(i *Interval) *loadgen.Histogram
	}{
		{"response", func(i *Interval) *loadgen.Histogram { return &i.Response }},
		{"service", func(i *Interval) *loadgen.Histogram { return &i.Service }},
	} {
		for _, q := range []struct {
			name string
			of   func(h *loadgen.Histogram) time.Duration
		}{
			{"p50", (*loadgen.Histogram).P50},
			{"p90", (*loadgen.Histogram).P90},
			{"p95", (*loadgen.Histogram).P95},
			{"p99", (*loadgen.Histogram).P99},
			{"max", (*loadgen.Histogram).Max},
			{"mean", (*loadgen.Histogram).Mean},
		} {
			list = append(list, column{h.name + "_" + q.name + "_ms", func(i *Interval) string {
				if h.of(i).Count() == 0 {
					return ""
				}
				return decimal(ms(q.of(h.of(i))))
			}})
		}
	}
	return list
}

// decimal is a number with at most six decimals.
func decimal(x float64) string {
	const million = 1e6
	if r := float64(int64(x*million+0.5)) / million; x >= 0 && x < 1e9 {
		x = r
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// WriteCSV writes a line for each interval, after one of names (RFC 4180, with line
// feeds alone). A time of an interval in which nothing was measured is empty.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	all := columns()
	row := make([]string, len(all))
	for n, c := range all {
		row[n] = c.name
	}
	_ = out.Write(row) // Error has it
	for i := range r.Intervals {
		for n, c := range all {
			row[n] = c.value(&r.Intervals[i])
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}
