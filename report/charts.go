package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/opbeans/loadgen"
)

// Of the heat map: at most so many columns and rows, and shades.
const (
	heatColumns = 120
	heatRows    = 36
	heatShades  = 9
)

// charts draws all that the report has enough for.
func (r *Report) charts() []figure {
	var list []figure
	if len(r.Intervals) > 1 {
		list = append(list, r.throughput(), r.percentiles())
		if r.Snapshot.Response.Count() > 0 {
			list = append(list, r.heat())
		}
		list = append(list, r.users())
	}
	if r.Snapshot.Response.Count() > 0 {
		list = append(list, r.distribution(), r.tail())
	}
	return list
}

// ends are the ends of the intervals in seconds.
func (r *Report) ends() []float64 {
	xs := make([]float64, len(r.Intervals))
	for i := range r.Intervals {
		xs[i] = r.Intervals[i].To.Seconds()
	}
	return xs
}

func (r *Report) each(of func(i *Interval) float64) []float64 {
	ys := make([]float64, len(r.Intervals))
	for i := range r.Intervals {
		ys[i] = of(&r.Intervals[i])
	}
	return ys
}

func largest(lists ...[]float64) float64 {
	most := 0.0
	for _, list := range lists {
		for _, v := range list {
			if v > most {
				most = v
			}
		}
	}
	return most
}

// overTime draws series over the run.
func (r *Report) overTime(f figure, y axis, text func(float64) string, all ...series) figure {
	var c chart
	xs := r.ends()
	c.begin(f.Title, timeAxis(r.Snapshot.Elapsed), y)
	for _, s := range all {
		c.line(s, xs)
	}
	f.Hover = newHover(&c.x, xs, all, func(v float64) string { return "at " + Duration(time.Duration(v*1e9)) }, text)
	f.SVG, f.Legend = c.end(), all
	return f
}

func (r *Report) throughput() figure {
	ok := r.each(func(i *Interval) float64 { return perSecond(i.Requests, i.Length()) })
	failed := r.each(func(i *Interval) float64 { return perSecond(i.FailedRequests, i.Length()) })
	return r.overTime(figure{Title: "Requests per second"}, countAxis(largest(ok)),
		func(v float64) string { return Rate(v) + "/s" },
		series{"requests", "c1", true, ok}, series{"failed", "c-bad", true, failed})
}

func (r *Report) percentiles() figure {
	quantile := func(of func(*loadgen.Histogram) time.Duration) []float64 {
		return r.each(func(i *Interval) float64 {
			if i.Response.Count() == 0 {
				return math.NaN()
			}
			return of(&i.Response).Seconds()
		})
	}
	p50, p90, p99 := quantile((*loadgen.Histogram).P50), quantile((*loadgen.Histogram).P90), quantile((*loadgen.Histogram).P99)
	most := quantile((*loadgen.Histogram).Max)
	least := math.Inf(1)
	for _, v := range p50 {
		if v < least {
			least = v
		}
	}
	return r.overTime(figure{Title: "Response time", Note: "percentiles of each interval"}, latencyAxis(least, largest(most)),
		func(v float64) string { return Duration(time.Duration(v * 1e9)) },
		series{"max", "c4", false, most}, series{"p99", "c3", false, p99}, series{"p90", "c2", false, p90}, series{"p50", "c1", false, p50})
}

func (r *Report) users() figure {
	vus := r.each(func(i *Interval) float64 { return float64(i.VUs) })
	late := r.each(func(i *Interval) float64 { return perSecond(i.Starved+i.Dropped, i.Length()) })
	all := []series{{"VUs", "c2", true, vus}}
	if largest(late) > 0 {
		all = append(all, series{"starved and dropped iterations per second", "c-bad", false, late})
	}
	return r.overTime(figure{Title: "Virtual users"}, countAxis(largest(vus, late)), Rate, all...)
}

// heat shows how many iterations took how long at what time: the stronger, the more of
// those of its column.
func (r *Report) heat() figure {
	columns := r.columns()
	y := latencyAxis(max(r.Snapshot.Response.Min().Seconds(), 1e-6), r.Snapshot.Response.Max().Seconds())
	var c chart
	c.begin("Response times as a heat map", timeAxis(r.Snapshot.Elapsed), y)
	var paths [heatShades]chart
	ratio := math.Pow(y.to/y.from, 1.0/heatRows)
	for i := range columns {
		column := &columns[i]
		counts := make([]uint64, heatRows)
		var most uint64
		for b := range column.Response.Buckets() {
			middle := (b.From + b.To).Seconds() / 2
			row := min(max(int(math.Log(middle/y.from)/math.Log(ratio)), 0), heatRows-1)
			counts[row] += b.Count
			most = max(most, counts[row])
		}
		left, right := c.x.place(column.From.Seconds()), c.x.place(column.To.Seconds())
		for row, n := range counts {
			if n == 0 {
				continue
			}
			shade := min(int(math.Sqrt(share(n, most))*heatShades), heatShades-1)
			top := y.place(y.from * math.Pow(ratio, float64(row+1)))
			height := y.place(y.from*math.Pow(ratio, float64(row))) - top
			paths[shade].printf("M%.1f %.1fh%.1fv%.1fh%.1fz", left, top, right-left, height, left-right)
		}
	}
	for shade := range paths {
		if paths[shade].Len() > 0 {
			c.printf(`<path class="heat" fill-opacity="%.2f" d="%s"/>`, float64(shade+1)/heatShades, paths[shade].String())
		}
	}
	return figure{Title: "Response times", Note: "the stronger, the more of that moment's iterations", SVG: c.end()}
}

