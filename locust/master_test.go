package locust_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/locustwire"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/locust"
)

const (
	masterAddr = "master:5557"
	missing    = 5 * time.Second // without a heartbeat a worker is
)

// master is as much of a Locust master as workers see. It keeps what they say in order.
type master struct {
	t     *testing.T
	net   *memnet.Network
	mute  atomic.Bool // it takes messages and answers none
	clock float64     // of its orders
	wg    sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	conns    map[*locustwire.Conn]string // with the identity of the worker
	deaf     map[*locustwire.Conn]bool   // what comes on those is dropped
	known    []string                    // workers it has welcomed
	users    int                         // of the test; 0: there is none
	beat     map[string]time.Time        // when it last had a heartbeat of a worker
	said     []locustwire.Message
	sum      map[string]*locustwire.Entry // by method and name
	errors   map[string]uint64            // by method, name and error
	total    locustwire.Entry
	reports  int
}

// up makes the master listen.
func (m *master) up() {
	l, err := m.net.Listen(masterAddr)
	require.NoError(m.t, err)
	m.mu.Lock()
	m.listener = l
	m.mu.Unlock()
	m.wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			m.wg.Go(func() { m.serve(raw) })
		}
	})
}

// down cuts all connections, and takes no new ones.
func (m *master) down() {
	m.mu.Lock()
	m.listener.Close()
	for c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

// cut cuts all connections.
func (m *master) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		c.Close()
	}
}

// forget makes it a master that was started anew.
func (m *master) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.said, m.reports, m.users = nil, nil, 0, 0
	m.beat = map[string]time.Time{}
	m.sum, m.errors, m.total = map[string]*locustwire.Entry{}, map[string]uint64{}, locustwire.Entry{}
}

func (m *master) serve(raw net.Conn) {
	c, err := locustwire.Shake(raw, locustwire.Router, "")
	if err != nil {
		return
	}
	m.mu.Lock()
	m.conns[c] = c.Peer()
	m.mu.Unlock()
	defer func() {
		c.Close()
		m.mu.Lock()
		delete(m.conns, c)
		m.mu.Unlock()
	}()
	for {
		msg, err := c.Receive()
		if err != nil {
			return
		}
		m.mu.Lock()
		deaf := m.deaf[c]
		m.mu.Unlock()
		if deaf {
			continue
		}
		assert.Equal(m.t, c.Peer(), msg.Node, "a master answers to the node, by the identity")
		for _, answer := range m.hear(msg) {
			if !m.mute.Load() && c.Send(answer) != nil {
				return
			}
		}
	}
}

// hear keeps a message, and returns what is to be answered.
func (m *master) hear(msg locustwire.Message) []locustwire.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	if msg.Type != locustwire.Heartbeat && msg.Type != locustwire.Stats {
		m.said = append(m.said, msg)
	}
	switch msg.Type {
	case locustwire.ClientReady:
		if m.mute.Load() {
			return nil
		}
		if !slices.Contains(m.known, msg.Node) {
			m.known = append(m.known, msg.Node)
		}
		answers := []locustwire.Message{{Type: locustwire.Ack, Data: locustwire.AckData{Index: slices.Index(m.known, msg.Node)}, Node: msg.Node}}
		if m.users > 0 {
			answers = append(answers, locustwire.Message{Type: locustwire.Spawn, Data: m.order(), Node: msg.Node})
		}
		return answers
	case locustwire.Heartbeat:
		if m.mute.Load() || !slices.Contains(m.known, msg.Node) {
			return nil
		}
		var answers []locustwire.Message
		before, ok := m.beat[msg.Node]
		if ok && time.Since(before) > missing && m.users > 0 { // it is back
			answers = append(answers, locustwire.Message{Type: locustwire.Spawn, Data: m.order(), Node: msg.Node})
		}
		m.beat[msg.Node] = time.Now()
		return append(answers, locustwire.Message{Type: locustwire.Heartbeat, Node: msg.Node})
	case locustwire.Stats:
		var data locustwire.StatsData
		if assert.NoError(m.t, msg.Decode(&data)) {
			m.add(&data)
		}
	}
	return nil
}

// add adds a report as a master does; m is locked.
func (m *master) add(d *locustwire.StatsData) {
	m.reports++
	for _, e := range d.Stats {
		sum := m.sum[e.Method+" "+e.Name]
		if sum == nil {
			sum = &locustwire.Entry{}
			m.sum[e.Method+" "+e.Name] = sum
		}
		extend(sum, e)
	}
	for _, e := range d.Errors {
		m.errors[e.Method+" "+e.Name+": "+e.Error] += e.Count
	}
	extend(&m.total, d.Total)
}

