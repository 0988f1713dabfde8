// Command ours is the loadgen engine as a plain load tool, for side by side
// measurements: VUs without delay, one URL or a built-in scenario.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/statsd"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	url := flag.String("url", "", "base URL of the target")
	scenario := flag.String("scenario", "", "a built-in scenario; without it, GET / alone")
	vus := flag.Int("c", 50, "VUs, each with a connection")
	duration := flag.Duration("d", 3*time.Second, "how long")
	observed := flag.Bool("observe", false, "with an observer that drops every sample")
	server := flag.String("statsd", "", "a StatsD server to write to, host:port")
	profile := flag.String("cpuprofile", "", "a file for a CPU profile")
	flag.Parse()

	cfg := loadgen.JobConfig{Name: "bench", BaseURL: *url, ScenarioName: *scenario, Workers: *vus, Duration: *duration, Seed: 1}
	if *scenario == "" {
		if cfg.Scenario, err = loadgen.ParseScenario("one", []byte("tasks: [{name: root, request: GET /}]")); err != nil {
			return err
		}
	}
	opts := []loadgen.Option{loadgen.WithScenarios(scenarios.FS)}
	if *observed {
		opts = append(opts, loadgen.WithObserver(loadgen.ObserverFunc(func(loadgen.Sample) {})))
	}
	if *server != "" {
		o, err := statsd.New(*server)
		if err != nil {
			return err
		}
		defer o.Close()
		opts = append(opts, loadgen.WithObserver(o))
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	snap, err := loadgen.Run(context.Background(), cfg, opts...)
	if err != nil {
		return err
	}
	if snap.FailedRequests > 0 {
		return fmt.Errorf("%d of %d requests failed: %v", snap.FailedRequests, snap.Requests, snap.Errors)
	}
	if snap.Requests == 0 {
		return errors.New("no request was sent")
	}
	snap.Tasks = nil
	return json.NewEncoder(os.Stdout).Encode(snap)
}
