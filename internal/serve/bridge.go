package serve

import (
	"context"

	"github.com/opbeans/loadgen/access"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/statsd"
)

// startBridge serves what the observer a.bridge has counted to the suite's page, on an
// address of its own, until the returned function is called. A page has no token to
// show, and there is nothing to steer: none is asked for.
func (a *App) startBridge(ctx context.Context) (stop func(), err error) {
	if a.bridge == nil {
		return func() {}, nil
	}
	ln, err := listen(ctx, a.statsdBridge)
	if err != nil {
		return nil, command.UsageErrorf("-statsd-bridge: cannot listen: %w", err)
	}
	var opts []statsd.BridgeOption
	if len(a.origins) > 0 {
		opts = append(opts, statsd.WithOrigins(a.origins...))
	}
	open := a.Settings
	open.Token = ""
	server := statsd.NewBridgeServer(a.bridge, opts...)
	handler, err := open.gate(server, access.WithLogger(a.log))
	if err != nil {
		server.Close()
		_ = ln.Close()
		return nil, err
	}
	a.bridge.Watch(ctx, a.manager)
	a.page = server
	stopServing := a.listenAndServe(ctx, ln, handler, nil)
	a.log.Info("StatsD bridge listening", "bridge", ln.Addr().String())
	return func() {
		server.Close() // before what serves it, which waits for polls
		stopServing()
	}, nil
}
