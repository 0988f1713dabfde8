package engine

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Conn is the receiving side of a session, above this package.
type Conn interface {
	// Receive takes one message. Calls for a session come one after the other, in
	// the order of the messages. An error ends the session. Receive may wait, which
	// slows the client down, but no longer than until the session's context ends.
	Receive(message string) error
	// Closed tells, once, that the session is over. Receive may still be running.
	Closed(reason string)
}

// Why a session ended, in the words of the reference implementation.
const (
	reasonTransportClose = "transport close"
	reasonTransportError = "transport error"
	reasonPingTimeout    = "ping timeout"
	reasonParseError     = "parse error"
	reasonOverflow       = "slow reader"
	reasonShutdown       = "server shutting down"
)

// ErrClosed means that a session is over.
var ErrClosed = errors.New("the session is closed")

// batch is how many packets are sent at once at most. Clients in Python refuse a
// payload of more than 16.
const batch = 16

// Session is one client, on either transport. Packets for it wait in one queue,
// which the transport of the moment drains: the pending poll or the WebSocket's
// writer, never both. It is safe for concurrent use.
type Session struct {
	srv     *Server
	id      string
	version int // of the protocol: 3 or 4
	ctx     context.Context
	cancel  context.CancelFunc

	mu        sync.Mutex
	conn      Conn // nil until the session is open
	queue     []Frame
	bytes     int           // in the queue
	changed   chan struct{} // closed when there is something new for a transport
	waiting   bool          // somebody has changed
	polling   bool          // a poll is being answered
	posting   bool          // a request with packets is being read
	upgrading bool          // a WebSocket is being tried
	probed    bool          // and has answered: polls are let go
	socket    bool          // the WebSocket is the transport
	closed    bool
	flush     bool // closed, but what is in the queue is still sent
	reason    string
	timer     *time.Timer
	due       time.Time // when the timer means something
	pinged    bool      // a pong is due (protocol 4)
}

func newSession(srv *Server, id string, version int, socket bool) *Session {
	s := &Session{srv: srv, id: id, version: version, socket: socket, changed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.queue = []Frame{s.handshake()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Now().Add(s.patience())
	s.timer = time.AfterFunc(s.patience(), s.heartbeat)
	return s
}

// handshake is the packet that opens a session.
func (s *Session) handshake() Frame {
	upgrades := []string{}
	if !s.socket {
		upgrades = append(upgrades, "websocket")
	}
	cfg := &s.srv.cfg
	text, _ := json.Marshal(struct { // of strings and numbers alone, this cannot fail
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int64    `json:"maxPayload"`
	}{s.id, upgrades, cfg.PingInterval.Milliseconds(), cfg.PingTimeout.Milliseconds(), cfg.MaxPayload})
	return frame(typeOpen, string(text))
}

// Version is the client's protocol version: 3 or 4.
func (s *Session) Version() int { return s.version }

// Context ends with the session.
func (s *Session) Context() context.Context { return s.ctx }

// Send queues a frame and never waits. A droppable frame is dropped when the
// client is behind by half of the queue; any other that finds the queue full ends
// the session, because the client would miss something that it relies on. The
// error is [ErrClosed], or nil also for what was dropped.
func (s *Session) Send(f Frame, droppable bool) error {
	if s.push(f, droppable) {
		s.close(reasonOverflow, false)
		return ErrClosed
	}
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return nil
}

// push puts a frame into the queue. It tells whether that is full.
func (s *Session) push(f Frame, droppable bool) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	packets, bytes := s.srv.cfg.MaxQueue, s.srv.cfg.MaxQueueBytes
	if droppable {
		packets, bytes = packets/2, bytes/2
	}
	// One frame may be larger than the bound: an answer to who asked for it.
	if len(s.queue) >= packets || s.bytes > 0 && s.bytes+len(f) > bytes {
		return !droppable
	}
	s.enqueue(f)
	return false
}

// enqueue adds to the queue; s is locked.
func (s *Session) enqueue(f Frame) {
	s.queue = append(s.queue, f)
	s.bytes += len(f)
	s.signal()
}

// signal wakes the transports up; s is locked.
func (s *Session) signal() {
	if s.waiting {
		close(s.changed)
		s.changed, s.waiting = make(chan struct{}), false
	}
}

// drain takes the next packets out of the queue; s is locked.
func (s *Session) drain() []Frame {
	n := min(len(s.queue), batch)
	frames := s.queue[:n:n]
	s.queue = s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil // lets the frames go
	}
	for _, f := range frames {
		s.bytes -= len(f)
	}
	return frames
}

