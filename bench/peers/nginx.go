package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The CPUs of the target and of the client, as taskset takes them.
const (
	targetCPU = "0"
	clientCPU = "1"
)

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

// startNginx serves a body of 600 bytes for every path on a free port, and 404
// where the built-in scenarios expect that.
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
	cmd := exec.CommandContext(ctx, "taskset", "-c", targetCPU, "nginx", "-c", conf, "-p", dir)
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
	return "", nil, fmt.Errorf("nginx does not answer (is it installed?): %w", err)
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
