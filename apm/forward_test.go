package apm_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/apm"
)

// upstream is a server that remembers what it got.
type upstream struct {
	mu     sync.Mutex
	bodies []string
	last   *http.Request
	answer http.HandlerFunc
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	u.mu.Lock()
	u.bodies, u.last = append(u.bodies, string(body)), req
	u.mu.Unlock()
	u.answer(w, req)
}

// TestForwardIsUnchanged: the same bytes and headers there, the same answer back.
func TestForwardIsUnchanged(t *testing.T) {
	up := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Encoding", "gzip") // and so it must not be touched
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "as it is")
	}}
	real := httptest.NewServer(up)
	defer real.Close()
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	l.Observe(sample(2))
	r := newReceiver(t, l, apm.ReceiverConfig{Forward: real.URL + "/apm/", SecretToken: "the receiver's own does not count"})
	server := httptest.NewServer(r)
	defer server.Close()

	for n, a := range []ask{
		{path: "/intake/v2/events?verbose&x=%2F", kind: ndjson, encoding: "gzip", body: compressed(t, "gzip", metaLine+transactionLine(1))},
		{path: "/intake/v2/events", kind: ndjson, body: metaLine + "no json\n" + transactionLine(2)},
		{path: "/v1/traces", kind: "application/json", body: "no json"},
		{path: "/config/v1/agents", kind: "application/json", body: `{"service":{"name":"shop"}}`},
		{path: "/v1/unheard/of", kind: "text/plain", body: "x"},
		{path: "/", method: "GET"},
	} {
		a.header = map[string]string{
			"Authorization": "Bearer secret", "User-Agent": "apm-agent-go/2.7.1", "X-Forwarded-For": "192.0.2.1", "Accept-Encoding": "gzip",
			"Elastic-Apm-Traceparent": "00-x",
		}
		res, body := a.do(t, server.URL)
		assert.Equal(t, http.StatusTeapot, res.StatusCode)
		assert.Equal(t, "as it is", body)
		assert.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
		assert.Equal(t, "Elasticsearch", res.Header.Get("X-Elastic-Product"))

		require.Len(t, up.bodies, n+1)
		assert.Equal(t, a.body, up.bodies[n], a.path)
		assert.Equal(t, "/apm"+a.path, up.last.RequestURI)
		for name, value := range a.header {
			assert.Equal(t, []string{value}, up.last.Header[name], name)
		}
		assert.Equal(t, a.kind, up.last.Header.Get("Content-Type"))
		assert.Equal(t, a.encoding, up.last.Header.Get("Content-Encoding"))
	}
	v := l.Verdict("shop")
	assert.EqualValues(t, 2, v.Found, "and the ledger has it, too")
	assert.EqualValues(t, 2, v.Strange.Rejected)
	assert.Equal(t, apm.ReceiverStats{Requests: 6, Documents: 2, Forwarded: 6, ForwardRefused: 6}, r.Stats())
}

// TestForwardStreams: an agent's request may last, and what it brings is there meanwhile,
// both in the ledger and behind.
func TestForwardStreams(t *testing.T) {
	lines := make(chan string)
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		buf := make([]byte, 4096)
		for {
			n, err := req.Body.Read(buf)
			if n > 0 {
				lines <- string(buf[:n])
			}
			if err != nil {
				break
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer real.Close()
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{Forward: real.URL}))
	defer server.Close()
	body, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/intake/v2/events", body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", ndjson)
	done := make(chan int, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if assert.NoError(t, err) {
			_ = res.Body.Close()
			done <- res.StatusCode
		}
	}()
	for _, line := range []string{metaLine, transactionLine(1)} {
		_, err = io.WriteString(w, line)
		require.NoError(t, err)
		assert.Equal(t, line, <-lines)
	}
	require.Eventually(t, func() bool { return l.Verdict("shop").Found == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, w.Close())
	assert.Equal(t, http.StatusAccepted, <-done)
}

// TestForwardWithNobodyBehind: the agent is told, and the ledger still has what it said.
func TestForwardWithNobodyBehind(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { // somebody who hangs up in the middle, over and over
		for {
			c, err := gone.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	defer gone.Close()
	l := newLedger(t, apm.LedgerConfig{})
	r := newReceiver(t, l, apm.ReceiverConfig{Forward: "http://" + gone.Addr().String()})
	server := httptest.NewServer(r)
	defer server.Close()
	var body strings.Builder
	body.WriteString(metaLine)
	for n := range uint64(5000) { // far more than what is under way
		l.Observe(sample(n))
		body.WriteString(transactionLine(n))
	}
	res, answer := ask{path: "/intake/v2/events", kind: ndjson, body: body.String()}.do(t, server.URL)
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	assert.Contains(t, answer, "the APM server behind this one did not answer")
	assert.NotEmpty(t, res.Header.Get("Retry-After"))
	assert.EqualValues(t, 5000, l.Verdict("shop").Found)
	assert.EqualValues(t, 1, r.Stats().ForwardFailed)

	res, _ = ask{method: "GET", path: "/"}.do(t, server.URL)
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
}

// TestForwardToWhoDoesNotRead: an answer that comes before the end of the request goes
// back at once, and the request is over.
func TestForwardToWhoDoesNotRead(t *testing.T) {
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer real.Close()
	r := newReceiver(t, newLedger(t, apm.LedgerConfig{}), apm.ReceiverConfig{Forward: real.URL})
	server := httptest.NewServer(r)
	defer server.Close()
	body, w := io.Pipe()
	defer func() { _ = w.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/intake/v2/events", body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", ndjson)
	go func() { _, _ = io.WriteString(w, metaLine) }() // and then nothing
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	assert.EqualValues(t, 1, r.Stats().ForwardRefused)
}

func TestForwardBoundsBodies(t *testing.T) {
	real := httptest.NewServer(&upstream{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }})
	defer real.Close()
	r := newReceiver(t, newLedger(t, apm.LedgerConfig{}), apm.ReceiverConfig{Forward: real.URL, MaxBody: 1000})
	server := httptest.NewServer(r)
	defer server.Close()
	res, body := ask{path: "/intake/v2/events", kind: ndjson, body: metaLine + strings.Repeat(" ", 2000)}.do(t, server.URL)
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode, body)
	assert.Zero(t, r.Stats().ForwardFailed, "it was not the other server's fault")
}

func TestBadReceiver(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	for _, u := range []string{"apm-server:8200", "ftp://apm-server", "http://", "http://x/?a=b", "http://x/#a", ":", "http://[::1"} {
		_, err := apm.NewReceiver(l, apm.ReceiverConfig{Forward: u})
		assert.ErrorContains(t, err, "a URL such as http://apm-server:8200 is needed", u)
	}
	_, err := apm.NewReceiver(nil, apm.ReceiverConfig{})
	assert.ErrorContains(t, err, "needs a ledger")
}
