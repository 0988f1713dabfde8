package locust_test

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/locust"
)

// A worker whose users run a task in Go, until the master ends or somebody types Ctrl-C.
func ExampleRun() {
	shop := loadgen.NewScenario("shop").
		Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	m := loadgen.New()
	defer m.Close()
	err := locust.Run(ctx, m, locust.Config{
		Master: "localhost:5557",
		Job:    loadgen.JobConfig{Scenario: shop, BaseURL: "http://localhost:8000", Delay: time.Second},
		Logger: slog.Default(),
	})
	if err != nil {
		log.Print(err)
	}
}
