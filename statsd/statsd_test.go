package statsd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/statsd"
)

// TestGolden holds the lines of each form of names, to the byte.
func TestGolden(t *testing.T) {
	start := time.Now()
	samples := []loadgen.Sample{
		sample(),
		sample(path("/api/products/3/customers")),
		sample(path("/"), func(s *loadgen.Sample) { s.Method, s.Status = "POST", 500 }),
		sample(path("/caf%C3%A9/a%2Fb%20c/%ff%zz+%2B")),
		sample(path("/a%3Ab%7Cc%40d%0Ae")),
		sample(path("/v1.2/file.tar.gz"), func(s *loadgen.Sample) { s.Job, s.Task = "a.b", "Get v1.2/café" }),
		sample(host("SHOP.example.com")),
		sample(host("xn--bcher-kva.example")),
		sample(host("10.1.2.3:80")),
		sample(host("[2001:db8::1]:80")),
		sample(func(s *loadgen.Sample) { s.Header = 999 * time.Microsecond }),
		sample(func(s *loadgen.Sample) { s.Task = "" }),
		// As expected or not, a response is a response.
		sample(func(s *loadgen.Sample) { s.Status, s.Class = 404, loadgen.ClassCheck }),
		sample(func(s *loadgen.Sample) { s.Class = loadgen.ClassReset }), // in the body
		sample(failed(loadgen.ClassDial)),
		sample(failed(loadgen.ClassTimeout)),
		// One request of three hops, with one of another VU between them.
		sample(path("/old"), func(s *loadgen.Sample) { s.Method, s.Status, s.Follows, s.Start = "POST", 302, true, start }),
		sample(func(s *loadgen.Sample) { s.VU = 1 }),
		sample(path("/mid"), func(s *loadgen.Sample) { s.Hop, s.Status, s.Follows = 1, 301, true }),
		sample(path("/new"), func(s *loadgen.Sample) {
			s.Hop, s.Start, s.Header = 2, start.Add(30*time.Millisecond), 11*time.Millisecond
		}),
		// The last hop fails.
		sample(path("/old"), func(s *loadgen.Sample) { s.Status, s.Follows = 302, true }),
		sample(path("/gone"), failed(loadgen.ClassReset), func(s *loadgen.Sample) { s.Hop = 1 }),
		// The first hop was missed.
		sample(path("/new"), func(s *loadgen.Sample) { s.Hop = 1 }),
	}
	for _, names := range []statsd.Names{statsd.NamesMolotov, statsd.NamesMolotovIP, statsd.NamesLoadgen} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire()
			o := open(t, w, statsd.WithNames(names), statsd.WithHostname("box.local"), statsd.WithResolver(resolve))
			for _, s := range samples {
				o.Observe(s)
				synctest.Wait() // for the address
			}
			o.Close()
			golden.Check(t, "testdata/"+string(names)+".golden", []byte(strings.Join(w.lines(), "\n")+"\n"))
			assert.EqualValues(t, len(w.lines()), o.Sent())
			assert.Zero(t, o.Dropped())
		})
	}
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		defer o.Close()
		time.Sleep(30 * time.Millisecond)
		o.Observe(sample())
		synctest.Wait()
		assert.Empty(t, w.sent(), "a datagram is filled first")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []string{
			"molotov.box.GET.opbeans./api/products:12|ms\nmolotov.box.GET.opbeans./api/products.200:1|c",
		}, w.sent())

		for range 100 {
			o.Observe(sample())
		}
		synctest.Wait()
		assert.Greater(t, len(w.sent()), 5, "full datagrams do not wait")
	})
}

func TestDatagramsFitTheMTU(t *testing.T) {
	for _, mtu := range []int{64, 512, 1432, 65507} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire()
			o := open(t, w, statsd.WithMTU(mtu), statsd.WithExactUpTo(0))
			long := "/" + strings.Repeat("x", 2*mtu)
			for i := range 3000 {
				if i%1000 == 0 {
					time.Sleep(time.Second)
				}
				o.Observe(sample(path(fmt.Sprintf("/api/products/%d", i))))
				if i == 1500 && mtu < 1500 {
					o.Observe(sample(path(long)))
				}
			}
			o.Close()
			var most int
			for _, d := range w.sent() {
				if strings.Contains(d, long) {
					assert.NotContains(t, d, "\n", "a long line has a datagram of its own")
					continue
				}
				assert.LessOrEqual(t, len(d), mtu)
				most = max(most, len(d))
			}
			assert.Greater(t, most, mtu/2, "lines are packed")
			assert.GreaterOrEqual(t, len(add(t, w.lines()).counters), 3000)
		})
	}
}

