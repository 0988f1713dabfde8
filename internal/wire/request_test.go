package wire

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppendTarget(t *testing.T) {
	for in, want := range map[string]string{
		"/a?b=c":     "/a?b=c",
		"/a b":       "/a%20b",
		"/%20":       "/%20",
		"/ü":         "/%C3%BC",
		"/a#b":       "/a",
		"/a\r\nX: y": "",
		"/a\tb":      "",
		"/a\x00":     "",
		"/a\x7f":     "",
	} {
		got, err := AppendTarget(nil, in)
		if want == "" {
			require.ErrorIs(t, err, ErrTarget, "%q", in)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

func TestAppendField(t *testing.T) {
	line, err := AppendField(nil, "X-A", "b\tc ü")
	require.NoError(t, err)
	assert.Equal(t, "X-A: b\tc ü\r\n", string(line))
	for _, bad := range [][2]string{{"X A", ""}, {"", ""}, {"X:", ""}, {"X\r\n", ""}, {"X", "a\r\nY: b"}, {"X", "\x00"}, {"X", "\x7f"}} {
		_, err := AppendField(nil, bad[0], bad[1])
		assert.Error(t, err, "%q", bad)
	}
}

// FuzzFields looks for requests that say more than they were given.
func FuzzFields(f *testing.F) {
	f.Add("/x?y", "X-A", "b")
	f.Add("/x\r\n\r\nGET /y", "X-A\r\n", "b\r\nC: d")
	f.Fuzz(func(t *testing.T, target, name, value string) {
		head := []byte("GET ")
		head, err := AppendTarget(head, "/"+target)
		if err != nil {
			return
		}
		head = append(head, " HTTP/1.1\r\nHost: h\r\n"...)
		if head, err = AppendField(head, name, value); err != nil {
			return
		}
		if n := bytes.Count(head, []byte("\n")); n != 3 || bytes.ContainsRune(head[:len(head)-2], '\x00') {
			t.Fatalf("%d lines: %q", n, head)
		}
		if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Transfer-Encoding") || strings.EqualFold(name, "Content-Length") {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(head, "\r\n"...))))
		if err != nil {
			return // net/http is stricter about some paths and values
		}
		if _, err := req.Body.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("there is a body: %v", err)
		}
	})
}

func TestHasToken(t *testing.T) {
	for list, want := range map[string]bool{
		"close": true, "Close": true, "keep-alive, CLOSE": true, "close ,x": true,
		"": false, "closed": false, "clos": false, "x-close": false, ",,": false,
	} {
		assert.Equal(t, want, HasToken(list, "close"), "%q", list)
		assert.Equal(t, want, HasToken([]byte(list), "close"), "%q", list)
	}
}

// sink is a connection that keeps what is written.
type sink struct {
	net.Conn
	bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.Buffer.Write(p) }
func (s *sink) Read(p []byte) (int, error)  { return s.Buffer.Read(p) }

func TestCopyBody(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	t.Run("with a length", func(t *testing.T) {
		var s sink
		var c Conn
		c.Init(&s, false)
		require.NoError(t, CopyBody(&c, strings.NewReader(text+"more"), int64(len(text))))
		assert.Equal(t, text, s.String())
		assert.EqualValues(t, len(text), c.Out)
	})
	t.Run("in chunks", func(t *testing.T) {
		var s sink
		var c Conn
		c.Init(&s, false)
		require.NoError(t, CopyBody(&c, iotest.HalfReader(strings.NewReader(text)), -1))
		got, err := io.ReadAll(httputil.NewChunkedReader(&s.Buffer))
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	})
	t.Run("too short", func(t *testing.T) {
		var c Conn
		c.Init(&sink{}, false)
		var body *BodyError
		require.ErrorAs(t, CopyBody(&c, strings.NewReader("x"), 2), &body)
		require.ErrorAs(t, CopyBody(&c, iotest.ErrReader(io.ErrNoProgress), -1), &body)
		require.ErrorIs(t, body, io.ErrNoProgress)
	})
}

func TestDeadlineMovesAwayWithoutBeingSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		counted := &countDeadlines{Conn: near}
		var c Conn
		c.Init(counted, false)
		begin := time.Now()
		for i := range 10 {
			now := time.Now()
			require.NoError(t, c.SetDeadline(now.Add(10*time.Second), now))
			go func() { _, _ = far.Write([]byte{byte(i)}) }()
			_, err := c.Read(make([]byte, 1))
			require.NoError(t, err)
			<-time.After(time.Second)
		}
		assert.LessOrEqual(t, counted.n, 2)

		// What is in force is the newest, to the nanosecond.
		now := time.Now()
		require.NoError(t, c.SetDeadline(now.Add(10*time.Second), now))
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 20*time.Second, time.Since(begin))

		// Writes heed it, too.
		now = time.Now()
		require.NoError(t, c.SetDeadline(now.Add(time.Second), now))
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 21*time.Second, time.Since(begin))
	})
}

type countDeadlines struct {
	net.Conn
	n int
}

func (c *countDeadlines) SetDeadline(t time.Time) error {
	c.n++
	return c.Conn.SetDeadline(t)
}

func TestAlive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	near, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // loopback
	require.NoError(t, err)
	defer func() { _ = near.Close() }()
	far, err := l.Accept()
	require.NoError(t, err)
	var p Probe
	assert.True(t, p.Alive(near))
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.Alive(near) }))
	require.NoError(t, far.Close())
	assert.Eventually(t, func() bool { return !p.Alive(near) }, time.Minute, time.Millisecond)
	pipe, _ := net.Pipe()
	assert.True(t, new(Probe).Alive(pipe))
}
