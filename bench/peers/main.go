// Command peers measures what one HTTP request costs in CPU time, for loadgen and
// for the load tools it finds, one after the other in each of several rounds.
//
// The target is nginx on the first CPU. Each client runs alone on the second, with
// 50 connections kept alive. The cost is the user and system time of the whole
// client process, divided by the requests that nginx counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// client is one load tool and how it is told to send GET / as fast as it can.
type client struct {
	name    string
	program string
	args    func(url string, d time.Duration, dir string) []string
	stdin   func(url string) string
	costs   []float64 // microseconds of CPU per request, one a round
	err     error
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.tools, "tools", ".tools/bin", "folder of the tools that make installed")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the median is shown")
	flag.DurationVar(&o.duration, "d", 3*time.Second, "how long each client runs in a round")
	flag.StringVar(&o.only, "only", "", "comma-separated clients; all by default")
	flag.Parse()

	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	url, stop, err := startNginx(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	if err := writeScripts(dir); err != nil {
		return err
	}

	clients := known(o)
	for round := range o.rounds {
		for _, c := range clients {
			if c.err != nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "\rround %d of %d: %-22s", round+1, o.rounds, c.name)
			cost, err := c.measure(ctx, url, o.duration, dir)
			if err != nil {
				c.err = err
				continue
			}
			c.costs = append(c.costs, cost)
		}
	}
	fmt.Fprint(os.Stderr, "\r", strings.Repeat(" ", 50), "\r")
	_, err = fmt.Print(report(clients))
	return err
}

// known lists the clients, ours first, with where they are.
func known(o options) []*client {
	secs := func(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
	all := []*client{
		{name: "wrk", program: "wrk", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-t1", "-c50", "-d" + secs(d) + "s", url}
		}},
		{name: "loadgen", program: "ours", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-url", url, "-d", d.String()}
		}},
		{name: "loadgen observed", program: "ours", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-url", url, "-d", d.String(), "-observe"}
		}},
		{name: "loadgen scenario", program: "ours", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-url", url, "-d", d.String(), "-scenario", "molotov_scenarios"}
		}},
		{name: "ab", program: "ab", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-k", "-q", "-c50", "-t" + secs(d), "-n100000000", url}
		}},
		{name: "fortio", program: "fortio", args: func(url string, d time.Duration, _ string) []string {
			return []string{"load", "-quiet", "-c", "50", "-qps", "0", "-t", d.String(), url}
		}},
		{name: "bombardier", program: "bombardier", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-q", "--fasthttp", "-l", "-c", "50", "-d", d.String(), url}
		}},
		{name: "hey", program: "hey", args: func(url string, d time.Duration, _ string) []string {
			return []string{"-c", "50", "-z", d.String(), url}
		}},
		{name: "vegeta", program: "vegeta", args: func(_ string, d time.Duration, _ string) []string {
			return []string{"attack", "-rate=0", "-workers=50", "-max-workers=50", "-duration=" + d.String(), "-output=" + os.DevNull}
		}, stdin: func(url string) string { return "GET " + url + "\n" }},
		{name: "k6", program: "k6", args: func(_ string, d time.Duration, dir string) []string {
			return []string{"run", "-q", "--no-usage-report", "--vus", "50", "--duration", d.String(), filepath.Join(dir, "k6.js")}
		}},
		{name: "molotov", program: "molotov", args: func(_ string, d time.Duration, dir string) []string {
			return []string{"-c", "-w", "50", "-d", secs(d), filepath.Join(dir, "molotov_one.py")}
		}},
	}
	if o.only != "" {
		names := strings.Split(o.only, ",")
		all = slices.DeleteFunc(all, func(c *client) bool { return !slices.Contains(names, c.name) })
	}
	for _, c := range all {
		own, err := filepath.Abs(filepath.Join(o.tools, c.program))
		if err == nil {
			if _, err = os.Stat(own); err == nil {
				c.program = own
				continue
			}
		}
		if c.program, c.err = exec.LookPath(c.program); c.err != nil {
			c.err = errors.New("not installed")
		}
	}
	return all
}

// measure runs a client once and returns its CPU time per request in microseconds.
func (c *client) measure(ctx context.Context, url string, d time.Duration, dir string) (float64, error) {
	before, err := served(ctx, url)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*d+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", "1", c.program}, c.args(url, d, dir)...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TARGET="+url)
	if c.stdin != nil {
		cmd.Stdin = strings.NewReader(c.stdin(url))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(string(out)))
	}
	after, err := served(ctx, url)
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

// served is the number of requests that nginx has had.
func served(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"status", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	// The third line has accepted and handled connections, and requests.
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 {
		return 0, fmt.Errorf("nginx says %q", text)
	}
	fields := strings.Fields(lines[2])
	if len(fields) != 3 {
		return 0, fmt.Errorf("nginx says %q", text)
	}
	return strconv.Atoi(fields[2])
}

func report(clients []*client) string {
	median := func(c *client) float64 {
		if len(c.costs) == 0 {
			return 0
		}
		slices.Sort(c.costs)
		return c.costs[len(c.costs)/2]
	}
	base := 0.0
	for _, c := range clients {
		if c.name == "wrk" {
			base = median(c)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%-18s %14s %8s   %s\n", "client", "CPU/request", "x wrk", "min to max")
	for _, c := range clients {
		if c.err != nil {
			fmt.Fprintf(&out, "%-18s %14s            %v\n", c.name, "-", c.err)
			continue
		}
		m, ratio := median(c), "-"
		if base > 0 {
			ratio = fmt.Sprintf("%.2f", m/base)
		}
		fmt.Fprintf(&out, "%-18s %11.1f µs %8s   %.1f to %.1f\n", c.name, m, ratio, c.costs[0], c.costs[len(c.costs)-1])
	}
	return out.String()
}

const nginxConf = `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	default_type application/json;
	server {
		listen 127.0.0.1:%[2]d;
		location = /status { stub_status; }
		location ~ "^/api/customers/([5-9][0-9]{3}|10000)$" { return 404 "{}"; }
		location / { return 200 "%[3]s"; }
	}
}
`

// startNginx serves a body of 600 bytes for every path on a free port.
func startNginx(ctx context.Context, dir string) (url string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, dir, port, strings.Repeat("x", 600))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", "0", "nginx", "-c", conf, "-p", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("nginx: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	url = fmt.Sprintf("http://127.0.0.1:%d/", port)
	for range 100 {
		if _, err = served(ctx, url); err == nil {
			return url, stop, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	return "", nil, err
}

func writeScripts(dir string) error {
	k6 := "import http from 'k6/http';\nexport default function () { http.get(__ENV.TARGET); }\n"
	molotov := `import os
from molotov import scenario

@scenario(weight=1)
async def one(session):
    async with session.get(os.environ["TARGET"]) as resp:
        assert resp.status == 200
        await resp.read()
`
	if err := os.WriteFile(filepath.Join(dir, "k6.js"), []byte(k6), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "molotov_one.py"), []byte(molotov), 0o600)
}
