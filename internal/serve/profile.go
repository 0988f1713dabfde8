package serve

import (
	"context"
	"net/http"
	"net/http/pprof"

	"github.com/opbeans/loadgen/internal/command"
)

// startProfiles serves the runtime's profiles on the address of -pprof, which must
// be a loopback one: profiles tell much, and cost much.
func (a *App) startProfiles(ctx context.Context) (stop func(), err error) {
	if a.pprof == "" {
		return func() {}, nil
	}
	ln, err := listen(ctx, a.pprof)
	if err != nil {
		return nil, command.UsageErrorf("cannot serve profiles: %w", err)
	}
	if !isLoopback(ln.Addr()) {
		_ = ln.Close()
		return nil, command.UsageErrorf("-pprof must be a loopback address, for instance 127.0.0.1:6060, not %s", a.pprof)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	a.log.Info("profiles", "url", "http://"+ln.Addr().String()+"/debug/pprof/")
	gate, err := a.gate(mux)
	if err != nil {
		_ = ln.Close()
		return nil, command.UsageErrorf("-token: %w", err) // cannot be: load has tried it
	}
	return a.listenAndServe(ctx, ln, gate, make(chan error)), nil
}
