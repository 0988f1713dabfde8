package client

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestHTTPClientIsMeasured(t *testing.T) {
	s := play(t, []string{ok, ok, ok})
	rig := newRig(t, testConfig{BaseURL: s.url(), Config: Config{Headers: map[string]string{"X-Job": "1"}}})
	c := rig.client.HTTPClient()
	assert.Same(t, c, rig.client.HTTPClient())
	resp, err := c.Get(s.url() + "/a?b") //nolint:noctx // a test
	require.NoError(t, err)
	assert.Empty(t, rig.measurements(), "it is measured when it is over")
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "200 OK", resp.Status)
	assert.EqualValues(t, 2, resp.ContentLength)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "ok", string(body))
	m := rig.only()
	assert.Equal(t, "/a", m.URL.Path)
	assert.Equal(t, 200, m.Status)
	assert.EqualValues(t, len(ok), m.Received)
	require.NoError(t, resp.Body.Close())
	assert.Empty(t, rig.measurements(), "once")
	_, err = resp.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	resp, err = c.Post(s.url(), "text/x", strings.NewReader("data")) //nolint:noctx // a test
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, rig.only().Status)
	_, err = resp.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	assert.EqualValues(t, 2, rig.totals().Service.Count(), "Close reads what has come already")

	rig.mustDo(testRequest{URL: "/"})
	got, conns := s.got()
	assert.Equal(t, 1, conns, "both kinds of requests share connections")
	assert.Contains(t, got[0], "X-Job: 1\r\n")
	assert.Contains(t, got[1], "Content-Length: 4\r\n\r\ndata")
}

func TestHTTPClientFollowsRedirects(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, echo), Config: Config{Headers: map[string]string{"Authorization": "Bearer x"}}})
	other := testtarget.Shop(t, echo)
	resp, err := rig.client.HTTPClient().Get(rig.cfg.BaseURL + "/?status=302&to=" + url.QueryEscape("/?status=302&to="+other+"/end")) //nolint:noctx // a test
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Contains(t, string(body), `GET /end  auth=""`)
	m := rig.measurements()
	require.Len(t, m, 3)
	for i, s := range m {
		assert.Equal(t, i, s.Hop)
		assert.Equal(t, i < 2, s.Follows)
	}
}

func TestHTTPClientDecodes(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", r.URL.RawQuery)
		how := r.URL.RawQuery
		if how == "utf-8" || how == "zstd" {
			how = ""
		}
		_, _ = w.Write(encode(t, how, "text"))
	})})
	get := func(how, accept string) (*http.Response, string, error) {
		req, err := http.NewRequestWithContext(rig.ctx, "GET", rig.cfg.BaseURL+"/?"+how, nil)
		require.NoError(t, err)
		if accept != "" {
			req.Header.Set("Accept-Encoding", accept)
		}
		resp, err := rig.client.HTTPClient().Do(req)
		if err != nil {
			return nil, "", err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return resp, string(body), err
	}
	resp, body, err := get("gzip", "")
	require.NoError(t, err)
	assert.Equal(t, "text", body)
	assert.True(t, resp.Uncompressed)
	assert.Empty(t, resp.Header.Get("Content-Encoding"))
	resp, body, err = get("gzip", "gzip")
	require.NoError(t, err)
	assert.Equal(t, string(encode(t, "gzip", "text")), body, "who asks for gzip gets it")
	assert.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	rig.measurements()
	_, body, err = get("utf-8", "")
	require.NoError(t, err)
	assert.Equal(t, "text", body, "no coding")
	rig.measurements()
	_, _, err = get("zstd", "")
	require.Error(t, err)
	assert.Equal(t, failure.Protocol, failure.ClassOf(err))
	assert.Equal(t, failure.Protocol, rig.only().Class)
	assert.Empty(t, rig.client.streams)
}

