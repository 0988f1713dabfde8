package loadgen

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/meter"
)

// clientRig is a VU without an engine around it, whose requests are observed.
type clientRig struct {
	*VU
	t       testing.TB
	env     *environment
	cfg     JobConfig
	samples []Sample

	revision uint64
}

func newRig(t testing.TB, cfg JobConfig, opts ...Option) *clientRig {
	t.Helper()
	m := New(opts...)
	t.Cleanup(m.Close)
	rig := &clientRig{t: t, env: m.env}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	job := &Job{name: "rig", rec: meter.New(time.Now(), func(s []Sample) []Sample { rig.samples = append(rig.samples, s...); return s[:0] }, false)}
	rig.VU = &VU{job: job, ctx: ctx, stripe: job.rec.Stripe(0), task: &planTask{name: "task", stat: job.rec.Task("task")}}
	rig.aim(cfg)
	rig.client = newClient(rig.VU)
	t.Cleanup(rig.client.close)
	return rig
}

// aim gives the VU a new plan.
func (r *clientRig) aim(cfg JobConfig) {
	r.t.Helper()
	r.cfg = cfg.withDefaults()
	base, err := parseBaseURL(cfg.BaseURL)
	require.NoError(r.t, err)
	target, f := newTarget(&r.cfg, base, r.env)
	require.NoError(r.t, validation(f))
	r.revision++
	r.plan = &plan{revision: r.revision, cfg: r.cfg, base: base, target: target}
}

// drain returns what was measured since the call before.
func (r *clientRig) measurements() []Sample {
	r.job.rec.Flush()
	s := r.samples
	r.samples = nil
	return s
}

// only returns the one request that was measured.
func (r *clientRig) only() Sample {
	r.t.Helper()
	s := r.measurements()
	require.Len(r.t, s, 1, "measured requests")
	return s[0]
}

// totals are the statistics so far.
func (r *clientRig) totals() *Totals {
	var filled Snapshot
	r.job.rec.Fill(&filled, false)
	total := filled.Totals
	return &total
}

func (r *clientRig) do(req Request) (*Response, error) {
	return r.client.Do(r.ctx, &req)
}

// mustDo does a request that cannot fail, and keeps the body.
func (r *clientRig) mustDo(req Request) *Response {
	r.t.Helper()
	req.ReadBody = true
	resp, err := r.do(req)
	require.NoError(r.t, err)
	return resp
}

// script is a server that plays one part for each connection that it gets: it reads
// a request, and says what it is told to. "close" closes the connection, "reset"
// resets it, and "hang" leaves it open until the test is over.
type script struct {
	t    testing.TB
	addr string
	over chan struct{}

	mu       sync.Mutex
	requests []string // as they came
	conns    int
}

// play answers the first connection with the first list of answers, and so on.
func play(t testing.TB, conns ...[]string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &script{t: t, addr: l.Addr().String(), over: make(chan struct{})}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		close(s.over)
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			if i >= len(conns) {
				_ = c.Close()
				continue
			}
			wg.Go(func() { s.serve(c, conns[i]) })
		}
	})
	return s
}

func (s *script) url() string { return "http://" + s.addr }

func (s *script) serve(c net.Conn, answers []string) {
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	for _, answer := range answers {
		if answer != "close" && answer != "early" {
			if !s.read(br, answer) {
				return
			}
		}
		for part := range strings.SplitSeq(answer, "|") {
			switch part {
			case "close":
				return
			case "reset":
				_ = c.(*net.TCPConn).SetLinger(0)
				return
			case "hang":
				<-s.over
				return
			case "body": // the client has sent its body
				b := make([]byte, 4)
				_, _ = io.ReadFull(br, b)
				s.note(string(b))
			default:
				_, _ = io.WriteString(c, part)
			}
		}
	}
}

// read reads one request.
func (s *script) read(br *bufio.Reader, answer string) bool {
	var head strings.Builder
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return false
		}
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head.String())))
	if err != nil {
		s.t.Errorf("bad request: %v: %q", err, head.String())
		return false
	}
	var body []byte
	if !strings.Contains(answer, "body") {
		body = make([]byte, max(req.ContentLength, 0))
		if _, err := io.ReadFull(br, body); err != nil {
			return false
		}
	}
	s.note(head.String() + string(body))
	return true
}

func (s *script) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, text)
}

// got returns the requests so far and the number of connections.
func (s *script) got() ([]string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...), s.conns
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// classIs checks that an error has a class, and what it says.
func classIs(t testing.TB, err error, class ErrorClass, text string) {
	t.Helper()
	require.Error(t, err)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, class, e.Class, "%v", err)
	assert.Contains(t, err.Error(), text)
}

func mustParse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}
