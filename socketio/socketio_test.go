package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/internal/sio/testclient"
	"github.com/opbeans/loadgen/socketio"
)

// TestMessages holds what clients are sent, to the byte, over a job's life.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		var all []string
		listen := func(d time.Duration) { all = append(all, k.messages(c, d)...) }
		listen(550 * time.Millisecond) // so that no iteration meets the second
		_, err := k.m.Prepare(loadgen.JobConfig{Name: "shop", Workers: 2})
		require.NoError(t, err)
		listen(0)
		j := k.start("shop")
		listen(1700 * time.Millisecond)
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Delay = 190 * time.Millisecond }))
		listen(time.Second)
		j.Stop()
		listen(time.Second)
		require.NoError(t, k.m.Remove("shop"))
		listen(0)
		golden.Check(t, "testdata/messages.txt", []byte(strings.Join(all, "\n")+"\n"))
	})
}

func serviceStates(messages []string) string {
	var states []string
	for _, m := range only(messages, "service_state") {
		states = append(states, strings.TrimSuffix(strings.TrimPrefix(m, `2["service_state",{"data":{`), "}}]"))
	}
	return strings.Join(states, " ")
}

// Every way to begin, change and end is told to everyone.
func TestServiceState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		k.start("stopped").Stop()
		k.start("finished", func(c *loadgen.JobConfig) { c.MaxIterations = 1 })
		k.start("failed", func(c *loadgen.JobConfig) {
			c.Scenario = loadgen.NewScenario("x").Task("x", 1, func(context.Context, *loadgen.VU) error {
				return fmt.Errorf("%w: the shop is closed", loadgen.ErrAbort)
			})
		})
		k.start("left alone", func(c *loadgen.JobConfig) { c.Lease = 10 * time.Second })
		_, err := k.m.Prepare(loadgen.JobConfig{Name: "prepared"})
		require.NoError(t, err)
		messages := k.messages(c, time.Minute)
		states := serviceStates(messages)
		for _, name := range []string{"stopped", "finished", "failed", "left alone"} {
			assert.Equal(t, 1, strings.Count(states, `"`+name+`":"start"`), name)
			assert.Equal(t, 1, strings.Count(states, `"`+name+`":"stop"`), name)
		}
		assert.Equal(t, 1, strings.Count(states, `"prepared":"update"`))
		errors := only(messages, "job_error")
		errors = slices.DeleteFunc(errors, func(m string) bool { return !strings.Contains(m, `"failed":true`) })
		require.Len(t, errors, 1)
		assert.Contains(t, errors[0], `the shop is closed`)
	})
}

// Clients see when a lease ends, and each renewal; for the service nothing has changed.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		j := k.start("shop", func(c *loadgen.JobConfig) { c.Lease = 10 * time.Second })
		assert.Contains(t, only(k.messages(c, 0), "job")[0], `"lease_ends":"2000-01-01T00:00:10Z"`)
		k.messages(c, 4*time.Second)
		require.NoError(t, j.Renew())
		for _, messages := range [][]string{k.messages(c, 0), k.messages(k.client(), 0)} {
			require.Len(t, only(messages, "job"), 1)
			assert.Contains(t, only(messages, "job")[0], `"lease_ends":"2000-01-01T00:00:14Z"`)
			assert.Empty(t, serviceStates(messages))
		}
		messages := only(k.messages(c, time.Minute), "job")
		assert.NotContains(t, messages[len(messages)-1], "lease_ends", "it has ended")
	})
}

// An update that waits for the next start is told to everyone, and to who comes late.
func TestNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		j := k.start("shop")
		j.Stop()
		k.messages(c, time.Minute)
		next := j.Config()
		next.Workers = 9
		require.NoError(t, j.SetNext(next))
		messages := k.messages(c, 0)
		require.Len(t, messages, 2)
		for _, message := range []string{messages[0], k.messages(k.client(), 0)[0]} {
			assert.Contains(t, message, `2["job",{"job":"shop","state":"stopped"`)
			assert.Contains(t, message, `"workers":1,`, "what it ran with")
			assert.Contains(t, message, `"next":{"job":"shop","scenario":"shop","url":"http://target","service_name":"default","workers":9,`)
		}
		assert.Equal(t, `"shop":"update"`, serviceStates(messages))
		_, err := k.m.Start(t.Context(), next)
		require.NoError(t, err)
		assert.NotContains(t, k.messages(c, 0)[0], `"next"`)
	})
}

