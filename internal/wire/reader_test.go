package wire

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const noMax = 1 << 40

// read reads one response, and returns its body.
func read(r *Reader, method string) (string, error) {
	if err := r.ReadHead(method == http.MethodHead, false); err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	return string(body), err
}

func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for _, c := range []struct {
		name, method, wire string
		status             int
		body               string
		reusable           bool
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
		{"length zero", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true},
		{"long body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 40960\r\n\r\n" + long, 200, long, true},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\n\r\n", 200, "hello", true},
		{"chunks upper case", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n", 200, "0123456789", true},
		{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", 200, "ok", true},
		{"chunks win over length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok", true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", false},
		{"until close, long", "GET", "HTTP/1.1 200 OK\r\n\r\n" + long, 200, long, false},
		{"http/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		{"http/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		{"close in a list", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 200, "", true},
		{"head without length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, "", true},
		{"head without length, close", "HEAD", "HTTP/1.1 200 OK\r\nconnection: Close\r\n\r\n", 200, "", false},
		{"head of http/1.0", "HEAD", "HTTP/1.0 200 OK\r\n\r\n", 200, "", false},
		{"head chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		{"304 with length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "", true},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"more than asked for", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408 Request Timeout\r\n\r\n", 200, "ok", false},
		{"large head", "GET", "HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("y", 100<<10) + "\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"bare line feeds", "GET", "HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok", 200, "ok", true},
		{"some bare line feeds", "GET", "HTTP/1.1 200 OK\r\nX-A: b\nTransfer-Encoding: chunked\n\r\n2\nok\n0\n\n", 200, "ok", true},
		{"equal lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\ncontent-length:  2\r\n\r\nok", 200, "ok", true},
		{"a list of equal lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, "ok", true},
		{"folded", "GET", "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, source := range []io.Reader{
				strings.NewReader(c.wire), iotest.OneByteReader(strings.NewReader(c.wire)),
			} {
				var r Reader
				r.Reset(source, noMax, &Buffers{})
				body, err := read(&r, c.method)
				require.NoError(t, err)
				assert.Equal(t, c.status, r.Status)
				assert.Equal(t, c.body, body)
				if c.name != "more than asked for" {
					assert.Equal(t, c.reusable, r.Reusable(), "reusable")
				}

				// The same head again is not parsed, and means the same.
				r.Reset(strings.NewReader(c.wire), noMax, &Buffers{})
				again, err := read(&r, c.method)
				require.NoError(t, err)
				assert.Equal(t, c.status, r.Status)
				assert.Equal(t, body, again)
			}
			var r Reader
			r.Reset(strings.NewReader(c.wire), noMax, &Buffers{})
			require.NoError(t, r.ReadHead(c.method == "HEAD", false))
			require.NoError(t, r.Discard())
			assert.Equal(t, c.reusable, r.Reusable(), "reusable after Discard")
		})
	}
}

func TestBadResponses(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	for name, wire := range map[string]string{
		"not http":                "SSH-2.0-OpenSSH_9.6\r\n",
		"tls alert":               "\x15\x03\x01\x00\x02\x02\x46",
		"http/2":                  "HTTP/2 200\r\n\r\n",
		"no status":               "HTTP/1.1 \r\n\r\n",
		"status 000":              "HTTP/1.1 000 Zero\r\n\r\n",
		"status 20":               "HTTP/1.1 20 OK\r\n\r\n",
		"status 2000":             "HTTP/1.1 2000 OK\r\n\r\n",
		"no colon":                head + "what\r\n\r\n",
		"space before the header": head + " X: y\r\n\r\n",
		"two lengths":             head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		"negative length":         head + "Content-Length: -1\r\n\r\n",
		"word for a length":       head + "Content-Length: many\r\n\r\n",
		"huge length":             head + "Content-Length: 99999999999999999999\r\n\r\n",
		"unknown encoding":        head + "Transfer-Encoding: gzip\r\n\r\n",
		"101":                     "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"endless interim":         strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 99),
		"endless head":            head + strings.Repeat("X: y\r\n", MaxHead),
		"endless line":            head + "X: " + strings.Repeat("y", 2*MaxHead),
		"bad chunk size":          chunked + "g\r\nx\r\n",
		"no chunk size":           chunked + "\r\n\r\n",
		"negative chunk size":     chunked + "-1\r\n",
		"huge chunk size":         chunked + "ffffffffffffffffff\r\n",
		"chunk too long":          chunked + "1\r\nxyz\r\n",
		"endless chunk line":      chunked + "1;" + strings.Repeat("x", bufferSize),
		"endless trailer":         chunked + "0\r\n" + strings.Repeat("X: y\r\n", MaxHead),
		"body too large":          head + "Content-Length: 2000\r\n\r\n",
		"chunks too large":        chunked + strings.Repeat("100\r\n"+strings.Repeat("x", 256)+"\r\n", 9),
		"close-framed too large":  head + "\r\n" + strings.Repeat("x", 1001),
	} {
		t.Run(name, func(t *testing.T) {
			var r Reader
			r.Reset(strings.NewReader(wire), 1000, &Buffers{})
			_, err := read(&r, "GET")
			var protocol ProtocolError
			require.ErrorAs(t, err, &protocol)
			assert.Less(t, len(err.Error()), 300)
			assert.False(t, r.Reusable())
		})
	}
}

func TestTruncatedResponses(t *testing.T) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n",
	} {
		for n := range len(wire) {
			var r Reader
			r.Reset(strings.NewReader(wire[:n]), noMax, &Buffers{})
			_, err := read(&r, "GET")
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			require.ErrorIs(t, err, want, "%q", wire[:n])
			require.False(t, r.Reusable())
		}
	}
}

func TestInterimIsReturnedWhenAskedFor(t *testing.T) {
	var r Reader
	r.Reset(strings.NewReader("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"), noMax, &Buffers{})
	require.NoError(t, r.ReadHead(false, true))
	assert.Equal(t, 100, r.Status)
	require.NoError(t, r.ReadHead(false, false))
	assert.Equal(t, 201, r.Status)
}

func TestReaderServesOneResponseAfterTheOther(t *testing.T) {
	var r Reader
	large := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 10<<10) + "\r\nContent-Length: 5\r\n\r\nlarge"
	for range 3 {
		for want, wire := range map[string]string{"large": large, "small": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall"} {
			r.Reset(strings.NewReader(wire), noMax, &Buffers{})
			got, err := read(&r, "GET")
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, want == "large", r.Large())
		}
	}
}

