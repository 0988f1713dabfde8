package engine_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/testclient"
)

// kit is an engine on a network in memory, and what its sessions have received.
type kit struct {
	t      *testing.T
	srv    *engine.Server
	dial   memnet.DialFunc
	cfg    engine.Config
	echo   bool // send back what was received
	opened func(*engine.Session)

	mu       sync.Mutex
	sessions []*engine.Session
	received []string
	reasons  []string
}

type conn struct {
	k *kit
	s *engine.Session
}

func (c conn) Receive(text string) error {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.k.received = append(c.k.received, text)
	if c.k.echo {
		return c.s.Send(engine.NewFrame(text), false)
	}
	return nil
}

func (c conn) Closed(reason string) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.k.reasons = append(c.k.reasons, reason)
}

// newKit is for a synctest bubble, which fails the test if a goroutine is left.
func newKit(t *testing.T, adjust ...func(*kit)) *kit {
	t.Helper()
	k := &kit{t: t, cfg: engine.Config{
		Allow:        func(r *http.Request) bool { return r.Header.Get("Origin") != "http://evil.example" },
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, UpgradeTimeout: 10 * time.Second,
		MaxPayload: 1000, MaxSessions: 100, MaxQueue: 2000, MaxQueueBytes: 1 << 20,
	}}
	k.cfg.Open = func(s *engine.Session) engine.Conn {
		k.mu.Lock()
		k.sessions = append(k.sessions, s)
		k.mu.Unlock()
		if k.opened != nil {
			k.opened(s)
		}
		return conn{k, s}
	}
	for _, f := range adjust {
		f(k)
	}
	k.srv = engine.New(k.cfg)
	dial, stop := memnet.Serve(k.srv)
	k.dial = dial
	t.Cleanup(func() {
		k.srv.Close()
		stop()
	})
	return k
}

func (k *kit) client(version int) *testclient.Client {
	c := testclient.New(version, k.dial)
	k.t.Cleanup(c.Close)
	return c
}

// open begins a session by polling.
func (k *kit) open(version int) (*testclient.Client, *engine.Session) {
	k.t.Helper()
	c := k.client(version)
	_, err := c.Poll(k.t.Context())
	require.NoError(k.t, err)
	k.mu.Lock()
	defer k.mu.Unlock()
	return c, k.sessions[len(k.sessions)-1]
}

func (k *kit) got() []string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.received...)
}

func (k *kit) closed() []string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.reasons...)
}

// bubble runs a test in virtual time, for both protocols.
func bubble(t *testing.T, test func(t *testing.T, version int)) {
	t.Helper()
	for _, version := range []int{3, 4} {
		t.Run("protocol "+strconv.Itoa(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, version) })
		})
	}
}

// pass lets virtual time pass.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	synctest.Wait()
}

func numbered(i int) string { return "message " + strconv.Itoa(i) }