// While a job is in its set-up there are no statistics, and clients hear when it is over.
func TestSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		<-time.After(20 * time.Millisecond)
		k.start("shop", func(c *loadgen.JobConfig) {
			c.Scenario = c.Scenario.Setup(func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, 3*time.Second) })
		})
		messages := k.messages(c, 2*time.Second)
		assert.Equal(t, `"shop":"start"`, serviceStates(messages))
		assert.Contains(t, messages[0], `"reason":"in its set-up"`)
		assert.Empty(t, only(messages, "stats"))
		messages = k.messages(c, 2900*time.Millisecond)
		assert.Empty(t, serviceStates(messages))
		require.Len(t, only(messages, "job"), 1)
		assert.NotContains(t, only(messages, "job")[0], "reason")
		stats := only(messages, "stats")
		require.NotEmpty(t, stats)
		assert.Contains(t, stats[0], `"started":"2000-01-01T00:00:03.02Z"`)
	})
}

// Who comes late hears the same as who was there.
func TestLateClientKnowsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		early := k.client()
		k.start("a")
		k.start("b").Stop()
		synctest.Wait()
		k.start("c").Stop()
		<-time.After(10 * time.Second)
		require.NoError(t, k.m.Remove("c"))
		synctest.Wait()
		last := map[string]string{}
		for _, m := range only(k.messages(early, 0), "job") {
			var data []json.RawMessage
			var j struct{ Job string }
			require.NoError(t, json.Unmarshal([]byte(m[1:]), &data))
			require.NoError(t, json.Unmarshal(data[1], &j))
			last[j.Job] = m
		}
		assert.Contains(t, last["c"], `"removed":true`)
		assert.Equal(t, []string{last["a"], last["b"]}, k.messages(k.client(), 0))
	})
}

// The intervals that a client sees add up to the totals, failures included.
func TestIntervalsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		k.start("shop", func(c *loadgen.JobConfig) { c.Duration = 10 * time.Second })
		messages := k.messages(c, time.Minute)
		var sum, last socketio.Numbers
		sum.Status = map[string]uint64{}
		count := 0
		for _, m := range only(messages, "stats") {
			var data []json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(m[1:]), &data))
			var s struct{ Interval, Total numbers }
			require.NoError(t, json.Unmarshal(data[1], &s))
			count++
			sum.Requests += s.Interval.Requests
			sum.FailedRequests += s.Interval.FailedRequests
			sum.Seconds += s.Interval.Seconds
			for class, n := range s.Interval.Status {
				sum.Status[class] += n
			}
			last = socketio.Numbers{
				Requests: s.Total.Requests, FailedRequests: s.Total.FailedRequests, Seconds: s.Total.Seconds, Status: s.Total.Status,
			}
		}
		assert.Equal(t, uint64(100), last.Requests)
		assert.Equal(t, map[string]uint64{"2xx": 90, "5xx": 10}, last.Status)
		assert.InDelta(t, last.Seconds, sum.Seconds, 1e-6)
		sum.Seconds = last.Seconds
		assert.Equal(t, last, sum)
		assert.GreaterOrEqual(t, count, 10)
		assert.Len(t, only(messages, "job_error"), 1, "the first failure of its class")
	})
}

// What thresholds say so far is in each message of statistics, and their end of a job in
// its last state.
func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		k.start("shop", func(c *loadgen.JobConfig) {
			c.Duration = 10 * time.Second
			c.Thresholds = loadgen.MustThresholds("failed_requests < 5 abort")
		})
		messages := k.messages(c, time.Minute)
		stats := only(messages, "stats")
		assert.Contains(t, stats[0], `"verdicts":[{"threshold":"failed_requests < 5 abort","outcome":"pass",`)
		assert.Contains(t, stats[len(stats)-1], `"outcome":"fail","certain":true,"final":true,"aborted":true,`)
		jobs := only(messages, "job")
		assert.Contains(t, jobs[len(jobs)-1], `"state":"failed","reason":"threshold failed_requests < 5 abort: failed_requests was `)
	})
}

