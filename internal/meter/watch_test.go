package meter

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/stats"
)

// The process is looked at through a function, so that its use can be made up.
func TestVerdictOnTheProcess(t *testing.T) {
	cpus := float64(runtime.GOMAXPROCS(0))
	for name, tc := range map[string]struct {
		cpu, pause, clock float64 // seconds for each second of the real clock
		why               string
	}{
		"idle":                {0.1, 0, 1, ""},
		"busy":                {0.9 * cpus, 0.01, 1, ""},
		"saturated":           {0.99 * cpus, 0.01, 1, "CPU saturation: this process used all the CPU it may for 100 % of the time"},
		"stopped for garbage": {0.5 * cpus, 0.05, 1, "GC pauses: garbage collection stopped this process for 5 % of the time"},
		"in virtual time":     {0.99 * cpus, 0.5, 1000, ""},
		"slower than time":    {0.99 * cpus, 0.5, 0.1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var use processUse
			w := selfWatch{use: func() processUse { return use }}
			now := time.Unix(1000, 0)
			use.ok = true
			seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
			for range 30 {
				w.look(now)
				real := 2.0
				use.real += seconds(real)
				use.cpu += seconds(real * tc.cpu)
				use.gcPause += seconds(real * tc.pause)
				now = now.Add(seconds(real * tc.clock))
			}
			why := w.issues()
			if tc.why == "" {
				assert.Empty(t, why)
				return
			}
			require.Len(t, why, 1)
			assert.Equal(t, tc.why, why[0].Text)
		})
	}
}

func TestVerdictOnScheduleLag(t *testing.T) {
	r := &Recorder{watch: selfWatch{use: func() processUse { return processUse{} }}}
	s := &stats.Snapshot{}
	for range 98 {
		s.Lag.Record(time.Millisecond)
	}
	s.Lag.Record(time.Second)
	assert.Empty(t, r.Issues(s), "too few to tell")
	for range 900 {
		s.Lag.Record(time.Millisecond)
	}
	assert.Empty(t, r.Issues(s), "one in a thousand")
	for range 20 {
		s.Lag.Record(50 * time.Millisecond)
	}
	require.Len(t, r.Issues(s), 1)
	assert.Contains(t, r.Issues(s)[0].Text, "schedule lag: 1 % of the iterations that had a VU waiting began 50ms late or more")
}

// What the kernel says of this process is what it does.
func TestUseOfProcess(t *testing.T) {
	before := useOfProcess()
	if !before.ok {
		assert.False(t, strings.Contains("linux darwin windows freebsd", runtime.GOOS), "this system can tell")
		return
	}
	began := time.Now()
	after := before
	for after.cpu-before.cpu < 50*time.Millisecond && time.Since(began) < time.Minute { // burns CPU
		after = useOfProcess()
	}
	took := time.Since(began)
	assert.InDelta(t, took.Seconds(), (after.real - before.real).Seconds(), 0.1)
	assert.GreaterOrEqual(t, after.cpu-before.cpu, 50*time.Millisecond)
	assert.LessOrEqual(t, after.cpu-before.cpu, took*time.Duration(runtime.NumCPU())+100*time.Millisecond)
	assert.GreaterOrEqual(t, after.gcPause, before.gcPause)
}

// TestClockJumps lets the clock of the machine leap a day ahead and back.
func TestClockJumps(t *testing.T) {
	use := processUse{ok: true}
	w := selfWatch{use: func() processUse { return use }}
	now := time.Unix(1000, 0)
	for i := range 60 {
		w.look(now)
		switch i {
		case 20:
			use.real += 24 * time.Hour
		case 40:
			use.real -= 48 * time.Hour
		}
		use.real += 2 * time.Second
		use.cpu += 100 * time.Millisecond
		now = now.Add(2 * time.Second) // of Go's monotonic clock, which does not leap
	}
	assert.Empty(t, w.issues())
	assert.Equal(t, 57*2*time.Second, w.Watched, "all but the two leaps")
}
