package statsd_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/statsd"
)

func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := statsd.NewBridge(statsd.WithHostname("box"), statsd.WithResolver(resolve))
		require.NoError(t, err)
		m := loadgen.New()
		defer m.Close()
		_, err = m.Start(t.Context(), loadgen.JobConfig{
			Name: "python", Scenario: pausing(time.Second), BaseURL: "http://opbeans", Workers: 2,
		})
		require.NoError(t, err)
		time.Sleep(50 * time.Millisecond) // ticks not to coincide with iterations
		b.Watch(t.Context(), m)
		for i := range 3 {
			b.Observe(sample(func(s *loadgen.Sample) { s.Header = time.Duration(30-i) * time.Millisecond }))
			b.Observe(sample(path(fmt.Sprintf("/api/products/%d", i))))
		}
		b.Observe(sample(failed(loadgen.ClassTimeout)))
		time.Sleep(4500 * time.Millisecond)
		first := b.Take()
		all, err := json.MarshalIndent(first.All(), "", "  ")
		require.NoError(t, err)
		golden.Check(t, "testdata/all.json", []byte(string(all)+"\n"))

		b.Observe(sample())
		second := b.Take()
		const products = "molotov.box.GET.172.18.0.5.-api-products"
		assert.Equal(t, 1, second.Counters[products+".200"], "each interval begins anew")
		assert.Equal(t, []int{12}, second.Timers[products])
		assert.Equal(t, 0, second.Counters[products+".err_timeout"], "and names stay")
		assert.Contains(t, second.Counters, products+".err_timeout")
		assert.Empty(t, second.Timers[products+"-1"])
		assert.NotNil(t, second.Timers[products+"-1"], "[] in JSON, not null")

		b.Close()
		b.Observe(sample())
		assert.Equal(t, 0, b.Take().Counters[products+".200"], "it is closed")
		assert.Zero(t, b.Dropped())
	})
}

func TestSelect(t *testing.T) {
	v := statsd.Interval{
		Counters: map[string]int{"m.h.GET.-a.200": 3, "m.h.GET.-b.200": 4, "m.h.GET.-b.500": 1},
		Timers:   map[string][]int{"m.h.GET.-a": {1, 2}},
		Gauges:   map[string]string{"l.h.job.workers": "3", "l.h.job.rate": "1.5"},
	}
	for stat, want := range map[string]string{
		"all": `{"gauges":{"l":{"h":{"job":{"workers":3,"rate":1.5}}}},"timers":{"m":{"h":{"GET":{"-a":[1,2]}}}},
			"counters":{"m":{"h":{"GET":{"-a":{"200":3},"-b":{"200":4,"500":1}}}}}}`,
		"counters.m.h.GET.-b":       `{"200":4,"500":1}`,
		"counters.m.h.GET.-b.500":   `1`,
		"gauges":                    `{"l":{"h":{"job":{"workers":3,"rate":1.5}}}}`,
		"gauges.l.h.job.*":          `{"gauges":{"l":{"h":{"job":{"workers":3,"rate":1.5}}}}}`,
		"counters.m.h.GET.*.200":    `{"counters":{"m":{"h":{"GET":{"-a":{"200":3},"-b":{"200":4}}}}}}`,
		"timers.*.-a":               `{"timers":{"m":{"h":{"GET":{"-a":[1,2]}}}}}`,
		"counters.x":                `null`,
		"counters.molotov":          `{}`, // which the page looks into before the first request
		"timers.molotov":            `{}`,
		"counters.m.h.GET.-b.500.x": `null`,
		"counters.x*":               `null`,
		"counters.(*":               `null`,
		"sets.m":                    `null`,
		"":                          `null`,
	} {
		got, err := json.Marshal(v.Select(stat))
		require.NoError(t, err)
		assert.JSONEq(t, want, string(got), stat)
	}
}

// TestABridgeIsBounded holds that names and timings without end do not make a Bridge
// grow without end, and that new names find room again.
func TestABridgeIsBounded(t *testing.T) {
	b, err := statsd.NewBridge(statsd.WithNames(statsd.NamesMolotov))
	require.NoError(t, err)
	defer b.Close()
	for id := range 15_000 {
		b.Observe(sample(path(fmt.Sprintf("/old/%d", id))))
	}
	for range 3000 {
		b.Observe(sample(path("/old/1")))
	}
	v := b.Take()
	assert.Len(t, v.Counters, 10_000)
	assert.Len(t, v.Timers, 10_000)
	assert.EqualValues(t, 2*5000, b.Dropped())
	sum, longest := 0, 0
	for _, n := range v.Counters {
		sum += n
	}
	for _, values := range v.Timers {
		longest = max(longest, len(values))
	}
	assert.Equal(t, 13_000, sum)
	assert.Equal(t, 1000, longest)
	b.Take()
	b.Observe(sample(path("/new")))
	assert.Len(t, b.Take().Counters, 1)
}
