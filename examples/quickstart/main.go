// Command quickstart drives a service for two seconds and prints what it measured.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/opbeans/loadgen"
)

func main() {
	shop := loadgen.NewScenario("shop").
		Task("home", 3, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }).
		Task("stats", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/api/stats") })

	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario: shop,
		BaseURL:  "http://localhost:8000", // the shop of `make run`
		Workers:  10,
		Delay:    100 * time.Millisecond,
		Duration: 2 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d requests, %d failed, p99 %s\n", snap.Requests, snap.FailedRequests, snap.Response.P99())
}
