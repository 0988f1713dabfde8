package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Read reads the body: what is in the chunks, if there are chunks. It implements
// [io.Reader], and returns io.EOF only where the response ends; where the
// connection ends too early, io.ErrUnexpectedEOF.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.advance(); err != nil {
		return 0, err
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.br.Read(p)
	return n, r.take(n, err)
}

// Discard reads the rest of the body and drops it.
func (r *Reader) Discard() error {
	for {
		if err := r.advance(); err != nil {
			if err == io.EOF { //nolint:errorlint // our own, never wrapped
				return nil
			}
			return err
		}
		var n int
		var err error
		switch buffered := r.br.Buffered(); {
		case buffered > 0:
			n, err = r.br.Discard(int(min(int64(buffered), r.left)))
		case r.left <= bufferSize:
			_, err = r.br.Peek(1)
		default:
			n, err = r.drop()
		}
		if err := r.take(n, err); err != nil && err != io.EOF { //nolint:errorlint // as above
			return err
		}
	}
}

// drop reads a large piece of the body and drops it.
func (r *Reader) drop() (int, error) {
	buf := r.buffers.drain()
	defer r.buffers.drains.Put(buf)
	return r.br.Read(buf[:min(drainSize, r.left)])
}

// Buffered tells whether the rest of the body can be read without waiting.
func (r *Reader) Buffered() bool {
	return r.done || (r.framing == framedByLength && int64(r.br.Buffered()) >= r.left)
}

// take counts n bytes of the body as read, and gives an error its meaning.
func (r *Reader) take(n int, err error) error {
	r.got += int64(n)
	r.left -= int64(n)
	if r.framing == framedByLength && r.left == 0 {
		r.done = true
	}
	if r.got > r.max {
		return TooLarge(r.max)
	}
	if errors.Is(err, io.EOF) {
		if r.framing != framedByClose {
			return io.ErrUnexpectedEOF
		}
		r.done = true
		return io.EOF
	}
	return err
}

// advance returns nil when there is at least one more byte of the body to be read,
// and io.EOF at its end.
func (r *Reader) advance() error {
	switch {
	case r.done:
		return io.EOF
	case r.left > 0:
		return nil
	case r.framing == framedByClose:
		r.left = r.max - r.got + 1 // one more than there may be
		return nil
	}
	return r.nextChunk()
}

// nextChunk reads up to the content of the next chunk. The end of the chunk before
// is read here, too.
func (r *Reader) nextChunk() error {
	if r.got > 0 {
		if line, err := r.line(); err != nil {
			return err
		} else if len(line) > 0 {
			return malformed("a chunk is longer than its size")
		}
	}
	line, err := r.line()
	if err != nil {
		return err
	}
	size, err := chunkSize(line)
	if err != nil {
		return err
	}
	if size > r.max-r.got {
		return TooLarge(r.max)
	}
	if r.left = size; size > 0 {
		return nil
	}
	for total := 0; ; {
		line, err := r.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			r.done = true
			return io.EOF
		}
		if total += len(line); total > MaxHead {
			return ProtocolError("the response's trailer is too large")
		}
	}
}

// line reads one line of the framing.
func (r *Reader) line() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	switch {
	case err == nil:
		return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, malformed("a line of the chunked body is too long")
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	}
	return nil, err
}

// chunkSize parses the line before a chunk; extensions are ignored.
func chunkSize(line []byte) (int64, error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("bad chunk size %.20q", line)
	}
	var n int64
	for _, b := range digits {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			b = b | 0x20 - 'a' + 10
		default:
			return 0, malformed("bad chunk size %.20q", line)
		}
		n = n<<4 | int64(b)
	}
	return n, nil
}
