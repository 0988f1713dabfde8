package socket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/socket"
	"github.com/opbeans/loadgen/internal/sio/testclient"
)

// kit is a server on a network in memory.
type kit struct {
	t       *testing.T
	srv     *socket.Server
	dial    memnet.DialFunc
	onEvent func(*socket.Socket, socket.Event)

	mu      sync.Mutex
	sockets []*socket.Socket
	gone    []string
}

func (k *kit) Connect(c *socket.Socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sockets = append(k.sockets, c)
}

func (k *kit) Event(c *socket.Socket, e socket.Event) {
	if k.onEvent != nil {
		k.onEvent(c, e)
	}
}

func (k *kit) Disconnect(_ *socket.Socket, reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = append(k.gone, reason)
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t}
	k.srv = socket.New(engine.Config{
		Allow:        func(*http.Request) bool { return true },
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, UpgradeTimeout: 10 * time.Second,
		MaxPayload: 1000, MaxSessions: 100, MaxQueue: 2000, MaxQueueBytes: 1 << 20,
	}, k)
	dial, stop := memnet.Serve(k.srv)
	k.dial = dial
	t.Cleanup(func() {
		k.srv.Close()
		stop()
	})
	return k
}

// connect returns a connected client, and its socket.
func (k *kit) connect(version int, transport string) (*testclient.Client, *socket.Socket) {
	k.t.Helper()
	c := testclient.New(version, k.dial)
	k.t.Cleanup(c.Close)
	require.NoError(k.t, c.Connect(k.t.Context(), transport))
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return c, k.sockets[len(k.sockets)-1]
}

func (k *kit) left() []string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.gone...)
}

func bubble(t *testing.T, test func(t *testing.T, k *kit, version int, transport string)) {
	t.Helper()
	for _, version := range []int{3, 4} {
		for _, transport := range []string{"polling", "websocket"} {
			t.Run("protocol "+strconv.Itoa(version)+", "+transport, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, newKit(t), version, transport) })
			})
		}
	}
}

func next(t *testing.T, c *testclient.Client) string {
	t.Helper()
	message, err := c.Message(t.Context())
	require.NoError(t, err)
	return message
}

func message(t *testing.T, name string, args ...any) socket.Message {
	t.Helper()
	m, err := socket.NewMessage(name, args...)
	require.NoError(t, err)
	return m
}

// Clients of protocol 3 are connected at once; those of protocol 4 ask for it and
// are told the socket's name.
func TestConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := testclient.New(3, k.dial)
		defer c.Close()
		packets, err := c.Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, packets, 2)
		assert.Equal(t, "40", packets[1])

		c = testclient.New(4, k.dial)
		defer c.Close()
		packets, err = c.Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, packets, 1)
		require.NoError(t, c.Post(t.Context(), `40{"token":"of no interest"}`))
		packets, err = c.Poll(t.Context())
		require.NoError(t, err)
		assert.Equal(t, `40{"sid":"`+k.sockets[1].ID()+`"}`, packets[0])
		assert.NotEqual(t, c.SID, k.sockets[1].ID(), "the session's name is a secret, the socket's is none")
	})
}

func TestEventBeforeTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := testclient.New(4, k.dial)
		defer c.Close()
		_, err := c.Poll(t.Context())
		require.NoError(t, err)
		assert.ErrorContains(t, c.Post(t.Context(), `42["x"]`), "before the connection")
		assert.Zero(t, k.srv.Sessions())
		assert.Empty(t, k.left())
	})
}

// A client that keeps its session alive without ever connecting does not stay.
func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := testclient.New(4, k.dial)
		defer c.Close()
		began := time.Now()
		for {
			packet, err := c.Next(t.Context())
			if err != nil || packet == "1" {
				break
			}
			if packet == "2" {
				require.NoError(t, c.Post(t.Context(), "3"))
			}
		}
		assert.Equal(t, 45*time.Second, time.Since(began))
		assert.Zero(t, k.srv.Sessions())
	})
}

func TestOtherNamespaces(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		c, _ := k.connect(version, transport)
		want := map[int]string{
			3: `4/admin,"Invalid namespace"`,
			4: `4/admin,{"message":"Invalid namespace"}`,
		}[version]
		require.NoError(t, c.Send(t.Context(), "40/admin,"))
		assert.Equal(t, want, next(t, c))
		require.NoError(t, c.Send(t.Context(), "41/admin,"))
		require.NoError(t, c.Send(t.Context(), "40/admin,"))
		assert.Equal(t, want, next(t, c), "the session goes on")
		_ = c.Send(t.Context(), `42/admin,["x"]`)
		assert.Equal(t, []string{"parse error"}, k.left())
	})
}

func TestRefusedPackets(t *testing.T) {
	for _, packet := range []string{`4`, `431[`, `42["echo",null`, `451-["x",{"_placeholder":true,"num":0}]`, `44{}`, `42[]`} {
		bubble(t, func(t *testing.T, k *kit, version int, transport string) {
			c, _ := k.connect(version, transport)
			_ = c.Send(t.Context(), packet)
			assert.Equal(t, []string{"parse error"}, k.left())
			assert.Zero(t, k.srv.Sessions())
		})
	}
}

func TestAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		k.onEvent = func(_ *socket.Socket, e socket.Event) {
			if e.Ack != nil {
				e.Ack(e.Name, e.Args)
				e.Ack("once is enough")
			}
		}
		c, s := k.connect(version, transport)
		answer, err := c.Call(t.Context(), 0, "first", `{"a":"<b>"}`, "2")
		require.NoError(t, err)
		assert.Equal(t, `"first",[{"a":"<b>"},2]`, answer)
		require.NoError(t, c.Send(t.Context(), `42["no answer wanted"]`))
		answer, err = c.Call(t.Context(), 12, "second")
		require.NoError(t, err)
		assert.Equal(t, `"second",[]`, answer)

		var got []json.RawMessage
		require.NoError(t, s.EmitAck(func(args []json.RawMessage) { got = args }, "question", 42))
		assert.Equal(t, `21["question",42]`, next(t, c))
		require.NoError(t, c.Send(t.Context(), `431["answer",1]`))
		synctest.Wait()
		assert.Equal(t, []json.RawMessage{json.RawMessage(`"answer"`), json.RawMessage(`1`)}, got)
		got = nil
		require.NoError(t, c.Send(t.Context(), `431["again"]`))
		require.NoError(t, c.Send(t.Context(), `439["nobody asked"]`))
		synctest.Wait()
		assert.Nil(t, got)
	})
}

// Events of one client are handled in their order, however long each takes; pings
// get past them.
func TestEventsInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		var handled []string
		k.onEvent = func(_ *socket.Socket, e socket.Event) {
			<-time.After(10 * time.Second)
			handled = append(handled, e.Name)
		}
		c, _ := k.connect(version, transport)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("event %d", i))
			require.NoError(t, c.Send(t.Context(), fmt.Sprintf(`42["event %d"]`, i)))
		}
		listening := make(chan struct{})
		go func() {
			defer close(listening)
			for {
				packet, err := c.Next(t.Context())
				if err != nil || packet == "1" {
					return
				}
				if packet == "2" {
					_ = c.Send(t.Context(), "3")
				}
			}
		}()
		for range 20 {
			<-time.After(10 * time.Second)
			if version == 3 {
				_ = c.Send(t.Context(), "2")
			}
		}
		synctest.Wait()
		assert.Equal(t, want, handled)
		assert.Empty(t, k.left())
		k.srv.Close()
		<-listening
	})
}

// A client that sends more than is handled is made to wait, and no longer than its
// session lasts.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		release := make(chan struct{})
		handled := 0
		k.onEvent = func(*socket.Socket, socket.Event) {
			<-release
			handled++
		}
		c, _ := k.connect(4, "polling")
		sent := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for c.Post(ctx, `42["x"]`) == nil {
			sent++
		}
		assert.Equal(t, 32, sent)
		close(release)
		synctest.Wait()
		assert.GreaterOrEqual(t, handled, 32)
	})
}

func TestRooms(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		a, sa := k.connect(version, transport)
		b, sb := k.connect(version, transport)
		k.srv.Together(func(r *socket.Rooms) {
			assert.True(t, r.Empty("red"))
			r.Join(sa, "red")
			r.Join(sa, "blue")
			r.Join(sb, "blue")
			assert.Equal(t, []string{"blue", "red"}, r.Of(sa))
			r.Broadcast(message(t, "to", "red"), false, "red")
			r.Broadcast(message(t, "to", "both"), false, "red", "blue")
			r.Leave(sa, "red")
			r.Broadcast(message(t, "to", "red"), false, "red")
			r.Broadcast(message(t, "to", "blue"), false, "blue")
		})
		for _, want := range []string{"red", "both", "blue"} {
			assert.Equal(t, `2["to","`+want+`"]`, next(t, a))
		}
		for _, want := range []string{"both", "blue"} {
			assert.Equal(t, `2["to","`+want+`"]`, next(t, b))
		}
		require.NoError(t, b.Send(t.Context(), "41"))
		assert.Equal(t, []string{"client disconnect"}, k.left())
		k.srv.Together(func(r *socket.Rooms) {
			r.Join(sb, "red")
			assert.True(t, r.Empty("red"), "who has left joins no more")
			r.Leave(sa, "blue")
			assert.True(t, r.Empty("blue"))
		})
	})
}

func TestThousandOrderedBroadcasts(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		const clients = 5
		var listening sync.WaitGroup
		for range clients {
			c, s := k.connect(version, transport)
			k.srv.Together(func(r *socket.Rooms) { r.Join(s, "all") })
			listening.Go(func() {
				for i := range 1000 {
					got, err := c.Message(t.Context())
					if !assert.NoError(t, err) || !assert.Equal(t, fmt.Sprintf(`2["n",%d]`, i), got) {
						return
					}
				}
			})
		}
		for i := range 1000 {
			m := message(t, "n", i)
			k.srv.Together(func(r *socket.Rooms) { r.Broadcast(m, false, "all") })
		}
		listening.Wait()
	})
}

func TestClientDisconnects(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit, version int, transport string) {
		c, s := k.connect(version, transport)
		require.NoError(t, c.Send(t.Context(), "41"))
		assert.Equal(t, []string{"client disconnect"}, k.left())
		assert.ErrorIs(t, s.Emit("x"), engine.ErrClosed)
		assert.ErrorIs(t, s.EmitAck(nil, "x"), engine.ErrClosed)
	})
}
