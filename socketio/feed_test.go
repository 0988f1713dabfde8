package socketio

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/sio/engine"
	"github.com/opbeans/loadgen/internal/sio/socket"
	"github.com/opbeans/loadgen/internal/sio/testclient"
)

// listener makes a feed's clients welcome.
type listener struct{ f **feed }

func (l listener) Connect(c *socket.Socket)         { (*l.f).welcome(c) }
func (listener) Event(*socket.Socket, socket.Event) {}
func (listener) Disconnect(*socket.Socket, string)  {}
func (listener) start(m *loadgen.Manager, name string) error {
	_, err := m.Start(context.Background(), loadgen.JobConfig{
		Name: name, BaseURL: "http://target",
		Scenario: loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Sleep(ctx, time.Second) }),
	})
	return err
}

// A feed that could not take in a burst tells of all of it, though nothing happens
// after that by which the gap would show.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		var f *feed
		server := socket.New(engine.Config{
			Allow:        func(*http.Request) bool { return true },
			PingInterval: time.Hour, PingTimeout: time.Hour, UpgradeTimeout: time.Hour,
			MaxPayload: 1000, MaxSessions: 10, MaxQueue: 10_000, MaxQueueBytes: 10 << 20,
		}, listener{&f})
		defer server.Close()
		dial, stop := memnet.Serve(server)
		defer stop()
		events := m.Subscribe(t.Context())
		f = newFeed(m, server, slog.New(slog.DiscardHandler))
		c := testclient.New(4, dial)
		defer c.Close()
		require.NoError(t, c.Connect(t.Context(), "websocket"))
		const jobs = 1000
		for i := range jobs {
			_, err := m.Prepare(loadgen.JobConfig{Name: strconv.Itoa(i)})
			require.NoError(t, err)
		}
		go f.run(events)
		told := map[string]int{}
		for range jobs {
			text, err := c.Event(t.Context(), eventJob)
			require.NoError(t, err)
			var job JobMessage
			require.NoError(t, json.Unmarshal(text, &struct{ Job *string }{&job.Job}))
			told[job.Job]++
		}
		assert.Len(t, told, jobs)
	})
}

// A feed that has missed events tells what is different, once, and does not tell
// again what comes late.
func TestMissedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loadgen.New()
		defer m.Close()
		var f *feed
		l := listener{&f}
		server := socket.New(engine.Config{
			Allow:        func(*http.Request) bool { return true },
			PingInterval: time.Hour, PingTimeout: time.Hour, UpgradeTimeout: time.Hour,
			MaxPayload: 1000, MaxSessions: 10, MaxQueue: 100, MaxQueueBytes: 1 << 20,
		}, l)
		defer server.Close()
		dial, stop := memnet.Serve(server)
		defer stop()
		events := m.Subscribe(t.Context())
		for _, name := range []string{"stopped", "updated", "removed", "same"} {
			require.NoError(t, l.start(m, name))
		}
		f = newFeed(m, server, slog.New(slog.DiscardHandler))
		for range 4 {
			f.event(<-events)
		}
		c := testclient.New(3, dial)
		defer c.Close()
		require.NoError(t, c.Connect(t.Context(), "websocket"))
		for range 4 { // what is known on connect
			_, err := c.Event(t.Context(), eventJob)
			require.NoError(t, err)
		}
		<-time.After(time.Millisecond)

		jobOf(t, m, "stopped").Stop()
		jobOf(t, m, "removed").Stop()
		err := jobOf(t, m, "updated").Update(func(c *loadgen.JobConfig) { c.Workers = 2 })
		require.NoError(t, err)
		<-time.After(5 * time.Second)
		require.NoError(t, m.Remove("removed"))
		require.NoError(t, l.start(m, "started"))
		synctest.Wait()
		<-time.After(time.Millisecond)

		<-events // this one is missed
		for len(events) > 0 {
			f.event(<-events)
		}
		for name := range f.runs {
			assert.Contains(t, []string{"same", "started", "updated"}, name, "no run is followed that is over")
		}
		jobOf(t, m, "started").Stop()
		f.event(<-events)

		job := func(name, state string) string { return `"job":"` + name + `","state":"` + state + `"` }
		for _, want := range []string{
			job("started", "running"), `"started":"start"`,
			job("stopped", "stopped"), `"stopped":"stop"`,
			job("updated", "running"), `"updated":"update"`,
			job("removed", "running"),
			job("started", "stopping"), `"started":"stop"`,
		} {
			message, err := c.Message(t.Context())
			require.NoError(t, err)
			for len(message) > 8 && message[:8] == `2["stats` { // of those that ended
				message, err = c.Message(t.Context())
				require.NoError(t, err)
			}
			assert.Contains(t, message, want)
		}
	})
}

// jobOf returns the job of a name.
func jobOf(t testing.TB, m *loadgen.Manager, name string) *loadgen.Job {
	t.Helper()
	j, err := m.Get(name)
	require.NoError(t, err)
	return j
}
