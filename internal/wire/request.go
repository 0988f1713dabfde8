package wire

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrTarget refuses a request target that could break the request line.
var ErrTarget = errors.New("a URL must have no control characters")

const upperHex = "0123456789ABCDEF"

// AppendTarget appends a path and query to a request line. Spaces and bytes beyond
// ASCII are percent-encoded; a fragment is left out.
func AppendTarget[T string | []byte](dst []byte, target T) ([]byte, error) {
	for i := 0; i < len(target); i++ {
		switch b := target[i]; {
		case b == '#':
			return dst, nil
		case b > ' ' && b < 0x7f:
			dst = append(dst, b)
		case b == ' ' || b >= 0x80:
			dst = append(dst, '%', upperHex[b>>4], upperHex[b&15])
		default:
			return dst, ErrTarget
		}
	}
	return dst, nil
}

// AppendField appends one line of a header. The name must be a token, and the value
// free of control characters other than tabs.
func AppendField[T string | []byte](dst []byte, name string, value T) ([]byte, error) {
	if !IsToken(name) {
		return dst, fmt.Errorf("%q is not a header name", name)
	}
	dst = append(append(dst, name...), ": "...)
	for i := 0; i < len(value); i++ {
		if b := value[i]; (b < ' ' && b != '\t') || b == 0x7f {
			return dst, fmt.Errorf("the value of header %s must have no control characters", name)
		}
	}
	return append(append(dst, value...), "\r\n"...), nil
}

// AppendLength appends the header line of a body's length.
func AppendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	return append(strconv.AppendInt(dst, n, 10), "\r\n"...)
}

// IsToken tells whether s can be a method or the name of a header.
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(b byte) bool {
	switch {
	case b|0x20 >= 'a' && b|0x20 <= 'z', b >= '0' && b <= '9':
		return true
	}
	switch b {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// HasToken tells whether a comma-separated list, such as the value of Connection,
// has a token in it, in upper or lower case. The token is given in lower case.
func HasToken[T string | []byte](list T, token string) bool {
	for from := 0; from <= len(list); {
		to := from
		for to < len(list) && list[to] != ',' {
			to++
		}
		a, b := from, to
		for a < b && (list[a] == ' ' || list[a] == '\t') {
			a++
		}
		for b > a && (list[b-1] == ' ' || list[b-1] == '\t') {
			b--
		}
		if equalLower(list[a:b], token) {
			return true
		}
		from = to + 1
	}
	return false
}

func equalLower[T string | []byte](s T, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// CopyBody sends a body: n bytes, or in chunks to its end if n is negative. An error
// of the source is returned as a [BodyError].
func CopyBody(c *Conn, body io.Reader, n int64) error {
	const room = 16 // for the size of a chunk
	buf := make([]byte, room+drainSize+2)
	for left := n; left != 0; {
		piece := buf[room : room+drainSize]
		if left > 0 {
			piece = piece[:min(left, drainSize)]
		}
		m, err := body.Read(piece)
		if m > 0 {
			out := piece[:m]
			if n < 0 {
				size := strconv.AppendInt(buf[:0], int64(m), 16)
				from := room - len(size) - 2
				copy(buf[from:], size)
				copy(buf[room-2:], "\r\n")
				copy(buf[room+m:], "\r\n")
				out = buf[from : room+m+2]
			}
			if _, err := c.Write(out); err != nil {
				return err
			}
			left -= int64(m)
		}
		switch {
		case errors.Is(err, io.EOF) && n < 0:
			_, err := c.Write([]byte("0\r\n\r\n"))
			return err
		case errors.Is(err, io.EOF) && left > 0:
			return &BodyError{io.ErrUnexpectedEOF}
		case err != nil && !errors.Is(err, io.EOF):
			return &BodyError{err}
		}
	}
	return nil
}

// BodyError is a failure of the reader that a request's body came from.
type BodyError struct{ Err error }

// Error says what went wrong.
func (e *BodyError) Error() string { return "reading the request's body: " + e.Err.Error() }

// Unwrap returns the reader's error.
func (e *BodyError) Unwrap() error { return e.Err }
