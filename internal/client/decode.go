package client

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"

	"github.com/opbeans/loadgen/internal/wire"
)

// maxEncodings is how many encodings may lie on top of each other.
const maxEncodings = 4

// decoder undoes content encodings. It keeps what is dear to set up for the next
// response.
type decoder struct {
	gzip *gzip.Reader
}

// open returns a reader of what body holds under its encodings, of max bytes at most; body itself
// if there are none.
func (d *decoder) open(body io.Reader, encodings []byte, max int64) (io.Reader, error) {
	if len(encodings) == 0 {
		return body, nil
	}
	names := bytes.Split(encodings, []byte(","))
	if len(names) > maxEncodings {
		return nil, wire.ProtocolError(fmt.Sprintf("more than %d content encodings", maxEncodings))
	}
	source := &source{r: body}
	var decoded io.Reader = source
	var zr *gzip.Reader
	layers := 0
	for i := len(names) - 1; i >= 0; i-- {
		name := strings.ToLower(string(bytes.TrimSpace(names[i])))
		switch name {
		case "gzip", "x-gzip", "deflate", "br":
		case "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip":
			return nil, wire.ProtocolError(fmt.Sprintf("unknown content encoding %.40q", name))
		default:
			continue // no coding, such as identity, utf-8 or none: the content is as it is
		}
		layers++
		buffered := bufio.NewReader(decoded)
		if _, err := buffered.Peek(1); errors.Is(err, io.EOF) {
			return buffered, nil // nothing to decode, such as after a HEAD
		}
		var err error
		switch name {
		case "gzip", "x-gzip":
			zr, err = d.openGzip(buffered)
			decoded = zr
		case "deflate":
			decoded, err = openDeflate(buffered)
		case "br":
			decoded = brotli.NewReader(buffered)
		}
		if err != nil {
			return nil, source.explain(err)
		}
		decoded = &capped{r: decoded, source: source, left: max, max: max}
	}
	if layers == 0 {
		return body, nil
	}
	if zr != nil {
		d.gzip = zr // one that has failed is not kept
	}
	return decoded, nil
}

// openGzip takes the reader that was kept, which then is not there for another layer.
func (d *decoder) openGzip(r io.Reader) (*gzip.Reader, error) {
	if d.gzip == nil {
		return gzip.NewReader(r)
	}
	zr := d.gzip
	d.gzip = nil
	return zr, zr.Reset(r)
}

// openDeflate reads deflate as it is specified, in the zlib format, and as many
// servers send it, without.
func openDeflate(r *bufio.Reader) (io.Reader, error) {
	head, err := r.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) == 2 && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

// source is encoded content. It remembers why it could not be read, to tell that
// from content that does not decode.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) explain(err error) error {
	var protocol wire.ProtocolError
	switch {
	case s.err != nil:
		return s.err
	case errors.As(err, &protocol):
		return err
	}
	return wire.ProtocolError("the response's body does not decode: " + err.Error())
}

// capped reads decoded content and fails where there is too much.
type capped struct {
	r         io.Reader
	source    *source
	left, max int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, wire.ProtocolError(fmt.Sprintf("the response's body is larger than %d bytes when decoded", c.max))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.source.explain(err)
	}
	return n, err
}

// appendAll reads r to its end.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	if cap(dst) == 0 {
		dst = make([]byte, 0, 512)
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
