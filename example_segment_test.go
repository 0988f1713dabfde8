package loadgen_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/opbeans/loadgen"
)

// Two processes share a job: here, side by side. Each has the settings of the whole.
func ExampleSegment() {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	home := loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })

	var sum loadgen.Snapshot
	for _, text := range []string{"1/2", "2/2"} {
		segment, err := loadgen.ParseSegment(text)
		if err != nil {
			log.Fatal(err)
		}
		snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
			Scenario: home, BaseURL: target.URL, Workers: 5, MaxIterations: 101, Segment: segment,
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("segment %s: %d iterations\n", segment, snap.Iterations)
		sum.Merge(snap)
	}
	fmt.Printf("together: %d iterations\n", sum.Iterations)
	// Output:
	// segment 1/2: 51 iterations
	// segment 2/2: 50 iterations
	// together: 101 iterations
}
