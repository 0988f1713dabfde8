// Command capacity measures how many requests a second one process makes on this machine,
// and of how much of the processors: GET of one URL with full statistics, over kept
// connections on loopback, without a pause, against a target in a process of its own that
// does as little as a target can. Both have all processors, so what one takes the other
// lacks: what a processor makes for the generator alone is reckoned from what a request cost.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opbeans/loadgen"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	vus := flag.Int("c", 100, "VUs, each with a connection")
	duration := flag.Duration("d", 5*time.Second, "how long a round")
	rounds := flag.Int("rounds", 5, "rounds; the one with the most requests counts")
	url := flag.String("generate", "", "be the generator, against that URL")
	serving := flag.Bool("serve", false, "be the target: print the address, and end with standard input")
	flag.Parse()
	switch {
	case *serving:
		return serve(ctx)
	case *url != "":
		return generate(ctx, *url, *vus, *duration)
	}
	var best round
	for range *rounds {
		r, err := measure(ctx, *vus, *duration)
		if err != nil {
			return err
		}
		if r.perSecond() > best.perSecond() {
			best = r
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "CPUs of the machine\trequests/s\tCPUs of the generator\ta request costs it\tCPUs of the target\t")
	fmt.Fprintf(w, "%d\t%.0f\t%.2f\t%.1f µs\t%.2f\t\n", runtime.NumCPU(), best.perSecond(),
		best.generator.Seconds()/best.took.Seconds(), 1e6*best.generator.Seconds()/best.requests, best.target.Seconds()/best.took.Seconds())
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("Reckoned: with one CPU to itself the generator makes %.0f requests/s.\n", best.requests/best.generator.Seconds())
	return nil
}

// round is what one round measured.
type round struct {
	requests          float64
	took              time.Duration
	generator, target time.Duration // of CPU
}

func (r round) perSecond() float64 { return r.requests / max(r.took.Seconds(), 1e-9) }

// measure runs both sides once.
func measure(ctx context.Context, vus int, d time.Duration) (r round, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	target := exec.CommandContext(ctx, self, "-serve")
	target.Stderr = os.Stderr
	in, err := target.StdinPipe()
	if err != nil {
		return r, err
	}
	out, err := target.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := target.Start(); err != nil {
		return r, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = target.Wait()
		return r, fmt.Errorf("the target did not start: %w", err)
	}
	generator := exec.CommandContext(ctx, self, "-generate", "http://"+strings.TrimSpace(addr), "-c", strconv.Itoa(vus), "-d", d.String())
	generator.Stderr = os.Stderr
	said, err := generator.Output()
	_ = in.Close()
	_ = target.Wait()
	if err != nil {
		return r, fmt.Errorf("the generator has failed: %w", err)
	}
	var seconds float64
	if _, err := fmt.Sscan(string(said), &r.requests, &seconds); err != nil {
		return r, err
	}
	r.took = time.Duration(seconds * float64(time.Second))
	r.generator = generator.ProcessState.UserTime() + generator.ProcessState.SystemTime()
	r.target = target.ProcessState.UserTime() + target.ProcessState.SystemTime()
	return r, nil
}

// generate prints how many requests it made, in how many seconds.
func generate(ctx context.Context, url string, vus int, d time.Duration) error {
	scenario, err := loadgen.ParseScenario("one", []byte("tasks: [{name: root, request: GET /}]"))
	if err != nil {
		return err
	}
	snap, err := loadgen.Run(ctx, loadgen.JobConfig{Name: "capacity", Scenario: scenario, BaseURL: url, Workers: vus, Duration: d})
	if err != nil {
		return err
	}
	if snap.FailedRequests > 0 {
		return fmt.Errorf("%d of %d requests failed: %v", snap.FailedRequests, snap.Requests, snap.Errors)
	}
	fmt.Println(snap.Requests, snap.Elapsed.Seconds())
	return nil
}

// serve answers each request with 600 bytes, until standard input ends.
func serve(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 600\r\n\r\n" + strings.Repeat("x", 600))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return nil // standard input has ended
		}
		go func() {
			defer c.Close()
			buf, n := make([]byte, 4096), 0
			for { // one request at a time, without a body
				m, err := c.Read(buf[n:])
				if n += m; err != nil || n == len(buf) {
					return
				}
				if !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
					continue
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
				n = 0
			}
		}()
	}
}
