// Package trial runs tasks of a scenario once each, to see whether they work.
package trial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opbeans/loadgen"
)

const maxRequests = 100 // that a result shows

// Result is what one iteration of a task came to.
type Result struct {
	Task     string
	Requests []loadgen.Exemplar // in their order
	Took     time.Duration      // response time of the iteration
	Err      string             // empty if it went well
}

// Run runs one iteration of each task that is named, one after the other, by a job that
// cfg says the rest of: what, where and with which variables, not how much.
func Run(ctx context.Context, cfg loadgen.JobConfig, tasks []string, opts ...loadgen.Option) ([]Result, error) {
	m := loadgen.New(append(opts, loadgen.WithExemplars(maxRequests))...)
	defer m.Close()
	p, err := m.Preview(cfg)
	if err != nil {
		return nil, err
	}
	cfg.Workers, cfg.MaxWorkers, cfg.Rate, cfg.Stages, cfg.RampUp, cfg.Delay = 1, 0, loadgen.Rate{}, nil, 0, 0
	cfg.Duration, cfg.MaxIterations, cfg.Thresholds = 0, 1, nil
	if cfg.Name == "" {
		cfg.Name = "trial"
	}
	var results []Result
	for _, task := range tasks {
		cfg.Weights = map[string]float64{}
		for _, w := range p.Weights {
			cfg.Weights[w.Task] = 0
		}
		cfg.Weights[task] = 1
		r, err := once(ctx, m, cfg)
		if err != nil {
			return results, err
		}
		r.Task = task
		results = append(results, r)
	}
	return results, nil
}

func once(ctx context.Context, m *loadgen.Manager, cfg loadgen.JobConfig) (Result, error) {
	var r Result
	j, err := m.Start(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer context.AfterFunc(ctx, j.Stop)()
	<-j.Done()
	s, kept := j.Snapshot(), j.Exemplars()
	r.Requests, r.Took = kept.Slowest, s.Response.Max()
	slices.SortStableFunc(r.Requests, func(a, b loadgen.Exemplar) int { return a.Start.Compare(b.Start) })
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case s.Interrupted > 0:
		r.Err = "it was interrupted"
	case s.State == loadgen.StateFailed && s.FailedIterations == 0:
		r.Err = s.Reason
	case s.FailedIterations+s.FailedRequests > 0:
		for class, e := range s.Errors {
			r.Err = fmt.Sprintf("%s: %s", class, e.Sample)
		}
	}
	return r, nil
}
