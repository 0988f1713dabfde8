package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/opbeans/loadgen/internal/memnet"
)

// connect returns both ends of a new connection.
func connect(t *testing.T) (client, server *memnet.Conn) {
	t.Helper()
	n := memnet.New()
	l, err := n.Listen("shop:80")
	require.NoError(t, err)
	c, err := n.DialContext(t.Context(), "tcp", "shop:80")
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	t.Cleanup(func() {
		_ = c.Close()
		_ = s.Close()
	})
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

// requireOp checks that err has the shape of an error of package net.
func requireOp(t *testing.T, err error, op string, target error) {
	t.Helper()
	var e *net.OpError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, op, e.Op)
	require.ErrorIs(t, err, target)
}

func TestConformance(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		n := memnet.New()
		l, err := n.Listen("shop:0")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = n.DialContext(context.Background(), "tcp", l.Addr().String()); err != nil {
			return nil, nil, nil, err
		}
		if c2, err = l.Accept(); err != nil {
			return nil, nil, nil, err
		}
		return c1, c2, func() { _, _, _ = c1.Close(), c2.Close(), l.Close() }, nil
	})
}

func TestListen(t *testing.T) {
	n := memnet.New()
	l, err := n.Listen("shop:80")
	require.NoError(t, err)
	assert.Equal(t, "shop:80", l.Addr().String())
	assert.Equal(t, "mem", l.Addr().Network())

	_, err = n.Listen("shop:80")
	requireOp(t, err, "listen", syscall.EADDRINUSE)
	_, err = n.Listen("cafe:80")
	require.NoError(t, err, "another host may have the same port")
	for _, bad := range []string{"shop", "shop:http", "shop:-1", "shop:65536", ""} {
		_, err = n.Listen(bad)
		var e *net.AddrError
		require.ErrorAs(t, err, &e, "%q", bad)
	}

	require.NoError(t, l.Close())
	requireOp(t, l.Close(), "close", net.ErrClosed)
	_, err = l.Accept()
	requireOp(t, err, "accept", net.ErrClosed)
	_, err = n.Listen("shop:80")
	require.NoError(t, err, "a closed listener frees its address")
}

func TestListenPicksAFreePort(t *testing.T) {
	n := memnet.New()
	seen := map[string]bool{}
	for range 1000 {
		l, err := n.Listen("shop:0")
		require.NoError(t, err)
		assert.False(t, seen[l.Addr().String()], "%s twice", l.Addr())
		seen[l.Addr().String()] = true
	}
}

func TestDial(t *testing.T) {
	n := memnet.New()
	_, err := n.DialContext(t.Context(), "tcp", "shop:80")
	requireOp(t, err, "dial", syscall.ECONNREFUSED)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = n.DialContext(ctx, "tcp", "shop:80")
	requireOp(t, err, "dial", context.Canceled)

	c, s := connect(t)
	assert.Equal(t, "shop:80", c.RemoteAddr().String())
	assert.Equal(t, "shop:80", s.LocalAddr().String())
	assert.Equal(t, c.LocalAddr(), s.RemoteAddr())
	assert.True(t, strings.HasPrefix(c.LocalAddr().String(), "client:"))
}

func TestDialWaitsForAFullBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen("shop:80")
		require.NoError(t, err)
		dial := func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, err := n.DialContext(ctx, "tcp", "shop:80")
			return err
		}
		for err = dial(t.Context()); err == nil; err = dial(t.Context()) {
		}
		requireOp(t, err, "dial", context.DeadlineExceeded)
		var e net.Error
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Timeout())

		refused := make(chan error)
		go func() { refused <- dial(t.Context()) }()
		synctest.Wait()
		require.NoError(t, l.Close())
		requireOp(t, <-refused, "dial", syscall.ECONNREFUSED)
	})
}

func TestClosedListenerResetsWhatItDidNotAccept(t *testing.T) {
	n := memnet.New()
	l, err := n.Listen("shop:80")
	require.NoError(t, err)
	c, err := n.DialContext(t.Context(), "tcp", "shop:80")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = c.Read(make([]byte, 1))
	requireOp(t, err, "read", syscall.ECONNRESET)
}

func TestAcceptEndsWithItsListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := memnet.New().Listen("shop:80")
		require.NoError(t, err)
		accepted := make(chan error)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		require.NoError(t, l.Close())
		requireOp(t, <-accepted, "accept", net.ErrClosed)
	})
}

// Dialing while the listener closes either connects, and then the listener or its
// closing has the other end, or is refused: no end is left alone.
func TestDialRacesClose(t *testing.T) {
	for range 200 {
		n := memnet.New()
		l, err := n.Listen("shop:80")
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				c, err := n.DialContext(context.Background(), "tcp", "shop:80")
				if err != nil {
					assert.ErrorIs(t, err, syscall.ECONNREFUSED)
					return
				}
				_, err = c.Read(make([]byte, 1)) // hangs, were the end left alone
				assert.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
			})
		}
		wg.Go(func() {
			if c, err := l.Accept(); err == nil {
				_ = c.Close()
			}
			_ = l.Close()
		})
		wg.Wait()
	}
}

