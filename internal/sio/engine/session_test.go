package engine_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/testclient"
)

// A client that is gone without a word: nothing but time shows it.
func TestOrphanEndsAtThePingTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		k.open(version)
		ws, err := k.client(version).Dial(t.Context())
		require.NoError(t, err)
		defer func() { _ = ws.CloseNow() }()
		pass(t.Context(), 45*time.Second-time.Millisecond)
		assert.Equal(t, 2, k.srv.Sessions())
		pass(t.Context(), time.Millisecond)
		assert.Equal(t, []string{"ping timeout", "ping timeout"}, k.closed())
		assert.Zero(t, k.srv.Sessions())
	})
}

func TestPingsKeepASessionAlive(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		for _, upgrade := range []bool{false, true} {
			c, s := k.open(version)
			if upgrade {
				require.NoError(t, c.Upgrade(t.Context()))
			}
			for range 20 {
				if version == 3 { // the client pings
					pass(t.Context(), 40*time.Second)
					require.NoError(t, c.Send(t.Context(), "2"))
					packet, err := c.Next(t.Context())
					require.NoError(t, err)
					require.Equal(t, "3", packet)
					continue
				}
				began := time.Now()
				packet, err := c.Next(t.Context())
				require.NoError(t, err)
				require.Equal(t, "2", packet)
				require.Equal(t, 25*time.Second, time.Since(began).Round(time.Millisecond)) // the server pings
				pass(t.Context(), 0)
				require.NoError(t, c.Send(t.Context(), "3"))
			}
			assert.NoError(t, s.Context().Err())
		}
	})
}

// That a client of protocol 4 sends shows nothing: a pong is due all the same.
func TestMessagesAreNoPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c, _ := k.open(4)
		for range 9 {
			pass(t.Context(), 5*time.Second-time.Millisecond)
			require.NoError(t, c.Post(t.Context(), "4x"))
		}
		pass(t.Context(), 9*time.Millisecond)
		assert.Equal(t, []string{"ping timeout"}, k.closed())
	})
}

func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		for _, transport := range []string{"polling", "websocket", "upgrade"} {
			k := newKit(t)
			c, s := k.open(version)
			if transport == "websocket" {
				require.NoError(t, c.Upgrade(t.Context()))
			}
			go func() {
				for i := range 1000 {
					if i%100 == 0 { // in bursts, and with pauses
						<-time.After(time.Millisecond)
					}
					_ = s.Send(engine.NewFrame(numbered(i)), false)
				}
			}()
			for i := range 1000 {
				if i == 333 && transport == "upgrade" {
					require.NoError(t, c.Upgrade(t.Context()))
				}
				packet, err := c.Next(t.Context())
				require.NoError(t, err)
				require.Equal(t, "4"+numbered(i), packet, transport)
			}
		}
	})
}

// lateWriter is slow to find out that an answer is out.
type lateWriter struct {
	http.ResponseWriter
	release <-chan struct{}
}

func (w lateWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	<-w.release
	return err
}

// A fast client polls again before the server is done with its last poll.
func TestNextPollIsEarly(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		release := make(chan struct{})
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			k.srv.ServeHTTP(lateWriter{w, release}, r)
		}))
		defer stop()
		defer close(release)
		first, second := testclient.New(version, dial), testclient.New(version, dial)
		defer first.Close()
		defer second.Close()
		_, err := first.Poll(t.Context())
		require.NoError(t, err)
		second.SID = first.SID // over another connection, for this one is still busy
		require.NoError(t, k.sessions[0].Send(engine.NewFrame("next"), false))
		packets, err := second.Poll(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"4next"}, packets)
	})
}

// While the upgrade goes on, there are messages at every point of it.
func TestNothingIsLostOrDoubledAcrossAnUpgrade(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, s := k.open(version)
		sent := 0
		send := func() {
			synctest.Wait()
			require.NoError(t, s.Send(engine.NewFrame(numbered(sent)), false))
			sent++
			synctest.Wait()
		}
		var got []string
		poll := func() {
			packets, err := c.Poll(t.Context())
			require.NoError(t, err)
			for _, p := range packets {
				if p != "6" {
					got = append(got, p)
				}
			}
		}
		send()
		ws, err := c.Dial(t.Context())
		require.NoError(t, err)
		send()
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte("2probe")))
		send()
		_, text, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "3probe", string(text))
		poll() // what has been sent so far
		require.Len(t, got, 3)
		poll() // let go
		require.Len(t, got, 3)
		send()
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte("5")))
		send()
		_, err = c.Poll(t.Context())
		require.ErrorContains(t, err, "moved to a WebSocket")
		send()
		for range 3 {
			_, text, err := ws.Read(t.Context())
			require.NoError(t, err)
			got = append(got, string(text))
		}
		for i, p := range got {
			assert.Equal(t, "4"+numbered(i), p)
		}
		assert.Len(t, got, sent)
		_ = ws.CloseNow()
		assert.Equal(t, []string{"transport close"}, k.closed())
	})
}