func extend(sum, e *locustwire.Entry) {
	if sum.Times == nil {
		sum.Times, sum.PerSecond, sum.FailPerSecond = map[int64]uint64{}, map[int64]uint64{}, map[int64]uint64{}
	}
	sum.Requests += e.Requests
	sum.None += e.None
	sum.Failures += e.Failures
	sum.TotalTime += e.TotalTime
	sum.Size += e.Size
	sum.Max = max(sum.Max, e.Max)
	if sum.Min == nil || e.Min != nil && *e.Min < *sum.Min {
		sum.Min = e.Min
	}
	for k, n := range e.Times {
		sum.Times[k] += n
	}
	for k, n := range e.PerSecond {
		sum.PerSecond[k] += n
	}
	for k, n := range e.FailPerSecond {
		sum.FailPerSecond[k] += n
	}
}

// tell sends a message to every worker that is connected.
func (m *master) tell(kind string, data any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, id := range m.conns {
		assert.NoError(m.t, c.Send(locustwire.Message{Type: kind, Data: data, Node: id}))
	}
}

// spawn orders users.
func (m *master) spawn(users int) {
	m.mu.Lock()
	m.users = users
	order := m.order()
	m.mu.Unlock()
	m.tell(locustwire.Spawn, order)
	synctest.Wait()
}

// order is what comes with an order of users; m is locked.
func (m *master) order() map[string]any {
	m.clock++
	return map[string]any{
		"timestamp": m.clock, "user_classes_count": map[string]int{"Loadgen": m.users}, "host": "http://shop",
		"stop_timeout": 0.0, "parsed_options": map[string]any{"tags": nil, "loglevel": "INFO"},
	}
}

// stop ends the test, for all workers that are connected.
func (m *master) stop() {
	m.mu.Lock()
	m.users = 0
	m.mu.Unlock()
	m.tell(locustwire.Stop, nil)
}

// heard are the kinds of the messages so far, which it forgets.
func (m *master) heard() []string {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	var kinds []string
	for _, msg := range m.said {
		kinds = append(kinds, msg.Type)
	}
	m.said = nil
	return kinds
}

// world is a master, a target and a worker, in virtual time.
type world struct {
	*master
	m      *loadgen.Manager
	served atomic.Uint64
	work   func(cfg locust.Config) // starts the worker
	leave  context.CancelFunc
	ended  chan error
}

// inWorld runs f in virtual time. The target answers what handler does; nil is 200 after
// ten milliseconds. Users pause for 90 more.
func inWorld(t *testing.T, handler http.HandlerFunc, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			master: &master{
				t: t, net: memnet.New(), conns: map[*locustwire.Conn]string{}, deaf: map[*locustwire.Conn]bool{}, beat: map[string]time.Time{},
				sum: map[string]*locustwire.Entry{}, errors: map[string]uint64{},
			},
			ended: make(chan error, 1),
		}
		if handler == nil {
			handler = func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }
		}
		stop, err := w.net.Serve("shop:80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.served.Add(1)
			handler(rw, r)
		}))
		require.NoError(t, err)
		defer stop()
		w.m = loadgen.New(loadgen.WithDialContext(w.net.DialContext))
		defer w.m.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.leave = cancel
		w.work = func(cfg locust.Config) {
			cfg.Master, cfg.DialContext = masterAddr, w.net.DialContext
			if cfg.Job.Scenario == nil {
				cfg.Job.Scenario = loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
			}
			if cfg.Job.Delay == 0 {
				cfg.Job.Delay = 90 * time.Millisecond
			}
			go func() { w.ended <- locust.Run(ctx, w.m, cfg) }()
		}
		f(t, w)
	})
}

// joined starts a master and a worker, and waits until they know each other.
func (w *world) joined(cfg locust.Config) {
	w.up()
	w.work(cfg)
	require.Equal(w.t, []string{locustwire.ClientReady}, w.heard())
}

// bye ends the worker, as Ctrl-C does, and the master.
func (w *world) bye() {
	w.leave()
	require.NoError(w.t, <-w.ended)
	synctest.Wait() // the master has read all
	w.down()
}

func (w *world) job() *loadgen.Job {
	job, err := w.m.Get("shop")
	require.NoError(w.t, err)
	return job
}

// agree holds what the master has counted against the target.
func (w *world) agree() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Equal(w.t, w.served.Load(), w.total.Requests, "what the target has served is what the master has counted")
	var perSecond uint64
	for _, n := range w.total.PerSecond {
		perSecond += n
	}
	assert.Equal(w.t, w.total.Requests, perSecond)
}

var errEnded = errors.New("the worker has not ended")

// result is what Run has returned.
func (w *world) result() error {
	synctest.Wait()
	select {
	case err := <-w.ended:
		return err
	default:
		return fmt.Errorf("%w", errEnded)
	}
}