func TestCloseLetsTheOtherEndReadTheRest(t *testing.T) {
	c, s := connect(t)
	_, err := c.Write([]byte("last words"))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	rest, err := io.ReadAll(s)
	require.NoError(t, err)
	assert.Equal(t, "last words", string(rest))
	_, err = s.Write([]byte("too late"))
	requireOp(t, err, "write", syscall.EPIPE)

	_, err = c.Read(make([]byte, 1))
	requireOp(t, err, "read", net.ErrClosed)
	_, err = c.Write([]byte("x"))
	requireOp(t, err, "write", net.ErrClosed)
	requireOp(t, c.Close(), "close", net.ErrClosed)
	requireOp(t, c.CloseWrite(), "close", net.ErrClosed)
	requireOp(t, c.SetDeadline(time.Time{}), "set", net.ErrClosed)
	requireOp(t, c.SetWriteDeadline(time.Time{}), "set", net.ErrClosed)
}

func TestCloseWriteLeavesReadingOpen(t *testing.T) {
	c, s := connect(t)
	_, err := c.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	_, err = c.Write([]byte("x"))
	requireOp(t, err, "write", syscall.EPIPE)

	question, err := io.ReadAll(s)
	require.NoError(t, err)
	assert.Equal(t, "question", string(question))
	_, err = s.Write([]byte("answer"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "answer", string(answer))
}

func TestLingerZeroResets(t *testing.T) {
	c, s := connect(t)
	_, err := s.Write([]byte("lost"))
	require.NoError(t, err)
	require.NoError(t, s.SetLinger(0))
	require.NoError(t, s.Close())
	_, err = c.Read(make([]byte, 10))
	requireOp(t, err, "read", syscall.ECONNRESET)
	_, err = c.Write([]byte("x"))
	requireOp(t, err, "write", syscall.EPIPE)
}

func TestCloseWakesBothSides(t *testing.T) {
	for _, closer := range []string{"own", "other"} {
		t.Run(closer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := connect(t)
				read, wrote := make(chan error), make(chan error)
				go func() {
					_, err := c.Read(make([]byte, 1))
					read <- err
				}()
				go func() {
					n, err := c.Write(make([]byte, 1<<20))
					assert.Equal(t, 64<<10, n, "what the buffer holds")
					wrote <- err
				}()
				synctest.Wait()
				if closer == "own" {
					require.NoError(t, c.Close())
					requireOp(t, <-read, "read", net.ErrClosed)
					requireOp(t, <-wrote, "write", net.ErrClosed)
					return
				}
				require.NoError(t, s.Close())
				require.ErrorIs(t, <-read, io.EOF)
				requireOp(t, <-wrote, "write", syscall.EPIPE)
			})
		})
	}
}

// Deadlines pass in virtual time, exactly, which needs every wait to be durable.
func TestDeadlinesInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t)
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(time.Hour)))
		_, err := c.Read(make([]byte, 1))
		requireOp(t, err, "read", os.ErrDeadlineExceeded)
		var e net.Error
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Timeout())
		assert.Equal(t, time.Hour, time.Since(start))

		require.NoError(t, c.SetWriteDeadline(start.Add(3*time.Hour)))
		n, err := c.Write(make([]byte, 100<<10))
		requireOp(t, err, "write", os.ErrDeadlineExceeded)
		assert.Equal(t, 64<<10, n)
		assert.Equal(t, 3*time.Hour, time.Since(start))
	})
}

// A deadline may move while others wait for it; those wait for the newest one.
func TestDeadlineMovesUnderWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := connect(t)
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(time.Minute)))
		ended := make(chan time.Duration, 3)
		for range 3 {
			go func() {
				_, err := c.Read(make([]byte, 1))
				if err == nil { // the one that got the byte below waits again
					_, err = c.Read(make([]byte, 1))
				}
				assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
				ended <- time.Since(start)
			}()
		}
		synctest.Wait()
		require.NoError(t, c.SetReadDeadline(start.Add(time.Hour)))
		time.Sleep(30 * time.Minute)
		_, err := s.Write([]byte("x"))
		require.NoError(t, err)
		for range 3 {
			assert.Equal(t, time.Hour, <-ended)
		}
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, err = s.Write([]byte("y"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err, "the zero time removes the deadline")
	})
}

func TestWritesDoNotInterleave(t *testing.T) {
	c, s := connect(t)
	const size = 200 << 10 // several buffers
	var wg sync.WaitGroup
	for _, b := range []byte("abcd") {
		wg.Go(func() {
			_, err := c.Write([]byte(strings.Repeat(string(b), size)))
			assert.NoError(t, err)
		})
	}
	go func() {
		wg.Wait()
		_ = c.Close()
	}()
	all, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Len(t, all, 4*size)
	changes := 0
	for i := 1; i < len(all); i++ {
		if all[i] != all[i-1] {
			changes++
		}
	}
	assert.Equal(t, 3, changes)
}

// What is read is what was written, whatever the sizes of reads and writes.
func FuzzStream(f *testing.F) {
	f.Add([]byte{1, 2, 3, 255, 0, 7}, uint8(3))
	f.Add([]byte{255, 255, 255, 255, 255, 255}, uint8(250))
	f.Fuzz(func(t *testing.T, sizes []byte, readSize uint8) {
		c, s := connect(t)
		var sent []byte
		for i, n := range sizes {
			for j := range int(n) * 300 {
				sent = append(sent, byte(i+j))
			}
		}
		go func() {
			rest := sent
			for _, n := range sizes {
				if _, err := c.Write(rest[:int(n)*300]); err != nil {
					t.Errorf("write: %v", err)
				}
				rest = rest[int(n)*300:]
			}
			_ = c.Close()
		}()
		var got []byte
		p := make([]byte, 1+int(readSize)*100)
		for {
			n, err := s.Read(p)
			got = append(got, p[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.True(t, string(sent) == string(got), "sent %d bytes, read %d others", len(sent), len(got))
	})
}
