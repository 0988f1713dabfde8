package engine_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/sio/engine"
)

func TestHandshake(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		for _, transport := range []string{"polling", "websocket"} {
			c := k.client(version)
			var packet string
			if transport == "polling" {
				packets, err := c.Poll(t.Context())
				require.NoError(t, err)
				require.Len(t, packets, 1)
				packet = packets[0]
			} else {
				ws, err := c.Dial(t.Context())
				require.NoError(t, err)
				defer func() { _ = ws.CloseNow() }()
				_, text, err := ws.Read(t.Context())
				require.NoError(t, err)
				packet = string(text)
			}
			var hello struct {
				SID                                   string
				Upgrades                              []string
				PingInterval, PingTimeout, MaxPayload int
			}
			require.Equal(t, "0", packet[:1])
			require.NoError(t, json.Unmarshal([]byte(packet[1:]), &hello))
			assert.Len(t, hello.SID, 20)
			assert.Equal(t, 25000, hello.PingInterval)
			assert.Equal(t, 20000, hello.PingTimeout)
			assert.Equal(t, 1000, hello.MaxPayload)
			if transport == "polling" {
				assert.Equal(t, []string{"websocket"}, hello.Upgrades)
			} else {
				assert.Empty(t, hello.Upgrades)
			}
		}
	})
}

func TestMessagesBothWays(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t, func(k *kit) { k.echo = true })
		c, _ := k.open(version)
		require.NoError(t, c.Post(t.Context(), "4one", "4zwei €", "4three 😀"))
		packets, err := c.Poll(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"4one", "4zwei €", "4three 😀"}, packets)

		require.NoError(t, c.Upgrade(t.Context()))
		require.NoError(t, c.Send(t.Context(), "4four 😀"))
		packet, err := c.Next(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "4four 😀", packet)
		assert.Equal(t, []string{"one", "zwei €", "three 😀", "four 😀"}, k.got())
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		live, _ := k.open(4)
		live.HTTP.CloseIdleConnections()
		for _, tt := range []struct {
			name, method, query string
			status, code        int
		}{
			{"no protocol version", "GET", "transport=polling", 400, 5},
			{"another protocol version", "GET", "EIO=5&transport=polling", 400, 5},
			{"another for a WebSocket", "GET", "EIO=2&transport=websocket", 400, 5},
			{"no transport", "GET", "EIO=4", 400, 0},
			{"another transport", "GET", "EIO=4&transport=flashsocket", 400, 0},
			{"JSONP", "GET", "EIO=3&transport=polling&j=0", 400, 3},
			{"unknown session", "GET", "EIO=4&transport=polling&sid=nosuch", 400, 1},
			{"unknown session, posting", "POST", "EIO=4&transport=polling&sid=nosuch", 400, 1},
			{"posting without a session", "POST", "EIO=4&transport=polling", 400, 2},
			{"another method", "PUT", "EIO=4&transport=polling&sid=" + live.SID, 400, 2},
			{"posting to a WebSocket", "POST", "EIO=4&transport=websocket&sid=" + live.SID, 400, 2},
			{"another version in a session", "GET", "EIO=3&transport=polling&sid=" + live.SID, 400, 3},
		} {
			res, body, err := live.Do(t.Context(), tt.method, live.URL+"/socket.io/?"+tt.query, "")
			require.NoError(t, err, tt.name)
			var no struct {
				Code    int
				Message string
			}
			require.NoError(t, json.Unmarshal([]byte(body), &no), tt.name)
			assert.Equal(t, tt.status, res.StatusCode, tt.name)
			assert.Equal(t, tt.code, no.Code, tt.name)
			assert.NotEmpty(t, no.Message, tt.name)
		}
		assert.Equal(t, 1, k.srv.Sessions())
	})
}

// A refused origin is refused on both transports, before there is a session.
func TestOrigin(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c := k.client(version)
		c.Header.Set("Origin", "http://evil.example")
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			res, body, err := c.Do(t.Context(), method, c.Address("polling"), "")
			require.NoError(t, err)
			assert.Equal(t, http.StatusForbidden, res.StatusCode)
			assert.Contains(t, body, `"code":4`)
			assert.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
		}
		_, err := c.Dial(t.Context())
		assert.ErrorContains(t, err, "403")
		assert.Empty(t, k.sessions)

		c.Header.Set("Origin", "http://localhost:9000")
		res, _, err := c.Do(t.Context(), http.MethodGet, c.Address("polling"), "")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "http://localhost:9000", res.Header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"))
		assert.Equal(t, "Origin", res.Header.Get("Vary"))

		c.Header.Set("Access-Control-Request-Headers", "x-token")
		res, _, err = c.Do(t.Context(), http.MethodOptions, c.Address("polling"), "")
		require.NoError(t, err)
		assert.Equal(t, http.StatusNoContent, res.StatusCode)
		assert.Equal(t, "x-token", res.Header.Get("Access-Control-Allow-Headers"))
		assert.Equal(t, "GET, POST", res.Header.Get("Access-Control-Allow-Methods"))
	})
}

