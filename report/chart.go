package report

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// The size of a chart in the units of its view box, and the room for its labels.
const (
	chartWidth  = 640.0
	chartHeight = 250.0
	chartLeft   = 58.0
	chartRight  = 12.0
	chartTop    = 10.0
	chartBottom = 28.0
)

// series is a line of a chart. A NaN is a gap.
type series struct {
	Name   string // in the legend
	Class  string // of CSS
	Filled bool
	Y      []float64
}

// axis maps values to places.
type axis struct {
	from, to  float64 // values at the ends
	low, high float64 // places of these
	log       bool
	ticks     []tick
}

type tick struct {
	at   float64
	text string
}

func (a *axis) place(v float64) float64 {
	from, to := a.from, a.to
	if a.log {
		v, from, to = math.Log(max(v, a.from)), math.Log(from), math.Log(to)
	}
	if to == from {
		return a.low
	}
	return a.low + (v-from)/(to-from)*(a.high-a.low)
}

// timeAxis is the x axis of a run.
func timeAxis(length time.Duration) axis {
	a := axis{to: max(length.Seconds(), 1e-9), low: chartLeft, high: chartWidth - chartRight}
	for _, step := range []float64{
		0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 7 * 86400, 30 * 86400, 365 * 86400,
	} {
		if a.to/step > 8 {
			continue
		}
		for i := 0; float64(i)*step <= a.to; i++ {
			a.ticks = append(a.ticks, tick{float64(i) * step, shortTime(float64(i) * step)})
		}
		break
	}
	return a
}

func shortTime(s float64) string {
	switch {
	case s < 60:
		return strconv.FormatFloat(s, 'f', -1, 64) + "s"
	case s < 3600:
		return fmt.Sprintf("%d:%02d", int(s)/60, int(s)%60)
	case s < 2*86400:
		return fmt.Sprintf("%d:%02d h", int(s)/3600, int(s)/60%60)
	}
	return fmt.Sprintf("%d d", int(s)/86400)
}

// countAxis is a y axis from zero to at least the largest value.
func countAxis(most float64) axis {
	a := axis{low: chartHeight - chartBottom, high: chartTop}
	step := niceStep(most / 4)
	for i := 0; ; i++ {
		v := float64(i) * step
		a.ticks = append(a.ticks, tick{v, shortNumber(v)})
		if a.to = v; v >= most && i > 0 {
			return a
		}
	}
}

// niceStep is the least of 1, 2 and 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= x*(1-1e-9) {
			return m * unit
		}
	}
	return 10 * unit
}

func shortNumber(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.size {
			return strconv.FormatFloat(math.Round(v/u.size*100)/100, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}

// latencyAxis is a logarithmic y axis of seconds that holds both ends.
func latencyAxis(least, most float64) axis {
	least, most = max(least, 1e-6), max(most, 2e-6)
	a := axis{log: true, low: chartHeight - chartBottom, high: chartTop}
	steps := []float64{1, 2, 5}
	if most/least > 1e3 {
		steps = []float64{1}
	}
	a.from, a.to = least, most
	for e := -6; e <= 6; e++ {
		for _, m := range steps {
			v := m * math.Pow(10, float64(e))
			switch {
			case v <= least*(1+1e-9):
				a.from = v
				a.ticks = []tick{{v, shortLatency(v)}}
			case len(a.ticks) == 0 || a.ticks[len(a.ticks)-1].at < most*(1-1e-9):
				a.to = v
				a.ticks = append(a.ticks, tick{v, shortLatency(v)})
			}
		}
	}
	if n := len(a.ticks); n > 0 {
		a.from, a.to = a.ticks[0].at, a.ticks[n-1].at
	}
	return a
}

func shortLatency(s float64) string {
	return time.Duration(math.Round(s*1e9) / 1e3 * 1e3).Round(time.Microsecond).String()
}

// chart is a drawing under construction.
type chart struct {
	strings.Builder
	x, y axis
}

func (c *chart) printf(format string, args ...any) { fmt.Fprintf(&c.Builder, format, args...) }

// begin draws the frame. What it is of is said for those who cannot see it.
func (c *chart) begin(label string, x, y axis) {
	c.x, c.y = x, y
	c.printf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(label))
	for _, t := range y.ticks {
		at := y.place(t.at)
		c.printf(`<path class="grid" d="M%g %.1fH%g"/><text class="tick y" x="%g" y="%.1f">%s</text>`,
			chartLeft, at, chartWidth-chartRight, chartLeft-6, at+4, html.EscapeString(t.text))
	}
	for _, t := range x.ticks {
		at := x.place(t.at)
		c.printf(`<text class="tick x" x="%.1f" y="%g">%s</text>`, at, chartHeight-chartBottom+18, html.EscapeString(t.text))
	}
}

func (c *chart) end() template.HTML {
	c.WriteString(`<path class="cross" d=""/></svg>`)
	return template.HTML(c.String()) //nolint:gosec // all text in it is escaped
}

// line draws a series over the places xs.
func (c *chart) line(s series, xs []float64) {
	var path, area strings.Builder
	open := false
	var first, last float64
	closeArea := func() {
		if open {
			fmt.Fprintf(&area, "L%.1f %.1fL%.1f %.1fZ", last, c.y.low, first, c.y.low)
		}
	}
	for i, v := range s.Y {
		if math.IsNaN(v) {
			closeArea()
			open = false
			continue
		}
		x, y := c.x.place(xs[i]), c.y.place(v)
		step := "L"
		if !open {
			step, first = "M", x
			if i+1 == len(s.Y) || math.IsNaN(s.Y[i+1]) { // a point alone
				c.printf(`<circle class="%s dot" cx="%.1f" cy="%.1f" r="2.5"/>`, s.Class, x, y)
			}
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", step, x, y)
		fmt.Fprintf(&area, "%s%.1f %.1f", step, x, y)
		open, last = true, x
	}
	closeArea()
	if s.Filled {
		c.printf(`<path class="%s area" d="%s"/>`, s.Class, area.String())
	}
	c.printf(`<path class="%s line" d="%s"/>`, s.Class, path.String())
}

// hover is what the page's script needs to say what lies under the pointer.
type hover struct {
	X      []float64 `json:"x"` // places
	Label  []string  `json:"l"`
	Series []hovered `json:"s"`
}

type hovered struct {
	Name  string   `json:"n"`
	Class string   `json:"c"`
	Text  []string `json:"t"`
}

// newHover describes series over xs; label and text say what values are.
func newHover(x *axis, xs []float64, all []series, label, text func(float64) string) string {
	h := hover{X: make([]float64, len(xs)), Label: make([]string, len(xs))}
	for i, v := range xs {
		h.X[i], h.Label[i] = math.Round(x.place(v)*10)/10, label(v)
	}
	for _, s := range all {
		one := hovered{Name: s.Name, Class: s.Class, Text: make([]string, len(s.Y))}
		for i, v := range s.Y {
			if !math.IsNaN(v) {
				one.Text[i] = text(v)
			}
		}
		h.Series = append(h.Series, one)
	}
	b, err := json.Marshal(h)
	if err != nil {
		return "" // numbers and text only: cannot be
	}
	return string(b)
}