// A head that was not understood is not taken for the one before it, nor known later.
func TestHeadsAfterOneAnother(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nx-a: 1\r\nContent-Length: 2\r\n\r\nok"
	large := "HTTP/1.1 201 Created\r\nX-Large: " + strings.Repeat("y", 2*maxKnown) + "\r\nContent-Length: 2\r\n\r\nok"
	bad := "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
	var r Reader
	for i, wire := range []string{ok, ok, bad, bad, ok, large, ok, ok, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", ok} {
		r.Reset(strings.NewReader(wire), noMax, &Buffers{})
		_, err := read(&r, http.MethodGet)
		if wire == bad {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, i)
		assert.Equal(t, wire[len("HTTP/1.1 "):][:3], strconv.Itoa(r.Status))
		if wire == ok {
			assert.Equal(t, "1", string(r.Header.Peek("X-A")))
		}
	}
}

// FuzzResponse reads what may be a response as net/http does, and compares.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nnothing here",
		"HTTP/1.0 301 Moved\r\nLocation: /x\r\nSet-Cookie: a=b\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	const most = 1 << 16
	f.Fuzz(func(t *testing.T, wire []byte, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		var ours Reader
		ours.Reset(strings.NewReader(string(wire)), most, &Buffers{})
		body, err := read(&ours, method)
		if len(body) > most {
			t.Fatalf("a body of %d bytes", len(body))
		}

		// The same again, with the same Reader.
		status := ours.Status
		ours.Reset(strings.NewReader(string(wire)), most, &Buffers{})
		if again, errAgain := read(&ours, method); (err == nil) != (errAgain == nil) || again != body || ours.Status != status {
			t.Fatalf("%d, %q, %v; again: %d, %q, %v", status, body, err, ours.Status, again, errAgain)
		}

		// And dropped, in small pieces.
		var dropped Reader
		dropped.Reset(iotest.HalfReader(strings.NewReader(string(wire))), most, &Buffers{})
		errDropped := dropped.ReadHead(head, false)
		if errDropped == nil {
			errDropped = dropped.Discard()
		}
		if (err == nil) != (errDropped == nil) || dropped.Status != ours.Status {
			t.Fatalf("read: %v, dropped: %v", err, errDropped)
		}
		if err != nil {
			return
		}
		status, reference, ok := readWithNetHTTP(wire, method)
		if !ok {
			return
		}
		if status != ours.Status || reference != body {
			t.Fatalf("status %d, body %q; net/http reads %d, %q", ours.Status, body, status, reference)
		}
	})
}

// An empty line that came while the connection was idle is not the next response.
func TestAnEmptyLineBeforeAResponseIsSkippedOnce(t *testing.T) {
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for text, used := range map[string]bool{"\r\n" + response: true, "\n" + response: true, response: true} {
		for _, source := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			var r Reader
			r.Reset(source, noMax, &Buffers{})
			r.Used = used
			body, err := read(&r, "GET")
			require.NoError(t, err, "%q", text)
			assert.Equal(t, "ok", body)
		}
	}
	for text, used := range map[string]bool{"\r\n\r\n" + response: true, "\r\n" + response: false, "\rX" + response: true, "\r": true} {
		var r Reader
		r.Reset(strings.NewReader(text), noMax, &Buffers{})
		r.Used = used
		_, err := read(&r, "GET")
		require.Error(t, err, "%q", text)
	}
}
