// Command rate measures how exactly the open model keeps a rate on this machine, on
// loopback against a server in a process of its own: how many iterations were done
// of those planned, and how late they began. It is a measurement, not a test: on a
// busy machine the figures say so.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opbeans/loadgen"
)

// What the figures are to be.
const (
	mostOff = 0.001 // of the rate
	mostLag = time.Millisecond
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "rate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	rates := flag.String("rates", "1000/s,10000/s", "rates to measure, comma-separated")
	duration := flag.Duration("d", 10*time.Second, "how long each")
	serving := flag.Bool("serve", false, "be the server: print the address, and end with standard input")
	flag.Parse()
	if *serving {
		return serve(ctx)
	}
	url, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "rate\tplanned\tdone\toff by\twithin 0.1 %\tlag p50\tp99\tmax\tp99 < 1 ms\tvalid\t")
	for text := range strings.SplitSeq(*rates, ",") {
		rate, err := loadgen.ParseRate(text)
		if err != nil {
			return err
		}
		if err := measure(ctx, w, url, rate, *duration); err != nil {
			return err
		}
	}
	return w.Flush()
}

// measure runs one rate and writes a row.
func measure(ctx context.Context, w io.Writer, url string, rate loadgen.Rate, d time.Duration) error {
	scenario, err := loadgen.ParseScenario("one", []byte("tasks: [{name: root, request: GET /}]"))
	if err != nil {
		return err
	}
	snap, err := loadgen.Run(ctx, loadgen.JobConfig{
		Name: "rate", Scenario: scenario, BaseURL: url, Rate: rate, Duration: d, Workers: 50,
	})
	if err != nil {
		return err
	}
	if snap.FailedIterations > 0 {
		return fmt.Errorf("%d iterations failed: %v", snap.FailedIterations, snap.Errors)
	}
	planned := rate.Hz() * d.Seconds()
	off := (float64(snap.Iterations) - planned) / planned
	valid := "yes"
	if !snap.Valid {
		valid = "no: " + strings.Join(snap.Invalid, "; ")
	}
	lag := &snap.Lag
	fmt.Fprintf(w, "%s\t%.0f\t%d\t%.3f %%\t%s\t%v\t%v\t%v\t%s\t%s\t\n",
		rate, planned, snap.Iterations, 100*off, yes(off <= mostOff && off >= -mostOff),
		round(lag.P50()), round(lag.P99()), round(lag.Max()), yes(lag.P99() < mostLag), valid)
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func round(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// startServer runs this program as a server.
func startServer(ctx context.Context) (url string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %w", err)
	}
	return "http://" + strings.TrimSpace(addr), stop, nil
}

// serve answers every request with little, until standard input ends.
func serve(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
		}),
		ReadHeaderTimeout: time.Minute,
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
