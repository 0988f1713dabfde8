package socketio_test

import (
	"context"
	"encoding/json"
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
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/testclient"
	"github.com/opbeans/loadgen/socketio"
)

// kit is a Manager whose jobs drive a target in memory, and a Server of it.
type kit struct {
	t      *testing.T
	m      *loadgen.Manager
	live   *socketio.Server
	dial   memnet.DialFunc
	target http.HandlerFunc
}

// newKit is for a synctest bubble, which fails the test if a goroutine is left.
func newKit(t *testing.T, opts ...socketio.Option) *kit {
	t.Helper()
	k := &kit{t: t, target: func(w http.ResponseWriter, r *http.Request) {
		<-time.After(10 * time.Millisecond)
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}}
	dial, stopTarget := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		k.target(w, r)
	}))
	k.m = loadgen.New(loadgen.WithDialContext(dial))
	k.live = socketio.New(k.m, append([]socketio.Option{socketio.WithCalls(k.call)}, opts...)...)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", k.live)
	var stop func()
	k.dial, stop = memnet.Serve(mux)
	t.Cleanup(func() {
		k.m.Close()
		k.live.Close()
		stop()
		stopTarget()
	})
	return k
}

// refused is how the API's errors look.
type refused struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field"`
}

func (r *refused) Error() string { return r.Message }

// call stands for the HTTP API's calls, of which it has some.
func (k *kit) call(ctx context.Context, name string, body json.RawMessage) (any, error) {
	var args struct {
		Job     string
		Workers int
		Wait    bool
		Panic   bool
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &args); err != nil {
			return nil, err
		}
	}
	switch name {
	case "list":
		jobs := map[string]string{}
		for _, j := range k.m.List() {
			jobs[j.Name()] = string(j.State())
		}
		return jobs, nil
	case "scenarios":
		return []string{"one", "two"}, nil
	case "stop":
		j, err := k.m.Get(args.Job)
		if err == nil {
			j.Stop()
		}
		return struct{}{}, err
	case "update":
		j, err := k.m.Get(args.Job)
		if err == nil {
			err = j.Update(func(c *loadgen.JobConfig) { c.Workers = args.Workers })
		}
		return struct{}{}, err
	}
	switch {
	case args.Panic:
		panic("on purpose")
	case args.Wait:
		<-ctx.Done()
		return nil, ctx.Err()
	case args.Job == "":
		return nil, &refused{"missing_field", "a name is required", "job"}
	}
	_, err := k.m.Start(ctx, k.config(args.Job))
	return struct{}{}, err
}

// config is a job of one worker that sends 10 requests a second, the last of ten to
// a page that fails.
func (k *kit) config(name string) loadgen.JobConfig {
	var n atomic.Int64
	shop := loadgen.NewScenario("shop").Task("visit", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if n.Add(1)%10 == 0 {
			return vu.Get(ctx, "/bad")
		}
		return vu.Get(ctx, "/")
	})
	return loadgen.JobConfig{
		Name: name, Scenario: shop, BaseURL: "http://target", Workers: 1, Delay: 90 * time.Millisecond, Seed: 1,
	}
}

func (k *kit) start(name string, change ...func(*loadgen.JobConfig)) *loadgen.Job {
	k.t.Helper()
	cfg := k.config(name)
	for _, f := range change {
		f(&cfg)
	}
	j, err := k.m.Start(k.t.Context(), cfg)
	require.NoError(k.t, err)
	return j
}

// client returns a connected client, which hears of everything from now on.
func (k *kit) client() *testclient.Client {
	k.t.Helper()
	c := testclient.New(4, k.dial)
	k.t.Cleanup(c.Close)
	require.NoError(k.t, c.Connect(k.t.Context(), "websocket"))
	synctest.Wait() // it knows that it is connected a moment before it is in its rooms
	return c
}

// messages returns what a client is sent within d, and has not read before.
func (k *kit) messages(c *testclient.Client, d time.Duration) []string {
	k.t.Helper()
	var all []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			message, err := c.Message(k.t.Context()) // and answer pings
			if !assert.NoError(k.t, err) || strings.HasPrefix(message, "399[") {
				return
			}
			all = append(all, message)
		}
	})
	<-time.After(d)
	synctest.Wait()
	// What was sent before the answer to this arrives before it.
	require.NoError(k.t, c.Send(k.t.Context(), `4299["marker"]`))
	reading.Wait()
	return all
}

// only keeps the events of some names.
func only(messages []string, names ...string) []string {
	var out []string
	for _, m := range messages {
		for _, name := range names {
			if strings.HasPrefix(m, `2["`+name+`"`) {
				out = append(out, m)
			}
		}
	}
	return out
}

// serve serves a handler on a network in memory.
func serve(h http.Handler) (memnet.DialFunc, func()) { return memnet.Serve(h) }

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
