// Command embed shows a program with a life of its own that has the load
// generator's API beside its own routes: everything under /load/ is the API, so
// that a job is started with POST /load/api/start.
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
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
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
	srv := &http.Server{Addr: *addr, Handler: routes(m), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = m.Shutdown(end) // iterations that run may end
		_ = srv.Close()
	}()
	err := srv.ListenAndServe()
	m.Close()
	if !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// routes are the program's own, and those of the load generator.
func routes(m *loadgen.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/load/", http.StripPrefix("/load", httpapi.New(m)))
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		busy := 0
		for _, j := range m.List() {
			if j.State().Active() {
				busy++
			}
		}
		_, _ = fmt.Fprintf(w, "%d jobs are running\n", busy)
	})
	return mux
}
