// Command embed shows a program with a life of its own that has a whole load generator
// beside its own routes: under /load/ are the page, its API and its stream, so that
// /load/ is for a browser, and POST /load/api/start starts a job.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/dashboard"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()

	m := loadgen.New(
		loadgen.WithScenarios(scenarios.FS),
		loadgen.WithLogger(slog.Default()),
	)
	api := httpapi.New(m)
	go api.Record(ctx) // for the charts of the page
	live := socketio.New(m, socketio.WithCalls(api.Call))
	srv := &http.Server{Addr: *addr, Handler: routes(m, api, live), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = m.Shutdown(end) // iterations that run may end
		_ = srv.Close()
	}()
	err := srv.ListenAndServe()
	m.Close()
	live.Close() // after the Manager, so that clients hear how jobs ended
	if !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// routes are the program's own, and those of the load generator.
func routes(m *loadgen.Manager, api, live http.Handler) http.Handler {
	load := http.NewServeMux()
	load.Handle("/api/", api)
	load.Handle("/socket.io/", live)
	load.Handle("/", dashboard.New())
	mux := http.NewServeMux()
	mux.Handle("/load/", http.StripPrefix("/load", load))
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		busy := 0
		for _, j := range m.List() {
			if j.State().Active() {
				busy++
			}
		}
		_, _ = fmt.Fprintf(w, "jobs running: %d\n", busy)
	})
	return mux
}
