package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/shop"
)

// Settings of the demo.
const (
	demoJob      = "demo"
	demoShopAddr = "127.0.0.1:8000"
	demoProgress = 5 * time.Second
)

// startDemo starts the shop, a job that drives it, and says what to do next. The
// returned function stops the shop.
func (a *App) startDemo(ctx context.Context, api net.Addr, failed chan<- error) (stop func(), err error) {
	ln, err := listen(ctx, demoShopAddr)
	taken := err != nil
	if taken {
		if ln, err = listen(ctx, "127.0.0.1:0"); err != nil {
			return nil, command.UsageErrorf("cannot listen for the demo's shop: %w", err)
		}
	}
	stop = a.listenAndServe(ctx, ln, shop.New(shop.Options{Latency: 1}), failed)
	if taken {
		a.log.Warn("the demo's shop listens on another port than usual, because that is taken", "addr", ln.Addr().String(), "taken", demoShopAddr)
	}
	err = a.startDemoJob(ctx, loadgen.JobConfig{
		Name:         demoJob,
		ScenarioName: "molotov_scenarios",
		BaseURL:      "http://" + ln.Addr().String(),
		ServiceName:  "opbeans-python",
		Workers:      3,
		Delay:        100 * time.Millisecond,
		Variables:    map[string]string{"ERROR_WEIGHT": "2"},
	})
	if err != nil {
		stop()
		return nil, fmt.Errorf("the demo's job: %w", err)
	}
	if a.logFormat.value == "text" {
		writeDemo(a.Stdout, a.localhost(api), ln.Addr())
	}
	return stop, nil
}

// startDemoJob starts the demo's job. If it has come back from the state, it is led to
// the shop of now.
func (a *App) startDemoJob(ctx context.Context, cfg loadgen.JobConfig) error {
	_, err := a.manager.Start(ctx, cfg)
	if errors.Is(err, loadgen.ErrJobRunning) {
		var job *loadgen.Job
		if job, err = a.manager.Get(cfg.Name); err == nil {
			err = job.Update(func(c *loadgen.JobConfig) { c.BaseURL = cfg.BaseURL })
		}
	}
	return err
}

// writeDemo tells a newcomer what runs, what to open and what to type.
func writeDemo(w io.Writer, api string, shop net.Addr) {
	text := strings.NewReplacer("{api}", api, "{port}", port(shop), "{job}", demoJob).Replace(`
A small shop listens on http://localhost:{port}, and the job "{job}" drives it.

Open      {api}/
or type, in another terminal:

  start   curl --header "Content-Type: application/json" --request POST --data '{"job":"opbeans-python","port":"{port}"}' {api}/api/start
  list    curl -s {api}/api/list
  more    curl --header "Content-Type: application/json" --request POST --data '{"job":"python","workers":4}' {api}/api/start
  stop    curl {api}/api/stop?job=opbeans-python

Ctrl-C ends it with a summary.

`)
	_, _ = io.WriteString(w, text)
}

// localhost is the URL of an address on this machine.
func (a *App) localhost(addr net.Addr) string {
	scheme := "http://"
	if a.tlsCert != "" {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err != nil || ip.IsLoopback() || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + net.JoinHostPort(host, port)
}

func port(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())
	return port
}
