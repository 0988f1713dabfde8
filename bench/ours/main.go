// Command ours is the loadgen engine as a plain load tool, for side by side
// measurements: VUs without delay, one URL or a built-in scenario.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/scenarios"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run() error {
	url := flag.String("url", "", "base URL of the target")
	scenario := flag.String("scenario", "", "a built-in scenario; without it, GET / alone")
	vus := flag.Int("c", 50, "VUs, each with a connection")
	duration := flag.Duration("d", 3*time.Second, "how long")
	observed := flag.Bool("observe", false, "with an observer that drops every sample")
	flag.Parse()

	cfg := loadgen.JobConfig{Name: "bench", BaseURL: *url, ScenarioName: *scenario, Workers: *vus, Duration: *duration, Seed: 1}
	if *scenario == "" {
		s, err := loadgen.ParseScenario("one", []byte("tasks: [{name: root, request: GET /}]"))
		if err != nil {
			return err
		}
		cfg.Scenario = s
	}
	opts := []loadgen.Option{loadgen.WithScenarios(scenarios.FS)}
	if *observed {
		opts = append(opts, loadgen.WithObserver(loadgen.ObserverFunc(func(loadgen.Sample) {})))
	}
	snap, err := loadgen.Run(context.Background(), cfg, opts...)
	if err != nil {
		return err
	}
	snap.Tasks = nil
	return json.NewEncoder(os.Stdout).Encode(snap)
}
