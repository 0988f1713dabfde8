package overhead_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/overhead"
)

// Two services, of which one has an agent that costs time.
func ExampleMeasurement() {
	plain := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	instrumented := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent := time.NewTimer(3 * time.Millisecond)
		<-agent.C
		plain.ServeHTTP(w, r)
	})
	off, on := httptest.NewServer(plain), httptest.NewServer(instrumented)
	defer off.Close()
	defer on.Close()

	result, err := overhead.Measurement{
		Job: loadgen.JobConfig{
			Scenario: loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }),
		},
		Off: overhead.Target{URL: off.URL}, On: overhead.Target{URL: on.URL}, Pairs: 100,
	}.Run(context.Background())
	if err != nil {
		panic(err)
	}
	for _, task := range result.Tasks {
		fmt.Println(task.Task, task.P50) // home +3.1 ms [3.0, 3.2]
	}
	if outcome, task := result.Judge(time.Millisecond); outcome == overhead.Exceeds {
		fmt.Println(task.Task, "costs too much")
	}
}