// Statistics say that the generator was the limit, and why, from when it was.
func TestValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.target = func(http.ResponseWriter, *http.Request) { <-time.After(100 * time.Millisecond) }
		c := k.client()
		k.start("shop", func(c *loadgen.JobConfig) {
			c.Delay, c.Rate, c.MaxWorkers, c.Duration = 0, loadgen.PerSecond(100), 1, 30*time.Second
		})
		stats := only(k.messages(c, time.Minute), "stats")
		assert.Contains(t, stats[0], `"valid":true,`)
		assert.NotContains(t, stats[0], `"invalid":`)
		assert.Regexp(t, `"valid":false,"invalid":\[.*"VU starvation: .*; raise max_workers"`, stats[len(stats)-1])
	})
}

// numbers is the part of [socketio.Numbers] that JSON can be read back to.
type numbers struct {
	Requests       uint64
	FailedRequests uint64 `json:"failed_requests"`
	Seconds        float64
	Status         map[string]uint64
}

// Without listeners nothing is counted; the first interval that a new one sees is a
// whole one.
func TestStatsForALateClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.start("shop")
		<-time.After(time.Minute + 500*time.Millisecond)
		c := k.client()
		stats := only(k.messages(c, 3*time.Second), "stats")
		require.Len(t, stats, 2)
		for _, m := range stats {
			assert.Contains(t, m, `"interval":{"seconds":1,"iterations":10,`)
		}
	})
}

func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.start("a")
		k.start("b")
		c := k.client()
		call := func(name string, args ...string) string {
			t.Helper()
			answer, err := c.Call(t.Context(), 7, name, args...)
			require.NoError(t, err)
			return answer
		}
		jobs := func() string {
			t.Helper()
			heard := map[string]bool{}
			for _, m := range only(k.messages(c, 3*time.Second), "stats") {
				heard[m[len(`2["stats",{"job":"`):][:1]] = true
			}
			return fmt.Sprint(heard)
		}
		assert.Equal(t, "map[a:true b:true]", jobs())
		assert.Equal(t, `{"jobs":["a"]}`, call("subscribe", `"a"`))
		assert.Equal(t, "map[a:true]", jobs())
		assert.Equal(t, `{"jobs":["a","c","d"]}`, call("subscribe", `["d","opbeans-c","a"]`))
		assert.Equal(t, `{"jobs":["a","c"]}`, call("unsubscribe", `{"job":"d"}`))
		assert.Equal(t, `{"jobs":["c"]}`, call("unsubscribe", `"a"`))
		assert.Equal(t, "map[]", jobs())
		k.start("c")
		assert.Equal(t, "map[c:true]", jobs())
		jobOf(t, k.m, "b").Stop()
		messages := k.messages(c, time.Minute)
		assert.Equal(t, `"b":"stop"`, serviceStates(messages), "service_state is for everyone")
		assert.Empty(t, only(messages, `job",{"job":"b`))
		require.NoError(t, c.Send(t.Context(), `428["unsubscribe"]`))
		messages = k.messages(c, 3*time.Second)
		assert.Contains(t, messages[0]+messages[1], `"job":"b","state":"stopped"`, "what was missed is told")
		assert.Contains(t, messages, `38[{"jobs":[]}]`)
		assert.Equal(t, "map[a:true c:true]", jobs())

		for _, bad := range []string{`""`, `7`, `{}`, `[""]`, `{"job":7}`, `"` + strings.Repeat("x", 201) + `"`} {
			assert.Contains(t, call("subscribe", bad), `{"error":{"code":"invalid_field"`, bad)
			assert.Contains(t, call("unsubscribe", bad), `{"error":{"code":"invalid_field"`, bad)
		}
		assert.Contains(t, call("subscribe"), `"missing_field"`)
		var many []string
		for i := range 1001 {
			many = append(many, fmt.Sprintf("%q", fmt.Sprint("job ", i)))
		}
		assert.Contains(t, call("subscribe", "["+strings.Join(many, ",")+"]"), `"too_many_subscriptions"`)
		assert.Equal(t, "map[a:true c:true]", jobs(), "what was refused has changed nothing")
	})
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		for _, tt := range []struct {
			name string
			args []string
			want string
		}{
			{"list", nil, `{}`},
			{"scenarios", []string{"null"}, `["one","two"]`},
			{"start", []string{`{"job":"python"}`}, `{}`},
			{"update", []string{`{"job":"python","workers":7}`}, `{}`},
			{"list", nil, `{"python":"running"}`},
			{"stop", []string{`{"job":"python"}`}, `{}`},
			{"start", []string{`{}`}, `{"error":{"code":"missing_field","message":"a name is required","field":"job"}}`},
			{"stop", []string{`{"job":"x"}`}, `{"error":{"code":"failed","message":"no such job: \"x\""}}`},
			{"start", []string{`{"panic":true}`}, `{"error":{"code":"internal","message":"an internal error, which is not the call's fault; the log has more"}}`},
			{"dance", []string{`1`}, `{"error":{"code":"unknown_event","message":"there are start, update, stop, list, scenarios, subscribe and unsubscribe, and no dance"}}`},
		} {
			answer, err := c.Call(t.Context(), 1, tt.name, tt.args...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, answer, tt.name)
		}
		j, err := k.m.Get("python")
		require.NoError(t, err)
		assert.Equal(t, 7, j.Config().Workers)
	})
}

