package engine_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/testclient"
)

// sessions is an engine's receiving side that sends everybody everything.
type sessions struct {
	mu   sync.Mutex
	open map[*engine.Session]bool
}

type member struct {
	all *sessions
	s   *engine.Session
}

func (a *sessions) add(s *engine.Session) engine.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[s] = true
	return member{a, s}
}

func (m member) Receive(text string) error {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	for s := range m.all.open {
		_ = s.Send(engine.NewFrame(text), len(text)%2 == 0)
	}
	return nil
}

func (m member) Closed(string) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	delete(m.all.open, m.s)
}

// TestStorm has clients come, talk, upgrade and vanish at every point, over real
// connections. Nothing may be left of them: no session, and no goroutine.
func TestStorm(t *testing.T) {
	before := runtime.NumGoroutine()
	all := &sessions{open: map[*engine.Session]bool{}}
	srv := engine.New(engine.Config{
		Open: all.add, Allow: func(*http.Request) bool { return true },
		PingInterval: 200 * time.Millisecond, PingTimeout: 200 * time.Millisecond, UpgradeTimeout: 200 * time.Millisecond,
		MaxPayload: 1000, MaxSessions: 1000, MaxQueue: 100, MaxQueueBytes: 10_000,
	})
	ts := httptest.NewServer(srv)
	var storm sync.WaitGroup
	for worker := range 24 {
		storm.Go(func() {
			for round := range 15 {
				c := testclient.New(3+(worker+round)%2, (&net.Dialer{}).DialContext)
				c.URL = ts.URL
				visit(t.Context(), c, worker*15+round)
				c.Close()
			}
		})
	}
	storm.Wait()
	assert.Eventually(t, func() bool { return srv.Sessions() == 0 }, time.Minute, 5*time.Millisecond)
	srv.Close()
	assert.Empty(t, all.open)
	ts.Close()
	const own = 1 // on which the condition runs
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+own }, time.Minute, 5*time.Millisecond)
}

// visit is one client's short life; what fails in it is of no interest.
func visit(ctx context.Context, c *testclient.Client, n int) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+n%20)*time.Millisecond)
	defer cancel()
	if n%3 == 0 {
		ws, err := c.Dial(ctx)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		_ = ws.Write(ctx, websocket.MessageText, []byte("4hello"))
		_, _, _ = ws.Read(ctx)
		if n%2 == 0 {
			_ = ws.Close(websocket.StatusNormalClosure, "")
		}
		return
	}
	if _, err := c.Poll(ctx); err != nil {
		return
	}
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() {
		for i := 0; i < 5 && ctx.Err() == nil; i++ {
			_ = c.Post(ctx, "4message", "4"+string(rune('a'+i)))
		}
		if n%7 == 0 {
			_ = c.Post(ctx, "1")
		}
	})
	if n%4 == 0 {
		_ = c.Upgrade(ctx)
	}
	for ctx.Err() == nil {
		if _, err := c.Poll(ctx); err != nil {
			return
		}
	}
}
