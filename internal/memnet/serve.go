package memnet

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// DialFunc makes connections; it is what [http.Transport] takes as DialContext.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Serve runs an HTTP server on a network of its own. Every address that dial is
// given leads to it. See [Network.Serve] for stop.
func Serve(handler http.Handler) (dial DialFunc, stop func()) {
	const addr = "server:80"
	n := New()
	l, _ := n.Listen(addr) // well formed, and free on a new network
	return func(ctx context.Context, name, _ string) (net.Conn, error) {
		return n.DialContext(ctx, name, addr)
	}, serve(l, handler)
}

// Serve runs an HTTP server on addr. The error is that of [Network.Listen].
//
// stop ends the server: it refuses new connections, closes the others, which
// cancels the context of requests that are still being served, and returns when
// every goroutine of the server has ended. Stopping twice is fine.
func (n *Network) Serve(addr string, handler http.Handler) (stop func(), err error) {
	l, err := n.Listen(addr)
	if err != nil {
		return nil, err
	}
	return serve(l, handler), nil
}

func serve(l net.Listener, handler http.Handler) (stop func()) {
	var serving, conns sync.WaitGroup
	srv := &http.Server{
		Handler: handler,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	serving.Go(func() { _ = srv.Serve(l) }) // always http.ErrServerClosed, by stop
	return sync.OnceFunc(func() {
		_ = srv.Close()
		serving.Wait() // from here on no connection is new
		conns.Wait()
	})
}
