// Package engine is a server of Engine.IO, the layer below Socket.IO: sessions over
// HTTP long-polling or a WebSocket, and the move from one to the other.
//
// It speaks protocol 3 (clients 2.x of Socket.IO) and protocol 4 (3.x and 4.x), in
// text. It does not speak binary packets and JSONP, and says so when asked.
package engine

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Config says how a [Server] works. All of it is required.
type Config struct {
	// Open is called for each new session and returns its receiving side. The
	// session can be sent to from the start.
	Open func(*Session) Conn
	// Allow tells whether a page of this origin may connect.
	Allow func(*http.Request) bool

	PingInterval   time.Duration // between pings
	PingTimeout    time.Duration // for the answer to a ping; also for one write or upload
	UpgradeTimeout time.Duration // for a WebSocket to prove itself

	MaxPayload    int64 // bytes of a WebSocket message or a POST from a client
	MaxSessions   int
	MaxQueue      int // packets that wait for a client; see [Session.Send]
	MaxQueueBytes int
}

// Server is an [http.Handler] that serves Engine.IO. It must be closed.
type Server struct {
	cfg Config

	mu       sync.Mutex
	sessions map[string]*Session
	closed   bool
	work     sync.WaitGroup // requests being served, and calls of Conn.Closed
}

// New returns a server without sessions.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, sessions: map[string]*Session{}}
}

// Sessions is how many there are.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Close ends all sessions, tells every client, and returns when no request is being
// served any more. A client that does not take its leave has a second for it.
// Requests that come later are refused. Closing twice is fine.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	var open []*Session
	for _, sess := range s.sessions {
		open = append(open, sess)
	}
	s.mu.Unlock()
	for _, sess := range open {
		sess.close(reasonShutdown, true)
	}
	s.work.Wait()
}

// begin counts a request in, unless the server is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// open begins a session.
func (s *Server) open(version int, socket bool) (*Session, bool) {
	s.mu.Lock()
	if s.closed || len(s.sessions) >= s.cfg.MaxSessions {
		s.mu.Unlock()
		return nil, false
	}
	sess := newSession(s, newID(), version, socket)
	s.sessions[sess.id] = sess
	s.mu.Unlock()
	sess.attach(s.cfg.Open(sess))
	return sess, true
}

func (s *Server) find(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

func (s *Server) forget(sess *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess.id)
}

// newID is a name that nobody guesses: who knows it has the session.
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ServeHTTP serves one request of a client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Origin")
	if !s.begin() {
		refuse(w, refusal{http.StatusServiceUnavailable, codeBadRequest, "the server is stopping"})
		return
	}
	defer s.work.Done()
	if !s.cfg.Allow(r) {
		refuse(w, refusal{http.StatusForbidden, codeForbidden, "pages of this origin may not connect"})
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true") // clients 2.x ask for it
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	if no := s.route(w, r); no != nil { //nolint:contextcheck // a session is longer than its first request
		refuse(w, *no)
	}
}

// route finds out what a request is for, and has it served.
func (s *Server) route(w http.ResponseWriter, r *http.Request) *refusal {
	query := r.URL.Query()
	version := 0
	switch query.Get("EIO") {
	case "3":
		version = 3
	case "4":
		version = 4
	}
	transport, id := query.Get("transport"), query.Get("sid")
	sess := s.find(id)
	known := sess != nil
	get, post := r.Method == http.MethodGet, r.Method == http.MethodPost
	no := func(status, code int, message string) *refusal { return &refusal{status, code, message} }
	switch {
	case version == 0:
		return no(http.StatusBadRequest, codeVersion, "unsupported protocol version: EIO must be 3 or 4")
	case transport != "polling" && transport != "websocket":
		return no(http.StatusBadRequest, codeTransport, "the transport must be polling or websocket")
	case query.Has("j"):
		return no(http.StatusBadRequest, codeBadRequest, "JSONP is not supported: set forceJSONP and jsonp to false")
	case id != "" && !known:
		return no(http.StatusBadRequest, codeSession, "session ID unknown")
	case known && sess.version != version:
		return no(http.StatusBadRequest, codeBadRequest, "the session has another protocol version")
	case !get && !(post && known && transport == "polling"):
		return no(http.StatusBadRequest, codeMethod, "bad method: a session begins with GET")
	case !known:
		if sess, known = s.open(version, transport == "websocket"); !known {
			return no(http.StatusServiceUnavailable, codeBadRequest, "too many sessions")
		}
		if transport == "websocket" {
			s.serveWebSocket(w, r, sess)
			return nil
		}
		sess.servePoll(w, r)
	case transport == "websocket":
		sess.serveUpgrade(w, r)
	case sess.onSocket():
		return no(http.StatusBadRequest, codeBadRequest, "the session has moved to a WebSocket")
	case post:
		sess.servePost(w, r)
	default:
		sess.servePoll(w, r)
	}
	return nil
}

func (s *Session) onSocket() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket
}

// preflight answers a browser that asks before it lets a page post.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// The codes of refusals, as the protocol numbers them.
const (
	codeTransport  = 0
	codeSession    = 1
	codeMethod     = 2
	codeBadRequest = 3
	codeForbidden  = 4
	codeVersion    = 5
)

// refusal is the answer to a request that cannot be served.
type refusal struct {
	status  int
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func badRequest(message string) refusal {
	return refusal{http.StatusBadRequest, codeBadRequest, message}
}

func refuse(w http.ResponseWriter, no refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(no) // the client may be gone
}