// TestManyRequests holds that counts, and the number of timings that their rates
// stand for, are exact at any rate, and that high rates do not cost many lines.
func TestManyRequests(t *testing.T) {
	const seconds = 3
	for _, tc := range []struct {
		perSecond, exact int
		lines            [2]int // a second, from and to
		rate             string
	}{
		{100, 5000, [2]int{200, 200}, ""},
		{4500, 5000, [2]int{9000, 9000}, ""},
		{50000, 5000, [2]int{5000, 10500}, "|@0.1"},
		{50000, 1000, [2]int{1000, 3500}, "|@0.02"},
		{20000, 0, [2]int{40000, 40000}, ""},
	} {
		t.Run(fmt.Sprintf("%d of %d", tc.perSecond, tc.exact), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				o := open(t, w, statsd.WithExactUpTo(tc.exact))
				time.Sleep(5 * time.Millisecond) // so that no batch coincides with a flush
				for i := range tc.perSecond * seconds {
					// Of eleven requests, one is of another bucket and one fails.
					switch i % 11 {
					case 3:
						o.Observe(sample(path("/rare")))
					case 7:
						o.Observe(sample(failed(loadgen.ClassReset)))
					default:
						o.Observe(sample())
					}
					if (i+1)%(tc.perSecond/100) == 0 {
						time.Sleep(10 * time.Millisecond)
					}
				}
				o.Close()
				sum := add(t, w.lines())
				const products, rare = "molotov.box.GET.opbeans./api/products", "molotov.box.GET.opbeans./rare"
				n := tc.perSecond * seconds
				others, fails := (n+7)/11, (n+3)/11
				assert.Equal(t, map[string]int{
					rare + ".200": others, products + ".err_reset": fails, products + ".200": n - others - fails,
				}, sum.counters)
				assert.InDelta(t, others, sum.timings[rare], 0.5)
				assert.InDelta(t, n-others-fails, sum.timings[products], 0.5)
				perSecond := len(w.lines()) / seconds
				assert.GreaterOrEqual(t, perSecond, tc.lines[0]*9/10)
				assert.LessOrEqual(t, perSecond, tc.lines[1])
				assert.Equal(t, tc.rate == "", !strings.Contains(strings.Join(w.lines(), "\n"), "|@"))
				assert.True(t, strings.HasSuffix(mostCommon(w.lines()), tc.rate))
			})
		})
	}
}

func TestManyBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ids, rounds = 20000, 3 // more than are kept
		w := newWire()
		o := open(t, w)
		for range rounds {
			for id := range ids {
				o.Observe(sample(path(fmt.Sprintf("/api/orders/%d", id))))
			}
			time.Sleep(time.Second)
		}
		o.Close()
		sum := add(t, w.lines())
		require.Len(t, sum.counters, ids)
		for name, n := range sum.counters {
			require.Equal(t, rounds, n, name)
		}
		assert.Zero(t, o.Dropped())
	})
}

// TestManyBucketsCostFewLines holds that what is added up is written once a second where
// it is much, and still whole.
func TestManyBucketsCostFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds, perSecond, ids = 4, 50_000, 2000
		w := newWire()
		o := open(t, w)
		for i := range seconds * perSecond {
			o.Observe(sample(path(fmt.Sprintf("/api/orders/%d", i%ids))))
			if i%(perSecond/100) == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		o.Close()
		assert.Less(t, len(w.lines())/seconds, 2*2*ids+5000, "a count and a timing of each, and what the limit allows")
		sum := add(t, w.lines())
		require.Len(t, sum.counters, ids)
		for name, n := range sum.counters {
			require.Equal(t, seconds*perSecond/ids, n, name)
		}
	})
}

func TestALineThatFitsNoDatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		for _, length := range []int{100, 65400, 65500, 70_000, 200} {
			o.Observe(sample(path("/" + strings.Repeat("x", length))))
		}
		o.Close()
		assert.Len(t, add(t, w.lines()).counters, 3)
		assert.EqualValues(t, 6, o.Sent())
		assert.EqualValues(t, 4, o.Dropped())
	})
}

