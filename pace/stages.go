package pace

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// Stage is one part of a job's course: within Duration the job goes to a rate, or
// to a number of workers, in a straight line from where the stage before has left
// it. The first begins at the config's own Rate or Workers, zero if that is not set.
// With Step it goes there at once, and stays.
type Stage struct {
	Duration time.Duration
	Rate     Rate // of the open model
	Workers  int  // of the closed model
	Step     bool
}

// MaxStages bounds the list; a finer course than that is beyond what can be seen.
const MaxStages = 1000

// Workers is the share of a segment in the VUs that stages ask for at a time since
// their start, and when it changes next. The first stage begins with that many workers.
func Workers(workers int, stages []Stage, seg Segment, at time.Duration) (n int, next time.Duration) {
	from, began := workers, time.Duration(0)
	for _, s := range stages {
		end := began + s.Duration
		if at >= end {
			from, began = s.Workers, end
			continue
		}
		span := s.Workers - from
		if s.Step || span == 0 {
			return seg.Share(s.Workers), end
		}
		dir := 1
		if span < 0 {
			dir, span = -1, -span
		}
		// Within the stage, step k of span is taken at k/span of the time.
		done := mulDiv(uint64(at-began), uint64(span), uint64(s.Duration))
		whole := from + dir*int(done)
		then := done + uint64(seg.until(whole, dir > 0))
		if then > uint64(span) {
			return seg.Share(whole), end
		}
		due := mulDiv(then, uint64(s.Duration), uint64(span))
		for mulDiv(due, uint64(span), uint64(s.Duration)) < then {
			due++ // rounded down
		}
		return seg.Share(whole), began + time.Duration(due)
	}
	return seg.Share(from), math.MaxInt64
}

// mulDiv is a*b/c, rounded down, for results that fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, _ := bits.Div64(hi, lo, c)
	return q
}

// leg is a part of a schedule with a constant rate, or one that changes linearly.
type leg struct {
	at     time.Duration // when it begins
	length time.Duration
	first  uint64 // iterations due before it, and
	frac   uint32 // in 2^-32, how far the way to the next has gone
	from   Rate
	to     Rate
}

// legs is the schedule of a rate with ramp, or of stages. The number of iterations
// due by the start of each leg is worked out once, to 2^-32 of one.
// From there, constant legs are whole-number arithmetic, and linear ones the
// solution of a quadratic equation.
type legs []leg

// maxCount is where the count of iterations ends, far beyond any use.
const maxCount = 1 << 62

// NewPacer joins stages, from a starting rate. Without end, the last rate goes on for
// ever.
func NewPacer(rate Rate, stages []Stage, endless bool) Pacer {
	if n := len(stages); endless && n > 0 {
		stages = append(slices.Clip(stages), Stage{Duration: math.MaxInt64, Rate: stages[n-1].Rate, Step: true})
	}
	var ls legs
	var at time.Duration
	count := new(big.Rat)
	for _, s := range stages {
		length := min(s.Duration, math.MaxInt64-at)
		l := leg{at: at, length: length, from: rate, to: s.Rate}
		if s.Step || perNano(rate).Cmp(perNano(s.Rate)) == 0 { // 60/m is 1/s
			l.from = s.Rate
		}
		if l.from.Count > 0 || l.to.Count > 0 {
			whole := new(big.Int).Quo(count.Num(), count.Denom())
			if !whole.IsUint64() || whole.Uint64() > maxCount {
				return ls
			}
			l.first = whole.Uint64()
			rest := new(big.Rat).Sub(count, new(big.Rat).SetInt(whole))
			part := new(big.Int).Lsh(rest.Num(), 32)
			l.frac = uint32(part.Quo(part, rest.Denom()).Uint64())
			ls = append(ls, l)
		}
		mean := new(big.Rat).Add(perNano(l.from), perNano(l.to))
		mean.Mul(mean, big.NewRat(int64(length), 2))
		count = cutFraction(count.Add(count, mean))
		at += length
		rate = s.Rate
	}
	return ls
}

// cutFraction rounds down to 2^-64, which keeps the numbers short over many legs.
func cutFraction(r *big.Rat) *big.Rat {
	whole := new(big.Int).Lsh(r.Num(), 64)
	whole.Quo(whole, r.Denom())
	return new(big.Rat).SetFrac(whole, new(big.Int).Lsh(big.NewInt(1), 64))
}

// perNano is a rate in iterations per nanosecond.
func perNano(r Rate) *big.Rat {
	if r.Count == 0 || r.Per <= 0 {
		return new(big.Rat)
	}
	n := new(big.Rat).SetInt(new(big.Int).SetUint64(r.Count))
	return n.Quo(n, new(big.Rat).SetInt64(int64(r.Per)))
}

// Due finds the leg of iteration n, and within it the time at which n are due.
func (ls legs) Due(n uint64) (time.Duration, bool) {
	// The first leg that begins after iteration n; n belongs to the one before.
	i := sort.Search(len(ls), func(i int) bool {
		return ls[i].first > n || ls[i].first == n && ls[i].frac > 0
	}) - 1
	if i < 0 {
		return 0, false
	}
	l := &ls[i]
	in, ok := l.constant(n)
	if l.from != l.to {
		in, ok = l.linear(n), true
	}
	if !ok || in > l.length {
		if i == len(ls)-1 {
			return 0, false
		}
		in = l.length
	}
	if i == len(ls)-1 && in == l.length {
		return 0, false // due with the end: not any more
	}
	if in > math.MaxInt64-l.at {
		return 0, false
	}
	return l.at + in, true
}

// constant is n/rate, exactly, rounded down to the nanosecond.
func (l *leg) constant(n uint64) (time.Duration, bool) {
	hi, lo := bits.Mul64(n-l.first, uint64(l.from.Per))
	fh, fl := bits.Mul64(uint64(l.frac), uint64(l.from.Per))
	lo, borrow := bits.Sub64(lo, fh<<32|fl>>32, 0)
	if hi -= borrow; hi >= l.from.Count {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, l.from.Count)
	return time.Duration(min(q, math.MaxInt64)), true
}

// linear solves x = r·t + a·t²/2 for t, with a the growth of the rate, in the form that
// does not subtract two numbers which may be alike: rates that hardly differ are no worse
// than others. What floating point rounds is far less than the time between two iterations,
// so that due times never decrease.
func (l *leg) linear(n uint64) time.Duration {
	r0, r1 := l.from.perNano(), l.to.perNano()
	a := (r1 - r0) / float64(l.length)
	x := float64(n-l.first) - float64(l.frac)/(1<<32)
	if x <= 0 {
		return 0
	}
	t := math.Round(2 * x / (r0 + math.Sqrt(max(0, r0*r0+2*a*x))))
	if t >= float64(l.length) {
		return l.length
	}
	return time.Duration(t)
}

func (r Rate) perNano() float64 {
	if r.Per <= 0 {
		return 0
	}
	return float64(r.Count) / float64(r.Per)
}
