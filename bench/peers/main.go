// Command peers measures what one HTTP request costs in CPU time, for loadgen and
// for the load tools it finds, one after the other in each of several rounds.
//
// The target is nginx on the first CPU. Each client runs alone on the second, with
// 50 connections kept alive. The cost is the user and system time of the whole
// client process, divided by the requests that nginx counted. Ratios are taken
// within a round, where both have met the same machine, and their median is shown.
//
// It needs Linux with two CPUs and taskset; bench/install.sh installs the peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

type options struct {
	tools    string
	rounds   int
	duration time.Duration
	only     string
}

// place is what clients need to know of where they run.
type place struct {
	url    string // of the target
	statsd string // host and port of the sink
	dir    string // of their scripts
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.tools, "tools", ".tools/bin", "folder of the tools that make installed")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; medians are shown")
	flag.DurationVar(&o.duration, "d", 3*time.Second, "how long each client runs in a round, in whole seconds")
	flag.StringVar(&o.only, "only", "", "comma-separated clients; all by default")
	flag.Parse()
	if o.rounds < 1 || o.duration < time.Second {
		return errors.New("at least one round of one second is needed")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("two CPUs are needed, one for the target and one for the client")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return fmt.Errorf("clients are pinned to a CPU by taskset: %w", err)
	}

	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := writeScripts(dir); err != nil {
		return err
	}
	url, stop, err := startNginx(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	s, err := startSink(ctx)
	if err != nil {
		return err
	}
	defer s.close()

	clients := known(&o)
	compete(ctx, clients, &o, place{url: url, statsd: s.addr(), dir: dir})
	if used := find(clients, scenarioClient); used != nil && used.err == nil && s.received.Load() == 0 {
		used.err = errors.New("nothing came from it over StatsD")
	}
	_, err = fmt.Print(machine(ctx, clients), "\n", table(clients), "\n", verdicts(clients))
	return err
}

// compete runs each client in each round, until it fails.
func compete(ctx context.Context, clients []*client, o *options, p place) {
	for round := range o.rounds {
		for _, c := range clients {
			if c.err != nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "\rround %d of %d: %-22s", round+1, o.rounds, c.name)
			cost, err := c.measure(ctx, p, o.duration)
			if err != nil {
				c.err = err
				continue
			}
			c.costs = append(c.costs, cost)
		}
	}
	fmt.Fprint(os.Stderr, "\r", strings.Repeat(" ", 50), "\r")
}
