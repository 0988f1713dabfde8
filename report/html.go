package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

//go:embed page.html
var pageSource string

// page is what the template shows.
type page struct {
	*Report
	Title    string
	Verdict  verdict
	Facts    [][2]string
	Tiles    []tile
	Charts   []figure
	Tasks    []taskRow
	Groups   []taskRow
	Errors   []errorRow
	Statuses []statusRow
	Agents   *agents
	Traces   []traceRow
	Config   string
}

type (
	verdict struct{ Class, Word, Why string }
	tile    struct{ Name, Value, Unit, Note, Class string }
	figure  struct {
		Title, Note string
		SVG         template.HTML
		Legend      []series
		Hover       string
		Wide        bool
	}
	taskRow struct {
		Name, Iterations, Failed, Share, Rate, P50, P90, P99, Max string
		Sort                                                      []float64
		Bar                                                       float64 // of p99, in percent of the largest
		Bad                                                       bool
	}
	errorRow  struct{ Class, Count, Share, Sample string }
	statusRow struct {
		Code, Count, Share, Class string
		Bar                       float64
	}
)

// WriteHTML writes one page that shows the report with charts, in light and dark, on
// screens of any size. It needs no network: styles, drawings and the little script that
// tells what lies under the pointer are within, and nothing else is allowed to load.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageSource)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	p, err := r.page()
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func (r *Report) page() (*page, error) {
	s := r.Snapshot
	config, err := json.MarshalIndent(r.Config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	p := &page{
		Report: r, Title: r.title(), Verdict: judge(s), Config: string(config),
		Tiles: r.tiles(), Charts: r.charts(), Agents: r.agents(), Traces: r.traceRows(),
	}
	fact := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, [2]string{name, value})
		}
	}
	fact("Target", r.Config.BaseURL)
	fact("Load", load(&r.Config))
	if s := r.Config.Segment; s.Count > 1 {
		fact("Segment", s.String()+"; load and thresholds are those of all together")
	}
	if !s.Started.IsZero() {
		fact("Started", s.Started.UTC().Format("2 January 2006, 15:04:05 UTC"))
	}
	ended := string(s.State)
	if s.Reason != "" {
		ended += ": " + s.Reason
	}
	fact("Ended", ended)
	fact("Measured by", r.Tool)
	p.taskRows()
	p.groupRows()
	for _, f := range failures(&s.Totals) {
		p.Errors = append(p.Errors, errorRow{string(f.Class), group(f.Count), percent(share(f.Count, max(s.Requests, s.Iterations))), f.Sample})
	}
	p.statusRows()
	return p, nil
}

// judge is the verdict on the whole run.
func judge(s *loadgen.Snapshot) verdict {
	failed := s.FailedVerdicts()
	switch {
	case len(failed) > 0:
		return verdict{"bad", "Failed", fmt.Sprintf("%d of %d thresholds not held", len(failed), len(s.Verdicts))}
	case s.State == loadgen.StateFailed:
		return verdict{"bad", "Failed", s.Reason}
	case s.AllFailed():
		return verdict{"bad", "Failed", "every iteration failed"}
	case !s.Valid:
		return verdict{"warn", "Not valid", "the generator, not the target, was the limit"}
	case len(s.Verdicts) > 0:
		return verdict{"good", "Passed", fmt.Sprintf("all %d thresholds held", len(s.Verdicts))}
	}
	return verdict{"good", "Measured", "no thresholds were set"}
}

// load says what was asked for.
func load(c *loadgen.JobConfig) string {
	var parts []string
	switch {
	case len(c.Stages) > 0:
		for _, s := range c.Stages {
			to := strconv.Itoa(s.Workers) + " workers"
			if s.Workers == 0 {
				to = s.Rate.String()
			}
			parts = append(parts, to+" by "+s.Duration.String())
		}
		return fmt.Sprintf("%d stages: %s", len(c.Stages), cut(strings.Join(parts, ", ")))
	case !c.Rate.IsZero():
		parts = append(parts, "arrival rate "+c.Rate.String())
	default:
		parts = append(parts, fmt.Sprintf("%d workers", c.Workers), "delay "+c.Delay.String())
	}
	if c.RampUp > 0 {
		parts = append(parts, "ramp-up "+c.RampUp.String())
	}
	if c.Duration > 0 {
		parts = append(parts, "for "+c.Duration.String())
	}
	return strings.Join(parts, ", ")
}

