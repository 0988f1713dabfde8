package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// feederRow is the row that a VU has of a feeder, in buffers of the VU.
type feederRow struct {
	feed    *feed
	taken   bool // by this iteration
	number  int64
	text    []byte         // of CSV the fields, one after the other; else the line
	ends    []int32        // of the fields in text
	decoded map[string]any // the row as a map; nil until somebody asks
}

// field is the text of a column of CSV.
func (r *feederRow) field(column int) []byte {
	from := int32(0)
	if column > 0 {
		from = r.ends[column-1]
	}
	return r.text[from:r.ends[column]]
}

// value is the row as a map.
func (r *feederRow) value() (map[string]any, error) {
	if r.decoded != nil {
		return r.decoded, nil
	}
	if !r.feed.csv {
		v, err := decodeJSON(r.text)
		doc, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, r.feed.changed(r.number)
		}
		r.decoded = doc
		return doc, nil
	}
	r.decoded = make(map[string]any, len(r.ends))
	for i, name := range r.feed.columns {
		r.decoded[name] = string(r.field(i))
	}
	return r.decoded, nil
}

func (r *feederRow) get(column string) string {
	if r == nil || r.feed == nil {
		return ""
	}
	if r.feed.csv {
		for i, name := range r.feed.columns {
			if name == column {
				return string(r.field(i))
			}
		}
		return ""
	}
	doc, err := r.value()
	if err != nil || doc[column] == nil {
		return ""
	}
	text, _ := appendText(nil, doc[column])
	return string(text)
}

// row returns the row of this iteration of a feeder, by the number of the feeder.
func (vu *VU) row(i int) (*feederRow, error) {
	if i >= len(vu.plan.feeds) {
		return nil, errNoRows
	}
	for len(vu.rows) <= i {
		vu.rows = append(vu.rows, &feederRow{})
	}
	row, f := vu.rows[i], vu.plan.feeds[i]
	if row.taken && row.feed == f {
		return row, nil
	}
	number, err := f.choose(vu)
	if err != nil {
		return nil, err
	}
	if row.feed != f || row.number != number {
		if err := f.read(number, row); err != nil {
			return nil, err
		}
	}
	row.taken = true
	return row, nil
}

// freshRows makes the next iteration take rows of its own.
func (vu *VU) freshRows() {
	for _, row := range vu.rows {
		row.taken = false
	}
}

// givenOut is how many rows feeders have given out in order, by name; nil for none.
func givenOut(feeds []*feed) map[string]int64 {
	var rows map[string]int64
	for _, f := range feeds {
		if n := f.taken.Load(); n > 0 {
			if rows == nil {
				rows = map[string]int64{}
			}
			rows[f.name] = n
		}
	}
	return rows
}

// openFeeds opens the feeders of a scenario for a job, or takes those of the plan
// before: whose place in their file a job keeps.
func (s *Scenario) openFeeds(before *plan, segment Segment) ([]*feed, faults) {
	var f faults
	var out []*feed
	for _, def := range s.feeders {
		var old *feed
		if before != nil {
			if i := slices.IndexFunc(before.feeds, func(o *feed) bool { return o.name == def.name }); i >= 0 {
				old = before.feeds[i]
			}
		}
		if old != nil && old.same(def, s.folder) {
			out = append(out, old)
			continue
		}
		opened, err := openFeed(def, s.folder)
		if err != nil {
			f.add("scenario", "feeder %q: %v", def.name, err)
			continue
		}
		if head := s.head(def.name); head != nil && opened.csv && !slices.Equal(head.columns, opened.columns) {
			opened.close()
			f.add("scenario", "feeder %q: %s has other columns than when the scenario was read: reload it", def.name, def.File)
			continue
		}
		opened.segment = segment
		if old != nil && old.rows > 0 {
			opened.taken.Store(old.taken.Load())
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
		if d.Order != FeedUnique || d.cycles() {
			continue
		}
		p.rows = min(cmp.Or(p.rows, d.rows), d.rows)
		refuse := func(field string, workers int) {
			if int64(workers) > d.rows {
				f.add(field, "must be at most %d, not %d: feeder %q has a row for so many VUs", d.rows, workers, d.name)
			}
		}
		refuse("workers", p.cfg.Workers)
		for i, stage := range p.cfg.Stages {
			refuse(fmt.Sprintf("stages[%d].workers", i), stage.Workers)
		}
		if n := p.cfg.Segment.Parts(); p.cfg.open() && int64(n) > d.rows {
			f.add("segment", "must be one of at most %d: feeder %q has a row for so many VUs", d.rows, d.name)
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

// readHead reads what expressions need to know of a feeder: its columns.
func readHead(def namedFeeder, folder fs.FS, index int) (*feederHead, error) {
	head := &feederHead{name: def.name, index: index}
	file, _, err := openIn(folder, def.File)
	if err != nil {
		return head, fmt.Errorf("%s: %w", def.File, err)
	}
	defer func() { _ = file.Close() }()
	if def.format() != "csv" {
		return head, nil
	}
	s := newRowScanner(file, true)
	fault := func(line, column int, message string) error {
		return fmt.Errorf("%s:%d:%d: %s", def.File, line, column, message)
	}
	row, _, line, err := s.next()
	if errors.Is(err, io.EOF) {
		return head, fault(1, 1, "the file is empty: expected a first line that names the columns")
	}
	if err != nil {
		return head, fault(line, 1, err.Error())
	}
	var bad *rowError
	if head.columns, bad = columnNames(row, def.delimiter()); bad != nil {
		return head, fault(line, bad.offset+1, bad.message)
	}
	return head, nil
}