// gosf's form is answered in gosf's form.
func TestStandardForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		for _, tt := range []struct{ name, arg, want string }{
			{"list", `{"id":3,"success":false}`, `{"id":3,"success":true,"body":{}}`},
			{"start", `{"id":4,"guid":"g","uuid":"u","text":"hi","meta":{},"body":{"job":"a"},"success":false}`, `{"id":4,"guid":"g","uuid":"u","success":true,"body":{}}`},
			{"scenarios", `{"success":false}`, `{"success":true,"body":{"result":["one","two"]}}`},
			{"subscribe", `{"id":5,"body":{"job":"a"}}`, `{"id":5,"success":true,"body":{"jobs":["a"]}}`},
			{
				"start", `{"id":6,"body":null}`,
				`{"id":6,"success":false,"text":"a name is required","body":{"error":{"code":"missing_field","message":"a name is required","field":"job"}}}`,
			},
		} {
			answer, err := c.Call(t.Context(), 2, tt.name, tt.arg)
			require.NoError(t, err)
			assert.Equal(t, tt.want, answer, tt.name)
		}
		answer, err := c.Call(t.Context(), 2, "dance", `{"id":7,"text":"x"}`)
		require.NoError(t, err)
		assert.Contains(t, answer, `{"id":7,"success":false,"text":"there are start`)

		require.NoError(t, c.Send(t.Context(), `42["list",{"id":8,"body":{}}]`))
		require.NoError(t, c.Send(t.Context(), `42["dance",{"id":9,"body":{}}]`))
		assert.Equal(t, []string{`2["list",{"id":8,"success":true,"body":{"a":"running"}}]`}, only(k.messages(c, 0), "list", "dance"))
	})
}

func TestWithoutCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, socketio.WithCalls(nil))
		answer, err := k.client().Call(t.Context(), 1, "list")
		require.NoError(t, err)
		assert.Contains(t, answer, `"not_available"`)
	})
}

// Close interrupts calls, tells what has happened, and leaves nothing behind.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		c := k.client()
		require.NoError(t, c.Send(t.Context(), `421["start",{"wait":true}]`))
		k.start("shop")
		synctest.Wait()
		bye := make(chan string, 1)
		go func() {
			var all []string
			for {
				message, err := c.Message(t.Context())
				if err != nil {
					bye <- serviceStates(all)
					return
				}
				all = append(all, message)
			}
		}()
		synctest.Wait()
		k.m.Close()
		k.live.Close()
		assert.Equal(t, `"shop":"start" "shop":"stop"`, <-bye)
		assert.Zero(t, k.live.Sessions())
		_, err := c.Poll(t.Context())
		assert.Error(t, err)
		k.live.Close()
	})
}

