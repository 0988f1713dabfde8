package schedule

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/pace"
)

// Whatever the rates and the moments of change, claims come in order, none is lost
// and none is doubled: their number is the sum over the rates.
func FuzzScheduleReplace(f *testing.F) {
	f.Add(uint8(10), uint8(40), uint16(1500), uint8(3), uint16(777))
	f.Add(uint8(1), uint8(255), uint16(1), uint8(255), uint16(1))
	f.Fuzz(func(t *testing.T, r1, r2 uint8, at uint16, claimed uint8, more uint16) {
		first, second := pace.PerSecond(uint64(r1)+1), pace.PerSecond(uint64(r2)+1)
		s := New(first.Pacer(0), 0, 0)
		t1 := time.Duration(at) * time.Millisecond
		var last time.Duration
		var done uint64
		take := func(s *Schedule, until time.Duration, atMost uint64) {
			for range atMost {
				c, ok := s.Claim()
				require.True(t, ok)
				if c.Due > until {
					s.GiveBack(c)
					return
				}
				require.GreaterOrEqual(t, c.Due, last)
				last = c.Due
				done++
			}
		}
		take(s, t1, uint64(claimed))
		next := s.Replace(second.Pacer(0), t1, true)
		_, ok := s.Claim()
		require.False(t, ok, "a replaced schedule gives nothing")
		t2 := t1 + time.Duration(more)*time.Millisecond
		take(next, t2, math.MaxInt32)
		want := 1 + first.Hz()*t1.Seconds() + second.Hz()*(t2-t1).Seconds()
		assert.InDelta(t, want, done, 1.001)
	})
}

// When a constant rate changes, segments that all change at that moment go on as the
// whole does: in step, without a gap or a burst.
func TestSegmentsOfAChangedRate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 500 {
		before, after := pace.PerSecond(1+r.Uint64N(200)), pace.PerSecond(1+r.Uint64N(200))
		change := time.Duration(r.Int64N(int64(2 * time.Second)))
		n := 1 + r.IntN(12)
		course := func(s pace.Segment) (due []time.Duration) {
			old := New(s.Pacer(before.Pacer(0)), 0, 0)
			for k := uint64(0); ; k++ {
				at, _ := old.due(k)
				if at > change {
					break
				}
				due = append(due, at)
				_, _ = old.Claim()
			}
			next := old.Replace(s.Pacer(after.Pacer(0)), change, true)
			for k := uint64(0); ; k++ {
				at, _ := next.due(k)
				if at >= change+3*time.Second {
					return due
				}
				due = append(due, at)
			}
		}
		want := course(pace.Segment{})
		var got []time.Duration
		for i := range n {
			got = append(got, course(pace.Segment{Index: i + 1, Count: n})...)
		}
		slices.Sort(got)
		require.InDelta(t, len(want), len(got), 1, "the last may be due on either side of the end")
		for i := range min(len(want), len(got)) {
			require.InDelta(t, want[i], got[i], float64(time.Microsecond), "iteration %d of %s to %s at %s in %d", i, before, after, change, n)
		}
	}
}