func TestSessionsAreCapped(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t, func(k *kit) { k.cfg.MaxSessions = 2 })
		first, _ := k.open(version)
		k.open(version)
		c := k.client(version)
		_, err := c.Poll(t.Context())
		require.ErrorContains(t, err, "too many sessions")
		_, err = c.Dial(t.Context())
		require.ErrorContains(t, err, "503")
		require.NoError(t, first.Post(t.Context(), "1"))
		_, err = c.Poll(t.Context())
		assert.NoError(t, err, "there is room again")
	})
}

func TestMalformedPacketsEndTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		for _, packet := range []string{"7", "x", "bAAEC", "4\xff", "0{}", "5", "6", "2x\xff", map[int]string{3: "3", 4: "2"}[version]} {
			c, _ := k.open(version)
			assert.ErrorContains(t, c.Post(t.Context(), packet), "400", "%q", packet)
			c.Close()

			c = k.client(version)
			ws, err := c.Dial(t.Context())
			require.NoError(t, err)
			require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(packet)))
			for err == nil {
				_, _, err = ws.Read(t.Context())
			}
			_ = ws.CloseNow()
		}
		c := k.client(version)
		ws, err := c.Dial(t.Context())
		require.NoError(t, err)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, []byte{4, 1, 2}))
		for err == nil {
			_, _, err = ws.Read(t.Context())
		}
		_ = ws.CloseNow()
		c, _ = k.open(version)
		c.Header.Set("Content-Type", "application/octet-stream")
		assert.ErrorContains(t, c.Post(t.Context(), "4x"), "binary")
		for _, reason := range k.closed() {
			assert.Equal(t, "parse error", reason)
		}
		assert.Zero(t, k.srv.Sessions())
		assert.Empty(t, k.got())
	})
}

func TestPayloadLimit(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, _ := k.open(version)
		require.NoError(t, c.Post(t.Context(), "4"+strings.Repeat("x", 900)))
		assert.ErrorContains(t, c.Post(t.Context(), "4"+strings.Repeat("x", 1000)), "413")

		c = k.client(version)
		ws, err := c.Dial(t.Context())
		require.NoError(t, err)
		defer func() { _ = ws.CloseNow() }()
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte("4"+strings.Repeat("x", 1001))))
		for err == nil {
			_, _, err = ws.Read(t.Context())
		}
		assert.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
		assert.Len(t, k.got(), 1)
		synctest.Wait()
		assert.Zero(t, k.srv.Sessions())
	})
}

// Two polls at once would take from each other, so that the order is lost.
func TestOverlappingRequestsEndTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, _ := k.open(version)
		done := make(chan error, 1)
		go func() {
			packets, err := c.Poll(t.Context())
			assert.Equal(t, []string{"1"}, packets)
			done <- err
		}()
		synctest.Wait()
		_, err := c.Poll(t.Context())
		assert.ErrorContains(t, err, "two polls")
		require.NoError(t, <-done)
		assert.Equal(t, []string{"transport error"}, k.closed())
	})
}

func TestAbortedPollEndsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, s := k.open(version)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		_, err := c.Poll(ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, []string{"transport close"}, k.closed())
		assert.ErrorIs(t, s.Send(engine.NewFrame("x"), false), engine.ErrClosed)
		assert.Zero(t, k.srv.Sessions())
	})
}

func TestClientCloses(t *testing.T) {
	bubble(t, func(t *testing.T, version int) {
		k := newKit(t)
		c, _ := k.open(version)
		require.NoError(t, c.Post(t.Context(), "1"))
		assert.Equal(t, []string{"transport close"}, k.closed())

		c = k.client(version)
		ws, err := c.Dial(t.Context())
		require.NoError(t, err)
		require.NoError(t, ws.Close(websocket.StatusNormalClosure, ""))
		assert.Equal(t, []string{"transport close", "transport close"}, k.closed())
		assert.Zero(t, k.srv.Sessions())
	})
}
