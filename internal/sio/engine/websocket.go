package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// closeTimeout is how long a WebSocket has for its last packets and its goodbye.
const closeTimeout = time.Second

func (s *Server) accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the origin, which Config.Allow has looked at
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(s.cfg.MaxPayload)
	return conn, nil
}

// serveWebSocket runs a session that begins with a WebSocket.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, sess *Session) {
	conn, err := s.accept(w, r)
	if err != nil {
		sess.close(reasonTransportError, false)
		return
	}
	sess.run(conn)
}

// serveUpgrade moves a session from polling to a WebSocket, if the client goes
// through with it. If not, the session stays as it is.
func (s *Session) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	if !s.beginUpgrade() {
		refuse(w, badRequest("the session cannot be upgraded"))
		return
	}
	conn, err := s.srv.accept(w, r)
	if err != nil {
		s.endUpgrade(false)
		return
	}
	if !s.endUpgrade(s.probe(conn)) { //nolint:contextcheck // it is part of the session, not of the hijacked request
		_ = conn.CloseNow()
		return
	}
	s.run(conn) //nolint:contextcheck // likewise
}

// probe tries a WebSocket out, and tells whether the client has switched to it:
//
//	client: 2probe
//	server: 3probe, and lets polls go; the client then stops polling
//	client: 5
func (s *Session) probe(conn *websocket.Conn) bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.srv.cfg.UpgradeTimeout)
	defer cancel()
	if kind, text, err := conn.Read(ctx); err != nil || kind != websocket.MessageText || string(text) != probePing {
		return false
	}
	if conn.Write(ctx, websocket.MessageText, []byte(probePong)) != nil {
		return false
	}
	s.mu.Lock()
	s.probed = true
	s.signal()
	s.mu.Unlock()
	kind, text, err := conn.Read(ctx)
	return err == nil && kind == websocket.MessageText && string(text) == string(typeUpgrade)
}

func (s *Session) beginUpgrade() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.socket || s.upgrading {
		return false
	}
	s.upgrading = true
	return true
}

// endUpgrade switches to the WebSocket, or stays with polling. It tells which.
func (s *Session) endUpgrade(done bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgrading, s.probed = false, false
	if done && !s.closed {
		s.socket = true
		s.signal() // a poll that is still there gets no more
		return true
	}
	return false
}

// run is the session's life on a WebSocket.
func (s *Session) run(conn *websocket.Conn) {
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	stop := context.AfterFunc(s.ctx, func() {
		s.mu.Lock()
		flush := s.flush
		s.mu.Unlock()
		if flush {
			time.AfterFunc(closeTimeout, cut)
			return
		}
		cut()
	})
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() { s.write(ctx, conn) })
	s.close(s.read(ctx, conn), false)
	writer.Wait()
	_ = conn.CloseNow()
}

// read takes packets until the WebSocket or the session ends, and tells why.
func (s *Session) read(ctx context.Context, conn *websocket.Conn) (reason string) {
	for {
		kind, text, err := conn.Read(ctx)
		switch {
		case err != nil:
			return reasonTransportClose
		case kind != websocket.MessageText || s.receive(string(text)) != nil:
			if s.ctx.Err() == nil {
				return reasonParseError
			}
			// The session has ended. While it says goodbye, go on for the answer.
		}
	}
}

// write sends what is in the queue until the WebSocket or the session ends.
func (s *Session) write(ctx context.Context, conn *websocket.Conn) {
	for {
		frames, changed, bye := s.takeForSocket()
		switch {
		case len(frames) > 0:
			if err := s.writeAll(ctx, conn, frames); err != nil {
				s.close(reasonTransportError, false)
				return
			}
		case bye:
			_ = conn.Close(websocket.StatusGoingAway, "") // or it ends by closeTimeout
			return
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *Session) writeAll(ctx context.Context, conn *websocket.Conn, frames []Frame) error {
	ctx, cancel := context.WithTimeout(ctx, s.srv.cfg.PingTimeout)
	defer cancel()
	for _, f := range frames {
		if err := conn.Write(ctx, websocket.MessageText, f); err != nil {
			return err
		}
	}
	return nil
}

// takeForSocket returns the next packets for the WebSocket, or what to wait for, or
// that it is time to say goodbye.
func (s *Session) takeForSocket() (frames []Frame, changed <-chan struct{}, bye bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		return s.drain(), nil, false
	}
	return nil, s.wait(), s.flush
}
