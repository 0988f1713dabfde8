package locust

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// What Python's round makes of it (bucket_response_time in locust/stats.py).
func TestRoundTime(t *testing.T) {
	for ms, want := range map[float64]int64{
		0: 0, 0.3: 0, 0.5: 0, 1.5: 2, 2.5: 2, 99.4: 99, 99.6: 100, 104: 100, 105: 100, 115: 120, 147: 150, 994.9: 990, 996: 1000,
		3432: 3400, 9951: 10_000, 58_760: 59_000, 1e6: 1_000_000,
	} {
		assert.Equal(t, want, roundTime(ms), "%g ms", ms)
	}
}

// TestTallyAddsUp: whatever the times are, the sum of the reports is the snapshot, and the
// master's percentiles are the snapshot's, rounded.
func TestTallyAddsUp(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	state := uint64(1)
	random := func() float64 { // a small generator that is the same everywhere
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>11) / (1 << 53)
	}
	var all, before loadgen.Snapshot
	all.Started = start
	all.Tasks = []loadgen.TaskSnapshot{{Task: "home", Method: "GET"}, {Task: "order", Method: "POST"}}
	sum := newTally(start)
	perSecond := map[int64]uint64{}
	for second := range 20 {
		for range 500 {
			task := &all.Tasks[state>>33&1]
			task.Service.Record(time.Duration(math.Exp(12+6*random()) * 10))
			task.Requests++
			task.Received += 100
			perSecond[1_000_000+int64(second)]++
		}
		all.Tasks[0].Requests++ // without an answer
		all.Tasks[0].FailedRequests++
		perSecond[1_000_000+int64(second)]++
		all.Time, all.Elapsed = start.Add(time.Duration(second+1)*time.Second), time.Duration(second+1)*time.Second
		now := copyOf(&all)
		sum.add(now.Since(&before))
		before = *now
	}
	var want loadgen.Totals
	for i := range all.Tasks {
		want.Merge(&all.Tasks[i].Totals)
		e := sum.entries[entryKey{all.Tasks[i].Task, all.Tasks[i].Method}]
		require.NotNil(t, e)
		assert.Equal(t, all.Tasks[i].Requests, e.Requests)
		assert.InDelta(t, milliseconds(all.Tasks[i].Service.Min()), *e.Min, 1e-9)
		assert.InDelta(t, milliseconds(all.Tasks[i].Service.Max()), e.Max, 1e-9)
	}
	d := sum.data()
	assert.Len(t, d.Stats, 2)
	assert.Equal(t, want.Requests, d.Total.Requests)
	assert.Equal(t, want.FailedRequests, d.Total.Failures)
	assert.EqualValues(t, 20, d.Total.None)
	assert.Equal(t, want.Received, d.Total.Size)
	assert.Equal(t, perSecond, d.Total.PerSecond)
	assert.InDelta(t, want.Service.Sum().Seconds()*1000, d.Total.TotalTime, 1e-3)
	assert.InDelta(t, 1_000_019.999, *d.Total.Last, 0.01)
	var counted uint64
	for _, n := range d.Total.Times {
		counted += n
	}
	assert.Equal(t, want.Service.Count(), counted)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		ours := milliseconds(want.Service.Quantile(q))
		theirs := percentile(d.Total.Times, uint64(math.Ceil(q*float64(counted))))
		bound := 1 + want.Service.ErrorBound()
		assert.GreaterOrEqual(t, theirs, roundTime(ours/bound), "p%g", 100*q)
		assert.LessOrEqual(t, theirs, roundTime(ours*bound), "p%g", 100*q)
	}
}

// percentile is the time of that rank.
func percentile(times map[int64]uint64, rank uint64) int64 {
	for _, ms := range slices.Sorted(maps.Keys(times)) {
		if times[ms] >= rank {
			return ms
		}
		rank -= times[ms]
	}
	return 0
}

func copyOf(s *loadgen.Snapshot) *loadgen.Snapshot {
	c := *s
	c.Tasks = nil
	c.Merge(&loadgen.Snapshot{Tasks: s.Tasks})
	return &c
}
