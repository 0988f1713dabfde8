package client

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
	"github.com/opbeans/loadgen/stats"
)

func TestClientSendsWhatIsExpectedOfIt(t *testing.T) {
	s := play(t, []string{ok, ok, ok, ok})
	rig := newRig(t, testConfig{BaseURL: s.url(), Config: Config{Headers: map[string]string{"x-job": "1", "x-both": "job"}}})
	rig.mustDo(testRequest{URL: "/a?b=c"})
	rig.mustDo(testRequest{Method: "POST", URL: "/orders", Body: []byte(`{"a":1}`), Header: http.Header{
		"Content-Type": {"application/json"}, "X-Both": {"request", "twice"}, "User-Agent": {"me"},
		"Host": {"shop.example"},
	}})
	rig.mustDo(testRequest{Method: "POST", URL: "/empty"})
	require.NoError(t, rig.client.Get(rig.ctx, "/get"))
	got, conns := s.got()
	const common = "User-Agent: loadgen\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
	assert.Equal(t, []string{
		"GET /a?b=c HTTP/1.1\r\nHost: " + s.addr + "\r\n" + common + "X-Both: job\r\nX-Job: 1\r\n\r\n",
		"POST /orders HTTP/1.1\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nX-Job: 1\r\n" +
			"Content-Type: application/json\r\nHost: shop.example\r\nUser-Agent: me\r\nX-Both: request\r\nX-Both: twice\r\n" +
			"Content-Length: 7\r\n\r\n{\"a\":1}",
		"POST /empty HTTP/1.1\r\nHost: " + s.addr + "\r\n" + common + "X-Both: job\r\nX-Job: 1\r\nContent-Length: 0\r\n\r\n",
		"GET /get HTTP/1.1\r\nHost: " + s.addr + "\r\n" + common + "X-Both: job\r\nX-Job: 1\r\n\r\n",
	}, got)
	assert.Equal(t, 1, conns, "one connection serves them all")
}

// The client writes how long a body is. A header that says otherwise is refused, not dropped.
func TestHeadersOfTheClientsOwnAreRefused(t *testing.T) {
	s := play(t, []string{ok})
	rig := newRig(t, testConfig{BaseURL: s.url()})
	for name, value := range map[string]string{
		"Content-Length": "99", "transfer-encoding": "chunked", "Trailer": "X-Sum", "Host": "a b",
	} {
		_, err := rig.do(testRequest{Method: "POST", URL: "/", Body: []byte("x"), Header: http.Header{name: {value}}})
		classIs(t, err, failure.Protocol, http.CanonicalHeaderKey(name))
	}
	got, _ := s.got()
	assert.Empty(t, got, "nothing was sent")
}

func TestClientMeasuresEachRequestOnce(t *testing.T) {
	s := play(t, []string{ok})
	rig := newRig(t, testConfig{BaseURL: s.url() + "/base"})
	before := time.Now()
	resp := rig.mustDo(testRequest{URL: "/a%20b?c=d"})
	assert.Equal(t, "ok", string(resp.Body))
	assert.Equal(t, 200, resp.Status)
	assert.Equal(t, s.url()+"/base/a%20b?c=d", resp.URL)
	assert.Equal(t, "2", resp.Header.Get("Content-Length"))
	m := rig.only()
	got, _ := s.got()
	assert.Equal(t, stats.SampleURL{Scheme: "http", Host: s.addr, Path: "/base/a%20b", Query: "c=d"}, m.URL)
	assert.Equal(t, "GET", m.Method)
	assert.Equal(t, 200, m.Status)
	assert.Equal(t, failure.None, m.Class)
	assert.EqualValues(t, len(got[0]), m.Sent)
	assert.EqualValues(t, len(ok), m.Received)
	assert.False(t, m.Start.Before(before))
	assert.Positive(t, m.Service)
	assert.LessOrEqual(t, m.Header, m.Service)
	assert.Equal(t, m.Service, resp.Service)
	total := rig.totals()
	assert.EqualValues(t, 1, total.Requests)
	assert.EqualValues(t, 1, total.Service.Count())
}

