package client

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// The first look-up of a process makes a channel in package net, for all later ones. Made
// in a bubble of synctest, nobody outside of it could use that.
func init() { _, _ = net.DefaultResolver.LookupHost(context.Background(), "localhost") }

// resolving runs f in virtual time, with a server of DNS on a network in memory.
func resolving(t *testing.T, f func(t *testing.T, s *testtarget.DNS, r *resolver)) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("dns:53")
		require.NoError(t, err)
		s := testtarget.NewDNS(map[string][]string{}, func(ctx context.Context, _, _ string) (net.Conn, error) {
			return network.DialContext(ctx, "tcp", "dns:53")
		})

		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { s.ServeConn(c) })
			}
		})
		f(t, s, &resolver{R: s.Resolver()})
		_ = l.Close()
		wg.Wait()
	})
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestNamesAreRememberedForTheirTime(t *testing.T) {
	resolving(t, func(t *testing.T, s *testtarget.DNS, r *resolver) {
		s.Set("shop.test.", "10.0.0.1")
		ask := func(ttl time.Duration) []netip.Addr {
			got, err := r.addresses(t.Context(), "shop.test", ttl)
			require.NoError(t, err)
			return got
		}
		assert.Equal(t, addrs("10.0.0.1"), ask(time.Minute))
		s.Set("shop.test.", "10.0.0.2")
		time.Sleep(time.Minute - time.Nanosecond)
		assert.Equal(t, addrs("10.0.0.1"), ask(time.Minute))
		time.Sleep(time.Nanosecond)
		assert.Equal(t, addrs("10.0.0.1"), ask(time.Hour), "a job may be content with older answers")
		assert.Equal(t, addrs("10.0.0.2"), ask(time.Minute))
		s.Set("shop.test.", "10.0.0.3")
		assert.Equal(t, addrs("10.0.0.3"), ask(noCache))
		assert.Equal(t, 3, s.Times("shop.test."))
	})
}

func TestManyWhoAskCauseOneQuestion(t *testing.T) {
	resolving(t, func(t *testing.T, s *testtarget.DNS, r *resolver) {
		s.Set("shop.test.", "10.0.0.1", "10.0.0.2", "fd00::1")
		var wg sync.WaitGroup
		var mu sync.Mutex
		first := map[string]int{}
		for range 1000 {
			wg.Go(func() {
				got, err := r.addresses(context.Background(), "shop.test", time.Minute)
				if assert.NoError(t, err) && assert.Len(t, got, 3) {
					mu.Lock()
					defer mu.Unlock()
					first[got[0].String()]++
				}
			})
		}
		wg.Wait()
		assert.Equal(t, 1, s.Times("shop.test."))
		if len(first) != 1 { // 1: the system prefers IPv6, of which there is one
			assert.Equal(t, map[string]int{"10.0.0.1": 500, "10.0.0.2": 500}, first)
		}
	})
}

func TestWhoGivesUpSpoilsNothingForOthers(t *testing.T) {
	resolving(t, func(t *testing.T, s *testtarget.DNS, r *resolver) {
		s.Set("shop.test.", "10.0.0.1")
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.addresses(ctx, "shop.test", time.Minute)
			assert.Error(t, err)
		})
		synctest.Wait()
		got, err := r.addresses(t.Context(), "shop.test", time.Minute)
		require.NoError(t, err)
		assert.Equal(t, addrs("10.0.0.1"), got)
		wg.Wait()
	})
}

func TestFailedLookups(t *testing.T) {
	resolving(t, func(t *testing.T, s *testtarget.DNS, r *resolver) {
		_, err := r.addresses(t.Context(), "nobody.test", time.Hour)
		require.Error(t, err)
		s.Set("nobody.test.", "10.0.0.1")
		_, err = r.addresses(t.Context(), "nobody.test", time.Hour)
		require.NoError(t, err, "a failure is not remembered")
		for range 2 * maxHosts {
			s.Set("x.test.", "10.0.0.1")
			_, _ = r.lookup(time.Now().String(), 0)
			time.Sleep(time.Nanosecond)
		}
		assert.LessOrEqual(t, len(r.hosts), maxHosts, "memory is bounded")
	})
}

func TestRotation(t *testing.T) {
	all := addrs("10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3")
	assert.Equal(t, addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"), rotate(all, 0))
	assert.Equal(t, addrs("10.0.0.2", "10.0.0.3", "10.0.0.1", "fd00::1"), rotate(all, 1))
	assert.Equal(t, addrs("10.0.0.2", "10.0.0.3", "10.0.0.1", "fd00::1"), rotate(all, 4))
	assert.Equal(t, addrs("fd00::1", "10.0.0.1"), rotate(addrs("fd00::1", "10.0.0.1"), 1))
}

// TestConnectionsGoToAllAddressesOfAName: on real sockets, with 127.0.0.1 and others.
func TestConnectionsGoToAllAddressesOfAName(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(first.Addr().String())
	second, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Log("this system has no 127.0.0.2:", err)
		_ = first.Close()
		return
	}
	for _, l := range []net.Listener{first, second} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()+" "+r.Host)
		}))
		_ = srv.Listener.Close()
		srv.Listener = l
		srv.Start()
		defer srv.Close()
	}
	// Nobody listens at the third.
	dns := testtarget.ServeDNS(t, map[string][]string{"shop.test.": {"127.0.0.1", "127.0.0.2", "127.0.0.3"}})
	rig := newRig(t, testConfig{BaseURL: "http://shop.test:" + port, Config: Config{Reuse: "none"}}, withResolver(dns.Resolver()))
	got := map[string]int{}
	for range 9 {
		body := string(rig.mustDo(testRequest{URL: "/"}).Body)
		addr, host, _ := strings.Cut(body, " ")
		assert.Equal(t, "shop.test:"+port, host)
		got[strings.TrimSuffix(addr, ":"+port)]++
	}
	assert.Equal(t, 9, got["127.0.0.1"]+got["127.0.0.2"])
	assert.Positive(t, got["127.0.0.1"])
	assert.Positive(t, got["127.0.0.2"])
	assert.Equal(t, 1, dns.Times("shop.test."), "the name is looked up once")
	assert.Zero(t, rig.totals().FailedRequests, "who does not answer is passed over")

	rig.aim(testConfig{BaseURL: "http://shop.test:" + port, Config: Config{Reuse: "none", DNSTTL: noCache}})
	for range 3 {
		rig.mustDo(testRequest{URL: "/"})
	}
	assert.Equal(t, 4, dns.Times("shop.test."))

	dns.Set("gone.test.", "127.0.0.3")
	_, err = rig.do(testRequest{URL: "http://gone.test:" + port})
	classIs(t, err, failure.Dial, "refused")
	_, err = rig.do(testRequest{URL: "http://nobody.test:" + port})
	classIs(t, err, failure.Dial, "no such host")
}
