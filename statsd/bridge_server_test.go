package statsd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/testclient"
	"github.com/opbeans/loadgen/statsd"
)

// bridged runs f in virtual time with a Bridge and its server. What f leaves behind fails
// the test.
func bridged(t *testing.T, f func(t *testing.T, b *statsd.Bridge, s *statsd.BridgeServer, dial memnet.DialFunc), opts ...statsd.BridgeOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := statsd.NewBridge(statsd.WithHostname("box"), statsd.WithResolver(resolve))
		require.NoError(t, err)
		defer b.Close()
		s := statsd.NewBridgeServer(b, opts...)
		dial, stop := memnet.Serve(s)
		defer stop()
		defer s.Close()
		f(t, b, s, dial)
	})
}

func subscriber(t *testing.T, dial memnet.DialFunc, version int, transport string) *testclient.Client {
	t.Helper()
	c := testclient.New(version, dial)
	t.Cleanup(c.Close)
	require.NoError(t, c.Connect(t.Context(), transport))
	synctest.Wait()
	return c
}

// next returns the next message, and at what time it came.
func next(t *testing.T, c *testclient.Client) (string, time.Time) {
	t.Helper()
	message, err := c.Message(t.Context())
	require.NoError(t, err)
	return message, time.Now()
}

// TestBridgeServer follows the suite's page, which subscribes to everything.
func TestBridgeServer(t *testing.T) {
	for _, version := range []int{3, 4} {
		for _, transport := range []string{"polling", "websocket"} {
			t.Run(fmt.Sprint(version, " ", transport), func(t *testing.T) {
				bridged(t, func(t *testing.T, b *statsd.Bridge, _ *statsd.BridgeServer, dial memnet.DialFunc) {
					began := time.Now()
					c := subscriber(t, dial, version, transport)
					answer, err := c.Call(t.Context(), 1, "subscribe", `"all"`)
					require.NoError(t, err)
					assert.Equal(t, `"subscribed all"`, answer)
					observed := 0
					for i := 1; i <= 3; i++ {
						for range i {
							b.Observe(sample(path("/api/products/3.5")))
							observed++
						}
						at := began.Add(time.Duration(i) * 5 * time.Second)
						message, came := next(t, c)
						assert.Equal(t, fmt.Sprintf(`2["timestamp",%d]`, at.Unix()), message)
						assert.Equal(t, at, came)
						message, came = next(t, c)
						assert.Equal(t, at, came)
						timings := strings.TrimSuffix(strings.Repeat("12,", i), ",")
						assert.JSONEq(t, `["all",{"gauges":{},
							"timers":{"molotov":{"box":{"GET":{"172":{"18":{"0":{"5":{"-api-products-3_5":[`+timings+`]}}}}}}}},
							"counters":{"molotov":{"box":{"GET":{"172":{"18":{"0":{"5":{"-api-products-3_5":{"200":`+fmt.Sprint(i)+`}}}}}}}}}}]`,
							message[1:])
					}
					answer, err = c.Call(t.Context(), 2, "unsubscribe", `"all"`)
					require.NoError(t, err)
					assert.Equal(t, `"unsubscribed all"`, answer)
					message, _ := next(t, c)
					assert.Contains(t, message, "timestamp")
					message, _ = next(t, c)
					assert.Contains(t, message, "timestamp", "and no more all")
				})
			})
		}
	}
}

