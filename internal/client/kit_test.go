package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/egress"
	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/stats"
)

// testConfig is the configuration of a rig. Its times have defaults.
type testConfig struct {
	Config
	BaseURL string
}

// testOption changes the network of a rig.
type testOption func(*Network)

func withDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) testOption {
	return func(n *Network) { n.Dial = dial }
}

func withTLS(config *tls.Config) testOption { return func(n *Network) { n.TLS = config.Clone() } }

func withResolver(r *net.Resolver) testOption { return func(n *Network) { n.Resolver.R = r } }

func withTargetRules(rules *egress.Rules) testOption { return func(n *Network) { n.Targets = rules } }

func withUnixSockets(allow func(string) bool) testOption {
	return func(n *Network) { n.UnixSocket = allow }
}

// testRequest and testResponse are a call and its reply as a caller of the library has them.
type testRequest struct {
	Method, URL string
	Header      http.Header
	Body        []byte
	Expect      func(status int) bool
	ReadBody    bool
	NoRedirect  bool
}

type testResponse struct {
	Status  int
	Header  http.Header
	Body    []byte
	URL     string
	Service time.Duration
}

// clientRig is the owner of one client, which keeps what it measures.
type clientRig struct {
	t       testing.TB
	ctx     context.Context
	network *Network
	pool    Pool
	client  *Client
	cfg     testConfig

	target   *Target
	revision uint64
	step     uint64
	task     string
	wants    bool // URLs of samples
	secret   string
	samples  []stats.Sample // since the last call of measurements
	all      []stats.Sample

	rec    *meter.Recorder // instead of samples; what a job measures with
	stripe *meter.Stripe
	stat   int32
}

func newRig(t testing.TB, cfg testConfig, opts ...testOption) *clientRig {
	t.Helper()
	rig := &clientRig{t: t, network: &Network{Buffers: NewBuffers()}, wants: true}
	for _, opt := range opts {
		opt(rig.network)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	rig.ctx = ctx
	rig.aim(cfg)
	rig.client = New(ctx, rig, &rig.pool)
	t.Cleanup(rig.client.Close)
	return rig
}

// aim gives the client a new configuration.
func (r *clientRig) aim(cfg testConfig) {
	r.t.Helper()
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 10*time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 300*time.Second)
	cfg.DNSTTL = cmp.Or(cfg.DNSTTL, time.Minute)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 64<<20)
	r.cfg = cfg
	target, f := NewTarget(&r.cfg.Config, mustParse(r.t, cfg.BaseURL), r.network)
	require.Empty(r.t, f)
	r.revision++
	r.target = target
}

func (r *clientRig) Newest() (*Target, uint64) { return r.target, r.revision }

func (r *clientRig) Caller(begins bool) Caller {
	if begins {
		r.step++
	}
	return Caller{Step: r.step, Task: r.task, Revision: r.revision}
}

func (r *clientRig) Observed() bool { return r.wants }

func (r *clientRig) Secret(text []byte) bool {
	return r.secret != "" && strings.Contains(string(text), r.secret)
}

func (r *clientRig) Measured(m *Measurement) {
	if r.rec != nil {
		r.rec.Record(r.stripe, meter.Record{
			At: m.End.Sub(r.rec.Start), Took: m.End.Sub(m.Start), Sent: m.Sent, Received: m.Received,
			Status: int16(m.Status), Method: meter.MethodNumber(m.Method), Kind: meter.KindRequest, Task: r.stat,
		}, nil)
		return
	}
	s := stats.Sample{
		Method: m.Method, URL: stats.SampleURL(m.URL), Remote: m.Remote, Hop: m.Hop, Follows: m.Follows,
		Status: m.Status, Class: m.Class, Start: m.Start, Service: m.End.Sub(m.Start),
		Header: m.Header.Sub(m.Start), Sent: m.Sent, Received: m.Received, Trace: m.Trace,
	}
	if !m.Complete {
		s.Service = -1
	}
	r.samples, r.all = append(r.samples, s), append(r.all, s)
}

// measurements returns what was measured since the call before.
func (r *clientRig) measurements() []stats.Sample {
	s := r.samples
	r.samples = nil
	return s
}

// totals are what all samples so far count.
func (r *clientRig) totals() *stats.Totals {
	t := stats.NewTotals()
	for _, s := range r.all {
		t.Requests++
		t.Sent += uint64(s.Sent)
		t.Received += uint64(s.Received)
		if s.Class != failure.None {
			t.FailedRequests++
			e := t.Errors[s.Class]
			e.Count++
			t.Errors[s.Class] = e
		}
		if s.Status != 0 {
			t.Status[s.Status]++
		}
		if s.Service >= 0 {
			t.Service.Record(s.Service)
		}
	}
	return &t
}

// only returns the one request that was measured.
func (r *clientRig) only() stats.Sample {
	r.t.Helper()
	s := r.measurements()
	require.Len(r.t, s, 1, "measured requests")
	return s[0]
}

func (r *clientRig) do(req testRequest) (*testResponse, error) { return r.doWith(r.ctx, req) }

func (r *clientRig) doWith(ctx context.Context, req testRequest) (*testResponse, error) {
	reply, err := r.client.Send(ctx, &Call{
		Method: req.Method, Target: []byte(req.URL), Header: HeaderFields(req.Header), Body: req.Body,
		Expect: req.Expect, ReadBody: req.ReadBody, NoRedirect: req.NoRedirect,
	})
	if reply == nil {
		return nil, err
	}
	resp := &testResponse{Status: reply.Status, Header: reply.x.httpHeader(), URL: reply.URL(), Service: reply.Service}
	if req.ReadBody {
		resp.Body = bytes.Clone(reply.Body)
	}
	return resp, err
}

// mustDo does a request that cannot fail, and keeps the body.
func (r *clientRig) mustDo(req testRequest) *testResponse {
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
func classIs(t testing.TB, err error, class failure.Class, text string) {
	t.Helper()
	require.Error(t, err)
	var e *failure.Error
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

// expectStatus expects one of some statuses.
func expectStatus(codes ...int) func(status int) bool {
	return func(status int) bool { return slices.Contains(codes, status) }
}
