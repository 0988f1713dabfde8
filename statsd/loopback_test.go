package statsd_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// target serves pages, a redirect to one and a page that fails, and counts answers.
type target struct {
	*httptest.Server
	pages, redirects, failures atomic.Int64
}

func newTarget(t *testing.T) *target {
	tg := &target{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(http.ResponseWriter, *http.Request) { tg.pages.Add(1) })
	mux.HandleFunc("GET /old", func(w http.ResponseWriter, r *http.Request) {
		tg.redirects.Add(1)
		http.Redirect(w, r, "/page", http.StatusFound)
	})
	mux.HandleFunc("GET /oops", func(w http.ResponseWriter, _ *http.Request) {
		tg.failures.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	tg.Server = httptest.NewServer(mux)
	t.Cleanup(tg.Close)
	return tg
}

// drive runs a job of so many iterations against a target, observed by o.
func drive(t *testing.T, tg *target, o loadgen.Observer, iterations uint64) {
	t.Helper()
	get := func(path string) loadgen.TaskFunc {
		return func(ctx context.Context, vu *loadgen.VU) error {
			_, err := vu.Do(ctx, &loadgen.Request{URL: path})
			return err
		}
	}
	scenario := loadgen.NewScenario("mix").
		Task("page", 6, get("/page")).Task("old", 2, get("/old")).Task("oops", 1, get("/oops"))
	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
		Name: "mix", Scenario: scenario, BaseURL: tg.URL, Workers: 8, MaxIterations: iterations,
	}, loadgen.WithObserver(o))
	require.NoError(t, err)
	require.Zero(t, snap.FailedRequests, "%v", snap.Errors)
	require.NotZero(t, tg.redirects.Load())
	require.NotZero(t, tg.failures.Load())
}

// counters is what has to be counted of all that a target served.
func (tg *target) counters() map[string]int {
	const prefix = "molotov.box.GET.127.0.0.1."
	return map[string]int{
		prefix + "/page.200": int(tg.pages.Load() - tg.redirects.Load()),
		prefix + "/old.200":  int(tg.redirects.Load()),
		prefix + "/oops.500": int(tg.failures.Load()),
	}
}

// TestAServerThatComesBack gets everything from its return on: that the datagram before
// was refused is told when the next one is sent.
func TestAServerThatComesBack(t *testing.T) {
	for range 10 {
		if comesBack(t) {
			return
		}
	}
	require.Fail(t, "another program had the port of the server each time")
}

// comesBack is false if the port could not be had again.
func comesBack(t *testing.T) bool {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := server.LocalAddr().String()
	o, err := statsd.New(addr, statsd.WithHostname("box"))
	require.NoError(t, err)
	defer o.Close()
	receives := func(want string) {
		t.Helper()
		buf := make([]byte, 2000)
		require.NoError(t, server.SetReadDeadline(time.Now().Add(30*time.Second)))
		n, _, err := server.ReadFrom(buf)
		require.NoError(t, err)
		assert.Contains(t, string(buf[:n]), want)
	}
	o.Observe(sample(path("/first")))
	receives("/first.200:1|c")
	require.NoError(t, server.Close())
	o.Observe(sample(path("/lost")))
	require.Eventually(t, func() bool { return o.Sent()+o.Dropped() == 4 }, 30*time.Second, time.Millisecond)
	server, err = net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = server.Close() }()
	o.Observe(sample(path("/again")))
	receives("/again.200:1|c")
	assert.EqualValues(t, 2, o.Dropped(), "what nobody took")
	return true
}

// TestLoopback sends what a job measures to a socket. All of it is less than what a socket
// holds, so that nothing depends on who reads how fast.
func TestLoopback(t *testing.T) {
	for _, exact := range []int{0, 1} {
		server, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = server.Close() }()
		o, err := statsd.New("udp://"+server.LocalAddr().String(), statsd.WithHostname("box"), statsd.WithExactUpTo(exact))
		require.NoError(t, err)
		received := make(chan []string)
		go func() {
			defer close(received)
			buf := make([]byte, 65536)
			for {
				n, _, err := server.ReadFrom(buf)
				if err != nil {
					return
				}
				received <- strings.Split(string(buf[:n]), "\n")
			}
		}()
		var lines []string
		collected := make(chan struct{})
		go func() {
			defer close(collected)
			for l := range received {
				lines = append(lines, l...)
				if n := len(lines); lines[n-1] == "end:1|c" {
					return
				}
			}
		}()

		tg := newTarget(t)
		drive(t, tg, o, 800)
		o.Close()
		assert.Zero(t, o.Dropped())
		end, err := (&net.Dialer{}).DialContext(t.Context(), "udp", server.LocalAddr().String())
		require.NoError(t, err)
		_, err = end.Write([]byte("end:1|c"))
		require.NoError(t, err)
		require.NoError(t, end.Close())
		select {
		case <-collected:
		case <-time.After(time.Minute):
			require.Fail(t, "the last datagram did not come")
		}
		sum := add(t, lines[:len(lines)-1])
		assert.Equal(t, tg.counters(), sum.counters)
		for bucket, n := range tg.counters() {
			assert.InDelta(t, n, sum.timings[bucket[:len(bucket)-len(".200")]], 0.5)
		}
		assert.EqualValues(t, len(lines)-1, o.Sent())
		assert.Equal(t, exact == 0, len(lines)-1 == 1600, "lines: %d", len(lines)-1)
	}
}