func (r *Report) tiles() []tile {
	s := r.Snapshot
	bad := func(n uint64) string {
		if n > 0 {
			return "bad"
		}
		return "good"
	}
	times := func(name string, of func(*loadgen.Histogram) time.Duration) tile {
		if s.Response.Count() == 0 {
			return tile{Name: name, Value: "–"}
		}
		return tile{Name: name, Value: Duration(of(&s.Response)), Note: "service " + Duration(of(&s.Service))}
	}
	return []tile{
		{Name: "Requests", Value: Rate(s.RateOf(s.Requests)), Unit: "/s", Note: group(s.Requests) + " in " + Duration(cmp.Or(s.LoadDuration, s.Elapsed))},
		{Name: "Iterations", Value: Rate(s.RateOf(s.Iterations)), Unit: "/s", Note: group(s.Iterations) + ", " + group(s.Interrupted) + " interrupted"},
		{
			Name: "Error rate", Value: percent(errorRate(&s.Totals)), Class: bad(s.FailedRequests + s.FailedIterations),
			Note: group(s.FailedRequests) + " requests, " + group(s.FailedIterations) + " iterations",
		},
		times("p50", (*loadgen.Histogram).P50),
		times("p95", (*loadgen.Histogram).P95),
		times("p99", (*loadgen.Histogram).P99),
		times("Slowest", (*loadgen.Histogram).Max),
		{Name: "Received", Value: bytesText(s.Received), Note: bytesText(s.Sent) + " sent"},
	}
}

func (p *page) taskRows() {
	all := tasks(p.Snapshot)
	slowest := time.Duration(1)
	for _, t := range all {
		slowest = max(slowest, t.Response.P99())
	}
	for _, t := range all {
		h, rate := &t.Response, errorRate(&t.Totals)
		row := taskRow{
			Name: taskName(t.Task), Iterations: group(t.Iterations), Failed: group(t.FailedIterations), Share: percent(rate),
			Rate: Rate(p.Snapshot.RateOf(t.Iterations)),
			P50:  Duration(h.P50()), P90: Duration(h.P90()), P99: Duration(h.P99()), Max: Duration(h.Max()),
			Bar: math.Round(1000*float64(h.P99())/float64(slowest)) / 10, Bad: rate > 0,
			Sort: []float64{0, float64(t.Iterations), p.Snapshot.RateOf(t.Iterations), float64(t.FailedIterations), rate, ms(h.P50()), ms(h.P90()), ms(h.P99()), ms(h.Max())},
		}
		p.Tasks = append(p.Tasks, row)
	}
}

// groupRows are the named parts of flows.
func (p *page) groupRows() {
	slowest := time.Duration(1)
	for i := range p.Snapshot.Groups {
		slowest = max(slowest, p.Snapshot.Groups[i].Time.P99())
	}
	for i := range p.Snapshot.Groups {
		g := &p.Snapshot.Groups[i]
		h, rate := &g.Time, share(g.Failed, g.Count)
		p.Groups = append(p.Groups, taskRow{
			Name: g.Group, Iterations: group(g.Count), Failed: group(g.Failed), Share: percent(rate),
			Rate: Rate(p.Snapshot.RateOf(g.Count)),
			P50:  Duration(h.P50()), P90: Duration(h.P90()), P99: Duration(h.P99()), Max: Duration(h.Max()),
			Bar: math.Round(1000*float64(h.P99())/float64(slowest)) / 10, Bad: rate > 0,
			Sort: []float64{0, float64(g.Count), p.Snapshot.RateOf(g.Count), float64(g.Failed), rate, ms(h.P50()), ms(h.P90()), ms(h.P99()), ms(h.Max())},
		})
	}
}

func (p *page) statusRows() {
	s := p.Snapshot
	var codes []int
	var most uint64
	for code, n := range s.Status {
		codes = append(codes, code)
		most = max(most, n)
	}
	slices.Sort(codes)
	for _, code := range codes {
		n, class := s.Status[code], "good"
		switch {
		case code >= 500:
			class = "bad"
		case code >= 400:
			class = "warn"
		}
		p.Statuses = append(p.Statuses, statusRow{
			strconv.Itoa(code), group(n), percent(share(n, s.Requests)), class, math.Round(1000*share(n, most)) / 10,
		})
	}
}

// group is a number with its thousands apart.
func group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "\u202f" + s[at:]
	}
	return s
}

// percent is a share as people read it.
func percent(x float64) string {
	switch p := 100 * x; {
	case p == 0:
		return "0 %"
	case p < 0.01:
		return "< 0.01 %"
	case p < 10:
		return strconv.FormatFloat(math.Round(p*100)/100, 'f', -1, 64) + " %"
	default:
		return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + " %"
	}
}

func bytesText(n uint64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
