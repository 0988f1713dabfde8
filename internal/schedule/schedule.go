// Package schedule hands out the due times of a pacer, one slot at a time, to the VUs of a
// job, over any number of changes of the rate.
package schedule

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/pace"
)

// Schedule hands out the due times of the open model: VUs claim slots in order,
// by one atomic addition. It is used until the rate changes; then a new schedule
// takes over what was due and not claimed.
type Schedule struct {
	Pacer   pace.Pacer
	Origin  time.Duration // of the pacer, since the job's start
	Ramp    time.Duration // that the pacer begins with
	skip    uint64        // slots of the pacer before the takeover, already done
	backlog []slots       // due before that, still to do; first of all
	behind  uint64        // how many those are

	next  atomic.Uint64
	until atomic.Int64 // when it was replaced; claims due later are void

	Spare    atomic.Int64 // len(returned), to look without the lock
	mu       sync.Mutex
	returned []Slot // claimed by VUs that left before they were due; the earliest last
}

// slots is a range of a pacer's iterations.
type slots struct {
	pacer       pace.Pacer
	origin      time.Duration
	first, last uint64 // last is not among them
}

// Slot is one claimed iteration.
type Slot struct {
	Sched *Schedule
	Due   time.Duration
	OK    bool // whether the schedule has it
}

// replaced as the number of the next slot says that nobody may claim any more.
const replaced = math.MaxUint64 / 2

// New begins a pacer at a time since the job's start; ramp is what the pacer itself
// begins with, for those who record it.
func New(p pace.Pacer, origin, ramp time.Duration) *Schedule {
	s := &Schedule{Pacer: p, Origin: origin, Ramp: ramp}
	s.until.Store(math.MaxInt64)
	return s
}

// First tells whether s has followed no other schedule, and began with the job: then
// iteration n of the pacer is iteration n of the job.
func (s *Schedule) First() bool { return s.Origin == 0 && s.skip == 0 && s.behind == 0 }

// SkipDue takes what is due by a time as done already; s has handed out nothing yet.
func (s *Schedule) SkipDue(by time.Duration) { s.skip = dueBy(s.Pacer, by-s.Origin) }

// DueBefore is how many iterations the pacer of s has due before a time.
func (s *Schedule) DueBefore(at time.Duration) uint64 { return dueBy(s.Pacer, at-s.Origin-1) }

// Void tells whether a claimed slot has come to nothing, because its schedule was
// replaced before it was due. The new schedule has it instead.
func (s Slot) Void() bool { return s.Sched == nil || int64(s.Due) > s.Sched.until.Load() }

// GiveBack makes a claimed slot free again.
func (s *Schedule) GiveBack(back Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(back)
}

// keep puts a slot into its place among those that were given back; s is locked.
func (s *Schedule) keep(back Slot) {
	if back.OK {
		at, _ := slices.BinarySearchFunc(s.returned, back.Due, func(r Slot, due time.Duration) int { return cmp.Compare(due, r.Due) })
		s.returned = slices.Insert(s.returned, at, back)
	}
	s.Spare.Store(int64(len(s.returned)))
}

// Reclaim takes the earliest slot that was given back, in exchange for have if
// that is one. It returns have if there is none earlier.
func (s *Schedule) Reclaim(have Slot) Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.returned) - 1
	if last < 0 || have.OK && have.Due <= s.returned[last].Due {
		return have
	}
	earliest := s.returned[last]
	s.returned = s.returned[:last]
	s.keep(have)
	return earliest
}

// inherit takes over what was given back to an older schedule, and is due.
func (s *Schedule) inherit(old *Schedule, now time.Duration) {
	old.mu.Lock()
	defer old.mu.Unlock()
	for _, r := range old.returned {
		if r.Due <= now {
			s.returned = append(s.returned, r)
		}
	}
	old.returned = nil
	old.Spare.Store(0)
	s.Spare.Store(int64(len(s.returned)))
}

// Claim takes the next slot. It fails if the schedule has been replaced.
func (s *Schedule) Claim() (Slot, bool) {
	if s.Spare.Load() > 0 {
		if r := s.Reclaim(Slot{}); r.OK {
			return r, true
		}
	}
	n := s.next.Add(1) - 1
	if n >= replaced {
		return Slot{}, false
	}
	due, ok := s.due(n)
	return Slot{Sched: s, Due: due, OK: ok}, true
}

func (s *Schedule) due(n uint64) (time.Duration, bool) {
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
	due, ok := s.Pacer.Due(n - s.behind + s.skip)
	if due > math.MaxInt64-max(0, s.Origin) {
		return 0, false
	}
	return s.Origin + due, ok
}

// Close ends s at the time now: claims fail from then on, and those due later are
// void. It returns how many slots had been claimed.
func (s *Schedule) Close(now time.Duration) uint64 {
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
			pacer:  pace.Rate{Count: n, Per: max(1, to-from)}.Pacer(0),
			origin: from, last: n,
		}
	}
	return backlog
}

// Replace closes s at the time now and returns the schedule that goes on from
// there with another pacer. What was due and unclaimed is taken over. If smooth, the
// fraction of the way to the next iteration that has passed is kept, so that
// changing a constant rate often neither adds nor loses iterations.
func (s *Schedule) Replace(p pace.Pacer, now time.Duration, smooth bool) *Schedule {
	claimed := s.Close(now)
	next := New(p, now, 0)
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
	at := now - s.Origin
	over := dueBy(s.Pacer, at) // the first slot that is not due yet
	if first < over {
		next.backlog = append(next.backlog, slots{pacer: s.Pacer, origin: s.Origin, first: first, last: over})
	}
	next.backlog = mergeOldest(next.backlog)
	for _, b := range next.backlog {
		next.behind += b.last - b.first
	}
	if !smooth {
		return next // begin afresh
	}
	after, ok := s.Pacer.Due(over)
	var before time.Duration
	if over > 0 {
		before, _ = s.Pacer.Due(over - 1)
	} else { // of a segment: the first is due some way into the course of the whole
		second, _ := s.Pacer.Due(1)
		before = after - (second - after)
	}
	if !ok || after <= before {
		return next
	}
	zero, _ := next.Pacer.Due(0)
	one, _ := next.Pacer.Due(1)
	passed := float64(at-before) / float64(after-before)
	next.skip = 1
	next.Origin = now - zero - time.Duration(passed*float64(one-zero))
	return next
}

// Unclaimed is how many slots are due before a time and nobody has claimed, or had to
// give back.
func (s *Schedule) Unclaimed(before time.Duration) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n uint64
	for _, r := range s.returned {
		if r.Due < before {
			n++
		}
	}
	due := s.behind
	if own := dueBy(s.Pacer, before-s.Origin-1); own > s.skip {
		due += own - s.skip
	}
	if claimed := s.next.Load(); claimed < due {
		n += due - claimed
	}
	return n
}

// dueBy is how many slots of a pacer are due at the time at: the number of the
// First that is not.
func dueBy(p pace.Pacer, at time.Duration) uint64 {
	if at < 0 {
		return 0
	}
	return DueFrom(p, 0, at)
}

// DueFrom is dueBy where it is known that every slot before from is due. It is fast if
// the answer is near.
func DueFrom(p pace.Pacer, from uint64, at time.Duration) uint64 {
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
