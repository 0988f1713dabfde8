package loadgen

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Stream is a stream of HTTP/2 on which a request has come.
type h2Stream struct {
	*http2.Framer
	id   uint32
	conn net.Conn
}

// head sends a header, as the end of the answer or not.
func (s *h2Stream) head(end bool, fields ...string) error {
	return s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: h2Block(fields...), EndHeaders: true, EndStream: end})
}

// h2Block encodes header fields.
func h2Block(fields ...string) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes all
	}
	return block.Bytes()
}

// part sends a part of the body.
func (s *h2Stream) part(end bool, text string) error { return s.WriteData(s.id, end, []byte(text)) }

// h2Fault answers a request in one of many ways. An error ends the connection.
type h2Fault func(s *h2Stream) error

func h2Good(s *h2Stream) error {
	if err := s.head(false, ":status", "200"); err != nil {
		return err
	}
	return s.part(true, "hello")
}

// h2Server speaks just enough HTTP/2, without TLS, to be wrong about it.
type h2Server struct {
	ln    net.Listener
	fault atomic.Pointer[h2Fault]

	mu    sync.Mutex
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newH2Server(t *testing.T) *h2Server {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &h2Server{ln: ln, conns: map[net.Conn]bool{}}
	s.set(h2Good)
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *h2Server) set(f h2Fault) { s.fault.Store(&f) }

func (s *h2Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(c, c)
	if framer.WriteSettings() != nil {
		return
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() && framer.WriteSettingsAck() != nil {
				return
			}
		case *http2.PingFrame:
			if !f.IsAck() && framer.WritePing(true, f.Data) != nil {
				return
			}
		case *http2.HeadersFrame:
			if (*s.fault.Load())(&h2Stream{framer, f.StreamID, c}) != nil {
				return
			}
		}
	}
}

// Whatever a target does over HTTP/2, it is counted as what it is, as with HTTP/1.1.
func TestFaultsOfHTTP2(t *testing.T) {
	large := strings.Repeat("x", 16<<10)
	early := h2Block(":status", "103", "x-a", large[:8<<10])
	for name, c := range map[string]struct {
		fault   h2Fault
		classes []ErrorClass
	}{
		"stream reset": {
			func(s *h2Stream) error { return s.WriteRSTStream(s.id, http2.ErrCodeInternal) },
			[]ErrorClass{ClassReset},
		},
		"stream reset mid-body": {func(s *h2Stream) error {
			if err := s.head(false, ":status", "200"); err != nil {
				return err
			}
			if err := s.part(false, "hel"); err != nil {
				return err
			}
			return s.WriteRSTStream(s.id, http2.ErrCodeInternal)
		}, []ErrorClass{ClassReset}},
		// A client may send such a request again, and net/http does until its time is up.
		"stream refused": {
			func(s *h2Stream) error { return s.WriteRSTStream(s.id, http2.ErrCodeRefusedStream) },
			[]ErrorClass{ClassTimeout},
		},
		"going away before": {func(s *h2Stream) error {
			_ = s.WriteGoAway(0, http2.ErrCodeNo, nil)
			return io.EOF
		}, []ErrorClass{ClassTimeout, ClassReset}},
		"going away amid": {func(s *h2Stream) error {
			_ = s.head(false, ":status", "200")
			_ = s.WriteGoAway(s.id, http2.ErrCodeEnhanceYourCalm, []byte("calm"))
			return io.EOF
		}, []ErrorClass{ClassReset}},
		"connection closed": {func(*h2Stream) error { return io.EOF }, []ErrorClass{ClassReset}},
		"connection closed mid-body": {func(s *h2Stream) error {
			_ = s.head(false, ":status", "200", "content-length", "100")
			_ = s.part(false, "hel")
			return io.EOF
		}, []ErrorClass{ClassReset}},
		"connection reset": {func(s *h2Stream) error {
			_ = s.conn.(*net.TCPConn).SetLinger(0)
			return io.EOF
		}, []ErrorClass{ClassReset, ClassDial}},
		"wrong length": {func(s *h2Stream) error {
			if err := s.head(false, ":status", "200", "content-length", "100"); err != nil {
				return err
			}
			return s.part(true, "hello")
		}, []ErrorClass{ClassReset}},
		"stall":          {func(*h2Stream) error { return nil }, []ErrorClass{ClassTimeout}},
		"stall mid-body": {func(s *h2Stream) error { return s.head(false, ":status", "200") }, []ErrorClass{ClassTimeout}},
		"garbage": {func(s *h2Stream) error {
			_, err := io.WriteString(s.conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return err
		}, []ErrorClass{ClassProtocol}},
		"no status": {func(s *h2Stream) error { return s.head(true, "x-a", "b") }, []ErrorClass{ClassProtocol}},
		"large body": {func(s *h2Stream) error {
			if err := s.head(false, ":status", "200"); err != nil {
				return err
			}
			for range 80 { // beyond MaxBody, within the window
				if err := s.part(false, large); err != nil {
					return err
				}
			}
			return nil
		}, []ErrorClass{ClassProtocol}},
		"1xx flood": {func(s *h2Stream) error {
			for range 40 { // more than a header may have, each within that
				if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: early, EndHeaders: true}); err != nil {
					return err
				}
			}
			return nil
		}, []ErrorClass{ClassProtocol}},
		"header flood": {func(s *h2Stream) error {
			for i := range 100 { // a header of 1.6 MB, if it were taken
				var err error
				if i == 0 {
					err = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id})
				} else {
					err = s.WriteContinuation(s.id, false, []byte(large))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}, []ErrorClass{ClassProtocol, ClassReset}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newH2Server(t)
			timeout := faultPatience
			if c.classes[0] == ClassTimeout {
				timeout = faultTimeout
			}
			m := New()
			defer m.Close()
			j, err := m.Start(t.Context(), JobConfig{
				Name: "job", Scenario: visiting(), BaseURL: "http://" + s.ln.Addr().String(), Client: ClientConfig{HTTP: "2", Timeout: timeout, ConnectTimeout: timeout, MaxBody: 1 << 20}, Workers: faultWorkers, Delay: time.Millisecond,
				Grace: time.Second,
			})
			require.NoError(t, err)
			suffer(t, j, c.classes, func() { s.set(c.fault) }, func() { s.set(h2Good) })
			assert.Zero(t, j.Snapshot().Errors[ClassPanic])
		})
	}
}
