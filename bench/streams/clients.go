package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// audience is clients that listen.
type audience struct {
	conns []*websocket.Conn
	work  sync.WaitGroup

	mu     sync.Mutex
	counts bool
	late   []time.Duration // how long after its making each message came
}

// connect connects n clients, one after the other.
func connect(ctx context.Context, addr string, n int) (*audience, error) {
	a := &audience{}
	for range n {
		conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/socket.io/?EIO=4&transport=websocket", nil) //nolint:bodyclose // Dial does so
		if err == nil {
			err = conn.Write(ctx, websocket.MessageText, []byte("40"))
		}
		if err != nil {
			a.close()
			return nil, fmt.Errorf("client %d of %d: %w", len(a.conns)+1, n, err)
		}
		conn.SetReadLimit(1 << 20)
		a.conns = append(a.conns, conn)
		a.work.Go(func() { a.listen(ctx, conn) })
	}
	return a, nil
}

// listen reads what a client is told, and answers pings.
func (a *audience) listen(ctx context.Context, conn *websocket.Conn) {
	for {
		_, text, err := conn.Read(ctx)
		switch {
		case err != nil:
			return // closed by either side
		case string(text) == "2":
			if conn.Write(ctx, websocket.MessageText, []byte("3")) != nil {
				return
			}
		case bytes.HasPrefix(text, []byte(`42["stats",`)):
			a.count(text)
		}
	}
}

func (a *audience) count(text []byte) {
	now := time.Now()
	var event []json.RawMessage
	var stats struct{ Time time.Time }
	if json.Unmarshal(text[2:], &event) != nil || json.Unmarshal(event[1], &stats) != nil {
		return // which shows in the number of messages
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts {
		a.late = append(a.late, now.Sub(stats.Time))
	}
}

// begin begins to count.
func (a *audience) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts, a.late = true, nil
}

// end ends that, and returns how late each message was.
func (a *audience) end() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts = false
	return a.late
}

func (a *audience) close() {
	for _, c := range a.conns {
		_ = c.CloseNow()
	}
	a.work.Wait()
}
