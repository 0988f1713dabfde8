package loadgen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/faultnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// faultCase is a way in which a target fails while a job runs.
type faultCase struct {
	fault   faultnet.Fault
	classes []ErrorClass // that it may be counted as; none for no failure at all
	begin   func(s *faultnet.Server)
	end     func(t *testing.T, s *faultnet.Server)
}

const (
	faultWorkers  = 4
	faultTimeout  = 500 * time.Millisecond // where the fault is that nothing comes; else
	faultPatience = 20 * time.Second
	// faultSlack is what a machine that does much else may add to a timeout.
	faultSlack = 5 * time.Second
	faultHeap  = 64 << 20
)

// Whatever a target does, it is counted as what it is, no VU waits longer than its
// timeout, memory stays bounded, and the job goes on as before when the target does.
func TestFaults(t *testing.T) {
	cases := []faultCase{
		// The reset may come before connect returns.
		{fault: faultnet.ResetAtAccept, classes: []ErrorClass{ClassReset, ClassDial}},
		{fault: faultnet.ResetMidHeader, classes: []ErrorClass{ClassReset}},
		{fault: faultnet.ResetMidBody, classes: []ErrorClass{ClassReset}},
		{fault: faultnet.CloseMidBody, classes: []ErrorClass{ClassReset}},
		{fault: faultnet.HalfClose, classes: []ErrorClass{ClassReset}},
		{fault: faultnet.Surplus},
		{fault: faultnet.Stall, classes: []ErrorClass{ClassTimeout}},
		{fault: faultnet.StallMidBody, classes: []ErrorClass{ClassTimeout}},
		{fault: faultnet.Drip, classes: []ErrorClass{ClassTimeout}},
		{fault: faultnet.Garbage, classes: []ErrorClass{ClassProtocol}},
		{fault: faultnet.EndlessHeader, classes: []ErrorClass{ClassProtocol}},
		{fault: faultnet.EndlessBody, classes: []ErrorClass{ClassProtocol}},
		{fault: faultnet.Flood1xx, classes: []ErrorClass{ClassProtocol}},
		{fault: faultnet.Redirects, classes: []ErrorClass{ClassProtocol}},
		// A connection that is there when the fault begins is reset.
		{fault: faultnet.TLSPlain, classes: []ErrorClass{ClassTLS, ClassReset}},
		{fault: faultnet.TLSReset, classes: []ErrorClass{ClassTLS, ClassReset}},
		{fault: faultnet.TLSName, classes: []ErrorClass{ClassTLS, ClassReset}},
		{
			// A connection that is cut while it is used is a reset, too.
			fault: "port closed and reopened", classes: []ErrorClass{ClassDial, ClassReset},
			begin: func(s *faultnet.Server) { s.Shut() },
			end:   func(t *testing.T, s *faultnet.Server) { require.NoError(t, s.Open()) },
		},
	}
	for _, c := range cases {
		for _, reuse := range []string{"vu", "none"} {
			t.Run(string(c.fault)+"/"+reuse, func(t *testing.T) {
				t.Parallel()
				c.test(t, reuse)
			})
		}
	}
}

func (c faultCase) test(t *testing.T, reuse string) {
	s, opts := faultServer(t, c.fault)
	if c.begin == nil {
		c.begin = func(s *faultnet.Server) { s.Set(c.fault) }
		c.end = func(_ *testing.T, s *faultnet.Server) { s.Set(faultnet.None) }
	}
	m := New(opts...)
	defer m.Close()
	j := faultJob(t, m, s.URL(), reuse, c.classes...)
	suffer(t, j, c.classes, func() { c.begin(s) }, func() { c.end(t, s) })
}

// Names that cannot be looked up for a while.
func TestFaultOfDNS(t *testing.T) {
	s, _ := faultServer(t, faultnet.None)
	dns := testtarget.ServeDNS(t, map[string][]string{"shop.test.": {"127.0.0.1"}})
	m := New()
	m.env.Resolver.R = dns.Resolver()
	defer m.Close()
	_, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	j := faultJob(t, m, "http://shop.test:"+port, "none")
	suffer(t, j, []ErrorClass{ClassDial}, func() {
		dns.Mu.Lock()
		delete(dns.Names, "shop.test.")
		dns.Mu.Unlock()
	}, func() { dns.Set("shop.test.", "127.0.0.1") })
}

