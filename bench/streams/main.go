// Command streams measures what it costs the server to tell many Socket.IO clients of a
// job's statistics each second: it builds the server, runs it with the demo's job, and
// compares its CPU time and memory without clients and with them. Clients connect by
// WebSockets, to which those with their defaults upgrade. It needs Linux, whose processes
// tell of themselves under /metrics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	clients := flag.String("clients", "1,100,1000", "numbers of clients to measure, comma-separated")
	d := flag.Duration("d", 10*time.Second, "how long each")
	flag.Parse()
	if err := run(context.Background(), *clients, *d); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, clients string, d time.Duration) error {
	addr, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "clients\tmessages due\treceived\tlate p50\tp99\tserver CPU\tof it for clients\ta client\tmemory\t")
	idle, _, err := load(ctx, addr, d)
	if err != nil {
		return err
	}
	for text := range strings.SplitSeq(clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := measure(ctx, w, addr, n, d, idle); err != nil {
			return err
		}
	}
	return w.Flush()
}

// measure writes a row for n clients. idle is what the server uses without any.
func measure(ctx context.Context, w io.Writer, addr string, n int, d time.Duration, idle float64) error {
	a, err := connect(ctx, addr, n)
	if err != nil {
		return err
	}
	defer a.close()
	a.begin()
	busy, memory, err := load(ctx, addr, d)
	if err != nil {
		return err
	}
	late := a.end()
	if len(late) == 0 {
		return errors.New("clients have heard nothing")
	}
	slices.Sort(late)
	at := func(p int) time.Duration { return late[(len(late)-1)*p/100].Round(100 * time.Microsecond) }
	cost := busy - idle
	fmt.Fprintf(w, "%d\t%.0f\t%d\t%v\t%v\t%.1f %%\t%.1f %%\t%v\t%.0f MB\t\n", n, float64(n)*d.Seconds(), len(late), at(50), at(99),
		100*busy, 100*cost, time.Duration(cost/float64(n)*float64(time.Second)).Round(100*time.Nanosecond), memory/1e6)
	return nil
}

// load is how many cores the server uses in the time that follows, and its memory then.
func load(ctx context.Context, addr string, d time.Duration) (cores, memory float64, err error) {
	before, err := scrape(ctx, addr)
	if err != nil {
		return 0, 0, err
	}
	<-time.After(d)
	after, err := scrape(ctx, addr)
	if err != nil {
		return 0, 0, err
	}
	const cpu = "process_cpu_seconds_total"
	return (after[cpu] - before[cpu]) / d.Seconds(), after["process_resident_memory_bytes"], nil
}

// scrape reads what the server's process says of itself.
func scrape(ctx context.Context, addr string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if x, err := strconv.ParseFloat(value, 64); err == nil && strings.HasPrefix(name, "process_") {
			values[name] = x
		}
	}
	if len(values) == 0 {
		return nil, errors.New("the server does not tell of its process: this needs Linux")
	}
	return values, nil
}

// startServer builds and runs the server with the demo's job.
func startServer(ctx context.Context) (addr string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "streams")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	binary, file := filepath.Join(dir, "loadgen"), filepath.Join(dir, "addr")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/loadgen")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", nil, fmt.Errorf("building the server, from the root of the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, binary, "-addr", "127.0.0.1:0", "-addr-file", file, "-demo", "-log-format", "json", "-progress", "1h")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	for range 1000 {
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text)), stop, nil
		}
		<-time.After(10 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("the server did not start")
}
