package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/valyala/fasthttp"
)

const (
	// MaxHead is the largest head of a response, and the largest trailer.
	MaxHead = 256 << 10

	// Every response that is being read holds a buffer of this size: enough for most
	// heads, and for small bodies with them.
	bufferSize = 2 << 10
	// What is left of larger bodies is dropped through a buffer that is only held
	// meanwhile.
	drainSize  = 16 << 10
	maxInterim = 10      // 1xx responses before a final one
	maxKnown   = 1 << 10 // bytes of a head that is compared with the next one
)

// A ProtocolError says what a response has that HTTP/1.1 does not allow, or the
// limits do not.
type ProtocolError string

// Error returns what was wrong.
func (e ProtocolError) Error() string { return string(e) }

func malformed(format string, args ...any) error {
	const most = 200
	msg := fmt.Sprintf("malformed HTTP response: "+format, args...)
	if len(msg) > most {
		msg = msg[:most]
	}
	return ProtocolError(msg)
}

// Buffers are what connections share to read responses with. The zero value is ready
// to use, and safe for concurrent use.
type Buffers struct{ readers, drains sync.Pool }

func (b *Buffers) reader() *Reader {
	if r, ok := b.readers.Get().(*Reader); ok {
		return r
	}
	return new(Reader)
}

// Release takes a Reader back, unless a response has left it with more memory than is
// worth keeping. Nothing of it may be used any more. Nil is fine.
func (b *Buffers) Release(r *Reader) {
	if r != nil && !r.Large() {
		r.Reset(nil, 0, nil)
		b.readers.Put(r)
	}
}

func (b *Buffers) drain() *[drainSize]byte {
	if p, ok := b.drains.Get().(*[drainSize]byte); ok {
		return p
	}
	return new([drainSize]byte)
}

// Reader reads responses, one after the other, and owns the buffers that this takes.
// Its zero value is ready for Reset. It is not safe for concurrent use.
type Reader struct {
	// Header is the head of the response.
	Header fasthttp.ResponseHeader
	// Status is the status of the response.
	Status int
	// Used says that the connection has carried a response before: an empty line that a
	// server has sent after that, while this request was on its way, is skipped.
	Used bool

	src     source
	br      *bufio.Reader // small, or a larger one for a head that needs it
	small   *bufio.Reader // reads from src
	buffers *Buffers

	known  []byte // what Header was parsed from, if it is short
	closes bool   // Header says that the connection ends

	max     int64 // bytes of a body
	got     int64 // bytes of this body so far
	left    int64 // bytes that can be read before the framing has to be looked at
	framing framing
	close   bool // the connection ends with this response
	done    bool // the response was read to its end
}

type framing uint8

const (
	framedByLength framing = iota
	framedByChunks
	framedByClose
)

// source can be exchanged for another without losing what was read from it.
type source struct{ io.Reader }

// Reset makes r read from src, with bodies of max bytes at most.
func (r *Reader) Reset(src io.Reader, max int64, buffers *Buffers) {
	r.src.Reader, r.max, r.buffers = src, min(max, math.MaxInt64-1), buffers
	if r.small == nil {
		r.small = bufio.NewReaderSize(&r.src, bufferSize)
		r.Header.SetNoDefaultContentType(true)
	} else {
		r.small.Reset(&r.src)
	}
	r.br = r.small
	r.Status, r.got, r.left, r.close, r.done = 0, 0, 0, false, false
}

// Large tells whether a response has left r with more memory than is worth keeping.
func (r *Reader) Large() bool { return r.br != r.small }

// Reusable tells whether the connection can carry another request: the response was
// read to its end, nothing came after it, and nobody said close.
func (r *Reader) Reusable() bool { return r.done && !r.close && r.br.Buffered() == 0 }

// Closes reports whether the connection ends with this response.
func (r *Reader) Closes() bool { return r.close }

// ReadHead reads the head of a response. noBody says that the request (HEAD) allows
// no body. Interim responses are skipped, except that with interim set a 100 is
// returned, and the next call reads on.
//
// The error is a [ProtocolError] or that of the source; io.EOF if the source ended
// before the first byte, and io.ErrUnexpectedEOF after it. After a timeout, ReadHead
// can be called again.
func (r *Reader) ReadHead(noBody, interim bool) error {
	for range maxInterim {
		head, err := r.peekHead()
		if err != nil {
			return err
		}
		if err := r.parse(head); err != nil {
			return err
		}
		switch r.Status = r.Header.StatusCode(); {
		case r.Status >= 200:
			return r.frame(head, noBody)
		case r.Status == fasthttp.StatusSwitchingProtocols:
			return malformed("switches protocols without being asked to")
		case r.Status == fasthttp.StatusContinue && interim:
			return nil
		}
	}
	return malformed("more than %d interim responses", maxInterim)
}

