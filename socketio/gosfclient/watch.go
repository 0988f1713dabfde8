package gosfclient

import (
	"errors"
	"fmt"
	"sync"

	gosocketio "github.com/ambelovsky/gosf-socketio"
	"github.com/ambelovsky/gosf-socketio/transport"
)

// The changes of a service.
const (
	Started = "start"
	Stopped = "stop" // for whatever reason
	Updated = "update"
)

// Watcher is a connection on which service_state events arrive.
type Watcher struct {
	client *gosocketio.Client
	lost   chan struct{}

	mu     sync.Mutex // held while changed is called
	closed bool
}

// Watch connects to a server, and calls changed for each service_state event from
// then on: with the name of the job, and [Started], [Stopped] or [Updated]. Calls
// come one at a time. gosf-socketio may turn round the order of events that come
// close together; [Client.List] tells what holds in the end.
//
// The connection is not made anew when it is lost; [Watcher.Lost] tells of that.
//
// The error is that of the connection; a Watcher must be closed.
func Watch(host string, port int, secure bool, changed func(job, change string)) (*Watcher, error) {
	w := &Watcher{lost: make(chan struct{})}
	lose := sync.OnceFunc(func() { close(w.lost) }) // gosf-socketio may tell of it twice
	client, err := gosocketio.Dial(gosocketio.GetUrl(host, port, secure), transport.GetDefaultWebsocketTransport())
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w.client = client
	err = errors.Join(
		client.On("service_state", func(_ *gosocketio.Channel, m struct {
			Data map[string]string `json:"data"`
		},
		) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for job, change := range m.Data {
				if !w.closed {
					changed(job, change)
				}
			}
		}),
		client.On(gosocketio.OnDisconnection, func(*gosocketio.Channel) { lose() }),
	)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("watch: %w", err)
	}
	if !client.IsAlive() {
		lose() // before anybody was told of it
	}
	return w, nil
}

// Lost is closed when the connection is lost, or closed.
func (w *Watcher) Lost() <-chan struct{} { return w.lost }

// Close ends the connection. No call of changed begins after it, but one may still
// run.
func (w *Watcher) Close() {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if !closed {
		w.client.Close()
	}
}
