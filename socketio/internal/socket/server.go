// Package socket is a server of Socket.IO: the default namespace, events and
// acknowledgements in both directions, and rooms, for the clients of every
// generation since 2.x.
package socket

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/opbeans/loadgen/socketio/internal/engine"
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

// Broadcast sends an event to all sockets that are in any of the rooms, once to
// each. All of them get broadcasts in the same order. A droppable event is not for
// clients that lag behind. The error says that an argument cannot be written as
// JSON.
func (s *Server) Broadcast(rooms []string, droppable bool, name string, args ...any) error {
	p, err := event(name, args)
	if err != nil {
		return err
	}
	frame := p.frame()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, room := range rooms {
		for c := range s.rooms[room] {
			if !c.inAny(rooms[:i]) {
				_ = c.session.Send(frame, droppable) // or it is about to leave
			}
		}
	}
	return nil
}

// Together runs f while no broadcast is sent, so that a socket can enter rooms and
// be told their state as one. f may call Join, Leave and Emit of sockets.
func (s *Server) Together(f func(*Membership)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&Membership{s})
}

// Membership lets sockets join and leave rooms; see [Server.Together].
type Membership struct{ s *Server }

// Join puts a socket into a room, unless it has gone.
func (m *Membership) Join(c *Socket, room string) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return // it has left all rooms, and would stay in this one
	}
	if m.s.rooms[room] == nil {
		m.s.rooms[room] = map[*Socket]struct{}{}
	}
	m.s.rooms[room][c] = struct{}{}
	c.rooms[room] = struct{}{}
}

// Leave takes a socket out of a room.
func (m *Membership) Leave(c *Socket, room string) {
	delete(c.rooms, room)
	delete(m.s.rooms[room], c)
	if len(m.s.rooms[room]) == 0 {
		delete(m.s.rooms, room)
	}
}

// Rooms returns the rooms that a socket is in, in no order.
func (m *Membership) Rooms(c *Socket) []string {
	rooms := make([]string, 0, len(c.rooms))
	for room := range c.rooms {
		rooms = append(rooms, room)
	}
	return rooms
}

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
	s.Together(func(m *Membership) {
		for _, room := range m.Rooms(c) {
			m.Leave(c, room)
		}
	})
}