// parse reads the head that is next in the buffer. Many servers send the same head again
// and again, within a second even with the same date: then Header is that already.
func (r *Reader) parse(head []byte) error {
	if bytes.Equal(head, r.known) {
		_, err := r.br.Discard(len(head))
		return err
	}
	known := r.known[:0]
	r.known = known
	if len(head) <= maxKnown {
		known = append(known, head...) // now, because fasthttp changes the case of names in place
	}
	if err := r.parseHead(head); err != nil {
		return err
	}
	r.known = known
	r.closes = r.Header.ConnectionClose() || HasToken(r.Header.Peek(fasthttp.HeaderConnection), "close")
	return nil
}

func (r *Reader) parseHead(head []byte) error {
	var err error
	if !bare(head) {
		before := r.br.Buffered()
		if err = r.Header.Read(r.br); err == nil {
			if before-r.br.Buffered() != len(head) {
				return malformed("unclear where the head ends")
			}
			return nil
		}
	}
	rewritten := even(head)
	if rewritten == nil {
		return malformed("the lengths of the body differ")
	}
	if bytes.Equal(rewritten, head) {
		return malformed("%v", err)
	}
	odd := bufio.NewReaderSize(bytes.NewReader(rewritten), len(rewritten)+1)
	if err := r.Header.Read(odd); err != nil {
		return malformed("%v", err)
	}
	if odd.Buffered() > 0 {
		return malformed("unclear where the head ends")
	}
	_, err = r.br.Discard(len(head))
	return err
}

// peekHead returns a whole head in the buffer.
func (r *Reader) peekHead() ([]byte, error) {
	for scanned := 0; ; {
		b, err := r.br.Peek(r.br.Buffered())
		if err != nil {
			return nil, err // cannot be
		}
		if r.Used && len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
			switch {
			case b[0] == '\n':
				_, err = r.br.Discard(1)
			case len(b) == 1: // the other half of a line may come
				_, err = r.br.Peek(2)
				if err == nil {
					continue
				}
			case b[1] == '\n':
				_, err = r.br.Discard(2)
			}
			if err != nil {
				return nil, noEOF(err)
			}
			r.Used, scanned = false, 0
			continue
		} else if err := checkStart(b); err != nil {
			return nil, err
		}
		if end := headEnd(b, scanned); end > 0 {
			return b[:end], nil
		}
		scanned = max(0, len(b)-2)
		if len(b) == r.br.Size() {
			if err := r.grow(b); err != nil {
				return nil, err
			}
		}
		if _, err := r.br.Peek(len(b) + 1); err != nil {
			if errors.Is(err, io.EOF) && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkStart refuses what cannot become a status line.
func checkStart(b []byte) error {
	const start = "HTTP/1."
	n := min(len(b), len(start))
	if string(b[:n]) != start[:n] {
		return malformed("begins with %.20q, not with HTTP/1.x", b)
	}
	// fasthttp takes 000 for 200.
	if len(b) > 9 && (b[8] != ' ' || b[9] < '1' || b[9] > '9') {
		return malformed("bad status line %.20q", b)
	}
	return nil
}

// headEnd returns where the first empty line of b ends, or 0. Nothing before from
// needs to be looked at.
func headEnd(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch rest := b[from:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return from + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return from + 2
		}
	}
}

// grow takes a larger buffer, with b in it, for the rest of this response.
func (r *Reader) grow(b []byte) error {
	if len(b) >= MaxHead {
		return ProtocolError(fmt.Sprintf("the response's header is larger than %d bytes", MaxHead))
	}
	held := bytes.Clone(b)
	br := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(held), &r.src), min(4*len(b), MaxHead))
	if _, err := br.Peek(len(held)); err != nil {
		return err
	}
	r.br = br
	return nil
}

// frame finds out how the body of the response is delimited.
func (r *Reader) frame(head []byte, noBody bool) error {
	r.got, r.left, r.done = 0, 0, false
	r.close = r.closes
	length := int64(r.Header.ContentLength())
	switch {
	case noBody || r.Status == fasthttp.StatusNoContent || r.Status == fasthttp.StatusNotModified:
		// fasthttp takes a missing length for the end of the connection,
		// which it is not where there is no body.
		if r.close && length < 0 {
			r.close = saysClose(head)
		}
		r.framing, r.done = framedByLength, true
	case length >= 0:
		if length > r.max {
			return TooLarge(r.max)
		}
		r.framing, r.left, r.done = framedByLength, length, length == 0
	case length == -1:
		r.framing = framedByChunks
	default:
		r.framing, r.close = framedByClose, true
	}
	return nil
}

// saysClose tells whether a head itself, by a header or its version, ends the
// connection.
func saysClose(head []byte) bool {
	old := bytes.HasPrefix(head, []byte("HTTP/1.0"))
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !equalLower(name, "connection") {
			continue
		}
		value = bytes.TrimSpace(value)
		if HasToken(value, "close") {
			return true
		}
		old = old && !HasToken(value, "keep-alive")
	}
	return old
}

// TooLarge is the error of a body of more than max bytes.
func TooLarge(max int64) error {
	return ProtocolError(fmt.Sprintf("the response's body is larger than %d bytes", max))
}
