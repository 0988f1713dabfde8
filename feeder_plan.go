package loadgen

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/feed"
)

// row returns the row of this iteration of a feeder, by the number of the feeder.
func (vu *VU) row(i int) (*feed.Row, error) {
	if i >= len(vu.plan.feeds) {
		return nil, expr.ErrNoRows
	}
	for len(vu.rows) <= i {
		vu.rows = append(vu.rows, &feed.Row{})
	}
	row := vu.rows[i]
	if err := vu.plan.feeds[i].Next(vu.rand, vu.id, row); err != nil {
		return nil, err
	}
	return row, nil
}

// vuRows is a VU as expressions see it.
type vuRows VU

// Row implements the interface of expressions.
func (r *vuRows) Row(feeder int) (expr.IterationRow, error) {
	row, err := (*VU)(r).row(feeder)
	if err != nil {
		return nil, err
	}
	return row, nil
}

// freshRows makes the next iteration take rows of its own.
func (vu *VU) freshRows() {
	for _, row := range vu.rows {
		row.Release()
	}
}

// givenOut is how many rows feeders have given out in order, by name; nil for none.
func givenOut(feeds []*feed.Feed) map[string]int64 {
	var rows map[string]int64
	for _, f := range feeds {
		if n := f.Given(); n > 0 {
			if rows == nil {
				rows = map[string]int64{}
			}
			rows[f.Def.Name] = n
		}
	}
	return rows
}

// openFeeds opens the feeders of a scenario for a job, or takes those of the plan
// before: whose place in their file a job keeps.
func (s *Scenario) openFeeds(before *plan, segment Segment) ([]*feed.Feed, fault.List) {
	var f fault.List
	var out []*feed.Feed
	for _, named := range s.feeders {
		def := named.definition(s.folder)
		var old *feed.Feed
		if before != nil {
			if i := slices.IndexFunc(before.feeds, func(o *feed.Feed) bool { return o.Def.Name == def.Name }); i >= 0 {
				old = before.feeds[i]
			}
		}
		if old != nil && old.Same(def) {
			out = append(out, old)
			continue
		}
		opened, err := feed.Open(def, segment)
		if err != nil {
			f.Add("scenario", "feeder %q: %v", def.Name, err)
			continue
		}
		if named.fixed && opened.CSV && !slices.Equal(named.columns, opened.Columns) {
			opened.Close()
			f.Add("scenario", "feeder %q: %s has other columns than when the scenario was read: reload it", def.Name, def.File)
			continue
		}
		if old != nil {
			opened.Resume(old.Given())
		}
		out = append(out, opened)
	}
	if len(f) > 0 {
		closeFeeds(out, before)
		return nil, f
	}
	return out, nil
}

// open opens the feeders of the plan's scenario. before is the plan in force, of the
// scenario ran, if there is one.
func (p *plan) open(scenario, ran *Scenario, before *plan) error {
	var f fault.List
	if scenario == ran {
		p.feeds = before.feeds
	} else if p.feeds, f = scenario.openFeeds(before, p.cfg.Segment); len(f) > 0 {
		return validation(f)
	}
	p.seats(&f)
	if err := validation(f); err != nil {
		closeFeeds(p.feeds, before)
		return err
	}
	return nil
}

// seats finds how many VUs have a row of their own, and refuses to have more.
func (p *plan) seats(f *fault.List) {
	for _, d := range p.feeds {
		if !d.PerVU() {
			continue
		}
		p.rows = min(cmp.Or(p.rows, d.Rows), d.Rows)
		refuse := func(field string, workers int) {
			if int64(workers) > d.Rows {
				f.Add(field, "must be at most %d, not %d: feeder %q has a row for so many VUs", d.Rows, workers, d.Def.Name)
			}
		}
		refuse("workers", p.cfg.Workers)
		for i, stage := range p.cfg.Stages {
			refuse(fmt.Sprintf("stages[%d].workers", i), stage.Workers)
		}
		if n := p.cfg.Segment.Parts(); p.cfg.open() && int64(n) > d.Rows {
			f.Add("segment", "must be one of at most %d: feeder %q has a row for so many VUs", d.Rows, d.Def.Name)
		}
	}
}

// CheckFiles reads the files of the feeders as a job does when it starts. The error is
// a [*ValidationError] that lists every fault, or nil. It is for tools that look at a
// scenario before anybody runs it; files of bodies were read with the scenario.
func (s *Scenario) CheckFiles() error {
	feeds, f := s.openFeeds(nil, Segment{})
	closeFeeds(feeds, nil)
	return validation(f)
}

// closeFeeds closes feeders that a plan does not have.
func closeFeeds(feeds []*feed.Feed, except *plan) {
	for _, f := range feeds {
		if except == nil || !slices.Contains(except.feeds, f) {
			f.Close()
		}
	}
}
