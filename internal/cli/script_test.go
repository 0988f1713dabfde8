package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/opbeans/loadgen/internal/shop"
)

// TestMain makes the test binary the program "loadgen" for whoever runs that.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"loadgen": Commands().Main})
}

// TestScripts tests the server as its user runs it: a process with flags,
// environment, signals, output and an exit code. Beside the commands of testscript:
//
//	start NAME ARGS...    run loadgen in the background; await it with output
//	output NAME REGEXP    wait until its standard output matches; groups are $1, $2...
//	says NAME REGEXP      the same of its standard error
//	url NAME              wait until it listens; $NAME is its URL
//	interrupt NAME        send it SIGINT
//	end NAME CODE         wait for its end with that exit code; see stdout, stderr
//	fails CODE ARGS...    run loadgen to its end with that exit code; see stdout, stderr
//	http [-H 'NAME: VALUE']... METHOD URL [BODY]   print the status and the answer; CA
//	                      names a file with the certificate of an https URL
//	becomes URL REGEXP    get a URL until the answer is like that
//	certificate NAME      write NAME.crt and NAME.key, a new certificate for localhost
//	target NAME [hang|shop]   serve 200 for everything, nothing, or the demo's shop; $NAME is its URL
//	served NAME N         check how many requests a target has seen
//	reached NAME N        wait until a target has seen that many requests
//	taken NAME            listen on a port; $NAME is the address
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start":     cmdStart,
			"output":    cmdOutput,
			"says":      cmdSays,
			"url":       cmdURL,
			"interrupt": cmdInterrupt,
			"end":       cmdEnd,
			"fails":     cmdFails,
			"http":      cmdHTTP,
			"becomes":   cmdBecomes,

			"certificate": cmdCertificate,

			"target":  cmdTarget,
			"served":  cmdServed,
			"reached": cmdReached,
			"taken":   cmdTaken,
		},
		Setup: func(e *testscript.Env) error {
			e.Values[processes{}] = map[string]*process{}
			e.Values[targets{}] = map[string]*seen{}
			return nil
		},
	})
}

type (
	processes struct{} // key of the processes by name
	targets   struct{} // key of what the targets have seen, by name
)

// seen are the requests that a target has seen.
type seen struct {
	n    atomic.Int64
	each chan struct{} // one for each request, as far as there is room
}

// patience is far more than anything takes that a test waits for.
const patience = 30 * time.Second

func running(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processes{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

func need(ts *testscript.TestScript, args []string, atLeast int, usage string) {
	if len(args) < atLeast {
		ts.Fatalf("usage: %s", usage)
	}
}

func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "start NAME ARGS...")
	p, err := startProcess(loadgenCommand(ts, args[1:]...))
	ts.Check(err)
	ts.Value(processes{}).(map[string]*process)[args[0]] = p
	ts.Defer(p.kill)
}

// loadgenCommand is a loadgen process in the script's folder and environment.
func loadgenCommand(ts *testscript.TestScript, args ...string) *exec.Cmd {
	path, err := exec.LookPath("loadgen")
	ts.Check(err)
	if limit := ts.Getenv("FILES"); limit != "" { // of file descriptors
		args = append([]string{"-c", `ulimit -n "$0" && exec "$@"`, limit, path}, args...)
		path = "/bin/sh"
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WS", "OPBEANS_URLS", "OPBEANS_RPMS", "OPBEANS_RLS", "CARTS", "AUTHORIZATION", indexVariable} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

func cmdOutput(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "output NAME REGEXP")
	groups, err := running(ts, args[0]).stdout.await(regexp.MustCompile(args[1]))
	ts.Check(err)
	for i, g := range groups[1:] {
		ts.Setenv(strconv.Itoa(i+1), g)
	}
}

func cmdSays(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "says NAME REGEXP")
	_, err := running(ts, args[0]).stderr.await(regexp.MustCompile(args[1]))
	ts.Check(err)
}

func cmdURL(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "url NAME")
	addr, err := running(ts, args[0]).addr()
	ts.Check(err)
	ts.Setenv(args[0], "http://"+addr)
}

func cmdInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "interrupt NAME")
	ts.Check(running(ts, args[0]).cmd.Process.Signal(os.Interrupt))
}

func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "end NAME CODE")
	p := running(ts, args[0])
	code, err := p.wait()
	ts.Check(err)
	checkCode(ts, args[1], code, p)
}

func cmdFails(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "fails CODE ARGS...")
	p, err := startProcess(loadgenCommand(ts, args[1:]...))
	ts.Check(err)
	code, err := p.wait()
	ts.Check(err)
	checkCode(ts, args[0], code, p)
}

func checkCode(ts *testscript.TestScript, want string, code int, p *process) {
	_, _ = io.WriteString(ts.Stdout(), p.stdout.String())
	_, _ = io.WriteString(ts.Stderr(), p.stderr.String())
	if want != strconv.Itoa(code) {
		ts.Fatalf("exit code %d instead of %s\nstdout: %s\nstderr: %s", code, want, &p.stdout, &p.stderr)
	}
}

func cmdHTTP(ts *testscript.TestScript, _ bool, args []string) {
	header := http.Header{}
	for len(args) > 1 && args[0] == "-H" {
		name, value, _ := strings.Cut(args[1], ": ")
		header.Set(name, value)
		args = args[2:]
	}
	need(ts, args, 2, "http [-H 'NAME: VALUE']... METHOD URL [BODY]")
	body := strings.Join(args[2:], " ")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Host = header.Get("Host") // else the URL's
	client := http.DefaultClient
	if ca := ts.Getenv("CA"); ca != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(ts.ReadFile(ca)))
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		client = &http.Client{Transport: transport}
	}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, _ = fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, answer)
}

func cmdBecomes(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "becomes URL REGEXP")
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		answer, err := io.ReadAll(resp.Body)
		ts.Check(err)
		_ = resp.Body.Close()
		if want.Match(answer) {
			_, _ = fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, answer)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s is still %s", args[0], answer)
		}
	}
}

func cmdTarget(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "target NAME [hang|shop]")
	kind := append(args, "")[1]
	coffee := shop.New(shop.Options{})
	requests := &seen{each: make(chan struct{}, 1000)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.n.Add(1)
		select {
		case requests.each <- struct{}{}:
		default:
		}
		switch kind {
		case "hang":
			_, _ = io.Copy(io.Discard, r.Body) // before its end, the server does not look for a closed connection
			<-r.Context().Done()
		case "shop":
			coffee.ServeHTTP(w, r)
		}
	}))
	ts.Defer(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	ts.Value(targets{}).(map[string]*seen)[args[0]] = requests
	ts.Setenv(args[0], srv.URL)
}

func requestsOf(ts *testscript.TestScript, name string) *seen {
	requests := ts.Value(targets{}).(map[string]*seen)[name]
	if requests == nil {
		ts.Fatalf("no target %s was started", name)
	}
	return requests
}

func cmdServed(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "served NAME N")
	if n := requestsOf(ts, args[0]).n.Load(); strconv.FormatInt(n, 10) != args[1] {
		ts.Fatalf("%s has seen %d requests instead of %s", args[0], n, args[1])
	}
}

func cmdReached(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "reached NAME N")
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	requests := requestsOf(ts, args[0])
	late := time.After(patience)
	for range want {
		select {
		case <-requests.each:
		case <-late:
			ts.Fatalf("%s has seen only %d requests within %s", args[0], requests.n.Load(), patience)
		}
	}
}

func cmdTaken(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "taken NAME")
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}

// exitCodeOf is the exit code in the error of exec.Cmd.Wait.
func exitCodeOf(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
