package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// bufferSize bounds what is written but not read, in each direction.
	bufferSize = 64 << 10
	// A writer that found the buffer full goes on when it is half empty: then it
	// wakes, and moves the rest to the front, once for many reads.
	lowWater = bufferSize / 2
)

// stream is one direction of a connection: a bounded queue of bytes.
type stream struct {
	mu             sync.Mutex
	buf            []byte // buf[off:] is unread; it grows as needed, to bufferSize
	off            int
	reader, writer side
	writing        bool  // a Write is under way; others wait for their turn
	readerGone     bool  // the reading end is closed
	writeErr       error // what a Write meets once its end is closed; nil while open
	reset          bool  // the writing end was reset
}

// side is what waits at one end of a stream.
type side struct {
	changed  sync.Cond // something to look at again
	deadline time.Time
	timer    *time.Timer // wakes waiters at the deadline; runs only while some wait
	waiters  int
}

func newStream() *stream {
	s := &stream{}
	s.reader.changed.L = &s.mu
	s.writer.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, net.ErrClosed
		case len(p) == 0:
			return 0, nil
		case s.reader.expired():
			return 0, os.ErrDeadlineExceeded
		case s.reset:
			return 0, syscall.ECONNRESET
		case s.off < len(s.buf):
			return s.take(p), nil
		case s.writeErr != nil:
			return 0, io.EOF
		}
		s.wait(&s.reader)
	}
}

// take moves bytes out of the buffer.
func (s *stream) take(p []byte) int {
	n := copy(p, s.buf[s.off:])
	if s.off += n; s.off == len(s.buf) {
		s.buf, s.off = s.buf[:0], 0
	}
	if len(s.buf)-s.off <= lowWater {
		s.writer.changed.Broadcast()
	}
	return n
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.writing {
		if err := s.writeFault(); err != nil {
			return 0, err
		}
		s.wait(&s.writer)
	}
	s.writing = true
	defer func() {
		s.writing = false
		s.writer.changed.Broadcast()
	}()
	for {
		if err := s.writeFault(); err != nil {
			return n, err
		}
		n += s.put(p[n:])
		if n == len(p) {
			return n, nil
		}
		s.wait(&s.writer)
	}
}

// writeFault is why nothing can be written, or nil.
func (s *stream) writeFault() error {
	switch {
	case s.writeErr != nil:
		return s.writeErr
	case s.writer.expired():
		return os.ErrDeadlineExceeded
	case s.readerGone:
		return syscall.EPIPE
	}
	return nil
}

// put moves bytes into the buffer, as many as it takes.
func (s *stream) put(p []byte) int {
	n := min(len(p), bufferSize-(len(s.buf)-s.off))
	if n == 0 {
		return 0
	}
	if s.off > 0 && len(s.buf)+n > cap(s.buf) {
		s.buf, s.off = s.buf[:copy(s.buf, s.buf[s.off:])], 0
	}
	s.buf = append(s.buf, p[:n]...)
	s.reader.changed.Broadcast()
	return n
}

// closeWriter ends the stream: later writes fail with err, and reads when they
// have read the rest, or at once after a reset. A second call only replaces err.
func (s *stream) closeWriter(err error, reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeErr = err
	if reset {
		s.reset = true
		s.buf, s.off = nil, 0
	}
	s.wake()
}

// closeReader ends the stream from its other end.
func (s *stream) closeReader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readerGone = true
	s.buf, s.off = nil, 0
	s.wake()
}

func (s *stream) wake() {
	s.reader.changed.Broadcast()
	s.writer.changed.Broadcast()
}

func (s *stream) setDeadline(side *side, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	side.deadline = t
	side.changed.Broadcast()
}

// wait waits for a change at a side of the locked stream, or for its deadline.
// Setting a deadline is frequent and having to wait for it is not: the timer is
// armed here, and stopped by the last who waited.
func (s *stream) wait(side *side) {
	if !side.deadline.IsZero() {
		if left := time.Until(side.deadline); side.timer == nil {
			side.timer = time.AfterFunc(left, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				side.changed.Broadcast()
			})
		} else {
			side.timer.Reset(left)
		}
	}
	side.waiters++
	side.changed.Wait()
	if side.waiters--; side.waiters == 0 && side.timer != nil {
		side.timer.Stop()
	}
}

func (side *side) expired() bool {
	return !side.deadline.IsZero() && !time.Now().Before(side.deadline)
}
