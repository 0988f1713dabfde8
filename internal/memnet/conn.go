package memnet

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one end of a connection. Like a [net.TCPConn] it may be used by any
// number of goroutines, and it fails with [net.OpError]s.
//
// After Close the other end reads what was written before, then [io.EOF], and its
// writes fail with [syscall.EPIPE]: at once, where TCP takes a round trip to know.
type Conn struct {
	in, out       *stream
	local, remote Addr
	closed        atomic.Bool
	resets        atomic.Bool // Close is to reset the connection
}

// newPair returns the two ends of a new connection.
func newPair(a, b Addr) (*Conn, *Conn) {
	ab, ba := newStream(), newStream()
	return &Conn{in: ba, out: ab, local: a, remote: b}, &Conn{in: ab, out: ba, local: b, remote: a}
}

// Read reads what has arrived, or waits for something to arrive.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err == nil || err == io.EOF { //nolint:errorlint // io.EOF is never wrapped here, nor may it be
		return n, err
	}
	return n, c.fail("read", err)
}

// Write writes all of p, and waits while the other end's buffer is full.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = c.fail("write", err)
	}
	return n, err
}

// Close ends both directions. What waits in Read or Write fails with
// [net.ErrClosed].
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.fail("close", net.ErrClosed)
	}
	c.out.closeWriter(net.ErrClosed, c.resets.Load())
	c.in.closeReader()
	return nil
}

// CloseWrite ends the direction from here to the other end, which reads [io.EOF]
// after what was written. Reading goes on.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return c.fail("close", net.ErrClosed)
	}
	c.out.closeWriter(syscall.EPIPE, false)
	return nil
}

// SetLinger with 0 makes Close reset the connection, as with [net.TCPConn]: the
// other end fails with [syscall.ECONNRESET], and what it has not read is lost.
// Other values restore the default.
func (c *Conn) SetLinger(sec int) error {
	c.resets.Store(sec == 0)
	return nil
}

// abort resets the connection.
func (c *Conn) abort() {
	c.resets.Store(true)
	_ = c.Close()
}

// LocalAddr is the address of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets the deadlines of reads and of writes.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline makes reads fail with [os.ErrDeadlineExceeded] from t on, also
// those that wait already. The zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.fail("set", net.ErrClosed)
	}
	c.in.setDeadline(&c.in.reader, t)
	return nil
}

// SetWriteDeadline is SetReadDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.fail("set", net.ErrClosed)
	}
	c.out.setDeadline(&c.out.writer, t)
	return nil
}

// fail wraps an error the way package net does.
func (c *Conn) fail(op string, err error) error {
	if _, ok := err.(syscall.Errno); ok { //nolint:errorlint // plain from a stream
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: err}
}
