package loadgen

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// schedule hands out the due times of the open model: VUs claim slots in order,
// by one atomic addition. It is used until the rate changes; then a new schedule
// takes over what was due and not claimed.
type schedule struct {
	pacer   Pacer
	origin  time.Duration // of the pacer, since the job's start
	ramp    time.Duration // that the pacer begins with
	skip    uint64        // slots of the pacer before the takeover, already done
	backlog []slots       // due before that, still to do; first of all
	behind  uint64        // how many those are

	next  atomic.Uint64
	until atomic.Int64 // when it was replaced; claims due later are void

	spare    atomic.Int64 // len(returned), to look without the lock
	mu       sync.Mutex
	returned []slot // claimed by VUs that left before they were due; the earliest last
}

// slots is a range of a pacer's iterations.
type slots struct {
	pacer       Pacer
	origin      time.Duration
	first, last uint64 // last is not among them
}

// slot is one claimed iteration.
type slot struct {
	sched *schedule
	due   time.Duration
	ok    bool // whether the schedule has it
}

// replaced as the number of the next slot says that nobody may claim any more.
const replaced = math.MaxUint64 / 2

// newSchedule begins a pacer at a time since the job's start; ramp is what the pacer itself
// begins with, for those who record it.
func newSchedule(p Pacer, origin, ramp time.Duration) *schedule {
	s := &schedule{pacer: p, origin: origin, ramp: ramp}
	s.until.Store(math.MaxInt64)
	return s
}

// first tells whether s has followed no other schedule, and began with the job: then
// iteration n of the pacer is iteration n of the job.
func (s *schedule) first() bool { return s.origin == 0 && s.skip == 0 && s.behind == 0 }

// skipDue takes what is due by a time as done already; s has handed out nothing yet.
func (s *schedule) skipDue(by time.Duration) { s.skip = dueBy(s.pacer, by-s.origin) }

// dueBefore is how many iterations the pacer of s has due before a time.
func (s *schedule) dueBefore(at time.Duration) uint64 { return dueBy(s.pacer, at-s.origin-1) }

// void tells whether a claimed slot has come to nothing, because its schedule was
// replaced before it was due. The new schedule has it instead.
func (s slot) void() bool { return s.sched == nil || int64(s.due) > s.sched.until.Load() }

// giveBack makes a claimed slot free again.
func (s *schedule) giveBack(back slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(back)
}

// keep puts a slot into its place among those that were given back; s is locked.
func (s *schedule) keep(back slot) {
	if back.ok {
		at, _ := slices.BinarySearchFunc(s.returned, back.due, func(r slot, due time.Duration) int { return cmp.Compare(due, r.due) })
		s.returned = slices.Insert(s.returned, at, back)
	}
	s.spare.Store(int64(len(s.returned)))
}

// reclaim takes the earliest slot that was given back, in exchange for have if
// that is one. It returns have if there is none earlier.
func (s *schedule) reclaim(have slot) slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.returned) - 1
	if last < 0 || have.ok && have.due <= s.returned[last].due {
		return have
	}
	earliest := s.returned[last]
	s.returned = s.returned[:last]
	s.keep(have)
	return earliest
}

// inherit takes over what was given back to an older schedule, and is due.
func (s *schedule) inherit(old *schedule, now time.Duration) {
	old.mu.Lock()
	defer old.mu.Unlock()
	for _, r := range old.returned {
		if r.due <= now {
			s.returned = append(s.returned, r)
		}
	}
	old.returned = nil
	old.spare.Store(0)
	s.spare.Store(int64(len(s.returned)))
}

// claim takes the next slot. It fails if the schedule has been replaced.
func (s *schedule) claim() (slot, bool) {
	if s.spare.Load() > 0 {
		if r := s.reclaim(slot{}); r.ok {
			return r, true
		}
	}
	n := s.next.Add(1) - 1
	if n >= replaced {
		return slot{}, false
	}
	due, ok := s.due(n)
	return slot{sched: s, due: due, ok: ok}, true
}

func (s *schedule) due(n uint64) (time.Duration, bool) {
	if n < s.behind {
		for _, b := range s.backlog {
			if have := b.last - b.first; n >= have {
				n -= have
				continue
			}
			due, ok := b.pacer.Due(b.first + n)
			return b.origin + due, ok
		}
	}
	due, ok := s.pacer.Due(n - s.behind + s.skip)
	if due > math.MaxInt64-max(0, s.origin) {
		return 0, false
	}
	return s.origin + due, ok
}