func TestHTTPClientUploads(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.ContentLength >= 0 {
			w.Header().Set("X-Known", "yes")
		}
		_, _ = w.Write(b)
	})})
	large := bytes.Repeat([]byte("x"), 3*bufferedUpload/2)
	for name, c := range map[string]struct {
		body  io.Reader
		size  int
		known string
	}{
		"small":             {strings.NewReader("data"), 4, "yes"},
		"small, no length":  {iotest.HalfReader(strings.NewReader("data")), 4, "yes"},
		"large":             {bytes.NewReader(large), len(large), "yes"},
		"large, no length":  {iotest.HalfReader(bytes.NewReader(large)), len(large), ""},
		"nothing in a body": {iotest.HalfReader(strings.NewReader("")), 0, "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := rig.client.HTTPClient().Post(rig.cfg.BaseURL, "text/x", c.body) //nolint:noctx // a test
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Len(t, body, c.size)
			assert.Equal(t, c.known, resp.Header.Get("X-Known"))
		})
	}
	rig.measurements()
	_, err := rig.client.HTTPClient().Post(rig.cfg.BaseURL, "text/x", io.MultiReader(bytes.NewReader(large), iotest.ErrReader(io.ErrNoProgress))) //nolint:noctx // fails
	require.ErrorIs(t, err, io.ErrNoProgress)
	assert.Equal(t, failure.Task, failure.ClassOf(err))
}

func TestHTTPClientFails(t *testing.T) {
	s := play(t, []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf|close"})
	rig := newRig(t, testConfig{BaseURL: s.url()})
	resp, err := rig.client.HTTPClient().Get(s.url()) //nolint:noctx // a test
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	classIs(t, err, failure.Reset, "in the middle")
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, failure.Reset, rig.only().Class)

	_, err = rig.client.HTTPClient().Get(s.url()) //nolint:noctx // fails
	classIs(t, err, failure.Reset, "")
	assert.Equal(t, failure.Reset, rig.only().Class)

	_, err = rig.client.HTTPClient().Get("/relative") //nolint:noctx // fails
	classIs(t, err, failure.Protocol, "must be absolute")
	_, err = rig.client.HTTPClient().Get("ftp://x/") //nolint:noctx // fails
	classIs(t, err, failure.Protocol, "")
	assert.Empty(t, rig.measurements())
}

func TestHTTPClientBodiesThatNobodyFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begin")
			_ = http.NewResponseController(w).Flush()
			if r.URL.Path == "/endless" {
				<-r.Context().Done()
				return
			}
			<-time.After(10 * time.Millisecond)
			_, _ = io.WriteString(w, "end")
		}))
		defer stop()
		rig := newRig(t, testConfig{BaseURL: "http://shop"}, withDial(dial))
		get := func(path string) *http.Response {
			req, err := http.NewRequestWithContext(context.Background(), "GET", "http://shop"+path, nil)
			require.NoError(t, err)
			resp, err := rig.client.HTTPClient().Do(req)
			require.NoError(t, err)
			return resp
		}
		begin := time.Now()
		require.NoError(t, get("/soon").Body.Close())
		assert.Equal(t, 10*time.Millisecond, time.Since(begin))
		assert.Len(t, rig.client.idle, 1, "a short wait saves the connection")
		assert.EqualValues(t, 1, rig.totals().Service.Count())

		begin = time.Now()
		require.NoError(t, get("/endless").Body.Close())
		assert.Equal(t, closeWait, time.Since(begin), "but not for long")
		assert.Empty(t, rig.client.idle)
		total := rig.totals()
		assert.EqualValues(t, 2, total.Requests)
		assert.Zero(t, total.FailedRequests)
		assert.EqualValues(t, 1, total.Service.Count(), "half a response has no service time")

		// Two at a time, and one that the task forgets about.
		first, second := get("/soon"), get("/endless")
		body, err := io.ReadAll(first.Body)
		require.NoError(t, err)
		assert.Equal(t, "beginend", string(body))
		rig.client.Rest()
		assert.EqualValues(t, 4, rig.totals().Requests)
		_, err = second.Body.Read(make([]byte, 1))
		require.Error(t, err)
		assert.Empty(t, rig.client.streams)
		rig.client.Close()
	})
}