// wait returns what is closed at the next change; s is locked.
func (s *Session) wait() <-chan struct{} {
	s.waiting = true
	return s.changed
}

// Close ends the session. What it has been sent still goes out, if the client
// takes it soon.
func (s *Session) Close(reason string) { s.close(reason, true) }

// close ends the session, unless it has ended.
func (s *Session) close(reason string, flush bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed, s.flush, s.reason = true, flush, reason
	if !flush {
		s.queue, s.bytes = nil, 0
	}
	s.timer.Stop()
	s.signal()
	conn := s.conn
	if conn != nil {
		s.srv.work.Add(1) // before the server can find that nothing is left
	}
	s.mu.Unlock()

	s.srv.forget(s)
	s.cancel()
	if conn != nil {
		// The caller may hold locks that Closed needs.
		go func() {
			defer s.srv.work.Done()
			conn.Closed(reason)
		}()
	}
}

// attach names the receiving side, which opens the session.
func (s *Session) attach(conn Conn) {
	s.mu.Lock()
	s.conn = conn
	closed, reason := s.closed, s.reason
	s.mu.Unlock()
	if closed {
		conn.Closed(reason)
	}
}

// receive handles one packet from the client.
func (s *Session) receive(text string) error {
	p, err := decodePacket(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	conn := s.conn
	full := s.alive(p.kind)
	s.mu.Unlock()
	switch {
	case full:
		s.close(reasonOverflow, false)
		return ErrClosed
	case p.kind == typeMessage:
		return conn.Receive(p.data)
	case p.kind == typeClose:
		s.close(reasonTransportClose, false)
		return ErrClosed
	case p.kind == typePing && s.version == 3, p.kind == typePong && s.version == 4:
		return nil
	}
	return errPacketType
}

// patience is how long the timer is set to, first and after each sign of life. In
// protocol 4 the server pings after each interval, and a pong is due; in protocol 3
// it is the client that pings.
func (s *Session) patience() time.Duration {
	if s.version == 3 {
		return s.srv.cfg.PingInterval + s.srv.cfg.PingTimeout
	}
	return s.srv.cfg.PingInterval
}

// alive takes note of a sign of life. It tells whether there is no room for the answer,
// since a client that pings need not read; s is locked.
func (s *Session) alive(kind byte) (full bool) {
	switch {
	case s.version == 3 && kind == typePing:
		if len(s.queue) >= s.srv.cfg.MaxQueue {
			return true
		}
		s.enqueue(frame(typePong, ""))
	case s.version == 4 && kind != typePong:
		return false // only a pong counts: that the client sends does not show that it receives
	}
	s.pinged = false
	s.schedule(s.patience())
	return false
}

// schedule sets the timer; s is locked.
func (s *Session) schedule(d time.Duration) {
	s.due = time.Now().Add(d)
	s.timer.Reset(d)
}

// heartbeat is what the timer does.
func (s *Session) heartbeat() {
	s.mu.Lock()
	dead := false
	switch left := time.Until(s.due); {
	case s.closed:
	case left > 0:
		s.timer.Reset(left) // it went off just before it was set anew
	case s.version == 3 || s.pinged:
		dead = true
	default:
		s.pinged = true
		s.enqueue(frame(typePing, ""))
		s.schedule(s.srv.cfg.PingTimeout)
	}
	s.mu.Unlock()
	if dead {
		s.close(reasonPingTimeout, false)
	}
}
