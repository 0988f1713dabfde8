package loadgen

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSegmentAsJSON(t *testing.T) {
	cfg := JobConfig{Segment: Segment{Index: 3, Count: 10}, StartAt: time.Date(2026, 11, 26, 12, 0, 0, 5, time.UTC)}
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
		for _, s := range allSegments(n) {
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
		for _, s := range allSegments(n) {
			part := whole
			part.Segment = s
			pacer := part.Pacer()
			for k := range s.ShareOf(most) {
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
	cfg := JobConfig{Rate: PerSecond(1), Segment: Segment{Index: 2, Count: 3}}
	_, ok := cfg.Pacer().Due(math.MaxUint64/3 + 1)
	assert.False(t, ok, "its number in the whole does not exist")
}

func allSegments(n int) (all []Segment) {
	for i := range n {
		all = append(all, Segment{Index: i + 1, Count: n})
	}
	return all
}
