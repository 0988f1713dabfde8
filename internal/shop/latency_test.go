package shop_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/shop"
)

// visit requests a path over the network in memory.
func visit(ctx context.Context, transport http.RoundTripper, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop"+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// open serves a shop on a network of its own for the rest of a bubble's test.
func open(t *testing.T, opts shop.Options) (*shop.Shop, *http.Transport) {
	t.Helper()
	s := shop.New(opts)
	dial, stop := memnet.Serve(s)
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
	})
	return s, transport
}

// latencies of n requests, in order of size.
func latencies(t *testing.T, opts shop.Options, path string, n int) []time.Duration {
	t.Helper()
	var took []time.Duration
	synctest.Test(t, func(t *testing.T) {
		_, transport := open(t, opts)
		for range n {
			start := time.Now()
			status, err := visit(t.Context(), transport, path)
			require.NoError(t, err)
			require.Equal(t, 200, status)
			took = append(took, time.Since(start))
		}
	})
	slices.Sort(took)
	return took
}

func TestNoLatency(t *testing.T) {
	took := latencies(t, shop.Options{}, "/api/orders", 100)
	assert.Zero(t, took[99])
}

func TestLatencyIsLogNormalWithSlowOnes(t *testing.T) {
	took := latencies(t, shop.Options{Latency: 1, Seed: 7}, "/api/stats", 5000)
	const typical = 18 * time.Millisecond
	assert.InEpsilon(t, typical, took[2500], 0.05, "the median")
	assert.InEpsilon(t, float64(typical)*1.49, took[4207], 0.1, "one standard deviation above, e^0.4")
	assert.InEpsilon(t, float64(typical)/1.49, took[793], 0.1, "one below")
	slow := 0
	for _, d := range took {
		if d > 5*typical {
			slow++
		}
	}
	assert.InDelta(t, 25, slow, 15, "one in 200 is much slower")
	assert.Less(t, took[4999], 50*typical)
	assert.Positive(t, took[0])
}

func TestLatencyIsSeededAndScaled(t *testing.T) {
	once := latencies(t, shop.Options{Latency: 1, Seed: 7}, "/", 50)
	again := latencies(t, shop.Options{Latency: 1, Seed: 7}, "/", 50)
	assert.Equal(t, once, again)
	assert.NotEqual(t, once, latencies(t, shop.Options{Latency: 1, Seed: 8}, "/", 50))
	for i, d := range latencies(t, shop.Options{Latency: 100, Seed: 7}, "/", 50) {
		assert.InEpsilon(t, 100*once[i], d, 1e-3)
	}
}

func TestLabelDelayWaitsAsLongAsAsked(t *testing.T) {
	for _, scale := range []float64{0, 1} {
		took := latencies(t, shop.Options{Latency: scale}, "/labeldelay?delay=420&label=dyno", 3)
		assert.Equal(t, 420*time.Millisecond, took[0])
		assert.Equal(t, 420*time.Millisecond, took[2])
	}
}

func TestClientThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, transport := open(t, shop.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := visit(ctx, transport, "/labeldelay?delay=60000&label=x")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, shop.Counts{{Route: "GET /labeldelay", Status: shop.StatusCanceled}: 1}, s.Counts())
	})
}

// Requests that wait cost next to nothing, and none waits for another.
func TestManyWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 10_000
		s := shop.New(shop.Options{Latency: 1})
		start := time.Now()
		done := make(chan int)
		for range clients {
			go func() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/labeldelay?delay=1000&label=x", nil))
				done <- w.Code
			}()
		}
		for range clients {
			require.Equal(t, 200, <-done)
		}
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, uint64(clients), s.Counts().Total())
	})
}

// discard is a response that costs nothing, so that only the shop is measured.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkShop(b *testing.B) {
	for _, path := range []string{"/", "/api/products", "/api/customers/500", "/api/products/3/customers?limit=50", "/nowhere"} {
		b.Run(path, func(b *testing.B) {
			s := shop.New(shop.Options{})
			r := httptest.NewRequest(http.MethodGet, path, nil)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.ServeHTTP(w, r)
			}
		})
	}
	b.Run("over the network in memory", func(b *testing.B) {
		dial, stop := memnet.Serve(shop.New(shop.Options{}))
		defer stop()
		transport := &http.Transport{DialContext: dial}
		defer transport.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := visit(b.Context(), transport, "/api/products/1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			shop.New(shop.Options{})
		}
	})
}
