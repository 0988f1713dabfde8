package loadgen_test

import (
	"context"
	"fmt"

	"github.com/opbeans/loadgen"
)

// A job that is over is prepared for its next run, for all to see, without a change to
// what it has measured.
func ExampleJob_SetNext() {
	m := loadgen.New()
	defer m.Close()
	ctx := context.Background()
	job, err := m.Start(ctx, loadgen.JobConfig{
		Name: "shop", BaseURL: "http://shop.example", MaxIterations: 1,
		Scenario: loadgen.NewScenario("idle").Task("idle", 1, func(context.Context, *loadgen.VU) error { return nil }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := job.Wait(ctx); err != nil {
		fmt.Println(err)
		return
	}
	next := job.Config()
	next.Workers = 5
	if err := job.SetNext(next); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.State(), job.Snapshot().Iterations, job.Config().Workers)

	if next, ok := job.Next(); ok {
		if job, err = m.Start(ctx, next); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(job.Config().Workers)
	// Output:
	// finished 1 1
	// 5
}
