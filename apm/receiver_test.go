package apm_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/apm"
)

func newReceiver(t testing.TB, l *apm.Ledger, cfg apm.ReceiverConfig) *apm.Receiver {
	t.Helper()
	r, err := apm.NewReceiver(l, cfg)
	require.NoError(t, err)
	return r
}

// ask is one call of the receiver, over a socket.
type ask struct {
	method, path, kind, encoding, body string
	header                             map[string]string
}

func (a ask) do(t *testing.T, base string) (*http.Response, string) {
	t.Helper()
	if a.method == "" {
		a.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, base+a.path, strings.NewReader(a.body))
	require.NoError(t, err)
	if a.kind != "" {
		req.Header.Set("Content-Type", a.kind)
	}
	if a.encoding != "" {
		req.Header.Set("Content-Encoding", a.encoding)
	}
	for k, v := range a.header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

const ndjson = "application/x-ndjson"

const metaLine = `{"metadata":{"service":{"name":"shop","agent":{"name":"go","version":"2.7.1"}}}}` + "\n"

// transactionLine is what an agent sends of request number n.
func transactionLine(n uint64) string {
	return fmt.Sprintf(`{"transaction":{"id":"%s","trace_id":"%s","parent_id":"%s","name":"GET /home","type":"request","duration":12.5,`+
		`"result":"HTTP 2xx","outcome":"success","sampled":true,"span_count":{"started":1},"context":{"response":{"status_code":200}}}}`+"\n",
		span(n), trace(n), clientSpan(n))
}

func compressed(t *testing.T, encoding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if encoding == "deflate" {
		w = zlib.NewWriter(&b)
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// TestIntakeAnswers are those that agents know from the real server.
func TestIntakeAnswers(t *testing.T) {
	good := metaLine + transactionLine(1)
	long := `{"transaction":{"id":"` + strings.Repeat("x", 400<<10) + `"}}` + "\n"
	for name, c := range map[string]struct {
		ask
		status int
		answer string // JSON; "": no body
	}{
		"good":          {ask{kind: ndjson, body: good}, 202, ""},
		"no last line":  {ask{kind: ndjson, body: strings.TrimSpace(good)}, 202, ""},
		"verbose":       {ask{path: "?verbose", kind: ndjson, body: good + "\n" + `{"metricset":{"samples":{}}}`}, 202, `{"accepted":2}`},
		"gzip":          {ask{path: "?verbose", kind: ndjson, encoding: "gzip", body: compressed(t, "gzip", good)}, 202, `{"accepted":1}`},
		"deflate":       {ask{path: "?verbose=true", kind: ndjson, encoding: "deflate", body: compressed(t, "deflate", good)}, 202, `{"accepted":1}`},
		"metadata only": {ask{path: "?verbose", kind: ndjson, body: metaLine}, 202, `{"accepted":0}`},
		"wrong type":    {ask{kind: "text/plain", body: good}, 400, `{"accepted":0,"errors":[{"message":"invalid content type: \"text/plain\""}]}`},
		"no metadata": {
			ask{kind: ndjson, body: `{"span":{}}`},
			400, `{"accepted":0,"errors":[{"message":"the first line must be metadata","document":"{\"span\":{}}"}]}`,
		},
		"metadata without service": {
			ask{kind: ndjson, body: `{"metadata":{}}`},
			400, `{"accepted":0,"errors":[{"message":"metadata: 'service.name' is required","document":"{\"metadata\":{}}"}]}`,
		},
		"a bad line among good ones": {
			ask{kind: ndjson, body: good + `{"transaction":{"trace_id":"1"}}` + "\n" + transactionLine(2) + `{"what":{}}`},
			400, `{"accepted":2,"errors":[{"message":"transaction: 'id' is required","document":"{\"transaction\":{\"trace_id\":\"1\"}}"},` +
				`{"message":"did not recognize object type","document":"{\"what\":{}}"}]}`,
		},
		"a line that is too long": {
			ask{kind: ndjson, body: metaLine + long + transactionLine(3)},
			413, `{"accepted":1,"errors":[{"message":"event exceeded the permitted size","document":"{\"transaction\":{\"id\":\"` + strings.Repeat("x", 1024-len(`{"transaction":{"id":"`)) + `"}]}`,
		},
		"not gzip":         {ask{kind: ndjson, encoding: "gzip", body: good}, 400, `{"accepted":0,"errors":[{"message":"the body cannot be read: gzip: invalid header"}]}`},
		"unknown encoding": {ask{kind: ndjson, encoding: "br", body: good}, 400, `{"accepted":0,"errors":[{"message":"the body cannot be read: unsupported Content-Encoding \"br\": use gzip, deflate or none"}]}`},
		"a GET":            {ask{method: "GET"}, 405, `{"accepted":0,"errors":[{"message":"only POST requests are supported"}]}`},
		"a negative duration": {
			ask{kind: ndjson, body: metaLine + `{"span":{"id":"1","trace_id":"2","parent_id":"3","duration":-1}}`},
			400, `{"accepted":0,"errors":[{"message":"span: 'duration' must not be negative","document":"{\"span\":{\"id\":\"1\",\"trace_id\":\"2\",\"parent_id\":\"3\",\"duration\":-1}}"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, apm.LedgerConfig{})
			server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{}))
			defer server.Close()
			c.path = "/intake/v2/events" + c.path
			res, body := c.do(t, server.URL)
			assert.Equal(t, c.status, res.StatusCode)
			if c.answer == "" {
				assert.Empty(t, body)
			} else {
				assert.JSONEq(t, c.answer, body)
			}
		})
	}
}

// TestIntakeKeepsWhatItMust: every field that a verdict needs, of both versions.
func TestIntakeKeepsWhatItMust(t *testing.T) {
	for path, lines := range map[string][]string{
		"/intake/v2/events": {
			metaLine,
			`{"transaction":{"id":"%[1]s","trace_id":"%[2]s","parent_id":"%[3]s","name":"GET /home","type":"request","duration":12.5,"result":"HTTP 5xx",` +
				`"outcome":"failure","context":{"response":{"status_code":500}}}}`,
			`{"span":{"id":"00000000000000aa","trace_id":"%[2]s","parent_id":"%[1]s","transaction_id":"%[1]s","name":"SELECT","type":"db","duration":1,"start":0}}`,
			`{"transaction":{"id":"00000000000000bb","trace_id":"%[2]s","parent_id":"00000000000000aa","name":"stock","type":"request","duration":1,` +
				`"context":{"service":{"name":"stock"}}}}`,
			`{"error":{"id":"00000000000000000000000000000001","trace_id":"%[2]s","transaction_id":"%[1]s","parent_id":"%[1]s","exception":{"message":"no"}}}`,
		},
		"/intake/v3/rum/events": {
			`{"m":{"se":{"n":"shop","a":{"n":"rum-js","ve":"5"}}}}`,
			`{"x":{"id":"%[1]s","tid":"%[2]s","pid":"%[3]s","n":"GET /home","t":"request","d":12.5,"rt":"HTTP 5xx","o":"failure","sm":true,"yc":{"sd":1},` +
				`"c":{"r":{"sc":500}},"y":[{"id":"00000000000000a9","n":"outer","t":"x","s":0,"d":5},{"id":"00000000000000aa","n":"inner","t":"x","s":0,"d":1,"pi":0}],"me":[{"sa":{}}]}}`,
			`{"x":{"id":"00000000000000bb","tid":"%[2]s","pid":"00000000000000aa","n":"stock","t":"request","d":1,"yc":{"sd":0},"c":{"se":{"n":"stock"}}}}`,
			`{"e":{"id":"00000000000000000000000000000001","tid":"%[2]s","xid":"%[1]s","pid":"%[1]s","ex":{"mg":"no"}}}`,
		},
	} {
		l := newLedger(t, apm.LedgerConfig{})
		server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{}))
		s := sample(1)
		s.Status = 500
		l.Observe(s)
		body := lines[0] + "\n"
		for _, line := range lines[1:] {
			body += strings.NewReplacer("%[1]s", span(1).String(), "%[2]s", trace(1).String(), "%[3]s", clientSpan(1).String()).Replace(line) + "\n"
		}
		res, answer := ask{path: path + "?verbose", kind: ndjson, body: body}.do(t, server.URL)
		server.Close()
		require.Equal(t, 202, res.StatusCode, answer)
		l.Finish("shop")
		v := l.Verdict("shop")
		assert.Equal(t, apm.Counts{Sent: 1, Sampled: 1, Found: 1, ErrorDocs: 1, ExpectedErrors: 1}, v.Counts, path)
		assert.Equal(t, []apm.PathCount{{Services: []string{"shop", "stock"}, Depth: 2, Count: 1}}, v.Tasks[0].Paths, path)
		assert.Equal(t, "GET /home", v.Tasks[0].Name)
		assert.True(t, v.OK)
	}
}

func TestServerInfoAndConfiguration(t *testing.T) {
	server := httptest.NewServer(newReceiver(t, newLedger(t, apm.LedgerConfig{}), apm.ReceiverConfig{Version: "7.17.0"}))
	defer server.Close()
	res, body := ask{method: "GET", path: "/"}.do(t, server.URL)
	assert.Equal(t, 200, res.StatusCode)
	assert.Contains(t, body, `"version":"7.17.0"`)
	assert.Contains(t, body, `"publish_ready":true`)

	for _, path := range []string{"/config/v1/agents", "/config/v1/rum/agents"} {
		res, body = ask{method: "GET", path: path + "?service.name=shop&service.environment=test"}.do(t, server.URL)
		assert.Equal(t, 200, res.StatusCode)
		assert.JSONEq(t, `{}`, body)
		assert.Equal(t, "max-age=30, must-revalidate", res.Header.Get("Cache-Control"))
		res, body = ask{path: path, kind: "application/json", body: `{"service":{"name":"shop"}}`, header: map[string]string{"If-None-Match": res.Header.Get("Etag")}}.do(t, server.URL)
		assert.Equal(t, http.StatusNotModified, res.StatusCode)
		assert.Empty(t, body)
		res, _ = ask{method: "GET", path: path}.do(t, server.URL)
		assert.Equal(t, 400, res.StatusCode)
		res, _ = ask{method: "DELETE", path: path}.do(t, server.URL)
		assert.Equal(t, 405, res.StatusCode)
	}
	res, _ = ask{method: "OPTIONS", path: "/intake/v2/rum/events", header: map[string]string{"Origin": "http://shop"}}.do(t, server.URL)
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, res.Header.Get("Access-Control-Allow-Headers"), "Content-Encoding")
	res, _ = ask{method: "GET", path: "/other"}.do(t, server.URL)
	assert.Equal(t, 404, res.StatusCode)
}

func TestSecretToken(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{SecretToken: "sesame"}))
	defer server.Close()
	a := ask{path: "/intake/v2/events", kind: ndjson, body: metaLine}
	for token, status := range map[string]int{"": 401, "Bearer ": 401, "Bearer other": 401, "Bearer sesame": 202, "ApiKey sesame": 401} {
		a.header = map[string]string{"Authorization": token}
		res, _ := a.do(t, server.URL)
		assert.Equal(t, status, res.StatusCode, token)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{MaxBody: 10_000}))
	defer server.Close()
	bomb := compressed(t, "gzip", metaLine+strings.Repeat(`{"metricset":{}}`+"\n", 1_000))
	res, body := ask{path: "/intake/v2/events", kind: ndjson, encoding: "gzip", body: bomb}.do(t, server.URL)
	assert.Equal(t, 413, res.StatusCode, body)
	res, body = ask{path: "/v1/traces", kind: "application/json", encoding: "gzip", body: compressed(t, "gzip", strings.Repeat(" ", 20_000))}.do(t, server.URL)
	assert.Equal(t, 413, res.StatusCode, body)
	res, body = ask{path: "/v1/metrics", kind: "application/json", body: strings.Repeat(" ", 20_000)}.do(t, server.URL)
	assert.Equal(t, 413, res.StatusCode, body)
	assert.EqualValues(t, 2, l.Verdict("shop").Strange.Rejected)
}

// TestSlowAgentsAreBounded: who stops in the middle is not waited for.
func TestSlowAgentsAreBounded(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{Idle: 1})) // a nanosecond
	defer server.Close()
	body, w := io.Pipe()
	defer func() { _ = w.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/intake/v2/events", body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", ndjson)
	res, err := http.DefaultClient.Do(req) // of whose body nothing ever comes
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, http.StatusRequestTimeout, res.StatusCode)
}

// TestParallelRequestsAreBounded: those that are too many are told so, and the verdict
// says that it does not know all.
func TestParallelRequestsAreBounded(t *testing.T) {
	l := newLedger(t, apm.LedgerConfig{})
	l.Observe(sample(1))
	server := httptest.NewServer(newReceiver(t, l, apm.ReceiverConfig{MaxParallel: 1}))
	defer server.Close()
	body, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/intake/v2/events", body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", ndjson)
	done := make(chan int)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			close(done)
			return
		}
		_ = res.Body.Close()
		done <- res.StatusCode
	}()
	_, err = io.WriteString(w, metaLine) // it is being served once it has been read
	require.NoError(t, err)
	_, err = io.WriteString(w, transactionLine(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.Verdict("shop").Found == 1 }, time.Minute, time.Millisecond, "a stream counts while it lasts")
	res, answer := ask{path: "/intake/v2/events", kind: ndjson, body: metaLine}.do(t, server.URL)
	assert.Equal(t, 503, res.StatusCode)
	assert.JSONEq(t, `{"accepted":0,"errors":[{"message":"queue is full"}]}`, answer)
	require.NoError(t, w.Close())
	assert.Equal(t, 202, <-done)
	v := l.Verdict("shop")
	assert.EqualValues(t, 1, v.Strange.Refused)
	require.Len(t, v.Doubts, 1)
	assert.Contains(t, v.Doubts[0].Fields, "missing")
}
