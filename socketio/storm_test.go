package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/sio/testclient"
	"github.com/opbeans/loadgen/socketio"
)

// TestStorm has clients come, choose jobs, start, change and stop them, and vanish at
// every point, over real connections, while one client listens to all of it. Nothing is
// left of them, and the listener hears the state of every job to its end.
func TestStorm(t *testing.T) {
	before := runtime.NumGoroutine()
	m := loadgen.New()
	idle := loadgen.NewScenario("idle").Task("idle", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Sleep(ctx, time.Millisecond)
	})
	live := socketio.New(m, socketio.WithMaxSessions(100), socketio.WithCalls(
		func(ctx context.Context, name string, body json.RawMessage) (any, error) {
			var args struct{ Job string }
			if err := json.Unmarshal(body, &args); err != nil {
				return nil, err
			}
			var err error
			switch name {
			case "start":
				_, err = m.Start(ctx, loadgen.JobConfig{Name: args.Job, BaseURL: "http://127.0.0.1:1", Scenario: idle})
			case "update":
				var j *loadgen.Job
				if j, err = m.Get(args.Job); err == nil {
					err = j.Update(func(c *loadgen.JobConfig) { c.Workers = c.Workers%5 + 1 })
				}
			case "stop":
				var j *loadgen.Job
				if j, err = m.Get(args.Job); err == nil {
					j.Stop()
				}
			}
			return struct{}{}, err
		}))
	ts := httptest.NewServer(live)
	dial := (&net.Dialer{}).DialContext
	listener := testclient.New(4, dial)
	listener.URL = ts.URL
	require.NoError(t, listener.Connect(t.Context(), "websocket"))
	states := make(chan map[string]string)
	go func() {
		last := map[string]string{}
		for {
			text, err := listener.Event(t.Context(), "job")
			if err != nil {
				states <- last
				return
			}
			var job struct{ Job, State string }
			assert.NoError(t, json.Unmarshal(text, &job))
			last[job.Job] = job.State
		}
	}()

	// However slow the machine is, one client does all of it.
	first := testclient.New(3, dial)
	first.URL = ts.URL
	require.NoError(t, first.Connect(t.Context(), "polling"))
	for i, call := range []string{"start", "update", "stop"} {
		_, err := first.Call(t.Context(), i, call, `{"job":"first"}`)
		require.NoError(t, err)
	}
	first.Close()
	var storm sync.WaitGroup
	for worker := range 16 {
		storm.Go(func() {
			for round := range 15 {
				c := testclient.New(3+(worker+round)%2, dial)
				c.URL = ts.URL
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(worker*15+round)%30)*time.Millisecond)
				meddle(ctx, c, worker+round)
				cancel()
				c.Close()
			}
		})
	}
	storm.Wait()
	m.Close()
	want := map[string]string{}
	for _, j := range m.List() {
		want[j.Name()] = string(j.State())
	}
	live.Close()
	assert.Equal(t, want, <-states)
	assert.Contains(t, want, "first")
	assert.Zero(t, live.Sessions())
	listener.Close()
	ts.Close()
	const own = 1 // on which the condition runs
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+own }, time.Minute, 5*time.Millisecond)
}

// meddle is one client's short life; what fails in it is of no interest.
func meddle(ctx context.Context, c *testclient.Client, n int) {
	if c.Connect(ctx, []string{"websocket", "polling"}[n%2]) != nil {
		return
	}
	if n%4 == 1 && c.Upgrade(ctx) != nil {
		return
	}
	job := fmt.Sprintf(`{"job":"job %d"}`, n%7)
	for i := 0; ctx.Err() == nil; i++ {
		name := []string{"start", "subscribe", "update", "unsubscribe", "stop", "list"}[(n+i)%6]
		if _, err := c.Call(ctx, i, name, job); err != nil {
			return
		}
	}
}
