package client

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawServer sends the same bytes to each request, and counts connections.
type rawServer struct {
	ln    net.Listener
	bytes atomic.Pointer[string]
	ends  atomic.Bool // the connection ends with the response
	conns atomic.Int64
}

func newRawServer(t *testing.T) *rawServer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rawServer{ln: ln}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			go s.serve(c)
		}
	}()
	return s
}

func (s *rawServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		if _, err := io.WriteString(c, *s.bytes.Load()); err != nil || s.ends.Load() {
			return
		}
	}
}

// outcome is what a client makes of two requests.
type outcome struct {
	ok     bool
	status int
	body   string
	conns  int64
}

func (s *rawServer) outcome(get func() (status int, body string, err error)) outcome {
	before := s.conns.Load()
	out := outcome{ok: true}
	for range 2 {
		status, body, err := get()
		out.ok = out.ok && err == nil
		if err == nil {
			out.status, out.body = status, body
		}
	}
	out.conns = s.conns.Load() - before
	return out
}

// oddResponse makes one of many responses that servers have been seen to send.
func oddResponse(r *rand.Rand) (text string, ends bool) {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var b strings.Builder
	eol := pick("\r\n", "\r\n", "\r\n", "\n")
	line := func(s string) { b.WriteString(s + eol) }
	if r.IntN(8) == 0 {
		line(pick("HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints", "HTTP/1.1 102 Processing"))
		line("")
	}
	status := pick("200 OK", "200 OK", "200", "200 ", "404 Not Found", "204 No Content", "304 Not Modified", "500 Oops: it's \"odd\"", "299 Sonst etwäs", "999 Odd")
	version := pick("HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 ")
	line(version + status)
	body := pick("", "hello", "a\r\nb\n\nc", strings.Repeat("x", 5000))
	for range r.IntN(4) {
		line(pick("X-A: b", "x-empty:", "X-Space:    wide   ", "X-Tab:\tt\t", "X-Colon: a:b: c", "X-Utf8: grün", "X-Latin1: gr\xfcn", "X-Folded: a"+eol+" b",
			"Set-Cookie: a=\"b c\"", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Content-Type: text/plain; charset=\"utf-8\"", "Content-Encoding: identity",
			"Content-Encoding: utf-8", "Content-Encoding: none", "Content-Encoding: ", "X-Odd_Name.1~: x", "Keep-Alive: timeout=5", "Vary: *"))
	}
	if r.IntN(5) == 0 {
		line(pick("Connection: close", "Connection: keep-alive", "connection: Close", "Connection: Keep-Alive, X-Foo", "Proxy-Connection: close"))
	}
	n := fmt.Sprint(len(body))
	switch r.IntN(8) {
	case 0, 1:
		line("Content-Length: " + n)
	case 2:
		line("Content-Length: " + n)
		line("content-length: " + n)
	case 3:
		line("Content-Length:" + pick("", "  ", "\t") + n + pick("", " "))
	case 4, 5:
		line("Transfer-Encoding: " + pick("chunked", "Chunked", "chunked "))
		if r.IntN(3) == 0 {
			line("Content-Length: 3")
		}
		chunked := ""
		if len(body) > 0 {
			half := len(body) / 2
			for _, part := range []string{body[:half], body[half:]} {
				if part != "" {
					chunked += fmt.Sprintf(pick("%x", "%X", "0%x"), len(part)) + pick("", "", ";ext=1", " ;ext", " ") + "\r\n" + part + "\r\n"
				}
			}
		}
		body = chunked + pick("0", "0", "00", "0;last") + "\r\n" + pick("", "", "X-Trailer: 1\r\n") + "\r\n"
	default:
		ends = true
	}
	line("")
	if strings.HasPrefix(status, "204") || strings.HasPrefix(status, "304") {
		body = "" // else what follows depends on when it comes
		ends = false
	}
	b.WriteString(body)
	return b.String(), ends || version == "HTTP/1.0 "
}

// Whatever curl and net/http both read, this client reads alike: status, body, and whether the
// connection is used again.
func TestOddResponsesAreReadAsCurlAndNetHTTPReadThem(t *testing.T) {
	curl, _ := exec.LookPath("curl")
	s := newRawServer(t)
	url := "http://" + s.ln.Addr().String() + "/"
	r := rand.New(rand.NewPCG(1, 2))
	both := 0
	for i := range 400 {
		text, ends := oddResponse(r)
		s.bytes.Store(&text)
		s.ends.Store(ends)
		transport := &http.Transport{DisableCompression: true}
		theirs := s.outcome(func() (int, string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return 0, "", err
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			return resp.StatusCode, string(body), err
		})
		transport.CloseIdleConnections()
		if theirs.ok && curl != "" && i%4 == 0 { // a process each takes time
			out, err := exec.CommandContext(t.Context(), curl, "-sS", "--raw", "--max-time", "3", "-o", "-", "-w", "\n%{http_code}", url).CombinedOutput()
			at := strings.LastIndexByte(string(out), '\n')
			if err != nil || string(out[at+1:]) != fmt.Sprint(theirs.status) {
				continue
			}
		}
		rig := newRig(t, testConfig{BaseURL: url, Config: Config{Timeout: 3 * time.Second}})
		ours := s.outcome(func() (int, string, error) {
			reply, err := rig.do(testRequest{URL: "/", ReadBody: true, Expect: func(int) bool { return true }})
			if err != nil {
				return 0, "", err
			}
			return reply.Status, string(reply.Body), nil
		})
		rig.client.Close()
		if !theirs.ok {
			continue // more than they read is no fault
		}
		both++
		assert.Equal(t, theirs, ours, "%q", text)
		if t.Failed() && i > 50 {
			return
		}
	}
	assert.Greater(t, both, 300, "too few of the responses are fit for comparison")
}
