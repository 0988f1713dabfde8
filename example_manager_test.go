package loadgen_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/scenarios"
)

func idle() *loadgen.Scenario {
	return loadgen.NewScenario("idle").
		Task("idle", 1, func(ctx context.Context, _ *loadgen.VU) error { <-ctx.Done(); return nil })
}

// What a scenario comes to under a configuration, before anything runs.
func ExampleManager_Preview() {
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	p, err := m.Preview(loadgen.JobConfig{
		ScenarioName: "molotov_scenarios", ServiceName: "opbeans-python",
		Variables: map[string]string{"ERROR_WEIGHT": "3"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range p.Weights {
		if w.Task == "oopsie" || w.Task == "throw_error" {
			fmt.Println(w.Task, w.Weight)
		}
	}
	// Output:
	// oopsie 3
	// throw_error 0
}

// Ceilings over all jobs together: what would go beyond them is refused, with an error
// that says by which.
func ExampleWithLimits() {
	m := loadgen.New(loadgen.WithLimits(loadgen.Limits{MaxWorkers: 10, MaxJobs: 5}))
	defer m.Close()
	ctx := context.Background()
	_, err := m.Start(ctx, loadgen.JobConfig{Name: "one", BaseURL: "http://shop.test", Scenario: idle(), Workers: 8, Grace: loadgen.Off})
	fmt.Println(err)
	_, err = m.Start(ctx, loadgen.JobConfig{Name: "two", BaseURL: "http://shop.test", Scenario: idle(), Workers: 8})
	fmt.Println(errors.Is(err, loadgen.ErrLimit))
	// Output:
	// <nil>
	// true
}

// A Manager whose callers are not all trusted says where jobs may connect to. Names are
// held against the rules by the addresses that they have when a connection is made.
func ExampleWithTargetRules() {
	rules, err := loadgen.ParseTargetRules("loopback", "*.shop.test", "10.1.0.0/16")
	if err != nil {
		fmt.Println(err)
		return
	}
	m := loadgen.New(loadgen.WithTargetRules(rules))
	defer m.Close()
	_, err = m.Start(context.Background(), loadgen.JobConfig{Name: "far", BaseURL: "http://192.0.2.1", Scenario: idle()})
	fmt.Println(err)
	// Output: invalid job: url: target refused: no rule allows 192.0.2.1:80; there are: loopback, *.shop.test, 10.1.0.0/16
}

// Results are kept when jobs end, whoever has started them.
func ExampleWithOnEnd() {
	m := loadgen.New(loadgen.WithOnEnd(func(job *loadgen.Job) {
		fmt.Println(job.Name(), job.State(), job.Snapshot().Iterations)
	}))
	job, err := m.Start(context.Background(), loadgen.JobConfig{
		Name: "count", BaseURL: "http://shop.test", MaxIterations: 3,
		Scenario: loadgen.NewScenario("count").Task("one", 1, func(context.Context, *loadgen.VU) error { return nil }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = job.Wait(context.Background())
	m.Close() // waits for the function, too
	// Output: count finished 3
}
