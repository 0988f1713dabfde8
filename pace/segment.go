package pace

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxSegments is how many segments a job may have.
const MaxSegments = 10_000

// Segment is the part of a job that one of several processes runs, for more load than
// one can make. As text it is "3/10", the third of ten. The zero Segment is the whole.
//
// The configuration of a segment is that of the whole, and the segment takes its part by
// one rule: of whatever has numbers from 0, segment 3/10 has numbers 2, 12, 22 and so
// on. That goes for VUs, for the iterations of a schedule, for those of MaxIterations,
// for the rows of a feeder in sequential order, and, by the number of the VU, for unique
// rows. So the segments are exactly the whole at every moment, whatever the rounding; VU
// numbers and random values are those of the whole, and no two segments have the same.
type Segment struct {
	Index int // from 1
	Count int
}

var errSegment = fmt.Errorf(`must be the number of the segment and how many there are, from 1/1 to %[1]d/%[1]d, for instance "3/10"`, MaxSegments)

// ParseSegment reads the text form; "" is the whole. The error says what the form is.
func ParseSegment(s string) (Segment, error) {
	if s == "" {
		return Segment{}, nil
	}
	index, count, ok := strings.Cut(s, "/")
	i, err := strconv.ParseUint(index, 10, 31)
	n, err2 := strconv.ParseUint(count, 10, 31)
	seg := Segment{int(i), int(n)}
	if !ok || err != nil || err2 != nil || seg.IsZero() {
		return Segment{}, errSegment
	}
	return seg, seg.Validate()
}

// IsZero tells whether s is the whole because nothing else was said.
func (s Segment) IsZero() bool { return s == Segment{} }

// String is the text form that [ParseSegment] reads.
func (s Segment) String() string {
	if s.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Validate reports what is wrong with the segment. No segment is valid.
func (s Segment) Validate() error {
	if !s.IsZero() && (s.Index < 1 || s.Index > s.Count || s.Count > MaxSegments) {
		return errSegment
	}
	return nil
}

// Parts is the number of segments.
func (s Segment) Parts() int { return max(s.Count, 1) }

// Place is the place of the segment among them, from 0.
func (s Segment) Place() int { return max(s.Index-1, 0) }

// Number is the number that the k-th of the segment has in the whole.
func (s Segment) Number(k int) int { return k*s.Parts() + s.Place() }

// Share is how many of the whole's n the segment has.
func (s Segment) Share(n int) int {
	if n <= s.Place() {
		return 0
	}
	return (n-1-s.Place())/s.Parts() + 1
}

// ShareOf is share of a larger number.
func (s Segment) ShareOf(n uint64) uint64 {
	place := uint64(s.Place())
	if n <= place {
		return 0
	}
	return (n-1-place)/uint64(s.Parts()) + 1
}

// until is how many the whole's n has to grow by, or to shrink by, until the share
// changes.
func (s Segment) until(n int, grows bool) int {
	parts := s.Parts()
	if grows {
		return ((s.Place()-n)%parts+parts)%parts + 1
	}
	return ((n-1-s.Place())%parts+parts)%parts + 1
}

// Pacer is the segment's part of a schedule.
func (s Segment) Pacer(whole Pacer) Pacer {
	if whole == nil || s.Parts() == 1 {
		return whole
	}
	return segmentPacer{whole, uint64(s.Place()), uint64(s.Parts())}
}

// segmentPacer has one of so many iterations of a schedule.
type segmentPacer struct {
	whole        Pacer
	place, parts uint64
}

// Due implements [Pacer].
func (p segmentPacer) Due(n uint64) (time.Duration, bool) {
	if n > (math.MaxUint64-p.place)/p.parts {
		return 0, false
	}
	return p.whole.Due(n*p.parts + p.place)
}