// A WebSocket that does not go through with it leaves the session as it was.
func TestAbandonedUpgrade(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, s := k.open(version)
		for _, script := range [][]string{{}, {"4hello"}, {"2probe"}, {"2probe", "4hello"}, {"5"}} {
			ws, err := c.Dial(t.Context())
			require.NoError(t, err)
			for _, packet := range script {
				require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(packet)))
			}
			synctest.Wait()
			if len(script) == 0 {
				_, second := c.Dial(t.Context())
				require.ErrorContains(t, second, "400", "one at a time")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
			for err == nil {
				_, _, err = ws.Read(ctx)
			}
			require.False(t, errors.Is(err, context.DeadlineExceeded), "%q: the server gives up", script)
			cancel()
			_ = ws.CloseNow()
			synctest.Wait()
			require.NoError(t, s.Send(engine.NewFrame("still here"), false))
			packets, err := c.Poll(t.Context())
			require.NoError(t, err)
			require.Equal(t, "4still here", packets[len(packets)-1])
			require.NoError(t, c.Post(t.Context(), map[int]string{3: "2", 4: "3"}[version]))
		}
		assert.Empty(t, k.got(), "what comes on a WebSocket before the switch is not taken")
		require.NoError(t, c.Upgrade(t.Context()))
	})
}

// Statistics use half of the queue; state that does not fit ends the session.
func TestSlowReader(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t, func(k *kit) { k.cfg.MaxQueue = 10 })
		c, s := k.open(version)
		for range 8 {
			require.NoError(t, s.Send(engine.NewFrame("statistics"), true))
		}
		for range 5 {
			require.NoError(t, s.Send(engine.NewFrame("state"), false))
		}
		packets, err := c.Poll(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "4statistics,4statistics,4statistics,4statistics,4statistics,4state,4state,4state,4state,4state",
			strings.Join(packets, ","))
		for range 10 {
			require.NoError(t, s.Send(engine.NewFrame("state"), false))
		}
		assert.ErrorIs(t, s.Send(engine.NewFrame("state"), false), engine.ErrClosed)
		assert.Equal(t, []string{"slow reader"}, k.closed())
		_, err = c.Poll(t.Context())
		assert.ErrorContains(t, err, "unknown")
	})
}

// A client that pings and does not read cannot make the answers pile up.
func TestPingsWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(k *kit) { k.cfg.MaxQueue = 100 })
		c, _ := k.open(3)
		pings := strings.Split(strings.Repeat("2", 90), "")
		require.NoError(t, c.Post(t.Context(), pings...))
		assert.Empty(t, k.closed())
		require.NoError(t, c.Post(t.Context(), pings...))
		assert.Equal(t, []string{"slow reader"}, k.closed())
		assert.Zero(t, k.srv.Sessions())
	})
}

func TestSlowReaderInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(k *kit) { k.cfg.MaxQueueBytes = 1000 })
		c, s := k.open(4)
		big := engine.NewFrame(strings.Repeat("x", 1500))
		require.NoError(t, s.Send(big, false), "one alone fits, whatever its size")
		require.NoError(t, s.Send(engine.NewFrame("statistics"), true))
		packets, err := c.Poll(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{string(big)}, packets)
		require.NoError(t, s.Send(big, false))
		assert.ErrorIs(t, s.Send(engine.NewFrame("x"), false), engine.ErrClosed)
	})
}

// A WebSocket whose reader is stuck does not hold up others, and is cut off.
func TestStuckWebSocket(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t, func(k *kit) { k.cfg.MaxQueueBytes = 1 << 22 })
		ws, err := k.client(version).Dial(t.Context())
		require.NoError(t, err)
		defer func() { _ = ws.CloseNow() }()
		synctest.Wait()
		big := engine.NewFrame(strings.Repeat("x", 1<<16))
		began := time.Now()
		for err == nil {
			err = k.sessions[0].Send(big, false)
			synctest.Wait()
		}
		assert.Zero(t, time.Since(began))
		assert.Equal(t, []string{"slow reader"}, k.closed())
		assert.Zero(t, k.srv.Sessions())
	})
}

// On stop every client is told: polls by a packet, WebSockets by their own goodbye.
// The bubble shows that no goroutine is left.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		polling, s := k.open(version)
		upgraded, _ := k.open(version)
		require.NoError(t, upgraded.Upgrade(t.Context()))
		k.open(version) // without a poll, this one cannot be told
		told := make(chan []string, 1)
		go func() {
			packets, _ := polling.Poll(t.Context())
			told <- packets
		}()
		bye := make(chan error, 1)
		go func() {
			packet, err := upgraded.Next(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, "4last words", packet)
			_, err = upgraded.Next(t.Context())
			bye <- err
		}()
		synctest.Wait()
		require.NoError(t, k.sessions[1].Send(engine.NewFrame("last words"), false))
		began := time.Now()
		k.srv.Close()
		k.srv.Close()
		assert.Zero(t, time.Since(began))
		assert.Equal(t, []string{"1"}, <-told)
		assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(<-bye))
		assert.Equal(t, []string{"server shutting down", "server shutting down", "server shutting down"}, k.closed())
		assert.ErrorIs(t, s.Send(engine.NewFrame("x"), false), engine.ErrClosed)
		_, err := k.client(version).Poll(t.Context())
		assert.ErrorContains(t, err, "503")
	})
}

// A client that does not listen holds up the stop for a second.
func TestCloseWithAStuckClient(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		ws, err := k.client(version).Dial(t.Context())
		require.NoError(t, err)
		defer func() { _ = ws.CloseNow() }()
		synctest.Wait()
		for range 10 {
			require.NoError(t, k.sessions[0].Send(engine.NewFrame(strings.Repeat("x", 1<<16)), false))
		}
		began := time.Now()
		k.srv.Close()
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// What the layer above sends while a session opens comes right after the handshake.
func TestSendWhileOpening(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t, func(k *kit) {
			k.opened = func(s *engine.Session) { _ = s.Send(engine.NewFrame("0"), false) }
		})
		packets, err := k.client(version).Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, packets, 2)
		assert.Equal(t, "40", packets[1])
	})
}
