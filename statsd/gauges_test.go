package statsd_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// pausing is a scenario whose iterations take a time.
func pausing(d time.Duration) *loadgen.Scenario {
	return loadgen.NewScenario("pausing").Task("pause", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Sleep(ctx, d)
	})
}

func TestGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		m := loadgen.New(loadgen.WithObserver(o))
		_, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "opbeans.python", Scenario: pausing(100 * time.Millisecond), BaseURL: "http://opbeans",
			Workers: 3, Duration: 10 * time.Second,
		})
		require.NoError(t, err)
		_, err = m.Prepare(loadgen.JobConfig{Name: "idle", Workers: 7})
		require.NoError(t, err)
		time.Sleep(50 * time.Millisecond) // ticks not to coincide with iterations
		o.Watch(t.Context(), m)
		gauges := func() string {
			seen := len(w.lines())
			time.Sleep(time.Second)
			synctest.Wait()
			return strings.Join(w.lines()[seen:], " ")
		}
		time.Sleep(3150 * time.Millisecond)
		synctest.Wait()
		const tree = "loadgen.box.opbeans_python."
		assert.Equal(t, tree+"workers:3|g "+tree+"vus:3|g "+tree+"active:3|g "+tree+"rate:29.2|g", gauges())
		err = jobOf(t, m, "opbeans.python").Update(func(c *loadgen.JobConfig) { c.Workers = 1 })
		require.NoError(t, err)
		assert.Equal(t, tree+"workers:1|g "+tree+"vus:1|g", strings.Join(strings.Split(gauges(), " ")[:2], " "))
		time.Sleep(4 * time.Second)
		assert.Equal(t, tree+"workers:0|g "+tree+"vus:0|g "+tree+"active:0|g "+tree+"rate:0.0|g", gauges())
		assert.Empty(t, gauges(), "an ended job is written once more")
		m.Close()
		o.Close()
		o.Watch(t.Context(), m) // starts nothing
	})
}

// TestGaugesAtTheEnd holds that the last word on a job that ends with the Manager is
// zero, also when there was no time for a tick.
func TestGaugesAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		m := loadgen.New()
		_, err := m.Start(t.Context(), loadgen.JobConfig{Name: "job", Scenario: pausing(time.Second), BaseURL: "http://opbeans"})
		require.NoError(t, err)
		o.Watch(t.Context(), m)
		time.Sleep(100 * time.Millisecond)
		m.Close()
		o.Close()
		text := strings.Join(w.lines(), " ")
		assert.Contains(t, text, "loadgen.box.job.workers:1|g")
		assert.True(t, strings.HasSuffix(text, "workers:0|g loadgen.box.job.vus:0|g loadgen.box.job.active:0|g loadgen.box.job.rate:0.0|g"))
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		defer o.Close()
		m := loadgen.New()
		defer m.Close()
		_, err := m.Start(t.Context(), loadgen.JobConfig{Name: "job", Scenario: pausing(time.Second), BaseURL: "http://opbeans"})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		o.Watch(ctx, m)
		time.Sleep(1500 * time.Millisecond)
		cancel()
		synctest.Wait()
		seen := len(w.lines())
		assert.Equal(t, 8, seen)
		time.Sleep(time.Minute)
		assert.Len(t, w.lines(), seen)
	})
}

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
