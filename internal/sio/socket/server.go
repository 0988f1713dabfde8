// Package socket is a server of Socket.IO: the default namespace, events and
// acknowledgements in both directions, and rooms, for the clients of every
// generation since 2.x.
package socket

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/sio/engine"
)

// connectTimeout is how long a client has to connect to the namespace.
const connectTimeout = 45 * time.Second

// Handler is told what clients do.
type Handler interface {
	// Connect is called before any event of the socket, and must not wait.
	Connect(*Socket)
	// Event is called for the events of a socket one after the other. Events that
	// came before the end of the connection are handled also when it has ended.
	Event(*Socket, Event)
	// Disconnect is called once for each connected socket. It may be while Connect
	// or Event still run.
	Disconnect(s *Socket, reason string)
}

// Server is an [http.Handler] that serves Socket.IO. It must be closed.
type Server struct {
	engine  *engine.Server
	handler Handler

	mu    sync.Mutex // held while a broadcast is queued, which keeps their order
	rooms map[string]map[*Socket]struct{}

	closing sync.Mutex
	closed  bool
	work    sync.WaitGroup // events being handled
}

// New returns a server. Open of the engine's configuration is not used.
func New(cfg engine.Config, handler Handler) *Server {
	s := &Server{handler: handler, rooms: map[string]map[*Socket]struct{}{}}
	cfg.Open = s.open
	s.engine = engine.New(cfg)
	return s
}

// open begins a socket. Clients of protocol 3 are connected without asking for it.
func (s *Server) open(session *engine.Session) engine.Conn {
	c := &Socket{
		srv: s, session: session, id: rand.Text()[:20], slots: make(chan struct{}, maxCalls),
		acks: map[uint64]func(args []json.RawMessage){}, rooms: map[string]struct{}{},
	}
	c.timer = time.AfterFunc(connectTimeout, func() { session.Close("connect timeout") })
	if session.Version() == 3 {
		c.connect()
	}
	return c
}

// ServeHTTP serves one request of a client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Sessions is how many clients there are, connected or about to.
func (s *Server) Sessions() int { return s.engine.Sessions() }

// Close tells every client and ends all connections. It returns when no request
// and no event is being handled any more.
func (s *Server) Close() {
	s.engine.Close()
	s.closing.Lock()
	s.closed = true
	s.closing.Unlock()
	s.work.Wait()
}

// begin counts a goroutine in, unless the server is closed.
func (s *Server) begin() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// Together runs f while no broadcast is sent, so that a socket can enter rooms and
// be told their state as one. f must not call the server, but may send to sockets.
func (s *Server) Together(f func(*Rooms)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&Rooms{s})
}

// Rooms are sets of sockets by name, to broadcast to; see [Server.Together].
type Rooms struct{ s *Server }

// Broadcast sends an event to all sockets that are in any of the rooms, once to
// each. All of them get broadcasts in the same order. A droppable event is not for
// clients that lag behind.
func (r *Rooms) Broadcast(m Message, droppable bool, rooms ...string) {
	for i, room := range rooms {
		for c := range r.s.rooms[room] {
			if !c.inAny(rooms[:i]) {
				_ = c.session.Send(m.frame, droppable) // or it is about to leave
			}
		}
	}
}

// Empty tells whether nobody is in a room.
func (r *Rooms) Empty(room string) bool { return len(r.s.rooms[room]) == 0 }

// Names returns the names of the rooms that somebody is in, in order.
func (r *Rooms) Names() []string { return slices.Sorted(maps.Keys(r.s.rooms)) }

// Join puts a socket into a room, unless it has gone.
func (r *Rooms) Join(c *Socket, room string) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return // it has left all rooms, and would stay in this one
	}
	if r.s.rooms[room] == nil {
		r.s.rooms[room] = map[*Socket]struct{}{}
	}
	r.s.rooms[room][c] = struct{}{}
	c.rooms[room] = struct{}{}
}

// Leave takes a socket out of a room.
func (r *Rooms) Leave(c *Socket, room string) {
	delete(c.rooms, room)
	delete(r.s.rooms[room], c)
	if len(r.s.rooms[room]) == 0 {
		delete(r.s.rooms, room)
	}
}

// Of returns the rooms that a socket is in, by name.
func (r *Rooms) Of(c *Socket) []string { return slices.Sorted(maps.Keys(c.rooms)) }

// inAny tells whether a socket is in one of the rooms; its server is locked.
func (s *Socket) inAny(rooms []string) bool {
	for _, room := range rooms {
		if _, in := s.rooms[room]; in {
			return true
		}
	}
	return false
}

func (s *Server) leaveAll(c *Socket) {
	s.Together(func(r *Rooms) {
		for _, room := range r.Of(c) {
			r.Leave(c, room)
		}
	})
}
