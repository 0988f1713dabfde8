// Package wire speaks HTTP/1.1 as a client, on connections and in buffers that its
// caller owns. Nothing in it allocates per request in steady state.
//
// Heads of responses are parsed by fasthttp's codec; what surrounds them (framing,
// limits, interim responses, deadlines) is here.
package wire

import (
	"errors"
	"net"
	"os"
	"time"
)

// Conn is a connection in the hands of one goroutine. It counts what goes over it,
// and has a deadline that is cheap to move.
type Conn struct {
	nc    net.Conn
	until time.Time // the deadline in force
	armed time.Time // the deadline that nc has; it may be earlier
	exact bool
	both  bool  // reads and writes at the same time: the deadline in force is not touched
	first first // what a socket needs to await a response

	In, Out int64 // bytes read and written
}

// Init makes c read from and write to nc. If exact is set, nc always has the very
// deadline in force; TLS needs that, since it does not survive a timed out write.
func (c *Conn) Init(nc net.Conn, exact bool) {
	*c = Conn{nc: nc, exact: exact}
	c.first.init(c)
}

// SetDeadline bounds reads and writes until it is moved. Deadlines of successive
// requests move away from now, and passing each on to the runtime's timers would
// cost more than it is worth: an earlier one stays in place, and is moved when it
// passes before its time.
func (c *Conn) SetDeadline(until, now time.Time) error {
	c.until = until
	if !c.exact && c.armed.After(now) && !c.armed.After(until) {
		return nil
	}
	return c.arm()
}

func (c *Conn) arm() error {
	c.armed = c.until
	return c.nc.SetDeadline(c.until)
}

// early tells whether an error is only that of a deadline which is not the one in
// force, and moves it.
func (c *Conn) early(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !c.both && time.Now().Before(c.until) && c.arm() == nil
}

// Read implements [io.Reader].
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		c.In += int64(n)
		if err == nil || !c.early(err) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Write implements [io.Writer].
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		var m int
		m, err = c.nc.Write(p[n:])
		n += m
		c.Out += int64(m)
		if err == nil || c.exact || !c.early(err) {
			return n, err
		}
	}
}

// Both lets one goroutine read while another writes, until it is called with false. Meanwhile
// only StopReading, StopWriting and ReadUntil move deadlines.
func (c *Conn) Both(on bool) error {
	c.both = on
	if on && !c.exact {
		return c.arm()
	}
	c.armed = time.Time{} // unknown
	return nil
}

// StopReading ends a read that waits.
func (c *Conn) StopReading() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// StopWriting ends a write that waits.
func (c *Conn) StopWriting() { _ = c.nc.SetWriteDeadline(time.Unix(1, 0)) }

// ReadUntil bounds a read that may be waiting already.
func (c *Conn) ReadUntil(t time.Time) { _ = c.nc.SetReadDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }
