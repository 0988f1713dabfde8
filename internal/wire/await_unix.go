//go:build unix

package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// first reads the first bytes of a response from a socket, into a Reader that it takes
// when there are some. It is nil of everything for a connection that is no bare socket.
type first struct {
	raw     syscall.RawConn
	try     func(fd uintptr) bool // attempt, as a value that is made once
	buffers *Buffers
	max     int64
	fd      int
	got     *Reader
	err     error
}

func (f *first) init(c *Conn) {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		f.raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		f.raw, _ = nc.SyscallConn()
	}
	if f.raw != nil {
		f.try = c.attempt
	}
}

// Await waits for the beginning of a response of max bytes at most, and returns a Reader
// of buffers that reads it. While a request waits on a socket it thus holds no buffer: of
// 10,000 that are sent at the same moment, few are answered at the same moment.
//
// The error is that of the connection; io.EOF if it ended.
func (c *Conn) Await(buffers *Buffers, max int64) (*Reader, error) {
	f := &c.first
	if f.raw == nil {
		r := buffers.reader()
		r.Reset(c, max, buffers)
		return r, nil
	}
	for { // again after a deadline that was not the one in force
		f.buffers, f.max = buffers, max
		err := f.raw.Read(f.try)
		r := f.got
		if err == nil {
			err = f.err
		}
		f.buffers, f.got, f.err = nil, nil, nil
		if err == nil {
			return r, nil
		}
		if !c.early(err) {
			return nil, c.readError(err)
		}
	}
}

// attempt reads from a socket without waiting. It returns false if nothing is there.
func (c *Conn) attempt(fd uintptr) bool {
	f := &c.first
	r := f.buffers.reader()
	f.fd = int(fd)
	r.Reset((*attempted)(c), f.max, f.buffers)
	_, err := r.br.Peek(1)
	if err == nil {
		r.src.Reader = c
		f.got, f.err = r, nil
		return true
	}
	f.buffers.Release(r)
	f.err = err
	return !errors.Is(err, syscall.EAGAIN)
}

// attempted is a Conn as what attempt reads from.
type attempted Conn

// Read implements [io.Reader].
func (a *attempted) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(a.first.fd, p)
		switch {
		case err == nil && n > 0:
			a.In += int64(n)
			return n, nil
		case err == nil:
			return 0, io.EOF
		case !errors.Is(err, syscall.EINTR):
			return 0, err
		}
	}
}

// readError makes an error one as [net.Conn] has them.
func (c *Conn) readError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	var op *net.OpError
	if errors.As(err, &op) {
		op.Op, op.Source, op.Addr = "read", c.nc.LocalAddr(), c.nc.RemoteAddr()
		return op
	}
	return &net.OpError{
		Op: "read", Net: c.nc.LocalAddr().Network(), Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(),
		Err: os.NewSyscallError("read", err),
	}
}
