package statsd

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/origins"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/socket"
)

// Limits and times of a [BridgeServer].
const (
	// BridgeInterval is what each message covers.
	BridgeInterval = 5 * time.Second
	// MaxBridgeStats is how many different stats may be subscribed to, by all
	// clients together.
	MaxBridgeStats = 200
	// DefaultBridgeSessions is how many clients may be connected, unless
	// [WithMaxSessions] says otherwise.
	DefaultBridgeSessions = 1000

	maxStatLen = 1000 // bytes

	bridgePing      = 25 * time.Second
	bridgePatience  = 20 * time.Second
	bridgeUpgrade   = 10 * time.Second
	bridgePayload   = 64 << 10
	bridgeQueue     = 1024
	bridgeQueueSize = 32 << 20 // messages are shared by all clients

	roomClients = "clients"
	roomStat    = "stat:" // and its name
)

// BridgeServer is an [http.Handler] that shows a [Bridge] to Socket.IO clients, as the
// StatsD container of the suite does with a backend of its StatsD server. Clients of
// every generation connect with their defaults.
//
//   - subscribe STAT is acknowledged with "subscribed STAT". STAT is all, a path such
//     as counters.molotov.host, or a path with asterisks; see [Interval.Select].
//   - unsubscribe STAT is acknowledged with "unsubscribed STAT", or "not subscribed to
//     STAT".
//   - Every five seconds each client gets timestamp (Unix time in seconds), and each
//     subscriber an event by the name of its STAT with the value of that interval,
//     null if there is none.
//
// A client that does not keep up misses intervals, and holds up nobody. Methods are
// safe for concurrent use. A BridgeServer must be closed, before its Bridge.
type BridgeServer struct {
	bridge *Bridge
	socket *socket.Server
	stop   chan struct{}
	once   sync.Once
	work   sync.WaitGroup
}

// BridgeOption configures a [BridgeServer].
type BridgeOption func(*bridgeSettings)

type bridgeSettings struct {
	origins  origins.List
	sessions int
}

// WithOrigins sets the origins whose pages may connect from a browser, for instance
// "http://example.com:9000". A port of * stands for any port or none, and the origin
// * for any origin. Without this option these are localhost, 127.0.0.1 and [::1] on
// any port.
func WithOrigins(patterns ...string) BridgeOption {
	return func(s *bridgeSettings) { s.origins = origins.Parse(patterns...) }
}

// WithMaxSessions sets how many clients may be connected; more are refused with
// status 503.
func WithMaxSessions(n int) BridgeOption { return func(s *bridgeSettings) { s.sessions = n } }

// NewBridgeServer returns a server that takes b's intervals; nobody else can do so at
// the same time. It is to be mounted under /socket.io/, where clients look for it; it
// does not look at the path itself.
func NewBridgeServer(b *Bridge, opts ...BridgeOption) *BridgeServer {
	set := bridgeSettings{origins: origins.Local(), sessions: DefaultBridgeSessions}
	for _, opt := range opts {
		opt(&set)
	}
	s := &BridgeServer{bridge: b, stop: make(chan struct{})}
	s.socket = socket.New(engine.Config{
		Allow:        func(r *http.Request) bool { return !set.origins.Foreign(r) },
		PingInterval: bridgePing, PingTimeout: bridgePatience, UpgradeTimeout: bridgeUpgrade,
		MaxPayload: bridgePayload, MaxSessions: set.sessions,
		MaxQueue: bridgeQueue, MaxQueueBytes: bridgeQueueSize,
	}, bridgeHandler{s})
	s.work.Go(s.run)
	return s
}

// ServeHTTP serves one request of a client, which takes as long as there is nothing to
// tell, or as a WebSocket is open.
func (s *BridgeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.socket.ServeHTTP(w, r) }

// Sessions is how many clients are connected, or about to be.
func (s *BridgeServer) Sessions() int { return s.socket.Sessions() }

// Close tells all clients that the server stops, and returns when no goroutine of it is
// left, which takes a second at most. Later requests are refused. Closing twice is fine.
func (s *BridgeServer) Close() {
	s.once.Do(func() { close(s.stop) })
	s.work.Wait()
	s.socket.Close()
}

// run tells of each interval.
func (s *BridgeServer) run() {
	ticker := time.NewTicker(BridgeInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.tell(now, s.bridge.Take())
		case <-s.stop:
			return
		}
	}
}

// tell sends an interval to who wants it.
func (s *BridgeServer) tell(now time.Time, v Interval) {
	var rooms []string
	s.socket.Together(func(r *socket.Rooms) { rooms = r.Names() })
	send := func(name string, arg any, room string) {
		m, err := socket.NewMessage(name, arg)
		if err != nil {
			return // there are numbers and texts alone, which can be written
		}
		s.socket.Together(func(r *socket.Rooms) { r.Broadcast(m, true, room) })
	}
	send("timestamp", now.Unix(), roomClients)
	for _, room := range rooms {
		if stat, ok := strings.CutPrefix(room, roomStat); ok {
			send(stat, v.Select(stat), room)
		}
	}
}

// bridgeHandler is what the socket layer calls.
type bridgeHandler struct{ s *BridgeServer }

func (h bridgeHandler) Connect(c *socket.Socket) {
	h.s.socket.Together(func(r *socket.Rooms) { r.Join(c, roomClients) })
}

func (h bridgeHandler) Disconnect(*socket.Socket, string) {}

func (h bridgeHandler) Event(c *socket.Socket, e socket.Event) {
	answer := "there are subscribe and unsubscribe alone"
	if e.Name == "subscribe" || e.Name == "unsubscribe" {
		var stat string
		switch {
		case len(e.Args) == 0 || json.Unmarshal(e.Args[0], &stat) != nil || stat == "" || len(stat) > maxStatLen:
			answer = "name what to " + e.Name + ": all, or a path such as counters.molotov"
		case e.Name == "subscribe":
			answer = h.s.subscribe(c, stat)
		default:
			answer = h.s.unsubscribe(c, stat)
		}
	}
	if e.Ack != nil {
		e.Ack(answer)
	}
}

// subscribe has a client told of a stat, and returns the answer to that.
func (s *BridgeServer) subscribe(c *socket.Socket, stat string) (answer string) {
	s.socket.Together(func(r *socket.Rooms) {
		if r.Empty(roomStat+stat) && len(r.Names()) > MaxBridgeStats { // with that of all clients
			answer = "not subscribed to " + stat + ": there are too many subscriptions"
			return
		}
		r.Join(c, roomStat+stat)
		answer = "subscribed " + stat
	})
	return answer
}

// unsubscribe is the opposite of subscribe.
func (s *BridgeServer) unsubscribe(c *socket.Socket, stat string) (answer string) {
	answer = "not subscribed to " + stat
	s.socket.Together(func(r *socket.Rooms) {
		if slices.Contains(r.Of(c), roomStat+stat) {
			r.Leave(c, roomStat+stat)
			answer = "unsubscribed " + stat
		}
	})
	return answer
}
