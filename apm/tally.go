package apm

import "time"

// tally counts requests and what became of them.
type tally struct {
	sent, sampled, unanswered, found, unsampledFound, unfound int64
	late, duplicated, orphaned, wrongOutcome, tooLong         int64
	errorDocs, expectedErrors, withError, withoutError        int64
	wrongSampled, untracked, cut                              int64
	names, shapes                                             map[uint32]int64
}

// halves are the tallies of requests that still have grace time, and of those that are
// settled.
type halves [2]tally

func (t *tally) add(r *request, m *mark, sign int64) {
	if m.sends == 0 {
		return
	}
	one := func(n *int64, yes bool) {
		if yes {
			*n += sign
		}
	}
	expected := r.sampled && !m.unanswered
	t.sent += sign * int64(m.sends)
	one(&t.sampled, r.sampled)
	one(&t.unanswered, m.unanswered)
	one(&t.found, expected && m.found)
	one(&t.unfound, expected && !m.found)
	one(&t.unsampledFound, !r.sampled && m.found)
	one(&t.late, expected && m.late)
	one(&t.wrongOutcome, m.wrongOutcome)
	one(&t.tooLong, m.tooLong)
	one(&t.wrongSampled, m.found && m.wrongSampled)
	one(&t.expectedErrors, m.expectsError)
	judged := expected && m.found && m.expectsError && !m.wrongOutcome
	one(&t.withError, judged && m.hasError)
	one(&t.withoutError, judged && !m.hasError)
	one(&t.cut, m.cut)
	t.duplicated += sign * int64(m.duplicated)
	t.orphaned += sign * int64(m.orphaned)
	t.errorDocs += sign * int64(m.errors)
	if m.hasShape {
		bump(&t.names, m.name, sign)
		bump(&t.shapes, m.shape, sign)
	}
}

func bump(counts *map[uint32]int64, key uint32, by int64) {
	if by == 0 {
		return
	}
	if *counts == nil {
		*counts = map[uint32]int64{}
	}
	if (*counts)[key] += by; (*counts)[key] == 0 {
		delete(*counts, key)
	}
}

// plus adds another tally.
func (t *tally) plus(o *tally) {
	t.sent += o.sent
	t.sampled += o.sampled
	t.unanswered += o.unanswered
	t.found += o.found
	t.unsampledFound += o.unsampledFound
	t.unfound += o.unfound
	t.late += o.late
	t.duplicated += o.duplicated
	t.orphaned += o.orphaned
	t.wrongOutcome += o.wrongOutcome
	t.tooLong += o.tooLong
	t.errorDocs += o.errorDocs
	t.expectedErrors += o.expectedErrors
	t.withError += o.withError
	t.withoutError += o.withoutError
	t.wrongSampled += o.wrongSampled
	t.untracked += o.untracked
	t.cut += o.cut
	for k, n := range o.names {
		bump(&t.names, k, n)
	}
	for k, n := range o.shapes {
		bump(&t.shapes, k, n)
	}
}

// count adds what a request has come to, or, with a sign of -1, takes it back.
func (tk *task) count(r *request, m *mark, sign int64) {
	if m.sends == 0 {
		return
	}
	half := 0
	if m.settled {
		half = 1
	}
	tk.total[half].add(r, m, sign)
	tk.run.slots.of(tk, r.start)[half].add(r, m, sign)
}

// maxSlots is how many slots of time a run is kept in. When it has more, they become
// twice as long.
const maxSlots = 600

// slots are the tallies of a run over the time that requests were sent, so that there are
// verdicts on parts of a run of any length.
type slots struct {
	width int64 // in nanoseconds
	slots map[int64]map[*task]*halves
}

func (s *slots) of(tk *task, start int64) *halves {
	if s.width == 0 {
		s.width, s.slots = int64(time.Second), map[int64]map[*task]*halves{}
	}
	slot := s.slots[start/s.width]
	if slot == nil {
		if len(s.slots) >= maxSlots {
			s.widen()
			return s.of(tk, start)
		}
		slot = map[*task]*halves{}
		s.slots[start/s.width] = slot
	}
	h := slot[tk]
	if h == nil {
		h = &halves{}
		slot[tk] = h
	}
	return h
}

// widen makes slots twice as long.
func (s *slots) widen() {
	old := s.slots
	s.width *= 2
	s.slots = map[int64]map[*task]*halves{}
	for at, tasks := range old {
		into := s.slots[at/2]
		if into == nil {
			s.slots[at/2] = tasks
			continue
		}
		for tk, h := range tasks {
			if into[tk] == nil {
				into[tk] = h
				continue
			}
			for i := range h {
				into[tk][i].plus(&h[i])
			}
		}
	}
}
