package sizing_test

import (
	"context"
	"fmt"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/sizing"
)

// How many requests per second does the service take before p95 is above 200 ms?
func ExampleSearch() {
	_ = func(ctx context.Context) error {
		home := loadgen.NewScenario("home").
			Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
		found, err := sizing.Search{
			Job: loadgen.JobConfig{
				Scenario: home, BaseURL: "http://localhost:8000",
				Thresholds: loadgen.MustThresholds("p95 < 200ms", "error_rate < 1%"),
			},
			By: sizing.Rate, Min: 50, Step: 20 * time.Second,
		}.Run(ctx)
		if err == nil {
			fmt.Println(found) // 780 iterations per second; 800 are too many
		}
		return err
	}
}