// columns are the intervals, joined to a number that can be drawn.
func (r *Report) columns() []Interval {
	n := len(r.Intervals)
	each := (n + heatColumns - 1) / heatColumns
	var list []Interval
	for from := 0; from < n; from += each {
		column := Interval{From: r.Intervals[from].From}
		for i := from; i < min(from+each, n); i++ {
			column.join(&r.Intervals[i])
		}
		list = append(list, column)
	}
	return list
}

// distribution is the histogram of the whole run, in bars of equal width on a
// logarithmic scale.
func (r *Report) distribution() figure {
	const bars = 60
	h := &r.Snapshot.Response
	x := latencyAxis(max(h.Min().Seconds(), 1e-6), h.Max().Seconds())
	x.low, x.high = chartLeft, chartWidth-chartRight
	ratio := math.Pow(x.to/x.from, 1.0/bars)
	counts := make([]float64, bars)
	for b := range h.Buckets() {
		middle := (b.From + b.To).Seconds() / 2
		counts[min(max(int(math.Log(middle/x.from)/math.Log(ratio)), 0), bars-1)] += float64(b.Count)
	}
	var c chart
	c.begin("Distribution of response times", x, countAxis(largest(counts)))
	middles := make([]float64, bars)
	for i, n := range counts {
		left, right := x.from*math.Pow(ratio, float64(i)), x.from*math.Pow(ratio, float64(i+1))
		middles[i] = math.Sqrt(left * right)
		if n > 0 {
			a, b, top := c.x.place(left), c.x.place(right), c.y.place(n)
			c.printf(`<rect class="c1 bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, a+0.5, top, max(b-a-1, 0.5), c.y.low-top)
		}
	}
	for _, q := range []struct {
		name, class string
		at          time.Duration
	}{{"p50", "c1", h.P50()}, {"p90", "c2", h.P90()}, {"p99", "c3", h.P99()}} {
		at := c.x.place(q.at.Seconds())
		c.printf(`<path class="mark %s" d="M%.1f %g V%g"/><text class="mark-name" x="%.1f" y="%g">%s</text>`,
			q.class, at, chartTop, chartHeight-chartBottom, at+3, chartTop+9, q.name)
	}
	f := figure{Title: "Distribution of response times", Note: "iterations by how long they took"}
	all := []series{{"iterations", "c1", true, counts}}
	f.Hover = newHover(&c.x, middles, all, func(v float64) string { return "around " + Duration(time.Duration(v*1e9)) },
		func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) })
	f.SVG = c.end()
	return f
}

// tail is how long the slowest took: percentiles on a scale on which 90, 99 and 99.9
// are equally far apart, for response and service time.
func (r *Report) tail() figure {
	s := r.Snapshot
	n := float64(s.Response.Count())
	decades := max(1, math.Log10(n))
	x := axis{to: decades, low: chartLeft, high: chartWidth - chartRight}
	for d, text := range []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"} {
		if float64(d) <= decades {
			x.ticks = append(x.ticks, tick{float64(d), text})
		}
	}
	const points = 160
	xs := make([]float64, points+1)
	response, service := make([]float64, points+1), make([]float64, points+1)
	for i := range xs {
		xs[i] = decades * float64(i) / points
		q := 1 - math.Pow(10, -xs[i])
		if i == points {
			q = 1
		}
		response[i], service[i] = s.Response.Quantile(q).Seconds(), s.Service.Quantile(q).Seconds()
		if s.Service.Count() == 0 {
			service[i] = math.NaN()
		}
	}
	least := min(s.Response.Min(), s.Service.Min()).Seconds()
	all := []series{{"service time, of a request", "c2", false, service}, {"response time, of an iteration from when it was due", "c3", false, response}}
	var c chart
	c.begin("Response and service time by percentile", x, latencyAxis(least, largest(response, service)))
	for _, line := range all {
		c.line(line, xs)
	}
	f := figure{Title: "By percentile", Note: "what the slowest had to wait", Legend: all}
	f.Hover = newHover(&c.x, xs, all, func(v float64) string { return fmt.Sprintf("%.6g %%", 100*(1-math.Pow(10, -v))) },
		func(v float64) string { return Duration(time.Duration(v * 1e9)) })
	f.SVG = c.end()
	return f
}
