package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/stats"
)

// MergeOptions say how [Merge] merges. The zero value is fine.
type MergeOptions struct {
	// Names are what errors call the reports, for instance their files; in their order.
	Names []string
	// Partial merges what there is if segments are missing. The result is not valid
	// then, and says which.
	Partial bool
}

// maxApart is how far apart the segments of a valid run may begin, as a share of it, if
// that is more than [loadgen.StartTolerance].
const maxApart = 0.01

// maxLength bounds times, so that sums of them cannot overflow.
const maxLength = loadgen.MaxDuration / 2

// Merge makes one report of those of all segments of a job, in any order. Counters,
// histograms and errors add up exactly; thresholds are judged on the sum. Intervals add
// up, too, side by side on the clocks of the machines: each whole one counts where its
// middle is, so that where segments begin apart a count may be half an interval off, and
// none is lost.
//
// The error says which reports do not belong together: of runs with other settings, of
// other times, of a segment twice, or if some are missing, unless they may. Reports are
// left as they are.
func Merge(parts []*Report, o MergeOptions) (*Report, error) {
	m := merging{parts: parts, o: o}
	if len(parts) == 0 {
		return nil, errors.New("report: there is nothing to merge")
	}
	missing, err := m.segments()
	if err == nil {
		err = m.alike()
	}
	if err == nil {
		err = m.times()
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r := &Report{Config: parts[0].Config, Tool: parts[0].Tool, Snapshot: &loadgen.Snapshot{}}
	for _, p := range parts {
		if p.Tool != r.Tool {
			r.Tool = ""
		}
		if p.Config.Seed != r.Config.Seed {
			r.Config.Seed = 0
		}
		if !p.Config.StartAt.Equal(r.Config.StartAt) {
			r.Config.StartAt = time.Time{}
		}
	}
	r.Config.Segment = loadgen.Segment{}
	m.snapshot(r.Snapshot, missing)
	r.Snapshot.Seed = r.Config.Seed
	r.Every, r.Intervals = m.intervals()
	return r, nil
}

// merging is one call of Merge.
type merging struct {
	parts  []*Report
	o      MergeOptions
	origin time.Time // the earliest start
	apart  time.Duration
}

func (m *merging) name(i int) string {
	if i < len(m.o.Names) {
		return m.o.Names[i]
	}
	return fmt.Sprintf("report %d", i+1)
}

// segments looks whether the reports are of the segments of one whole.
func (m *merging) segments() (missing []string, err error) {
	of := map[int]int{} // by the number of a segment, its report
	count := m.parts[0].Config.Segment.Count
	for i, p := range m.parts {
		s := p.Config.Segment
		if s.IsZero() {
			return nil, fmt.Errorf("%s is not of a segment, but of a whole run: only the segments of one job can be merged", m.name(i))
		}
		if s.Count != count {
			return nil, fmt.Errorf("%s is segment %s, and %s is %s: they are not of one run", m.name(0), m.parts[0].Config.Segment, m.name(i), s)
		}
		if other, twice := of[s.Index]; twice {
			return nil, fmt.Errorf("%s and %s are both segment %s", m.name(other), m.name(i), s)
		}
		of[s.Index] = i
	}
	for i := 1; i <= count; i++ {
		if _, have := of[i]; !have {
			missing = append(missing, loadgen.Segment{Index: i, Count: count}.String())
		}
	}
	if len(missing) > 0 && !m.o.Partial {
		return nil, fmt.Errorf("missing: segment %s", cut(strings.Join(missing, ", ")))
	}
	return missing, nil
}

// alike looks whether the reports are of jobs with the same settings, apart from those
// that may well differ from process to process.
func (m *merging) alike() error {
	var first map[string]json.RawMessage
	for i, p := range m.parts {
		cfg := p.Config
		cfg.Segment, cfg.StartAt, cfg.Seed, cfg.Client.LocalAddr, cfg.Name = loadgen.Segment{}, time.Time{}, 0, "", ""
		text, err := json.Marshal(cfg)
		if err != nil {
			return err
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			return err
		}
		if first == nil {
			first = object
			continue
		}
		for _, keys := range []map[string]json.RawMessage{first, object} {
			for key := range keys {
				if a, b := first[key], object[key]; string(a) != string(b) {
					return fmt.Errorf("%s and %s are not of one run: %s is %s in one and %s in the other",
						m.name(0), m.name(i), key, cut(cmp.Or(string(a), "not set")), cut(cmp.Or(string(b), "not set")))
				}
			}
		}
	}
	return nil
}

// times looks whether the segments ran side by side.
func (m *merging) times() error {
	var last time.Time
	var length time.Duration
	var first, then int
	for i, p := range m.parts {
		longest := p.Snapshot.Elapsed
		for _, one := range p.Intervals {
			longest = max(longest, one.To)
		}
		if longest > maxLength {
			return fmt.Errorf("%s has impossible times: %s", m.name(i), longest)
		}
		at := p.Snapshot.Started
		if at.IsZero() {
			continue // it has not begun
		}
		if m.origin.IsZero() || at.Before(m.origin) {
			m.origin, first = at, i
		}
		if last.IsZero() || at.After(last) {
			last, then = at, i
		}
		length = max(length, p.Snapshot.Elapsed)
	}
	if m.apart = last.Sub(m.origin); m.apart > 0 && m.apart > length {
		return fmt.Errorf("%s began %s after %s, when that was over: they are not of one run", m.name(then), m.apart.Round(time.Millisecond), m.name(first))
	}
	return nil
}

// offset is when a part began, since the first did.
func (m *merging) offset(p *Report) time.Duration {
	if p.Snapshot.Started.IsZero() {
		return 0
	}
	return p.Snapshot.Started.Sub(m.origin)
}

// snapshot adds up the statistics.
func (m *merging) snapshot(s *loadgen.Snapshot, missing []string) {
	var elapsed time.Duration
	for _, p := range m.parts {
		one := *p.Snapshot
		one.Reason = fmt.Sprintf("segment %s: %s", p.Config.Segment, one.Reason)
		one.Issues, one.Invalid = nil, nil
		for _, issue := range p.Snapshot.AllIssues() {
			issue.Text = fmt.Sprintf("segment %s: %s", p.Config.Segment, issue.Text)
			one.AddIssues(issue)
		}
		s.Merge(&one)
		elapsed = max(elapsed, m.offset(p)+one.Elapsed)
	}
	s.LoadDuration = m.offered(func(p *Report) time.Duration {
		if p.Snapshot.LoadDuration == 0 {
			return 0
		}
		return m.offset(p) + p.Snapshot.LoadDuration
	})
	if s.Elapsed = elapsed; s.State == loadgen.StateFinished {
		s.Reason = fmt.Sprintf("all %d segments are done", len(m.parts))
	}
	for i, v := range s.Verdicts {
		if !v.Aborted { // which was in that segment alone
			s.Verdicts[i] = v.Threshold.Evaluate(s)
		}
	}
	for _, issue := range s.HealthIssues() { // which a segment may have too few iterations to have
		if !slices.ContainsFunc(s.Issues, func(known stats.Issue) bool { return known.Kind == issue.Kind }) {
			issue.Text = "all segments: " + issue.Text
			s.AddIssues(issue)
		}
	}
	if m.apart > loadgen.StartTolerance && m.apart > time.Duration(maxApart*float64(elapsed)) {
		s.AddIssues(stats.NewIssue(stats.IssueOutOfStep, "out of step: segments began up to %s apart; -start-at lines them up", m.apart.Round(time.Millisecond)))
	}
	if len(missing) > 0 {
		s.AddIssues(stats.NewIssue(stats.IssueIncomplete, "incomplete: without segment %s", cut(strings.Join(missing, ", "))))
	}
}

// offered is for how long all segments together offered load, of which each knows its
// part: see [loadgen.Snapshot]. In the closed model that is the mean over VUs. In the
// open model all segments offer it for as long as the whole does.
func (m *merging) offered(of func(*Report) time.Duration) time.Duration {
	var most time.Duration
	var sum, vus float64
	for _, p := range m.parts {
		d := of(p)
		most = max(most, d)
		sum += float64(d) * float64(p.Snapshot.Workers)
		vus += float64(p.Snapshot.Workers)
	}
	if vus == 0 || m.parts[0].Config.Pacer() != nil {
		return most
	}
	return time.Duration(math.Round(sum / vus))
}

// intervals adds up what happened at the same time.
func (m *merging) intervals() (every time.Duration, list []Interval) {
	var end time.Duration
	for _, p := range m.parts {
		every = max(every, p.Every)
		if n := len(p.Intervals); n > 0 {
			end = max(end, m.offset(p)+p.Intervals[n-1].To)
		}
	}
	if every <= 0 || end <= 0 {
		return every, nil
	}
	for end/every >= maxIntervals {
		every *= 2
	}
	list = make([]Interval, (end-1)/every+1)
	for b := range list {
		list[b].From, list[b].To = time.Duration(b)*every, min(time.Duration(b+1)*every, end)
	}
	offered := make([]map[*Report]time.Duration, len(list))
	for b := range offered {
		offered[b] = map[*Report]time.Duration{}
	}
	for _, p := range m.parts {
		vus := make([]int, len(list))
		for i := range p.Intervals {
			one := &p.Intervals[i]
			from, to := m.offset(p)+one.From, m.offset(p)+one.To
			at := min(int((from+(to-from)/2)/every), len(list)-1)
			list[at].add(one)
			offered[at][p] += one.Offered
			for b := int(from / every); b < len(list) && (b == at || list[b].From < to); b++ {
				if middle := list[b].From + list[b].Length()/2; b == at || from <= middle && middle < to {
					vus[b] = max(vus[b], one.VUs)
				}
			}
		}
		for b, n := range vus {
			list[b].VUs += n
		}
	}
	for b := range list {
		list[b].Offered = m.offered(func(p *Report) time.Duration { return offered[b][p] })
	}
	if n := len(list); n > 1 && list[n-1].Length() < every/2 { // as a Recorder has it
		list[n-2].join(&list[n-1])
		list = list[:n-1]
	}
	return every, list
}