func TestClientExpectations(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("oops"))
	})})
	resp, err := rig.do(testRequest{URL: "/oopsie", Expect: expectStatus(500)})
	require.NoError(t, err)
	assert.Equal(t, 500, resp.Status)
	assert.Equal(t, failure.None, rig.only().Class)

	resp, err = rig.do(testRequest{URL: "/oopsie?x=1", Expect: expectStatus(200), ReadBody: true})
	classIs(t, err, failure.Check, "GET /oopsie?x=1: unexpected status 500")
	require.NotNil(t, resp, "an unexpected response is there to be looked at")
	assert.Equal(t, "oops", string(resp.Body))
	assert.Equal(t, failure.Check, rig.only().Class)

	_, err = rig.client.Send(rig.ctx, &Call{Method: "GET", Target: []byte("/y"), Expect: expectStatus(404), Expected: "404"})
	classIs(t, err, failure.Check, "GET /y: status 500, expected 404")
	classIs(t, rig.client.Get(rig.ctx, "/z"), failure.Check, "GET /z: status 500, expected 2xx or 3xx")
	assert.EqualValues(t, 3, rig.totals().FailedRequests)
	assert.EqualValues(t, 4, rig.totals().Service.Count(), "an unexpected response has a latency, too")
}

func TestClientClassifiesFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		class   failure.Class
		text    string
	}{
		{"closed at once", []string{"close"}, failure.Reset, "GET /x: "},
		{"closed without an answer", []string{"|close"}, failure.Reset, "closed the connection without an answer"},
		{"reset", []string{"|reset"}, failure.Reset, "GET /x: "},
		{"cut in the head", []string{"HTTP/1.1 200 OK\r\nCont|close"}, failure.Reset, "in the middle"},
		{"cut in the body", []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok|close"}, failure.Reset, "in the middle"},
		{"cut in the chunks", []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n|close"}, failure.Reset, "in the middle"},
		{"not http", []string{"hello\r\n\r\n"}, failure.Protocol, "malformed"},
		{"too large", []string{"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"}, failure.Protocol, "larger than 1000 bytes"},
		{"two lengths", []string{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"}, failure.Protocol, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, c.answers)
			rig := newRig(t, testConfig{BaseURL: s.url(), Config: Config{MaxBody: 1000}})
			_, err := rig.do(testRequest{URL: "/x"})
			classIs(t, err, c.class, c.text)
			m := rig.only()
			assert.Equal(t, c.class, m.Class)
			total := rig.totals()
			assert.EqualValues(t, 1, total.FailedRequests)
			assert.Zero(t, total.Service.Count(), "half a response has no latency")
			_, conns := s.got()
			assert.Equal(t, 1, conns, "a fresh connection is not tried twice")
		})
	}
	t.Run("refused", func(t *testing.T) {
		srv := httptest.NewServer(nil)
		srv.Close()
		rig := newRig(t, testConfig{BaseURL: srv.URL})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Dial, "refused")
		assert.Equal(t, failure.Dial, rig.only().Class)
	})
	t.Run("no such host", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: "http://nowhere.invalid"})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Dial, "nowhere.invalid")
	})
}

func TestClientRefusesWhatItCannotSend(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: "http://127.0.0.1:1"})
	for name, r := range map[string]testRequest{
		"line break in the URL":    {URL: "/x\r\nX: y"},
		"control in the URL":       {URL: "/x\x01"},
		"line break in the method": {Method: "GET /\r\n"},
		"line break in a header":   {URL: "/", Header: http.Header{"X": {"a\r\nb"}}},
		"space in a header's name": {URL: "/", Header: http.Header{"X Y": {"a"}}},
		"bad port":                 {URL: "http://h:99999/"},
		"unknown scheme":           {URL: "ftp://h/x"},
		"no host":                  {URL: "http:///x"},
		"bad host":                 {URL: "http://a b/x"},
	} {
		_, err := rig.do(r)
		classIs(t, err, failure.Protocol, "")
		assert.Empty(t, rig.measurements(), "%s: it never was a request", name)
	}
}

func TestClientDecodesBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := "" // such that what it is encoded to fits no buffer
	for len(text) < 9000 {
		text += strconv.FormatUint(random.Uint64(), 36)
	}
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) {
		encoding := r.URL.Query().Get("as")
		w.Header().Set("Content-Encoding", encoding)
		_, _ = w.Write(encode(t, r.URL.Query().Get("how"), text))
	}), Config: Config{MaxBody: 10_000}})
	for _, c := range []struct{ as, how string }{
		{"gzip", "gzip"},
		{"GZIP", "gzip"},
		{"x-gzip", "gzip"},
		{"deflate", "zlib"},
		{"deflate", "flate"},
		{"br", "br"},
		{"identity", ""},
		{"", ""},
		{"deflate, gzip", "zlib,gzip"},
		{"gzip, gzip", "gzip,gzip"},
	} {
		for range 2 { // the second time with used decoders
			resp := rig.mustDo(testRequest{URL: "/?as=" + strings.ReplaceAll(c.as, " ", "") + "&how=" + c.how})
			assert.Equal(t, text, string(resp.Body), "%v", c)
		}
	}
	rig.measurements()
	for _, c := range []struct{ as, how, text string }{
		{"zstd", "", "unknown content encoding"},
		{"compress", "", "unknown content encoding"},
		{"gzip", "", "does not decode"},
		{"deflate", "", "does not decode"},
		{"br", "gzip", "does not decode"},
		{"gzip", "cut", "does not decode"},
		{"gzip", "bomb", "larger than 10000 bytes when decoded"},
		{"gzip,gzip,gzip,gzip,gzip", "gzip", "more than 4 content encodings"},
	} {
		_, err := rig.do(testRequest{URL: "/?as=" + c.as + "&how=" + c.how, ReadBody: true})
		classIs(t, err, failure.Protocol, c.text)
		assert.Equal(t, failure.Protocol, rig.only().Class)
		_, err = rig.do(testRequest{URL: "/?as=" + c.as + "&how=" + c.how})
		require.NoError(t, err, "a body that nobody looks at is not decoded")
		rig.measurements()
	}
	resp := rig.mustDo(testRequest{Method: "HEAD", URL: "/?as=gzip&how=gzip"})
	assert.Empty(t, resp.Body)
}

