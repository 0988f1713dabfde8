package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names of clients that verdicts are about.
const (
	baseClient     = "wrk"
	urlClient      = "loadgen"
	scenarioClient = "loadgen scenario"
)

// client is one load tool and how it is told to send GET / as fast as it can.
type client struct {
	name    string
	program string
	args    func(p place, d time.Duration) []string
	stdin   func(p place) string
	version []string  // arguments that make it say its version; without, it is a Go program
	costs   []float64 // microseconds of CPU per request, one a round
	err     error     // why there is no result
}

// known lists the clients, ours first, with where they are.
func known(o *options) []*client {
	secs := func(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
	ours := func(more func(p place) []string) func(place, time.Duration) []string {
		return func(p place, d time.Duration) []string {
			return append([]string{"-url", p.url, "-d", d.String()}, more(p)...)
		}
	}
	all := []*client{
		{name: baseClient, program: "wrk", version: []string{"-v"}, args: func(p place, d time.Duration) []string {
			return []string{"-t1", "-c50", "-d" + secs(d) + "s", p.url}
		}},
		{name: urlClient, program: "ours", args: ours(func(place) []string { return nil })},
		{name: "loadgen observed", program: "ours", args: ours(func(place) []string { return []string{"-observe"} })},
		{name: scenarioClient, program: "ours", args: ours(func(p place) []string {
			return []string{"-scenario", "molotov_scenarios", "-statsd", p.statsd}
		})},
		{name: "ab", program: "ab", version: []string{"-V"}, args: func(p place, d time.Duration) []string {
			return []string{"-k", "-q", "-c50", "-t" + secs(d), "-n100000000", p.url}
		}},
		{name: "fortio", program: "fortio", args: func(p place, d time.Duration) []string {
			return []string{"load", "-quiet", "-c", "50", "-qps", "0", "-t", d.String(), p.url}
		}},
		{name: "bombardier", program: "bombardier", args: func(p place, d time.Duration) []string {
			return []string{"-q", "--fasthttp", "-l", "-c", "50", "-d", d.String(), p.url}
		}},
		{name: "hey", program: "hey", args: func(p place, d time.Duration) []string {
			return []string{"-c", "50", "-z", d.String(), p.url}
		}},
		{name: "vegeta", program: "vegeta", args: func(_ place, d time.Duration) []string {
			return []string{"attack", "-rate=0", "-workers=50", "-max-workers=50", "-duration=" + d.String(), "-output=" + os.DevNull}
		}, stdin: func(p place) string { return "GET " + p.url + "\n" }},
		{name: "k6", program: "k6", args: func(p place, d time.Duration) []string {
			return []string{"run", "-q", "--no-usage-report", "--vus", "50", "--duration", d.String(), filepath.Join(p.dir, k6File)}
		}},
		{name: "molotov", program: "molotov", version: []string{"--version"}, args: func(p place, d time.Duration) []string {
			return []string{"-c", "-w", "50", "-d", secs(d), filepath.Join(p.dir, molotovFile)}
		}},
	}
	if o.only != "" {
		names := strings.Split(o.only, ",")
		all = slices.DeleteFunc(all, func(c *client) bool { return !slices.Contains(names, c.name) })
	}
	for _, c := range all {
		c.locate(o.tools)
	}
	return all
}

// locate finds the program: among the tools first, then in the PATH.
func (c *client) locate(tools string) {
	own, err := filepath.Abs(filepath.Join(tools, c.program))
	if err == nil {
		if _, err = os.Stat(own); err == nil {
			c.program = own
			return
		}
	}
	path, err := exec.LookPath(c.program)
	if err != nil {
		c.err = errors.New("not installed")
		return
	}
	c.program = path
}

func find(clients []*client, name string) *client {
	for _, c := range clients {
		if c.name == name {
			return c
		}
	}
	return nil
}

// measure runs a client once and returns its CPU time per request in microseconds.
func (c *client) measure(ctx context.Context, p place, d time.Duration) (float64, error) {
	before, err := served(ctx, p.url)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*d+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", clientCPU, c.program}, c.args(p, d)...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TARGET="+p.url)
	if c.stdin != nil {
		cmd.Stdin = strings.NewReader(c.stdin(p))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(string(out)))
	}
	after, err := served(ctx, p.url)
	if err != nil {
		return 0, err
	}
	requests := after - before - 1 // the question itself
	if requests < 100 {
		return 0, fmt.Errorf("it sent %d requests only: %s", requests, lastLine(string(out)))
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return float64(cpu.Microseconds()) / float64(requests), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// over is how many times as much c costs as base, as the median over the rounds
// that both have been in; 0 if there is none.
func (c *client) over(base *client) float64 {
	if c == nil || base == nil {
		return 0
	}
	rounds := min(len(c.costs), len(base.costs))
	ratios := make([]float64, rounds)
	for i := range ratios {
		ratios[i] = c.costs[i] / base.costs[i]
	}
	return median(ratios)
}

func median[T cmp.Ordered](values []T) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

const (
	k6File      = "k6.js"
	molotovFile = "molotov_one.py"
)

// writeScripts writes what k6 and Molotov take instead of a URL.
func writeScripts(dir string) error {
	const k6 = "import http from 'k6/http';\nexport default function () { http.get(__ENV.TARGET); }\n"
	const molotov = `import os
from molotov import scenario

@scenario(weight=1)
async def one(session):
    async with session.get(os.environ["TARGET"]) as resp:
        assert resp.status == 200
        await resp.read()
`
	if err := os.WriteFile(filepath.Join(dir, k6File), []byte(k6), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, molotovFile), []byte(molotov), 0o600)
}
