package serve

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// withClient runs f in virtual time with a connection to a server that serves h as the
// service does.
func withClient(t *testing.T, h http.Handler, f func(t *testing.T, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe() // which keeps nothing: who writes waits for who reads
		ln := &pipeListener{conns: make(chan net.Conn, 1), over: make(chan struct{})}
		ln.conns <- there
		a := &App{log: slog.New(slog.DiscardHandler)}
		stop := a.listenAndServe(t.Context(), ln, h, make(chan error, 1))
		defer a.wg.Wait()
		defer stop()
		defer here.Close()
		f(t, here)
	})
}

// pipeListener accepts what is in conns, and then waits until it is closed.
type pipeListener struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.over) })
	return nil
}

// drip writes text over and over with pauses until the server has closed the
// connection, and returns how long that took and what the server said.
func drip(c net.Conn, pause time.Duration, text string) (time.Duration, string) {
	began := time.Now()
	answer := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(c)
		answer <- string(b)
	}()
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return time.Since(began), <-answer
		}
		select {
		case a := <-answer:
			return time.Since(began), a
		case <-time.After(pause):
		}
	}
}

// TestSlowHeader sends a header field each second, for ever.
func TestSlowHeader(t *testing.T) {
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("half a request was served") })
	for _, first := range []string{"", "GET / HTTP/1.1\r\nHost: localhost\r\n"} {
		withClient(t, never, func(t *testing.T, c net.Conn) {
			_, err := io.WriteString(c, first)
			require.NoError(t, err)
			took, _ := drip(c, time.Second, "X-A: b\r\n")
			assert.LessOrEqual(t, took, headerTimeout+2*time.Second)
		})
	}
	withClient(t, never, func(t *testing.T, c net.Conn) {
		began := time.Now()
		_, _ = io.ReadAll(c) // who says nothing at all
		assert.LessOrEqual(t, time.Since(began), headerTimeout)
	})
}

// TestSlowBody sends a byte of a body each second.
func TestSlowBody(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	withClient(t, httpapi.New(m), func(t *testing.T, c net.Conn) {
		_, err := io.WriteString(c, "POST /api/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
		require.NoError(t, err)
		took, answer := drip(c, time.Second, " ")
		assert.LessOrEqual(t, took, readTimeout+2*time.Second)
		assert.Contains(t, answer, "HTTP/1.1 400 ")
	})
}

// TestSlowReader asks for much and takes nothing.
func TestSlowReader(t *testing.T) {
	var took atomic.Int64
	much := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				took.Store(int64(time.Since(began)))
				return
			}
		}
	})
	withClient(t, much, func(t *testing.T, c net.Conn) {
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		time.Sleep(2 * writeTimeout)
		assert.Equal(t, writeTimeout, time.Duration(took.Load()))
	})
}

func TestIdleClient(t *testing.T) {
	withClient(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(t *testing.T, c net.Conn) {
		began := time.Now()
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		_, _ = io.ReadAll(c)
		assert.Equal(t, idleTimeout, time.Since(began))
	})
}

func TestLargeHeader(t *testing.T) {
	withClient(t, http.NotFoundHandler(), func(t *testing.T, c net.Conn) {
		go func() {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 2*maxHeader)) // until refused
		}()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
		_ = c.Close()
	})
}

// TestManyClients takes no more connections than it may, and goes on when one leaves.
func TestManyClients(t *testing.T) {
	ln, err := listenFew(t.Context(), "127.0.0.1:0", 2)
	require.NoError(t, err)
	a := &App{log: slog.New(slog.DiscardHandler)}
	stop := a.listenAndServe(t.Context(), ln, http.NotFoundHandler(), make(chan error, 1))
	defer a.wg.Wait()
	defer stop()
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
		require.NoError(t, err)
		return c
	}
	ask := func(c net.Conn) {
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_ = resp.Body.Close()
	}
	one, two, three := dial(), dial(), dial()
	defer two.Close()
	defer three.Close()
	ask(one)
	ask(two)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		ask(three)
	}()
	select {
	case <-answered:
		t.Error("a third connection was taken")
	case <-time.After(50 * time.Millisecond):
	}
	_ = one.Close()
	<-answered
}
