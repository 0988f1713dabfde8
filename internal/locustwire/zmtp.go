// Package locustwire speaks to a Locust master as its workers do: messages in MessagePack
// over one connection of ZeroMQ.
//
// ZeroMQ is spoken as ZMTP 3.0 (https://rfc.zeromq.org/spec/23/) with the mechanism NULL,
// and of its sockets only what Locust uses: a DEALER here, a ROUTER there. Queues, retries
// and the like are not in it: whoever holds the connection knows better what is still worth
// sending after a cut.
package locustwire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// The roles of the two ends.
const (
	Dealer = "DEALER" // a worker
	Router = "ROUTER" // the master
)

const (
	maxFrame     = 64 << 20         // bytes of a frame that is taken
	shakeTimeout = 10 * time.Second // for the greetings of both sides
	writeTimeout = 5 * time.Second  // for a message; one that has not left by then breaks the connection
)

// Flags of a frame.
const (
	flagMore    = 1 << iota // another frame of the message follows
	flagLong                // the size has eight bytes instead of one
	flagCommand             // not for the user of the connection
)

// Conn is a connection whose ends have greeted each other. Any number of goroutines may
// send; one at a time may receive.
type Conn struct {
	conn   net.Conn
	in     *bufio.Reader
	peer   string // the identity of the other end
	sendMu sync.Mutex
}

// Shake greets the other end of a new connection, as one of the two roles. identity is
// what the master knows a worker by; a master has none. If it fails, conn is closed.
func Shake(conn net.Conn, role, identity string) (*Conn, error) {
	c := &Conn{conn: conn, in: bufio.NewReader(conn)}
	if err := c.shake(role, identity); err != nil {
		conn.Close()
		return nil, fmt.Errorf("locust: no ZeroMQ greeting: %w", err)
	}
	return c, nil
}

func (c *Conn) shake(role, identity string) error {
	if err := c.conn.SetDeadline(time.Now().Add(shakeTimeout)); err != nil {
		return err
	}
	// Signature, version 3.0, mechanism in 20 bytes, not a server (NULL has none), filler.
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10] = 0xff, 0x7f, 3
	copy(greeting[12:], "NULL")
	if _, err := c.conn.Write(greeting); err != nil {
		return err
	}
	var theirs [64]byte
	if _, err := io.ReadFull(c.in, theirs[:]); err != nil {
		return err
	}
	switch {
	case theirs[0] != 0xff || theirs[9] != 0x7f:
		return errors.New("the other end speaks something else")
	case theirs[10] < 3:
		return fmt.Errorf("the other end speaks ZMTP %d; 3 is needed", theirs[10])
	case string(bytes.TrimRight(theirs[12:32], "\x00")) != "NULL":
		return fmt.Errorf("the other end wants the security mechanism %q", bytes.TrimRight(theirs[12:32], "\x00"))
	}
	ready := property(property([]byte("\x05READY"), "Socket-Type", role), "Identity", identity)
	if err := c.write(frame(nil, flagCommand, ready)); err != nil {
		return err
	}
	flags, body, err := c.readFrame()
	if err != nil {
		return err
	}
	meta, ok := bytes.CutPrefix(body, []byte("\x05READY"))
	if flags&flagCommand == 0 || !ok {
		return fmt.Errorf("the other end refuses: %q", cut(body))
	}
	other := map[string]string{Dealer: Router, Router: Dealer}[role]
	properties, err := parseProperties(meta)
	if err != nil {
		return err
	}
	if got := properties["socket-type"]; got != other {
		return fmt.Errorf("the other end is a %q, not a %s", got, other)
	}
	c.peer = properties["identity"]
	return c.conn.SetDeadline(time.Time{})
}

// Peer is the identity that the other end gave; "" for none.
func (c *Conn) Peer() string { return c.peer }

// Close closes the connection. Calls that wait return with an error.
func (c *Conn) Close() { c.conn.Close() }

// CloseWrite ends what is sent; the other end reads all of it. It tells whether the
// connection can do that.
func (c *Conn) CloseWrite() bool {
	half, ok := c.conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// sendFrame sends a message of one frame. After an error the connection is of no use.
func (c *Conn) sendFrame(body []byte) error { return c.write(frame(nil, 0, body)) }

// readMessage returns the last frame of the next message, and answers what the protocol
// itself asks.
func (c *Conn) readMessage() ([]byte, error) {
	for {
		flags, body, err := c.readFrame()
		switch {
		case err != nil:
			return nil, err
		case flags&flagCommand != 0:
			// PING (ZMTP 3.1) carries two bytes of patience and a context to send back.
			if rest, ok := bytes.CutPrefix(body, []byte("\x04PING")); ok && len(rest) >= 2 {
				if err := c.write(frame(nil, flagCommand, append([]byte("\x04PONG"), rest[2:]...))); err != nil {
					return nil, err
				}
			}
		case flags&flagMore == 0:
			return body, nil
		}
	}
}

func (c *Conn) readFrame() (flags byte, body []byte, err error) {
	if flags, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	var size uint64
	if flags&flagLong != 0 {
		var long [8]byte
		if _, err := io.ReadFull(c.in, long[:]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(long[:])
	} else {
		short, err := c.in.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		size = uint64(short)
	}
	if size > maxFrame {
		return 0, nil, fmt.Errorf("locust: a frame of %d bytes; at most %d are taken", size, maxFrame)
	}
	var b bytes.Buffer // grows with what arrives, whatever the size says
	if n, err := io.CopyN(&b, c.in, int64(size)); err != nil {
		if errors.Is(err, io.EOF) && n < int64(size) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return flags, b.Bytes(), nil
}

func (c *Conn) write(b []byte) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// frame appends a frame to b.
func frame(b []byte, flags byte, body []byte) []byte {
	if len(body) > 255 {
		b = append(b, flags|flagLong)
		b = binary.BigEndian.AppendUint64(b, uint64(len(body)))
	} else {
		b = append(b, flags, byte(len(body)))
	}
	return append(b, body...)
}

// property appends a name and a value as the command READY has them.
func property(b []byte, name, value string) []byte {
	b = append(append(b, byte(len(name))), name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// parseProperties reads them; names are not sensitive to case.
func parseProperties(b []byte) (map[string]string, error) {
	all := map[string]string{}
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < 1+n+4 {
			return nil, io.ErrUnexpectedEOF
		}
		name := strings.ToLower(string(b[1 : 1+n]))
		size := binary.BigEndian.Uint32(b[1+n:])
		b = b[1+n+4:]
		if uint64(size) > uint64(len(b)) {
			return nil, io.ErrUnexpectedEOF
		}
		all[name] = string(b[:size])
		b = b[size:]
	}
	return all, nil
}

// cut shortens what is shown of the other end's bytes.
func cut(b []byte) []byte { return b[:min(len(b), 100)] }