// A target that redirects a hundred thousand times costs a request ten hops, not more.
func TestFaultOfRedirectsIsBounded(t *testing.T) {
	s, _ := faultServer(t, faultnet.None)
	s.Set(faultnet.Redirects)
	snap, err := Run(t.Context(), JobConfig{Scenario: visiting(), BaseURL: s.URL(), MaxIterations: 10})
	require.NoError(t, err)
	assert.Equal(t, uint64(10), snap.FailedIterations)
	assert.Equal(t, uint64(10*(client.MaxRedirects+1)), s.Requests())
	assert.Equal(t, s.Requests(), snap.Requests, "each hop is a request")
}

func visiting() *Scenario {
	return NewScenario("visit").Task("visit", 1, func(ctx context.Context, vu *VU) error { return vu.Get(ctx, "/0") })
}

// faultServer returns a server, with TLS if the fault is of that, and how to reach it.
func faultServer(t *testing.T, f faultnet.Fault) (*faultnet.Server, []Option) {
	t.Helper()
	var s *faultnet.Server
	var opts []Option
	var err error
	switch f {
	case faultnet.TLSPlain, faultnet.TLSReset, faultnet.TLSName:
		ca := testtarget.NewAuthority(t, "test")
		good := ca.Issue("server")
		der, key := ca.Sign("other.test", &x509.Certificate{DNSNames: []string{"other.test"}})
		wrong := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		s, err = faultnet.NewTLS(&good, &wrong)
		opts = append(opts, WithTLSConfig(&tls.Config{RootCAs: ca.Pool()}))
	default:
		s, err = faultnet.New()
	}
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, opts
}

func faultJob(t *testing.T, m *Manager, url, reuse string, classes ...ErrorClass) *Job {
	t.Helper()
	timeout := faultPatience
	if slices.Contains(classes, ClassTimeout) {
		timeout = faultTimeout
	}
	j, err := m.Start(t.Context(), JobConfig{
		Name: "job", Scenario: visiting(), BaseURL: url, Workers: faultWorkers, Delay: time.Millisecond,
		Client: ClientConfig{Timeout: timeout, ConnectTimeout: timeout, MaxBody: 1 << 20, DNSTTL: Off, Reuse: Reuse(reuse)},
		Grace:  time.Second,
	})
	require.NoError(t, err)
	return j
}

// suffer takes a job through a fault.
func suffer(t *testing.T, j *Job, classes []ErrorClass, begin, end func()) {
	t.Helper()
	await := func(what string, is func(s *Snapshot) bool) *Snapshot {
		t.Helper()
		var s *Snapshot
		require.Eventually(t, func() bool {
			s = j.Snapshot()
			return is(s)
		}, 30*time.Second, time.Millisecond, what)
		return s
	}
	good := func(s *Snapshot) uint64 { return s.Iterations - s.FailedIterations }

	healthy := await("the job does its work", func(s *Snapshot) bool { return good(s) >= 50 })
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin()
	await("the fault shows", func(s *Snapshot) bool {
		if runtime.ReadMemStats(&during); during.HeapInuse > before.HeapInuse+faultHeap {
			assert.Fail(t, "memory grows", "%d MiB", (during.HeapInuse-before.HeapInuse)>>20)
		}
		if len(classes) == 0 {
			return good(s) >= good(healthy)+50
		}
		return s.FailedIterations >= 5*faultWorkers
	})
	end()
	ended := j.Snapshot()
	recovered := await("the job recovers", func(s *Snapshot) bool { return good(s) >= good(ended)+50 })

	total := uint64(0)
	for class, e := range recovered.Errors {
		assert.Contains(t, classes, class, "%d times: %s", e.Count, e.Sample)
		total += e.Count
	}
	assert.Equal(t, recovered.FailedRequests, total, "each is counted once")
	if len(classes) > 0 {
		assert.NotZero(t, recovered.Errors[classes[0]].Count, "%v", recovered.Errors)
	}
	assert.Less(t, recovered.Response.Max(), faultTimeout+faultSlack, "no VU is stuck")
	j.Stop()
	require.NoError(t, j.Wait(t.Context()))
	last := j.Snapshot()
	assert.Zero(t, last.VUs)
	assert.Equal(t, last.Iterations, last.Response.Count(), fmt.Sprint(last.Interrupted, " interrupted"))
}
