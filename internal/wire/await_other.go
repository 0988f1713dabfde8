//go:build !unix

package wire

// first is of no use here: sockets cannot be read from without waiting.
type first struct{}

func (*first) init(*Conn) {}

// Await returns a Reader of buffers that reads a response of max bytes at most.
func (c *Conn) Await(buffers *Buffers, max int64) (*Reader, error) {
	r := buffers.reader()
	r.Reset(c, max, buffers)
	return r, nil
}