// A thousand clients hear of each second.
func TestThousandClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		var listening sync.WaitGroup
		for i := range 1000 {
			c := testclient.New(3+i/10%2, k.dial)
			defer c.Close()
			transport := "websocket"
			if i%10 == 0 {
				transport = "polling"
			}
			require.NoError(t, c.Connect(t.Context(), transport))
			listening.Go(func() {
				for second := range 2 {
					text, err := c.Event(t.Context(), "stats")
					if !assert.NoError(t, err) {
						return
					}
					var s struct{ Interval, Total numbers }
					assert.NoError(t, json.Unmarshal(text, &s))
					assert.Equal(t, 10*uint64(second+1), s.Total.Requests)
				}
			})
		}
		assert.Equal(t, 1000, k.live.Sessions())
		<-time.After(20 * time.Millisecond) // so that no iteration meets the second
		k.start("shop")
		listening.Wait()
		assert.Equal(t, 1000, k.live.Sessions())
	})
}

// A client that reads gets everything, though another one is stuck.
func TestStuckClientHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		stuck, good := k.client(), k.client()
		j := k.start("shop")
		began := time.Now()
		for i := range socketio.MaxQueue * 2 / 3 {
			require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Workers = 1 + i%2 }))
			if i%100 == 0 {
				synctest.Wait()
				k.messages(good, 0)
			}
		}
		synctest.Wait()
		assert.Zero(t, time.Since(began))
		k.messages(good, time.Second)
		assert.Equal(t, 1, k.live.Sessions(), "the stuck one has been cut off")
		stuck.Close()
	})
}

func TestOrigins(t *testing.T) {
	status := func(t *testing.T, origin, host string, opts ...socketio.Option) int {
		t.Helper()
		m := loadgen.New()
		defer m.Close()
		live := socketio.New(m, opts...)
		dial, stop := serve(live)
		defer stop()
		defer live.Close()
		c := testclient.New(4, dial)
		defer c.Close()
		c.URL = "http://" + host
		if k, v, ok := strings.Cut(origin, "="); ok {
			c.Header.Set(k, v)
		} else if origin != "" {
			c.Header.Set("Origin", origin)
		}
		res, _, err := c.Do(t.Context(), http.MethodGet, c.Address("polling"), "")
		require.NoError(t, err)
		ws, wsErr := c.Dial(t.Context())
		if ws != nil {
			_ = ws.CloseNow()
		}
		assert.Equal(t, res.StatusCode == http.StatusOK, wsErr == nil, "both transports agree")
		return res.StatusCode
	}
	custom := socketio.WithOrigins("http://example.com:9000", "https://*", "http://shop.example:*", "::bad::")
	for _, tt := range []struct {
		origin string
		opts   []socketio.Option
		want   int
	}{
		{"", nil, 200},
		{"http://localhost:9000", nil, 200},
		{"https://127.0.0.1", nil, 200},
		{"http://[::1]:80", nil, 200},
		{"HTTP://LOCALHOST", nil, 200},
		{"http://server.example", nil, 200},
		{"http://evil.example", nil, 403},
		{"http://localhost.evil.example", nil, 403},
		{"http://localhost:9000/path", nil, 403},
		{"http://user@localhost", nil, 403},
		{"null", nil, 403},
		{"Sec-Fetch-Site=cross-site", nil, 403},
		{"Sec-Fetch-Site=same-origin", nil, 200},
		{"http://localhost", []socketio.Option{custom}, 403},
		{"http://example.com:9000", []socketio.Option{custom}, 200},
		{"http://example.com:9001", []socketio.Option{custom}, 403},
		{"https://example.com:9000", []socketio.Option{custom}, 403},
		{"http://shop.example", []socketio.Option{custom}, 200},
		{"http://shop.example:1", []socketio.Option{custom}, 200},
		{"http://anything.example", []socketio.Option{socketio.WithOrigins("*")}, 200},
	} {
		assert.Equal(t, tt.want, status(t, tt.origin, "server.example", tt.opts...), "%q", tt.origin)
	}
}
