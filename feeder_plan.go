package loadgen

import (
	"cmp"
	"fmt"
	"slices"
)

// row returns the row of this iteration of a feeder, by the number of the feeder.
func (vu *VU) row(i int) (*feederRow, error) {
	if i >= len(vu.plan.feeds) {
		return nil, errNoRows
	}
	for len(vu.rows) <= i {
		vu.rows = append(vu.rows, &feederRow{})
	}
	row := vu.rows[i]
	if err := vu.plan.feeds[i].next(vu.rand, vu.id, row); err != nil {
		return nil, err
	}
	return row, nil
}

// vuRows is a VU as expressions see it.
type vuRows VU

// Row implements the interface of expressions.
func (r *vuRows) Row(feeder int) (iterationRow, error) {
	row, err := (*VU)(r).row(feeder)
	if err != nil {
		return nil, err
	}
	return row, nil
}

// freshRows makes the next iteration take rows of its own.
func (vu *VU) freshRows() {
	for _, row := range vu.rows {
		row.release()
	}
}

// givenOut is how many rows feeders have given out in order, by name; nil for none.
func givenOut(feeds []*feed) map[string]int64 {
	var rows map[string]int64
	for _, f := range feeds {
		if n := f.given(); n > 0 {
			if rows == nil {
				rows = map[string]int64{}
			}
			rows[f.def.name] = n
		}
	}
	return rows
}

// openFeeds opens the feeders of a scenario for a job, or takes those of the plan
// before: whose place in their file a job keeps.
func (s *Scenario) openFeeds(before *plan, segment Segment) ([]*feed, faults) {
	var f faults
	var out []*feed
	for _, named := range s.feeders {
		def := named.definition(s.folder)
		var old *feed
		if before != nil {
			if i := slices.IndexFunc(before.feeds, func(o *feed) bool { return o.def.name == def.name }); i >= 0 {
				old = before.feeds[i]
			}
		}
		if old != nil && old.same(def) {
			out = append(out, old)
			continue
		}
		opened, err := openFeed(def, segment)
		if err != nil {
			f.add("scenario", "feeder %q: %v", def.name, err)
			continue
		}
		if named.fixed && opened.csv && !slices.Equal(named.columns, opened.columns) {
			opened.close()
			f.add("scenario", "feeder %q: %s has other columns than when the scenario was read: reload it", def.name, def.file)
			continue
		}
		if old != nil {
			opened.resume(old.given())
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
	var f faults
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
func (p *plan) seats(f *faults) {
	for _, d := range p.feeds {
		if !d.perVU() {
			continue
		}
		p.rows = min(cmp.Or(p.rows, d.rows), d.rows)
		refuse := func(field string, workers int) {
			if int64(workers) > d.rows {
				f.add(field, "must be at most %d, not %d: feeder %q has a row for so many VUs", d.rows, workers, d.def.name)
			}
		}
		refuse("workers", p.cfg.Workers)
		for i, stage := range p.cfg.Stages {
			refuse(fmt.Sprintf("stages[%d].workers", i), stage.Workers)
		}
		if n := p.cfg.Segment.Parts(); p.cfg.open() && int64(n) > d.rows {
			f.add("segment", "must be one of at most %d: feeder %q has a row for so many VUs", d.rows, d.def.name)
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
func closeFeeds(feeds []*feed, except *plan) {
	for _, f := range feeds {
		if except == nil || !slices.Contains(except.feeds, f) {
			f.close()
		}
	}
}
