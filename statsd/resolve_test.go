package statsd_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// resolve knows the host of the usual sample alone.
func resolve(_ context.Context, host string) (netip.Addr, error) {
	if host != "opbeans" {
		return netip.Addr{}, errors.New("no such host")
	}
	return netip.MustParseAddr("172.18.0.5"), nil
}

// TestRequestsWaitForAnAddress holds that nobody waits for a lookup, and that what
// came during it is written when it is over.
func TestRequestsWaitForAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w, statsd.WithNames(statsd.NamesMolotovIP),
			statsd.WithResolver(func(ctx context.Context, host string) (netip.Addr, error) {
				time.Sleep(time.Second)
				return resolve(ctx, host)
			}))
		defer o.Close()
		start := time.Now()
		for range 10_000 {
			o.Observe(sample())
		}
		assert.Equal(t, start, time.Now())
		time.Sleep(500 * time.Millisecond)
		assert.Empty(t, w.lines())
		time.Sleep(time.Second)
		const bounded = 8192
		assert.Equal(t, map[string]int{"molotov.box.GET.172.18.0.5./api/products.200": bounded}, add(t, w.lines()).counters)
		assert.EqualValues(t, 10_000-bounded, o.Dropped())
	})
}

func TestAnAddressThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := time.Now().Add(15 * time.Second)
		lookups := 0
		w := newWire()
		o := open(t, w, statsd.WithNames(statsd.NamesMolotovIP),
			statsd.WithResolver(func(ctx context.Context, host string) (netip.Addr, error) {
				lookups++
				if time.Now().Before(known) {
					return netip.Addr{}, errors.New("no such host")
				}
				return resolve(ctx, host)
			}))
		for range 300 {
			o.Observe(sample())
			time.Sleep(100 * time.Millisecond)
		}
		o.Close()
		sum := add(t, w.lines()).counters
		named, resolved := sum["molotov.box.GET.opbeans./api/products.200"], sum["molotov.box.GET.172.18.0.5./api/products.200"]
		assert.Equal(t, 300, named+resolved)
		assert.InDelta(t, 200, named, 3)
		assert.Equal(t, 3, lookups)
	})
}

func TestCloseDuringALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w, statsd.WithNames(statsd.NamesMolotovIP),
			statsd.WithResolver(func(ctx context.Context, _ string) (netip.Addr, error) {
				<-ctx.Done()
				return netip.Addr{}, ctx.Err()
			}))
		start := time.Now()
		o.Observe(sample())
		o.Close()
		assert.Equal(t, start, time.Now())
		assert.Equal(t, "molotov.box.GET.opbeans./api/products:12|ms", strings.Join(w.lines()[:1], ""))
	})
}

// TestTheAddressThatRequestsReach holds that the address of a connection wins over a
// lookup, that it also names what gets nowhere, that a host which moves is followed, and
// that one of several addresses is kept for a while.
func TestTheAddressThatRequestsReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		o := open(t, w, statsd.WithNames(statsd.NamesMolotovIP), statsd.WithResolver(
			func(context.Context, string) (netip.Addr, error) { return netip.Addr{}, errors.New("no such host") }))
		at := func(addr string, change ...func(*loadgen.Sample)) {
			o.Observe(sample(append(change, func(s *loadgen.Sample) { s.Remote = netip.MustParseAddr(addr) })...))
		}
		o.Observe(sample(failed(loadgen.ClassDial))) // before anything is known
		synctest.Wait()
		at("10.0.0.1")
		o.Observe(sample(failed(loadgen.ClassDial)))
		for range 10 { // by turns
			at("10.0.0.2")
			at("10.0.0.1")
		}
		time.Sleep(time.Minute)
		at("10.0.0.3")
		o.Observe(sample(failed(loadgen.ClassDial)))
		at("2001:db8::1", host("six.test"))
		at("10.0.0.9", host("10.0.0.4:80")) // by a route of its own
		synctest.Wait()
		o.Close()
		assert.Equal(t, map[string]int{
			"molotov.box.GET.opbeans./api/products.err_dial":  1,
			"molotov.box.GET.10.0.0.1./api/products.200":      21,
			"molotov.box.GET.10.0.0.1./api/products.err_dial": 1,
			"molotov.box.GET.10.0.0.3./api/products.200":      1,
			"molotov.box.GET.10.0.0.3./api/products.err_dial": 1,
			"molotov.box.GET.six.test./api/products.200":      1,
			"molotov.box.GET.10.0.0.4./api/products.200":      1,
		}, add(t, w.lines()).counters)
		assert.Zero(t, o.Dropped())
	})
}

// TestPathsAreBounded holds that ids do not make buckets without end.
func TestPathsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ids, bound = 30_000, 8000
		w := newWire()
		o := open(t, w, statsd.WithNames(statsd.NamesMolotovIP), statsd.WithResolver(resolve))
		o.Observe(sample(path("/first")))
		synctest.Wait()
		for id := range ids {
			o.Observe(sample(path(fmt.Sprintf("/api/orders/%d", id))))
		}
		o.Observe(sample(path("/first")))
		o.Close()
		sum := add(t, w.lines()).counters
		assert.Len(t, sum, bound+1)
		assert.Equal(t, ids+1-bound, sum["molotov.box.GET.172.18.0.5.(other).200"])
		assert.Equal(t, 2, sum["molotov.box.GET.172.18.0.5./first.200"])
	})
}
