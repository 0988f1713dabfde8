package loadgen_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

func TestStagesOfARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Stages = []loadgen.Stage{
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(100)},             // 500
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(100), Step: true}, // 1000
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(20)},              // 600
			{Duration: 10 * time.Second, Step: true},                               // a pause
			{Duration: 10 * time.Second, Rate: loadgen.PerSecond(50), Step: true},  // 500
			{Duration: 10 * time.Second},                                           // 250
		}
		j := start(t, m, cfg)
		var counts []float64
		for range 6 {
			time.Sleep(10*time.Second - time.Nanosecond)
			synctest.Wait()
			counts = append(counts, float64(j.Snapshot().Iterations))
			time.Sleep(time.Nanosecond)
		}
		assert.InDeltaSlice(t, []float64{500, 1500, 2100, 2100, 2600, 2850}, counts, 1)
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		assert.Equal(t, time.Minute, snap.Elapsed)
		assert.Equal(t, "its stages are over", snap.Reason)
		assert.Zero(t, snap.Response.Max(), "each at its time")
	})
}

func TestStagesOfWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Delay = 100 * time.Millisecond
		cfg.Stages = []loadgen.Stage{
			{Duration: 10 * time.Second, Workers: 20},
			{Duration: 5 * time.Second, Workers: 20},
			{Duration: 5 * time.Second, Workers: 7, Step: true},
			{Duration: 7 * time.Second, Workers: 0},
		}
		j := start(t, m, cfg)
		at := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d - j.Snapshot().Elapsed)
			synctest.Wait()
			assert.Equal(t, want, j.Snapshot().VUs, "at %s", d)
			assert.Equal(t, want, j.Snapshot().Workers, "at %s", d)
		}
		at(499*time.Millisecond, 0)
		at(501*time.Millisecond, 1)
		at(5001*time.Millisecond, 10)
		at(9999*time.Millisecond, 19)
		at(10*time.Second+time.Millisecond, 20)
		at(15*time.Second+time.Millisecond, 7)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Delay = 50 * time.Millisecond }))
		at(16*time.Second, 7)
		at(21*time.Second+time.Millisecond, 6)
		at(26*time.Second+time.Millisecond, 1)
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, 27*time.Second, j.Snapshot().Elapsed)
		assert.Zero(t, j.Snapshot().Interrupted)
	})
}

func TestStagesChangedInPlaceBeginNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		cfg := config(nothing())
		cfg.Rate = loadgen.PerSecond(10)
		j := start(t, m, cfg)
		time.Sleep(10*time.Second - time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) {
			c.Stages = []loadgen.Stage{{Duration: 10 * time.Second, Rate: loadgen.PerSecond(30)}}
		}))
		require.NoError(t, j.Wait(t.Context()))
		assert.InDelta(t, 100+200, j.Snapshot().Iterations, 1, "from the rate of before")
		assert.Equal(t, 20*time.Second-time.Millisecond, j.Snapshot().Elapsed)
	})
}

// One rate has many spellings, and neither the same nor nearly the same rate is a slope
// that can be divided by.
func TestStagesThatHardlyChangeTheRate(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, to := range []loadgen.Rate{loadgen.PerMinute(60_000), {Count: 3_600_000, Per: time.Hour}} {
		p := (&loadgen.JobConfig{Rate: loadgen.PerSecond(1000), Stages: []loadgen.Stage{{Duration: year, Rate: to}}}).Pacer()
		for _, n := range []uint64{0, 1, 1000, 31_535_999_999} {
			at, ok := p.Due(n)
			require.True(t, ok)
			assert.Equal(t, time.Duration(n)*time.Millisecond, at, "iteration %d of 1000/s to %s", n, to)
		}
		_, ok := p.Due(31_536_000_000)
		assert.False(t, ok)
	}
	// A billionth faster by the end of a year: x = 1000t + 1e-6t²/2a, a being the year.
	p := (&loadgen.JobConfig{Rate: loadgen.PerSecond(1000), Stages: []loadgen.Stage{{
		Duration: year, Rate: loadgen.Rate{Count: 1_000_000_001, Per: 1_000_000 * time.Second},
	}}}).Pacer()
	at, ok := p.Due(3_600_000)
	require.True(t, ok)
	assert.InDelta(t, time.Hour, at, float64(time.Microsecond))
}

func TestDurationOutlastsStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(nothing())
		cfg.Stages = []loadgen.Stage{{Duration: 10 * time.Second, Rate: loadgen.PerSecond(10), Step: true}}
		cfg.Duration = 30 * time.Second
		snap := run(t, cfg)
		assert.EqualValues(t, 300, snap.Iterations, "the last rate goes on")
	})
}

func TestFaultyStages(t *testing.T) {
	rate := loadgen.PerSecond(10)
	for name, change := range map[string]func(*loadgen.JobConfig){
		"no duration": func(c *loadgen.JobConfig) { c.Stages = []loadgen.Stage{{Rate: rate}} },
		"negative":    func(c *loadgen.JobConfig) { c.Stages = []loadgen.Stage{{Duration: 1, Workers: -1}} },
		"bad rate":    func(c *loadgen.JobConfig) { c.Stages = []loadgen.Stage{{Duration: 1, Rate: loadgen.Rate{Count: 1}}} },
		"both": func(c *loadgen.JobConfig) {
			c.Stages = []loadgen.Stage{{Duration: 1, Rate: rate}, {Duration: 1, Workers: 1}}
		},
		"ramp": func(c *loadgen.JobConfig) {
			c.RampUp, c.Stages = 1, []loadgen.Stage{{Duration: 1, Rate: rate}}
		},
		"too long": func(c *loadgen.JobConfig) {
			c.Stages = []loadgen.Stage{{Duration: loadgen.MaxDuration, Rate: rate}, {Duration: 1, Rate: rate}}
		},
		"too many": func(c *loadgen.JobConfig) { c.Stages = make([]loadgen.Stage, 1001) },
	} {
		cfg := config(nothing())
		change(&cfg)
		assert.Error(t, cfg.Validate(), name)
	}
}

// Whatever the stages, due times never decrease, lie within the stages, and are as
// many as the area under the rates.
func FuzzStages(f *testing.F) {
	f.Add(uint16(0), uint16(100), uint16(10), uint16(50), uint16(20), false, false)
	f.Add(uint16(1000), uint16(0), uint16(1), uint16(0), uint16(1), true, false)
	f.Add(uint16(3), uint16(4), uint16(60000), uint16(5), uint16(60000), false, false)
	f.Add(uint16(7), uint16(7), uint16(1000), uint16(7), uint16(1000), false, true)
	f.Fuzz(func(t *testing.T, r0, r1, d1, r2, d2 uint16, step, minutes bool) {
		if d1 == 0 || d2 == 0 {
			return
		}
		hz := func(n uint16) loadgen.Rate {
			if n == 0 {
				return loadgen.Rate{}
			}
			return loadgen.PerSecond(uint64(n))
		}
		first := hz(r1)
		if minutes {
			first.Count, first.Per = 60*first.Count, 60*first.Per
		}
		cfg := config(nothing())
		cfg.Rate = hz(r0)
		cfg.Stages = []loadgen.Stage{
			{Duration: time.Duration(d1) * time.Millisecond, Rate: first, Step: step},
			{Duration: time.Duration(d2) * time.Millisecond, Rate: hz(r2)},
		}
		if cfg.Validate() != nil {
			return
		}
		from := float64(r0)
		if step {
			from = float64(r1)
		}
		area := (from+float64(r1))/2*float64(d1)/1000 + (float64(r1)+float64(r2))/2*float64(d2)/1000
		p := cfg.Pacer()
		if p == nil {
			require.Zero(t, int(r0)+int(r1)+int(r2), "without any rate it is the closed model")
			return
		}
		end := time.Duration(d1)*time.Millisecond + time.Duration(d2)*time.Millisecond
		var last time.Duration
		var n uint64
		for ; float64(n) < area+10; n++ {
			at, ok := p.Due(n)
			if !ok {
				break
			}
			require.GreaterOrEqual(t, at, last)
			require.Less(t, at, end)
			last = at
		}
		assert.InDelta(t, math.Ceil(area), n, 1.001)
	})
}