// close ends s at the time now: claims fail from then on, and those due later are
// void. It returns how many slots had been claimed.
func (s *schedule) close(now time.Duration) uint64 {
	s.until.Store(int64(now))
	return s.next.Swap(replaced)
}

// maxBacklog bounds the ranges of a backlog, which grows by one with each change of
// the rate while a job cannot keep up.
const maxBacklog = 64

// mergeOldest makes one range of the two oldest, over and over, until there are few
// enough. The slots of the two are then due evenly between the first and the last.
func mergeOldest(backlog []slots) []slots {
	for len(backlog) > maxBacklog {
		a, b := backlog[0], backlog[1]
		from, _ := a.pacer.Due(a.first)
		to, _ := b.pacer.Due(b.last - 1)
		from, to = a.origin+from, b.origin+to
		n := a.last - a.first + b.last - b.first
		backlog = backlog[1:]
		backlog[0] = slots{
			pacer:  Rate{Count: n, Per: max(1, to-from)}.Pacer(0),
			origin: from, last: n,
		}
	}
	return backlog
}

// replace closes s at the time now and returns the schedule that goes on from
// there with another pacer. What was due and unclaimed is taken over. If smooth, the
// fraction of the way to the next iteration that has passed is kept, so that
// changing a constant rate often neither adds nor loses iterations.
func (s *schedule) replace(p Pacer, now time.Duration, smooth bool) *schedule {
	claimed := s.close(now)
	next := newSchedule(p, now, 0)
	next.inherit(s, now)
	for _, b := range s.backlog {
		have := b.last - b.first
		done := min(claimed, have)
		claimed -= done
		if b.first += done; b.first < b.last {
			next.backlog = append(next.backlog, b)
		}
	}
	// From here on, claimed counts slots of the pacer itself.
	first := s.skip + claimed
	at := now - s.origin
	over := dueBy(s.pacer, at) // the first slot that is not due yet
	if first < over {
		next.backlog = append(next.backlog, slots{pacer: s.pacer, origin: s.origin, first: first, last: over})
	}
	next.backlog = mergeOldest(next.backlog)
	for _, b := range next.backlog {
		next.behind += b.last - b.first
	}
	if !smooth {
		return next // begin afresh
	}
	after, ok := s.pacer.Due(over)
	var before time.Duration
	if over > 0 {
		before, _ = s.pacer.Due(over - 1)
	} else { // of a segment: the first is due some way into the course of the whole
		second, _ := s.pacer.Due(1)
		before = after - (second - after)
	}
	if !ok || after <= before {
		return next
	}
	zero, _ := next.pacer.Due(0)
	one, _ := next.pacer.Due(1)
	passed := float64(at-before) / float64(after-before)
	next.skip = 1
	next.origin = now - zero - time.Duration(passed*float64(one-zero))
	return next
}

// unclaimed is how many slots are due before a time and nobody has claimed, or had to
// give back.
func (s *schedule) unclaimed(before time.Duration) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n uint64
	for _, r := range s.returned {
		if r.due < before {
			n++
		}
	}
	due := s.behind
	if own := dueBy(s.pacer, before-s.origin-1); own > s.skip {
		due += own - s.skip
	}
	if claimed := s.next.Load(); claimed < due {
		n += due - claimed
	}
	return n
}

// dueBy is how many slots of a pacer are due at the time at: the number of the
// first that is not.
func dueBy(p Pacer, at time.Duration) uint64 {
	if at < 0 {
		return 0
	}
	return dueFrom(p, 0, at)
}

// dueFrom is dueBy where it is known that every slot before from is due. It is fast if
// the answer is near.
func dueFrom(p Pacer, from uint64, at time.Duration) uint64 {
	later := func(n uint64) bool {
		due, ok := p.Due(n)
		return !ok || due > at
	}
	limit := uint64(1)
	for !later(from+limit) && limit < 1<<60 {
		limit *= 2
	}
	return from + uint64(sort.Search(int(limit), func(n int) bool { return later(from + uint64(n)) }))
}