// TestUseDuringClose is for the race detector.
func TestUseDuringClose(t *testing.T) {
	for range 20 {
		w := newWire()
		o := open(t, w, statsd.WithExactUpTo(100))
		m := loadgen.New()
		var users sync.WaitGroup
		users.Go(func() {
			for i := range 1000 {
				o.Observe(sample(path(fmt.Sprintf("/%d", i%7))))
			}
		})
		users.Go(func() { o.Watch(t.Context(), m) })
		users.Go(func() {
			_, _ = o.Sent(), o.Dropped()
			o.Close()
		})
		users.Go(o.Close)
		users.Wait()
		m.Close()
		assert.EqualValues(t, len(w.lines()), o.Sent())
	}
}

func TestBlockedNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200_000
		w := newWire()
		w.blocked = make(chan struct{})
		o := open(t, w)
		start := time.Now()
		for range n {
			o.Observe(sample())
		}
		assert.Equal(t, start, time.Now(), "nobody waits")
		time.Sleep(time.Minute)
		close(w.blocked)
		time.Sleep(time.Second)
		assert.Equal(t, n, add(t, w.lines()).counters["molotov.box.GET.opbeans./api/products.200"],
			"what is added up is not lost")
		o.Close()
	})
}

func TestCloseOfABlockedNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		w.blocked = make(chan struct{})
		o := open(t, w, statsd.WithExactUpTo(0))
		for range 50_000 {
			o.Observe(sample())
		}
		start := time.Now()
		o.Close()
		assert.LessOrEqual(t, time.Since(start), 2*time.Second)
		assert.EqualValues(t, 100_000, o.Dropped()+o.Sent(), "all is accounted for")
		assert.Zero(t, o.Sent())
		o.Observe(sample()) // is ignored
		o.Close()
	})
}

func TestFailingNetwork(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w)
		w.setFail(errors.New("connection refused"))
		for range 100 {
			o.Observe(sample())
			time.Sleep(200 * time.Millisecond)
		}
		assert.EqualValues(t, 200, o.Dropped())
		assert.InDelta(t, 4, w.dials, 1, "it connects again, but not at each failure")
		w.setFail(nil)
		o.Observe(sample())
		o.Close()
		assert.EqualValues(t, 2, o.Sent())
	})
	assert.Empty(t, logged.String(), "failures are counted, not logged")
}

func TestWrongSettings(t *testing.T) {
	for addr, want := range map[string]string{
		"":                      "not of the form",
		"tcp://localhost:8125":  "not of the form",
		"udp://":                "not of the form",
		"udp://localhost:x":     "not of the form",
		"udp://localhost:1/a":   "not of the form",
		"udp://localhost:99999": "is not from 1 to 65535",
	} {
		_, err := statsd.New(addr)
		assert.ErrorContains(t, err, want, addr)
	}
	for want, opt := range map[string]statsd.Option{
		"not \"dogstatsd\"": statsd.WithNames("dogstatsd"),
		"not 12":            statsd.WithMTU(12),
		"not 70000":         statsd.WithMTU(70000),
		"negative":          statsd.WithExactUpTo(-1),
	} {
		_, err := statsd.New("localhost", opt)
		assert.ErrorContains(t, err, want)
		_, err = statsd.NewBridge(opt)
		assert.ErrorContains(t, err, want)
	}
}

// In a compose file the server may come up, or get its name, after the load generator.
func TestAServerWhoseNameIsNotKnownYetIsReachedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		known := false
		dials := 0
		o, err := statsd.New("udp://stats-d:8125", statsd.WithHostname("box"), statsd.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials++; !known {
				return nil, errors.New("lookup stats-d: no such host")
			}
			return w.dial(ctx, network, addr)
		}))
		require.NoError(t, err)
		assert.ErrorContains(t, o.Unreached(), "no such host")
		for range 100 {
			o.Observe(sample())
			time.Sleep(200 * time.Millisecond)
		}
		assert.InDelta(t, 5, dials, 1, "not at each line")
		assert.EqualValues(t, 200, o.Dropped())
		known = true
		for range 50 {
			o.Observe(sample())
			time.Sleep(200 * time.Millisecond)
		}
		assert.NoError(t, o.Unreached())
		o.Close()
		assert.Positive(t, o.Sent())
		assert.EqualValues(t, 300, o.Sent()+o.Dropped())
	})
}
