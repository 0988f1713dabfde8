// Package faultnet is a server for tests that fails on purpose, in one of many ways at a
// time, on real sockets. It speaks just enough HTTP to be wrong about it.
package faultnet

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is a way to fail.
type Fault string

// The faults. Those of TLS are for servers that [NewTLS] has made.
const (
	None           Fault = ""                 // answer 200
	ResetAtAccept  Fault = "reset at accept"  // before anything is read
	ResetMidHeader Fault = "reset mid-header" // in the middle of the answer's header
	ResetMidBody   Fault = "reset mid-body"
	CloseMidBody   Fault = "wrong length"   // close after less than the length that was promised
	Surplus        Fault = "surplus"        // send more than the length that was promised
	Stall          Fault = "stall"          // never answer
	StallMidBody   Fault = "stall mid-body" // never end the answer
	Drip           Fault = "slow drip"      // a byte each 20 ms
	Garbage        Fault = "garbage"        // no HTTP
	EndlessHeader  Fault = "endless header" // header fields without end
	EndlessBody    Fault = "endless body"   // chunks without end
	Flood1xx       Fault = "1xx flood"      // 103 without end
	HalfClose      Fault = "half-close"     // close the sending side instead of answering
	Redirects      Fault = "redirects"      // from one path to the next, without end
	Late408        Fault = "408 on idle"    // answer, and a moment later answer what nobody asked
	LateBytes      Fault = "late bytes"     // answer, and a moment later send an empty line
	QuietClose     Fault = "quiet close"    // answer, and close without having said so
	Early          Fault = "early answer"   // answer 413 before the body is read, and read no more
	TLSPlain       Fault = "no TLS"         // answer the handshake in plain HTTP
	TLSReset       Fault = "TLS reset"      // reset during the handshake
	TLSName        Fault = "TLS wrong name" // show a certificate of another name
)

const (
	body     = "hello, this is a body\n"
	dripWait = 20 * time.Millisecond
	idleWait = 10 * time.Millisecond // until a connection is idle
)

// Server is a listening server. Its methods are safe for concurrent use.
type Server struct {
	addr  string
	certs map[Fault]*tls.Certificate // of a TLS server
	fault atomic.Value               // Fault

	requests atomic.Uint64 // whose header was read whole
	good     atomic.Uint64 // answers of 200 that were written whole, whatever came after

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
	done  bool
	over  chan struct{} // closed with done
	wg    sync.WaitGroup
}

// New returns a server on a free port of the loopback address, without a fault.
func New() (*Server, error) { return start(nil) }

// NewTLS returns one that speaks TLS, with a certificate, and for [TLSName] another.
func NewTLS(cert, wrong *tls.Certificate) (*Server, error) {
	return start(map[Fault]*tls.Certificate{None: cert, TLSName: wrong})
}

func start(certs map[Fault]*tls.Certificate) (*Server, error) {
	s := &Server{certs: certs, conns: map[net.Conn]bool{}, over: make(chan struct{})}
	s.fault.Store(None)
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = ln.Addr().String()
	s.use(ln)
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.addr }

// URL is the base URL of the server.
func (s *Server) URL() string {
	if s.certs != nil {
		return "https://" + s.addr
	}
	return "http://" + s.addr
}

// Set makes the server fail in another way from its next connection or answer on.
func (s *Server) Set(f Fault) { s.fault.Store(f) }

// Requests is how many requests have come, with a whole header.
func (s *Server) Requests() uint64 { return s.requests.Load() }

// Good is how many answers were written that a client can be content with.
func (s *Server) Good() uint64 { return s.good.Load() }

// Open listens again after Shut, on the same port.
func (s *Server) Open() error {
	ln, err := listen(s.addr)
	if err != nil {
		return err
	}
	s.use(ln)
	return nil
}

func listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) } //nolint:noctx // it takes no time

func (s *Server) use(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ln = ln
	s.wg.Go(func() { s.accept(ln) })
}

// Shut closes the port and all connections.
func (s *Server) Shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Close ends the server, and returns when nothing of it runs any more.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.done {
		close(s.over)
	}
	s.done = true
	s.mu.Unlock()
	s.Shut()
	s.wg.Wait()
}

