package pace

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSegmentAsText(t *testing.T) {
	for text, want := range map[string]Segment{"": {}, "3/10": {3, 10}, "1/1": {1, 1}, "10000/10000": {10_000, 10_000}} {
		got, err := ParseSegment(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
	for _, text := range []string{"3", "/", "/10", "3/", "0/10", "0/0", "11/10", "-1/10", "1/-1", "+1/2", "1/2/3", "1/10001", "1.5/2", "a/b", "99999999999999999999/2"} {
		_, err := ParseSegment(text)
		assert.ErrorContains(t, err, `for instance "3/10"`, text)
	}
}

// segments are all of n.
func segments(n int) (all []Segment) {
	for i := range n {
		all = append(all, Segment{i + 1, n})
	}
	return all
}

// What the segments have is exactly the whole, and none of it twice.
func FuzzSegmentsAreTheWhole(f *testing.F) {
	f.Add(uint16(10), uint16(0))
	f.Add(uint16(10), uint16(7))
	f.Add(uint16(1), uint16(5))
	f.Add(uint16(7), uint16(1000))
	f.Fuzz(func(t *testing.T, parts, total uint16) {
		n, whole := int(parts)%300+1, int(total)
		sum, sum64 := 0, uint64(0)
		seen := make([]bool, whole)
		for _, s := range segments(n) {
			have := s.Share(whole)
			sum, sum64 = sum+have, sum64+s.ShareOf(uint64(whole))
			assert.InDelta(t, float64(whole)/float64(n), have, 1, "evenly")
			for k := range have {
				require.False(t, seen[s.Number(k)], "number %d twice", s.Number(k))
				seen[s.Number(k)] = true
			}
			for _, grows := range []bool{true, false} {
				step, sign := s.until(whole, grows), 1
				if !grows {
					sign = -1
				}
				if step <= whole || grows {
					assert.NotEqual(t, have, s.Share(whole+sign*step))
				}
				assert.Equal(t, have, s.Share(max(whole+sign*(step-1), 0)), "not before")
			}
		}
		assert.Equal(t, whole, sum)
		assert.EqualValues(t, whole, sum64)
	})
}
