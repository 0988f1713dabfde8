package socket

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/sio/engine"
)

// Limits of one client.
const (
	maxCalls = 32   // events of a client that wait for their handler; then it waits
	maxAcks  = 1024 // events whose acknowledgement by the client is awaited
)

// Event is an event that a client has sent.
type Event struct {
	Name string
	Args []json.RawMessage
	// Ack answers the event, once; later calls do nothing. It is nil if the client
	// wants no answer.
	Ack func(args ...any)
}

// Socket is a connected client. Its methods are safe for concurrent use.
type Socket struct {
	srv     *Server
	session *engine.Session
	id      string
	slots   chan struct{} // one for each event that has not been handled
	timer   *time.Timer   // ends a session that never connects

	mu        sync.Mutex
	connected bool
	closed    bool
	events    []Event
	handling  bool // somebody handles events
	lastAck   uint64
	acks      map[uint64]func([]json.RawMessage)

	rooms map[string]struct{} // guarded by srv.mu
}

// ID names the socket in logs. It gives no access to it.
func (s *Socket) ID() string { return s.id }

// Emit sends an event. The error says that an argument cannot be written as JSON,
// or is [engine.ErrClosed].
func (s *Socket) Emit(name string, args ...any) error {
	m, err := NewMessage(name, args...)
	if err != nil {
		return err
	}
	return s.Send(m)
}

// Send sends a message. The error is [engine.ErrClosed].
func (s *Socket) Send(m Message) error { return s.session.Send(m.frame, false) }

// EmitAck sends an event and has answer called with what the client answers. If
// the client goes away, or does not answer any of very many events, it is not.
func (s *Socket) EmitAck(answer func(args []json.RawMessage), name string, args ...any) error {
	p, err := event(name, args)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.lastAck++
	p.id, p.hasID = s.lastAck, true
	delete(s.acks, p.id-maxAcks)
	s.acks[p.id] = answer
	s.mu.Unlock()
	return s.session.Send(p.frame(), false)
}

// Receive takes a packet; see [engine.Conn].
func (s *Socket) Receive(text string) error {
	p, err := parsePacket(text)
	if err != nil {
		return err
	}
	if p.namespace != rootNamespace {
		return s.receiveForeign(p)
	}
	s.mu.Lock()
	connected := s.connected
	s.mu.Unlock()
	switch {
	case p.kind == typeConnect:
		if connected {
			return nil // clients 2.x may say so though nobody asked
		}
		s.connect()
		return nil
	case !connected:
		return errEarly
	case p.kind == typeDisconnect:
		s.session.Close("client disconnect")
		return nil
	case p.kind == typeAck:
		s.answered(p)
		return nil
	}
	return s.enqueue(s.event(p))
}

// receiveForeign takes a packet for a namespace that there is not.
func (s *Socket) receiveForeign(p packet) error {
	switch p.kind {
	case typeConnect:
		_ = s.session.Send(refused(s.session.Version(), escaped(p.namespace)), false) // or it is gone already
		return nil
	case typeDisconnect:
		return nil
	}
	return errNamespace
}

// escaped drops from a namespace what could not stand in a packet.
func escaped(namespace string) string {
	text, err := json.Marshal(namespace)
	if err != nil {
		return rootNamespace
	}
	return string(text[1 : len(text)-1])
}

// connect makes the client one of the connected.
func (s *Socket) connect() {
	s.timer.Stop()
	s.mu.Lock()
	s.connected = !s.closed
	gone := s.closed
	s.mu.Unlock()
	if gone {
		return
	}
	if s.session.Send(connected(s.session.Version(), s.id), false) == nil {
		s.srv.handler.Connect(s)
	}
}

func (s *Socket) event(p packet) Event {
	e := Event{Args: p.data[1:]}
	_ = json.Unmarshal(p.data[0], &e.Name) // as parsed before
	if p.hasID {
		var once sync.Once
		e.Ack = func(args ...any) { once.Do(func() { s.acknowledge(p.id, args) }) }
	}
	return e
}

func (s *Socket) acknowledge(id uint64, args []any) {
	p, err := ack(id, args)
	if err != nil {
		p, _ = ack(id, []any{map[string]string{"error": err.Error()}}) // this one can be written
	}
	_ = s.session.Send(p.frame(), false) // or nobody is there to hear it
}

// answered hands an acknowledgement to who waits for it, if anybody.
func (s *Socket) answered(p packet) {
	s.mu.Lock()
	answer := s.acks[p.id]
	delete(s.acks, p.id)
	s.mu.Unlock()
	if answer != nil {
		answer(p.data)
	}
}

// enqueue has an event handled after those before it. The handler may take long:
// pings and acknowledgements get past it. A client that sends ever more is made to
// wait.
func (s *Socket) enqueue(e Event) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.session.Context().Done():
		return engine.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	if !s.handling && s.srv.begin() {
		s.handling = true
		go s.handle()
	}
	return nil
}

// handle handles events until there are no more.
func (s *Socket) handle() {
	defer s.srv.work.Done()
	for {
		s.mu.Lock()
		if len(s.events) == 0 {
			s.handling = false
			s.mu.Unlock()
			return
		}
		e := s.events[0]
		s.events = s.events[1:]
		s.mu.Unlock()
		s.srv.handler.Event(s, e)
		<-s.slots
	}
}

// Closed takes note that the session is over; see [engine.Conn].
func (s *Socket) Closed(reason string) {
	s.timer.Stop()
	s.mu.Lock()
	connected := s.connected && !s.closed
	s.closed = true
	clear(s.acks)
	s.mu.Unlock()
	s.srv.leaveAll(s)
	if connected {
		s.srv.handler.Disconnect(s, reason)
	}
}