func (s *Server) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.pause(time.Millisecond) // out of file descriptors
			continue
		}
		if !s.track(c) {
			_ = c.Close()
			return
		}
		s.wg.Go(func() {
			defer s.untrack(c)
			s.serve(c)
		})
	}
}

func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = !s.done
	return !s.done
}

func (s *Server) untrack(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close()
}

func (s *Server) now() Fault { return s.fault.Load().(Fault) }

// serve answers requests on a connection until it is over.
func (s *Server) serve(raw net.Conn) {
	c := raw
	switch f := s.now(); {
	case f == ResetAtAccept:
		reset(raw)
		return
	case s.certs != nil:
		if c = s.handshake(raw, f); c == nil {
			return
		}
	}
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if s.now() == Early && req.ContentLength > 0 {
			s.requests.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
			s.pause(time.Minute)
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		s.requests.Add(1)
		if !s.answer(raw, c, req) || !s.idle(c, r) {
			return
		}
	}
}

// handshake returns nil if it is to fail, or does.
func (s *Server) handshake(raw net.Conn, f Fault) net.Conn {
	cert := s.certs[None]
	switch f {
	case TLSPlain:
		_, _ = io.WriteString(raw, "HTTP/1.1 400 Bad Request\r\n\r\nthis is a plain HTTP server\n")
		return nil
	case TLSReset:
		_, _ = raw.Read(make([]byte, 100))
		reset(raw)
		return nil
	case TLSName:
		cert = s.certs[TLSName]
	}
	c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if c.Handshake() != nil { //nolint:noctx // the client has its timeouts
		return nil
	}
	return c
}

// answer returns whether the connection can be used again.
func (s *Server) answer(raw, c net.Conn, req *http.Request) bool {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(body))
	write := func(text string) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	}
	switch s.now() {
	case None, Late408, LateBytes, QuietClose, Early:
		return s.wrote(write(head + body))
	case ResetMidHeader:
		write(head[:len(head)/2])
		reset(raw)
	case ResetMidBody:
		write(head + body[:5])
		reset(raw)
	case CloseMidBody:
		write(head + body[:5])
	case Surplus:
		return s.wrote(write(head + body + "and more that nobody asked for"))
	case Stall:
		hang(c)
	case StallMidBody:
		write(head + body[:5])
		hang(c)
	case Drip:
		for _, b := range []byte(head + body) {
			if !write(string(b)) {
				return false
			}
			s.pause(dripWait)
		}
		return s.wrote(true)
	case Garbage:
		write(strings.Repeat("\x00\xff\x16\x03 no HTTP at all", 20))
	case EndlessHeader:
		endless(write, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 1000)+"\r\n")
	case EndlessBody:
		endless(write, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "400\r\n"+strings.Repeat("x", 0x400)+"\r\n")
	case Flood1xx:
		endless(write, "", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
	case HalfClose:
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
			hang(c)
		}
	case Redirects:
		n, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
		return write(fmt.Sprintf("HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n", n+1))
	default: // those of new connections: this one is over
		reset(raw)
	}
	return false
}

// idle does what is done to a connection that has no request for a moment, and returns whether
// it can be used again.
func (s *Server) idle(c net.Conn, r *bufio.Reader) bool {
	f := s.now()
	if f == QuietClose {
		return false
	}
	if f != Late408 && f != LateBytes {
		return true
	}
	_ = c.SetReadDeadline(time.Now().Add(idleWait))
	_, err := r.Peek(1)
	_ = c.SetReadDeadline(time.Time{})
	switch {
	case err == nil:
		return true
	case f == LateBytes:
		_, err = io.WriteString(c, "\r\n")
		return err == nil
	}
	_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	return false
}

// wrote counts an answer that a client can be content with.
func (s *Server) wrote(ok bool) bool {
	if ok {
		s.good.Add(1)
	}
	return ok
}

func endless(write func(string) bool, begin, more string) {
	for ok := write(begin); ok; {
		ok = write(more)
	}
}

// pause waits, unless the server is closed.
func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.over:
	}
}

// hang waits until the client closes the connection, or the server does.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// reset closes a connection in a way that the client sees as a reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
