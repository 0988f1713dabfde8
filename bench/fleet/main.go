// Command fleet runs many virtual users against a demo shop, and reports how much
// memory that takes. It is a process of its own, so that the figures are those of the
// load alone; with -serve it is the shop. A test holds the figures against the goal.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/rss"
	"github.com/opbeans/loadgen/internal/shop"
	"github.com/opbeans/loadgen/scenarios"
)

// Report is what is printed, as JSON.
type Report struct {
	Running    int // VUs while all ran
	Iterations uint64
	Failed     uint64
	Errors     map[loadgen.ErrorClass]loadgen.ErrorStat
	RSS, Peak  int64 // bytes resident
	Heap       uint64
	Stacks     uint64
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	serving := flag.Bool("serve", false, "be the shop: print the address and, when standard input ends, the most connections there were")
	url := flag.String("url", "", "base `URL` of the shop")
	jobs := flag.Int("jobs", 1, "jobs")
	workers := flag.Int("workers", 10_000, "workers of each job")
	each := flag.Int("each", 5, "iterations that a worker is to have on average")
	limit := flag.Duration("limit", 2*time.Minute, "how long this may take")
	flag.Parse()
	if *serving {
		return serve(ctx)
	}
	debug.SetGCPercent(50) // as the server does
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	for i := range *jobs {
		if _, err := m.Start(ctx, loadgen.JobConfig{
			Name: fmt.Sprint("job", i), ScenarioName: "molotov_scenarios", BaseURL: *url,
			Workers: *workers, Delay: 600 * time.Millisecond,
		}); err != nil {
			return err
		}
	}
	report, err := watch(m, uint64(*jobs**workers**each), time.After(*limit))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// watch looks at the jobs each second, as a page that shows them would, until they have
// had so many iterations.
func watch(m *loadgen.Manager, iterations uint64, limit <-chan time.Time) (*Report, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r := &Report{Errors: map[loadgen.ErrorClass]loadgen.ErrorStat{}}
		for _, j := range m.List() {
			s := j.Snapshot()
			r.Running += s.VUs
			r.Iterations += s.Iterations
			r.Failed += s.FailedIterations
			for class, e := range s.Errors {
				e.Count += r.Errors[class].Count
				r.Errors[class] = e
			}
		}
		if r.Iterations >= iterations {
			var ms runtime.MemStats
			runtime.ReadMemStats(&ms)
			r.Heap, r.Stacks = ms.HeapInuse, ms.StackInuse
			var err error
			r.RSS, r.Peak, err = rss.Read()
			return r, err
		}
		select {
		case <-tick.C:
		case <-limit:
			return nil, fmt.Errorf("too slow: %+v", r)
		}
	}
}

// serve is the shop, until standard input ends.
func serve(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var open, most atomic.Int64
	srv := &http.Server{
		Handler:           shop.New(shop.Options{Latency: 1}),
		ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				for n := open.Add(1); ; {
					if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
						break
					}
				}
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
			}
		},
	}
	fmt.Printf("http://%s\n", l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	_ = srv.Serve(l) // ends by Close alone
	fmt.Println(most.Load())
	return nil
}
