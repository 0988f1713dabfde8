package loadgen

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"
	"time"

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

func TestSegmentAsJSON(t *testing.T) {
	cfg := JobConfig{Segment: Segment{3, 10}, StartAt: time.Date(2026, 11, 26, 12, 0, 0, 5, time.UTC)}
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"segment":"3/10","start_at":"2026-11-26T12:00:00.000000005Z"`)
	var got JobConfig
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, cfg.Segment, got.Segment)
	assert.True(t, cfg.StartAt.Equal(got.StartAt))
	require.NoError(t, json.Unmarshal([]byte(`{"segment":"","start_at":""}`), &got))
	assert.Equal(t, JobConfig{}, got, "empty text is none")
	for _, text := range []string{`{"segment":3}`, `{"segment":"4/3"}`, `{"start_at":"noon"}`, `{"start_at":"2026-11-26T12:00:00"}`} {
		var invalid *ValidationError
		assert.ErrorAs(t, json.Unmarshal([]byte(text), &got), &invalid, text)
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
			have := s.share(whole)
			sum, sum64 = sum+have, sum64+s.shareOf(uint64(whole))
			assert.InDelta(t, float64(whole)/float64(n), have, 1, "evenly")
			for k := range have {
				require.False(t, seen[s.number(k)], "number %d twice", s.number(k))
				seen[s.number(k)] = true
			}
			for _, grows := range []bool{true, false} {
				step, sign := s.until(whole, grows), 1
				if !grows {
					sign = -1
				}
				if step <= whole || grows {
					assert.NotEqual(t, have, s.share(whole+sign*step))
				}
				assert.Equal(t, have, s.share(max(whole+sign*(step-1), 0)), "not before")
			}
		}
		assert.Equal(t, whole, sum)
		assert.EqualValues(t, whole, sum64)
	})
}

// randomStages draws stages of one of the two models.
func randomStages(r *rand.Rand, open bool) (stages []Stage) {
	for range 1 + r.IntN(5) {
		s := Stage{Duration: time.Duration(1 + r.Int64N(int64(time.Minute))), Step: r.IntN(3) == 0}
		if open {
			s.Rate = Rate{Count: 1 + r.Uint64N(50), Per: time.Duration(1 + r.Int64N(int64(10*time.Second)))}
		} else {
			s.Workers = r.IntN(200)
		}
		stages = append(stages, s)
	}
	return stages
}

// At every moment the workers of the segments are those of the whole; and from one
// change that a segment announces to the next, its number stays.
func FuzzSegmentsOfWorkers(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		whole := JobConfig{Workers: r.IntN(100), Stages: randomStages(r, false)}
		end := whole.stagesLength()
		n := 1 + r.IntN(12)
		var moments []time.Duration
		for range 50 {
			moments = append(moments, time.Duration(r.Int64N(int64(end)+1)))
		}
		for at, k := time.Duration(0), 0; at < end && k < 2000; k++ {
			_, at = whole.workersAt(at)
			moments = append(moments, at-1, at)
		}
		sums := make([]int, len(moments))
		for _, s := range segments(n) {
			part := whole
			part.Segment = s
			for i, at := range moments {
				have, next := part.workersAt(at)
				sums[i] += have
				require.Greater(t, next, at)
				if next != math.MaxInt64 {
					between, _ := part.workersAt(next - 1)
					require.Equal(t, have, between, "from %d to %d", at, next)
				}
			}
		}
		for i, at := range moments {
			want, _ := whole.workersAt(at)
			require.Equal(t, want, sums[i], "at %s in %d segments", at, n)
		}
	})
}

// The iterations of the segments are those of the whole, each at its time and in one
// segment.
func FuzzSegmentsOfARate(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		whole := JobConfig{Rate: Rate{Count: 1 + r.Uint64N(100), Per: time.Duration(1 + r.Int64N(int64(10*time.Second)))}}
		switch r.IntN(3) {
		case 0:
			whole.Stages, whole.Rate = randomStages(r, true), Rate{}
		case 1:
			whole.RampUp = time.Duration(r.Int64N(int64(time.Minute)))
		}
		const most = 3000
		var want, got []time.Duration
		pacer := whole.Pacer()
		for k := range uint64(most) {
			if due, ok := pacer.Due(k); ok {
				want = append(want, due)
			}
		}
		n := 1 + r.IntN(12)
		for _, s := range segments(n) {
			part := whole
			part.Segment = s
			pacer := part.Pacer()
			for k := range s.shareOf(most) {
				if due, ok := pacer.Due(k); ok {
					got = append(got, due)
				}
			}
		}
		slices.Sort(got)
		assert.Equal(t, want, got, "%d segments", n)
	})
}

func TestSegmentsOfASchedulePastItsEnd(t *testing.T) {
	cfg := JobConfig{Rate: PerSecond(1), Segment: Segment{2, 3}}
	_, ok := cfg.Pacer().Due(math.MaxUint64/3 + 1)
	assert.False(t, ok, "its number in the whole does not exist")
}

// When a constant rate changes, segments that all change at that moment go on as the
// whole does: in step, without a gap or a burst.
func TestSegmentsOfAChangedRate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 500 {
		before, after := PerSecond(1+r.Uint64N(200)), PerSecond(1+r.Uint64N(200))
		change := time.Duration(r.Int64N(int64(2 * time.Second)))
		n := 1 + r.IntN(12)
		course := func(s Segment) (due []time.Duration) {
			old := newSchedule(s.pacer(before.Pacer(0)), 0)
			for k := uint64(0); ; k++ {
				at, _ := old.due(k)
				if at > change {
					break
				}
				due = append(due, at)
				_, _ = old.claim()
			}
			next := old.replace(s.pacer(after.Pacer(0)), change, true)
			for k := uint64(0); ; k++ {
				at, _ := next.due(k)
				if at >= change+3*time.Second {
					return due
				}
				due = append(due, at)
			}
		}
		want := course(Segment{})
		var got []time.Duration
		for _, s := range segments(n) {
			got = append(got, course(s)...)
		}
		slices.Sort(got)
		require.InDelta(t, len(want), len(got), 1, "the last may be due on either side of the end")
		for i := range min(len(want), len(got)) {
			require.InDelta(t, want[i], got[i], float64(time.Microsecond), "iteration %d of %s to %s at %s in %d", i, before, after, change, n)
		}
	}
}

// Rows in order are given out once by all segments together, and unique ones belong to
// one VU of all.
func TestSegmentsOfAFeeder(t *testing.T) {
	text := "n\n"
	const rows = 23
	for range rows {
		text += "x\n"
	}
	folder := fstest.MapFS{"u.csv": &fstest.MapFile{Data: []byte(text)}}
	open := func(order FeedOrder, s Segment) *feed {
		scenario := NewScenario("s").Feeder("u", Feeder{File: "u.csv", FS: folder, Order: order, AtEnd: FeedStop})
		feeds, f := scenario.openFeeds(nil, s)
		require.Empty(t, f)
		return feeds[0]
	}
	for _, n := range []int{1, 2, 5, 23, 30} {
		sequential, unique := make([]int, rows), make([]int, rows)
		for _, s := range segments(n) {
			f := open(FeedSequential, s)
			for {
				i, err := f.choose(nil)
				if err != nil {
					require.ErrorIs(t, err, ErrNoMoreRows)
					break
				}
				sequential[i]++
			}
			f = open(FeedUnique, s)
			for seat := range s.share(rows) {
				i, err := f.choose(&VU{id: s.number(seat)})
				require.NoError(t, err)
				unique[i]++
			}
		}
		once := slices.Repeat([]int{1}, rows)
		assert.Equal(t, once, sequential, "%d segments", n)
		assert.Equal(t, once, unique, "%d segments", n)
	}
}
