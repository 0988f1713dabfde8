package socketio

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/socket"
)

// BenchmarkStats is one second of statistics of one job, to clients over WebSockets
// on loopback, until the last has read it. The reading, by clients that do no more
// than that, is included. An operation a second is what a Server does, so that 10 ms
// per operation are at most 1 % of each core.
func BenchmarkStats(b *testing.B) {
	for _, clients := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkStats(b, clients) })
	}
}

func benchmarkStats(b *testing.B, clients int) {
	m := loadgen.New()
	defer m.Close()
	var f *feed
	l := listener{&f}
	server := socket.New(engine.Config{
		Allow:        func(*http.Request) bool { return true },
		PingInterval: time.Hour, PingTimeout: time.Hour, UpgradeTimeout: time.Hour,
		MaxPayload: 1000, MaxSessions: clients, MaxQueue: 100, MaxQueueBytes: 1 << 20,
	}, l)
	defer server.Close()
	ts := httptest.NewServer(server)
	defer ts.Close()
	require.NoError(b, l.start(m, "shop"))
	f = newFeed(m, server, slog.New(slog.DiscardHandler))
	var received atomic.Int64
	for range clients {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", ts.Listener.Addr().String())
		require.NoError(b, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\nHost: x\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		require.NoError(b, err)
		go count(conn, &received)
	}
	frames := int64(clients * 3) // handshake, connection, job
	wait := func() {
		for received.Load() < frames {
			<-time.After(50 * time.Microsecond)
		}
	}
	wait()
	f.stats() // the first only begins an interval
	b.ReportAllocs()
	for b.Loop() {
		f.stats()
		frames += int64(clients)
		wait()
	}
}

// count counts the frames that a connection brings.
func count(conn net.Conn, n *atomic.Int64) {
	r := bufio.NewReader(conn)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	var head [4]byte
	for {
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return
		}
		size := int(head[1])
		if size == 126 {
			if _, err := io.ReadFull(r, head[2:]); err != nil {
				return
			}
			size = int(head[2])<<8 | int(head[3])
		}
		if _, err := r.Discard(size); err != nil {
			return
		}
		n.Add(1)
	}
}
