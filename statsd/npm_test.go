//go:build clients

package statsd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/statsd"
)

// flushed is a line that testserver/collect.js prints.
type flushed struct {
	Counters map[string]int
	Timings  map[string]float64
	Gauges   map[string]float64
}

// TestStatsDServer sends what a job measures to the StatsD server that npm ci has
// installed in testserver, and compares its sums with what the target served. All of it is
// less than what a socket holds, so that nothing depends on how fast the server reads.
func TestStatsDServer(t *testing.T) {
	for _, exact := range []int{0, 1} {
		t.Run(fmt.Sprintf("exact up to %d", exact), func(t *testing.T) {
			addr, sums := startServer(t)
			o, err := statsd.New(addr, statsd.WithHostname("box"), statsd.WithExactUpTo(exact))
			require.NoError(t, err)
			tg := newTarget(t)
			drive(t, tg, o, 1200)
			o.Close()
			require.Zero(t, o.Dropped())

			want, total := map[string]int{}, 0
			for name, n := range tg.counters() {
				want[strings.ReplaceAll(name, "/", "-")] = n
				total += n
			}
			got, timings := collect(t, sums, total)
			assert.Equal(t, want, got)
			for name, n := range want {
				assert.InDelta(t, n, timings[strings.TrimSuffix(strings.TrimSuffix(name, ".200"), ".500")], 0.5, name)
			}
		})
	}
}

// TestStatsDServerAtHighRates holds that the server's counters are exact also when
// timings are sampled, and that the number of timings it works out from the rates is. So
// few are exact that a socket holds all lines.
func TestStatsDServerAtHighRates(t *testing.T) {
	const perSecond, seconds, batch = 50_000, 1, 500
	addr, sums := startServer(t)
	o, err := statsd.New(addr, statsd.WithHostname("box"), statsd.WithExactUpTo(200))
	require.NoError(t, err)
	tick := time.NewTicker(time.Second * batch / perSecond)
	defer tick.Stop()
	want := map[string]int{}
	for i := range perSecond * seconds {
		if i%batch == 0 {
			<-tick.C
		}
		s := sample(path(fmt.Sprintf("/api/products/%d", i%7)))
		if i%11 == 0 {
			s.Status = 500
		}
		o.Observe(s)
		want[fmt.Sprintf("molotov.box.GET.opbeans.-api-products-%d.%d", i%7, s.Status)]++
	}
	o.Close()
	require.Zero(t, o.Dropped())
	assert.Less(t, o.Sent(), uint64(perSecond*seconds/10), "timings are sampled")
	got, timings := collect(t, sums, perSecond*seconds)
	assert.Equal(t, want, got)
	sum := 0.0
	for name, n := range timings {
		if strings.HasPrefix(name, "molotov.") {
			sum += n
		}
	}
	assert.InDelta(t, perSecond*seconds, sum, 1)
}

// collect adds up what a server prints until there are so many counts.
func collect(t *testing.T, sums <-chan flushed, total int) (counters map[string]int, timings map[string]float64) {
	t.Helper()
	counters, timings = map[string]int{}, map[string]float64{}
	late := time.After(2 * time.Minute)
	for received := 0; received < total; {
		select {
		case f, ok := <-sums:
			require.True(t, ok, "the server has ended")
			require.Zero(t, f.Counters["statsd.bad_lines_seen"])
			for name, n := range f.Counters {
				if strings.HasPrefix(name, "molotov.") {
					counters[name] += n
					received += n
				}
			}
			for name, n := range f.Timings {
				timings[name] += n
			}
		case <-late:
			require.Fail(t, "the server has not got everything", "%v so far", counters)
		}
	}
	return counters, timings
}

// startServer starts the server and returns its address, and what it prints at each
// flush, when it receives. It cannot choose its ports by itself, so those that are free
// now may be taken before it has them: it then is started with others.
func startServer(t *testing.T) (addr string, sums <-chan flushed) {
	t.Helper()
	for range 10 {
		if addr, sums, ok := tryServer(t); ok {
			return addr, sums
		}
	}
	require.Fail(t, "the server does not start")
	return "", nil
}

// tryServer is false if the server has ended at once.
func tryServer(t *testing.T) (addr string, sums <-chan flushed, ok bool) {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr = udp.LocalAddr().String()
	dir, err := filepath.Abs("testserver")
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "config.js")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"{address: '127.0.0.1', port: %d, mgmt_address: '127.0.0.1', mgmt_port: %d, flushInterval: 200, backends: [%q]}",
		udp.LocalAddr().(*net.UDPAddr).Port, tcp.Addr().(*net.TCPAddr).Port, filepath.Join(dir, "collect.js")), 0o600))
	require.NoError(t, udp.Close())
	require.NoError(t, tcp.Close())

	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "node_modules/statsd/stats.js"), config)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start(), "npm ci in statsd/testserver installs the server")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	flushes := make(chan flushed, 1000)
	go func() {
		defer close(flushes)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var f flushed
			if json.Unmarshal(lines.Bytes(), &f) == nil && f.Counters != nil {
				flushes <- f
			}
		}
	}()
	// It is ready when something arrives.
	probe, err := (&net.Dialer{}).DialContext(t.Context(), "udp", addr)
	require.NoError(t, err)
	defer probe.Close()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = probe.Write([]byte("ready:1|c")) // refused until it listens
		case f, ok := <-flushes:
			if !ok {
				return "", nil, false
			}
			if f.Counters["ready"] > 0 {
				return addr, flushes, true
			}
		case <-deadline:
			require.Fail(t, "the server does not receive")
		}
	}
}
