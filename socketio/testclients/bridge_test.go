//go:build clients

package testclients_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// TestBridge looks at the StatsD bridge as the suite's page does, with the client and the
// transports of that page: what the page adds up is what the target has served.
func TestBridge(t *testing.T) {
	for name, command := range map[string][]string{
		"in Node.js":   {"node", "client.mjs", "bridge", "2", "default"},
		"in a browser": {"node", "browser.mjs", "bridge", "2", "default"},
	} {
		t.Run(name, func(t *testing.T) { watch(t, command) })
	}
}

func watch(t *testing.T, command []string) {
	var products, failures atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oopsie" {
			failures.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		products.Add(1)
	}))
	defer target.Close()
	bridge, err := statsd.NewBridge(statsd.WithHostname("box.local"))
	require.NoError(t, err)
	defer bridge.Close()
	m := loadgen.New(loadgen.WithObserver(bridge))
	defer m.Close()
	server := statsd.NewBridgeServer(bridge)
	ts := httptest.NewServer(server)
	defer ts.Close()
	defer server.Close()
	bridge.Watch(t.Context(), m)

	began := time.Now().Unix()
	await, leave := launch(t, append(command, ts.URL))
	assert.Equal(t, "subscribed all", await("subscribed").Answer)
	get := func(path string) loadgen.TaskFunc {
		return func(ctx context.Context, vu *loadgen.VU) error {
			_, err := vu.Do(ctx, &loadgen.Request{URL: path})
			return err
		}
	}
	job, err := m.Start(t.Context(), loadgen.JobConfig{
		Name: "python", BaseURL: target.URL, Workers: 4, Delay: 2 * time.Millisecond, Duration: 3 * time.Second,
		Scenario: loadgen.NewScenario("shop").Task("products", 3, get("/api/products/v1.2")).Task("oopsie", 1, get("/oopsie")),
	})
	require.NoError(t, err)
	require.NoError(t, job.Wait(t.Context()))

	want := map[string]int{"GET -api-products-v1_2 200": int(products.Load()), "GET -oopsie 500": int(failures.Load())}
	got, gauges, timings := map[string]int{}, map[string]bool{}, 0
	for !maps.Equal(want, got) {
		seconds := await("timestamp").Seconds
		assert.GreaterOrEqual(t, seconds, began)
		assert.LessOrEqual(t, seconds, time.Now().Unix())
		all := await("all")
		for key, n := range all.Served {
			got[key] += n
			require.LessOrEqual(t, got[key], want[key], key)
		}
		timings += all.Timings
		for _, name := range all.Gauges { // there are none before the job begins
			gauges[name] = true
		}
	}
	assert.Equal(t, map[string]bool{"loadgen": true}, gauges)
	assert.Positive(t, timings)
	leave()
	assert.Eventually(t, func() bool { return server.Sessions() == 0 }, patience, time.Millisecond, "the client has said goodbye")
}
