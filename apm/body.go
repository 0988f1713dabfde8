package apm

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

var (
	errTooLarge = errors.New("the body is too large")
	errTooSlow  = errors.New("the body took too long")
)

// readFailure says what to answer when a body cannot be read.
func readFailure(err error) (status int, message string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, errTooLarge.Error()
	case errors.Is(err, errTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, errTooSlow.Error()
	default:
		return http.StatusBadRequest, fmt.Sprintf("the body cannot be read: %v", err)
	}
}

// patientBody reads a body of somebody who may be slow, but must not stop for longer than
// idle, nor go on for longer than total.
type patientBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	idle  time.Duration
	until time.Time
}

func (b *patientBody) Read(p []byte) (int, error) {
	now := time.Now()
	if now.After(b.until) {
		return 0, errTooSlow
	}
	// What has no deadlines, such as a recorder in a test, is not slow.
	_ = b.conn.SetReadDeadline(now.Add(min(b.idle, b.until.Sub(now))))
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.conn.SetReadDeadline(time.Time{}) // the answer may take its time
	}
	return n, err
}

// bounded fails, other than an io.LimitedReader, where there is more.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		if n, err := b.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// errEncoding is that of a Content-Encoding that is not known.
var errEncoding = errors.New("unsupported Content-Encoding")

// plain reads at most limit bytes of what r is the compressed form of.
func plain(r io.Reader, encoding string, limit int64) (io.Reader, error) {
	var err error
	switch encoding {
	case "", "identity":
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate": // which is zlib, as HTTP has it
		r, err = zlib.NewReader(r)
	default:
		return nil, fmt.Errorf("%w %q: use gzip, deflate or none", errEncoding, encoding)
	}
	if err != nil {
		return nil, err
	}
	return &bounded{r, limit}, nil
}
