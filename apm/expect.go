package apm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxShown is how many names and paths of a task are shown.
const maxShown = 10

// expectation is what the requests of a task must be like: what was given, or else what
// most of them are like.
type expectation struct {
	name     string   // "": any
	services []string // nil: any
	depth    int
	errors   bool // an answer of 500 and above must have an error
}

// expect says what is expected of a task, from its whole run.
func (l *Ledger) expect(tk *task) expectation {
	var all tally
	all.plus(&tk.total[0])
	all.plus(&tk.total[1])
	e := expectation{name: l.cfg.Names[tk.name], services: l.cfg.Services[tk.name]}
	if e.name == "" {
		if n, ok := l.most(all.names); ok {
			e.name = l.strings.text(n)
		}
	}
	if e.services == nil {
		if n, ok := l.most(all.shapes); ok {
			e.depth, e.services = l.shape(n)
		}
	}
	switch l.cfg.Errors {
	case ErrorsAlways:
		e.errors = true
	case ErrorsLearned:
		e.errors = all.withError > all.withoutError
	}
	return e
}

// most is what more than half are.
func (l *Ledger) most(counts map[uint32]int64) (uint32, bool) {
	var sum, most int64
	var which uint32
	for k, n := range counts {
		if sum += n; n > most {
			which, most = k, n
		}
	}
	return which, 2*most > sum && which != 0
}

// shape takes apart what trace.shape has made.
func (l *Ledger) shape(n uint32) (depth int, services []string) {
	parts := strings.Split(l.strings.text(n), "\n")
	depth, _ = strconv.Atoi(parts[0])
	return depth, parts[1:]
}

func (e *expectation) wrongName(l *Ledger, name uint32) bool {
	return e.name != "" && l.strings.text(name) != cutString(e.name)
}

func (e *expectation) isBroken(l *Ledger, shape uint32) bool {
	if e.services == nil {
		return false
	}
	depth, services := l.shape(shape)
	return depth < e.depth || slices.ContainsFunc(e.services, func(s string) bool { return !slices.Contains(services, s) })
}

func (e *expectation) broken(l *Ledger, t *tally) (n int64) {
	for shape, count := range t.shapes {
		if e.isBroken(l, shape) {
			n += count
		}
	}
	return n
}

func (e *expectation) noError(t *tally) int64 {
	if !e.errors {
		return 0
	}
	return t.withoutError
}

// counts are the numbers of a part of the task. What may still change counts once it is
// settled.
func (e *expectation) counts(l *Ledger, h *halves) Counts {
	var all tally
	all.plus(&h[0])
	all.plus(&h[1])
	c := Counts{
		Sent: all.sent, Sampled: all.sampled, Unanswered: all.unanswered, Found: all.found, Pending: h[0].unfound, Missing: h[1].unfound,
		Late: all.late, Duplicated: all.duplicated, Orphaned: h[1].orphaned, NoError: e.noError(&h[1]),
		ErrorDocs: all.errorDocs, ExpectedErrors: all.expectedErrors, TooLong: all.tooLong, Broken: e.broken(l, &h[1]),
		WrongSampled: all.wrongSampled, UnsampledFound: all.unsampledFound, Untracked: all.untracked,
	}
	c.WrongOutcome = all.wrongOutcome + c.NoError
	for name, count := range all.names {
		if e.wrongName(l, name) {
			c.WrongName += count
		}
	}
	return c
}

func (l *Ledger) names(h *halves) []NameCount {
	var list []NameCount
	for n, count := range merged(h[0].names, h[1].names) {
		list = append(list, NameCount{l.strings.text(n), count})
	}
	slices.SortFunc(list, func(a, b NameCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return list[:min(len(list), maxShown)]
}

func (l *Ledger) paths(h *halves) []PathCount {
	var list []PathCount
	for n, count := range merged(h[0].shapes, h[1].shapes) {
		p := PathCount{Count: count}
		p.Depth, p.Services = l.shape(n)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b PathCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Depth, b.Depth), slices.Compare(a.Services, b.Services))
	})
	return list[:min(len(list), maxShown)]
}

func merged(a, b map[uint32]int64) map[uint32]int64 {
	sum := map[uint32]int64{}
	for _, counts := range []map[uint32]int64{a, b} {
		for k, n := range counts {
			sum[k] += n
		}
	}
	return sum
}