func TestBridgeSubscriptions(t *testing.T) {
	bridged(t, func(t *testing.T, b *statsd.Bridge, _ *statsd.BridgeServer, dial memnet.DialFunc) {
		c, other := subscriber(t, dial, 4, "websocket"), subscriber(t, dial, 3, "websocket")
		call := func(c *testclient.Client, name string, args ...string) string {
			t.Helper()
			answer, err := c.Call(t.Context(), 1, name, args...)
			require.NoError(t, err)
			return answer
		}
		heard := func(c *testclient.Client) map[string]string {
			t.Helper()
			got := map[string]string{}
			for {
				message, _ := next(t, c)
				var event []json.RawMessage
				require.NoError(t, json.Unmarshal([]byte(message[1:]), &event))
				var name string
				require.NoError(t, json.Unmarshal(event[0], &name))
				if name == "zzz" {
					return got
				}
				got[name] = string(event[1])
			}
		}
		// Stats are told of in order of their names, after the timestamp.
		for _, stat := range []string{"counters.molotov.box.GET.172.18.0.5.-a", "timers.*.5.-b", "counters.x", "zzz"} {
			assert.Equal(t, `"subscribed `+stat+`"`, call(c, "subscribe", `"`+stat+`"`))
			assert.Equal(t, `"subscribed `+stat+`"`, call(c, "subscribe", `"`+stat+`"`), "again, which changes nothing")
		}
		assert.Equal(t, `"subscribed zzz"`, call(other, "subscribe", `"zzz"`))
		require.NoError(t, other.Send(t.Context(), `42["subscribe","gauges"]`)) // without an acknowledgement
		b.Observe(sample(path("/a")))
		b.Observe(sample(path("/b")))
		got := heard(c)
		delete(got, "timestamp")
		assert.Equal(t, map[string]string{
			"counters.molotov.box.GET.172.18.0.5.-a": `{"200":1}`,
			"counters.x":                             `null`,
			"timers.*.5.-b":                          `{"timers":{"molotov":{"box":{"GET":{"172":{"18":{"0":{"5":{"-b":[12]}}}}}}}}}`,
		}, got)
		got = heard(other)
		assert.Len(t, got, 2, "and the timestamp")
		assert.Equal(t, `{}`, got["gauges"])

		assert.Equal(t, `"not subscribed to all"`, call(c, "unsubscribe", `"all"`))
		assert.Contains(t, call(c, "subscribe"), `"name what to subscribe`)
		for _, bad := range []string{`""`, `7`, `null`, `{}`, `"` + strings.Repeat("x", 1001) + `"`} {
			assert.Contains(t, call(c, "subscribe", bad), `"name what to subscribe`, bad)
		}
		assert.Contains(t, call(c, "dance"), "subscribe and unsubscribe alone")
		refused := 0
		for i := range statsd.MaxBridgeStats {
			if strings.Contains(call(other, "subscribe", fmt.Sprintf(`"gauges.%d"`, i)), "too many") {
				refused++
			}
		}
		assert.Equal(t, 5, refused, "those that there were before count")
		other.Close()
		synctest.Wait()
		assert.Equal(t, `"subscribed gauges.199"`, call(c, "subscribe", `"gauges.199"`), "they go with their client")
	})
}

// TestBridgeWithAStuckClient: a client that does not read costs others nothing, and does
// not hold up the end.
func TestBridgeWithAStuckClient(t *testing.T) {
	bridged(t, func(t *testing.T, b *statsd.Bridge, s *statsd.BridgeServer, dial memnet.DialFunc) {
		stuck, good := subscriber(t, dial, 3, "websocket"), subscriber(t, dial, 4, "websocket")
		for _, c := range []*testclient.Client{stuck, good} {
			_, err := c.Call(t.Context(), 1, "subscribe", `"all"`)
			require.NoError(t, err)
		}
		for id := range 1000 {
			b.Observe(sample(path(fmt.Sprintf("/%d", id))))
		}
		for range 100 {
			text, err := good.Event(t.Context(), "all")
			require.NoError(t, err)
			require.Greater(t, len(text), 20_000)
		}
		began := time.Now()
		s.Close()
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		assert.Zero(t, s.Sessions())
		s.Close()
	})
}

func TestBridgeLimits(t *testing.T) {
	bridged(t, func(t *testing.T, _ *statsd.Bridge, s *statsd.BridgeServer, dial memnet.DialFunc) {
		c := testclient.New(4, dial)
		defer c.Close()
		connect := func(origin string) int {
			c.SID = ""
			c.Header.Set("Origin", origin)
			answer, _, err := c.Do(t.Context(), "GET", c.Address("polling"), "")
			require.NoError(t, err)
			return answer.StatusCode
		}
		assert.Equal(t, 403, connect("http://localhost:9000"))
		assert.Equal(t, 200, connect("http://suite.test:9000"))
		assert.Equal(t, 200, connect("http://suite.test:9000"))
		assert.Equal(t, 503, connect("http://suite.test:9000"))
		assert.Equal(t, 2, s.Sessions())
	}, statsd.WithOrigins("http://suite.test:*"), statsd.WithMaxSessions(2))
}

// A Bridge on an address of its own, for the suite's page.
func ExampleNewBridgeServer() {
	bridge, err := statsd.NewBridge()
	if err != nil {
		panic(err)
	}
	defer bridge.Close() // after the Manager
	manager := loadgen.New(loadgen.WithObserver(bridge))
	defer manager.Close()
	server := statsd.NewBridgeServer(bridge)
	defer server.Close()
	fmt.Println(server.Sessions())
	// http.ListenAndServe(":8127", server)

	// Output: 0
}