func TestClientContinue(t *testing.T) {
	expect := http.Header{"Expect": {"100-continue"}}
	t.Run("consent", func(t *testing.T) {
		s := play(t, []string{"HTTP/1.1 100 Continue\r\n\r\n|body|" + ok, ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		rig.mustDo(testRequest{Method: "POST", URL: "/", Body: []byte("data"), Header: expect})
		got, _ := s.got()
		assert.True(t, strings.HasSuffix(got[0], "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"), "%q", got[0])
		assert.Equal(t, "data", got[1], "the body has waited")
		rig.mustDo(testRequest{URL: "/"})
		_, conns := s.got()
		assert.Equal(t, 1, conns)
	})
	t.Run("refusal", func(t *testing.T) {
		s := play(t, []string{"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n|body"}, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		resp := rig.mustDo(testRequest{Method: "POST", URL: "/", Body: []byte("data"), Header: expect})
		assert.Equal(t, 413, resp.Status)
		rig.mustDo(testRequest{URL: "/"})
		_, conns := s.got()
		assert.Equal(t, 2, conns, "the server still waits for a body on the first")
	})
	t.Run("no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rig := newRig(t, testConfig{BaseURL: "http://shop"}, hanging(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				req, err := http.ReadRequest(br)
				if !assert.NoError(t, err) {
					return
				}
				body, _ := io.ReadAll(req.Body)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"+string(body))
			}))
			begin := time.Now()
			resp := rig.mustDo(testRequest{Method: "POST", URL: "/", Body: []byte("data"), Header: expect})
			assert.Equal(t, "data", string(resp.Body))
			assert.Equal(t, continueWait, time.Since(begin))
			rig.client.Close()
		})
	})
	t.Run("without a body", func(t *testing.T) {
		s := play(t, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		rig.mustDo(testRequest{URL: "/", Header: expect})
		got, _ := s.got()
		assert.NotContains(t, got[0], "Expect")
	})
}

func TestClientSendsLargeBodies(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 1<<20)
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		_, _ = w.Write(b.Bytes())
	})})
	for _, method := range []string{"POST", "PUT", "GET", "DELETE"} {
		resp := rig.mustDo(testRequest{Method: method, URL: "/", Body: large})
		assert.Equal(t, len(large), len(resp.Body), method)
	}
}

func TestClientReadsAnAnswerGivenBeforeTheBodyWasRead(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: play(t, []string{"body|HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n|hang"}).url()})
	resp, err := rig.do(testRequest{Method: "POST", URL: "/", Body: bytes.Repeat([]byte("x"), 64<<10)})
	require.NoError(t, err)
	assert.Equal(t, 413, resp.Status)
}

func TestErrorsOfRequestsWrapTheirCause(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: play(t, []string{"|hang"}).url()})
	ctx, cancel := context.WithCancel(rig.ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := rig.doWith(ctx, testRequest{URL: "/"})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, rig.measurements(), "what a task gives up says nothing about the target")
	assert.False(t, errors.Is(err, failure.ErrInterrupted))
}

func encode(t testing.TB, how, text string) []byte {
	var b bytes.Buffer
	switch how {
	case "":
		return []byte(text)
	case "cut":
		whole := encode(t, "gzip", text)
		return whole[:len(whole)-9]
	case "bomb":
		w := gzip.NewWriter(&b)
		_, _ = w.Write(make([]byte, 1<<20))
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	first, rest, more := strings.Cut(how, ",")
	w := encoder(&b, first)
	_, _ = w.Write([]byte(text))
	require.NoError(t, w.Close())
	if more {
		return encode(t, rest, b.String())
	}
	return b.Bytes()
}
