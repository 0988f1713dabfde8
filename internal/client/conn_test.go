package client

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

func encoder(w io.Writer, how string) io.WriteCloser {
	switch how {
	case "gzip":
		return gzip.NewWriter(w)
	case "zlib":
		return zlib.NewWriter(w)
	case "flate":
		fw, _ := flate.NewWriter(w, flate.DefaultCompression)
		return fw
	case "br":
		return brotli.NewWriter(w)
	}
	panic(how)
}

func TestConnectionsAreKeptOrNot(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string
		conns  int
	}{
		{"keep-alive", ok, 1},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 2},
		{"http/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nok|close", 2},
		{"something left over", ok + "extra", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, []string{c.answer, c.answer}, []string{c.answer})
			rig := newRig(t, testConfig{BaseURL: s.url()})
			for range 2 {
				rig.mustDo(testRequest{URL: "/"})
			}
			_, conns := s.got()
			assert.Equal(t, c.conns, conns)
		})
	}
	t.Run("the request says close", func(t *testing.T) {
		s := play(t, []string{ok}, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		for range 2 {
			rig.mustDo(testRequest{URL: "/", Header: http.Header{"Connection": {"close"}}})
		}
		_, conns := s.got()
		assert.Equal(t, 2, conns)
	})
	t.Run("the job says close", func(t *testing.T) {
		s := play(t, []string{ok}, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url(), Config: Config{Headers: map[string]string{"connection": "close"}}})
		for range 2 {
			rig.mustDo(testRequest{URL: "/"})
		}
		_, conns := s.got()
		assert.Equal(t, 2, conns)
	})
}

func TestStaleConnectionsAreRetriedWhereSafe(t *testing.T) {
	for _, c := range []struct {
		name, method string
		first        string // what becomes of the first connection at the second request
		class        failure.Class
	}{
		{"get", "GET", "|close", failure.None},
		{"get, reset", "GET", "|reset", failure.None},
		{"put", "PUT", "|close", failure.None},
		{"delete", "DELETE", "|close", failure.None},
		{"post is not sent twice", "POST", "|close", failure.Reset},
		{"half an answer", "GET", "HTTP/1.1 200|close", failure.Reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, []string{ok, c.first}, []string{ok, ok}, []string{ok})
			rig := newRig(t, testConfig{BaseURL: s.url()})
			rig.mustDo(testRequest{URL: "/"})
			rig.measurements()
			resp, err := rig.do(testRequest{Method: c.method, URL: "/", Body: []byte("x")})
			m := rig.only() // the retry is no request of its own
			assert.Equal(t, c.class, m.Class)
			if c.class != failure.None {
				classIs(t, err, c.class, "")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 200, resp.Status)
			assert.Zero(t, rig.totals().FailedRequests)
			rig.mustDo(testRequest{URL: "/"})
			_, conns := s.got()
			assert.Equal(t, 2, conns, "the new connection is kept")
		})
	}
	t.Run("post finds out before", func(t *testing.T) {
		s := play(t, []string{ok, "close"}, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		rig.mustDo(testRequest{URL: "/"})
		if runtime.GOOS == "windows" {
			return // it cannot, there
		}
		cn := rig.client.idle[0]
		_, err := cn.raw.(*net.TCPConn).Read(make([]byte, 1)) // until the server has closed
		require.ErrorIs(t, err, io.EOF)
		cn.since = cn.since.Add(-time.Second)
		_, err = rig.do(testRequest{Method: "POST", URL: "/", Body: []byte("x")})
		require.NoError(t, err)
	})
	t.Run("only once", func(t *testing.T) {
		s := play(t, []string{ok, "|close"}, []string{"|close"}, []string{ok})
		rig := newRig(t, testConfig{BaseURL: s.url()})
		rig.mustDo(testRequest{URL: "/"})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Reset, "without an answer")
	})
}

func TestUpdateOfTheTargetKeepsWhatServes(t *testing.T) {
	a, b := play(t, []string{ok, ok, "|hang"}), play(t, []string{ok, ok, ok})
	rig := newRig(t, testConfig{BaseURL: a.url()})
	rig.mustDo(testRequest{URL: "/"})
	rig.mustDo(testRequest{URL: b.url() + "/"})
	rig.aim(testConfig{BaseURL: a.url() + "/v2", Config: Config{Timeout: time.Minute}})
	rig.mustDo(testRequest{URL: "/"})
	_, conns := a.got()
	assert.Equal(t, 1, conns, "the same server is not dialed again")

	old := rig.client.take(rig.target.site.origin)
	rig.client.park(old, time.Now())
	rig.aim(testConfig{BaseURL: b.url()})
	rig.mustDo(testRequest{URL: "/"})
	_, conns = b.got()
	assert.Equal(t, 1, conns, "a connection that redirects or absolute URLs have opened serves, too")
	_, err := old.raw.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed, "the old target's is closed")
}

func TestAVUKeepsFewConnections(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: play(t, []string{ok}).url()})
	for range maxIdle + 3 {
		rig.mustDo(testRequest{URL: play(t, []string{ok}).url()})
	}
	assert.Len(t, rig.client.idle, maxIdle)
	assert.Len(t, rig.client.open, maxIdle)
}

// hanging is a network in which the server does nothing.
func hanging(t *testing.T, serve func(net.Conn)) testOption {
	network := memnet.New()
	l, err := network.Listen("shop:80")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return withDial(network.DialContext)
}

func TestTimeouts(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	drip := func(c net.Conn) { // a byte each second
		defer func() { _ = c.Close() }()
		for i := range len(header) + 9 {
			<-time.After(time.Second)
			if _, err := c.Write([]byte((header + "123456789")[i : i+1])); err != nil {
				return
			}
		}
	}
	noDial := withDial(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for _, c := range []struct {
		name    string
		serve   func(net.Conn)
		opt     testOption
		cfg     testConfig
		context time.Duration
		after   time.Duration
		text    string
	}{
		{name: "total, default", serve: silent, after: 300 * time.Second, text: "not done within 5m0s"},
		{name: "total", serve: silent, cfg: testConfig{Config: Config{Timeout: 3 * time.Second}}, after: 3 * time.Second, text: "not done within 3s"},
		{name: "total of a slow one", serve: drip, cfg: testConfig{Config: Config{Timeout: 41500 * time.Millisecond}}, after: 41500 * time.Millisecond, text: "not done"},
		{name: "header", serve: silent, cfg: testConfig{Config: Config{HeaderTimeout: 2 * time.Second}}, after: 2 * time.Second, text: "no response header within 2s"},
		{name: "header, of a slow one", serve: drip, cfg: testConfig{Config: Config{HeaderTimeout: 20 * time.Second}}, after: 20 * time.Second, text: "no response header"},
		{name: "connect, default", opt: noDial, after: 10 * time.Second, text: "connecting took too long"},
		{name: "connect", opt: noDial, cfg: testConfig{Config: Config{ConnectTimeout: time.Second}}, after: time.Second, text: "connecting took too long"},
		{name: "total while connecting", opt: noDial, cfg: testConfig{Config: Config{Timeout: time.Second}}, after: time.Second, text: "connecting took too long"},
		{name: "context", serve: silent, context: 4 * time.Second, after: 4 * time.Second, text: "context deadline exceeded"},
		{name: "context while connecting", opt: noDial, context: 4 * time.Second, after: 4 * time.Second, text: "connecting took too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.opt == nil {
					c.opt = hanging(t, c.serve)
				}
				c.cfg.BaseURL = "http://shop"
				rig := newRig(t, c.cfg, c.opt)
				ctx := rig.ctx
				if c.context > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.context)
					defer cancel()
				}
				begin := time.Now()
				_, err := rig.doWith(ctx, testRequest{URL: "/"})
				assert.Equal(t, c.after, time.Since(begin))
				classIs(t, err, failure.Timeout, c.text)
				assert.Equal(t, failure.Timeout, rig.only().Class)
				assert.Zero(t, rig.totals().Service.Count())
				assert.Empty(t, rig.client.idle)
				rig.client.Close()
			})
		})
	}
}

func TestServiceTimeBeginsAfterConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(30 * time.Millisecond)
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-time.After(20 * time.Millisecond)
			_, _ = io.WriteString(w, "ok")
		}))
		defer stop()
		rig := newRig(t, testConfig{BaseURL: "http://shop"}, withDial(
			func(ctx context.Context, network, addr string) (net.Conn, error) {
				<-time.After(5 * time.Second)
				return dial(ctx, network, addr)
			}))
		rig.mustDo(testRequest{URL: "/"})
		rig.mustDo(testRequest{URL: "/"})
		for _, m := range rig.measurements() {
			assert.Equal(t, 30*time.Millisecond, m.Header)
			assert.Equal(t, 50*time.Millisecond, m.Service)
		}
		rig.client.Close()
	})
}

func TestInterrupt(t *testing.T) {
	blockedDial := withDial(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	deaf := func(net.Conn) {}
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		req   testRequest
	}{
		{"while connecting", nil, testRequest{URL: "/"}},
		{"while waiting", silent, testRequest{URL: "/"}},
		{"while writing", deaf, testRequest{Method: "POST", URL: "/", Body: make([]byte, 4<<20)}},
		{"while reading", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello") }, testRequest{URL: "/"}},
	} {
		for _, own := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					opt := blockedDial
					if c.serve != nil {
						opt = hanging(t, c.serve)
					}
					rig := newRig(t, testConfig{BaseURL: "http://shop"}, opt)
					ctx := rig.ctx
					if !own {
						ctx = context.Background()
					}
					begin := time.Now()
					time.AfterFunc(time.Second, rig.client.Interrupt)
					_, err := rig.doWith(ctx, c.req)
					require.ErrorIs(t, err, failure.ErrInterrupted)
					assert.Equal(t, time.Second, time.Since(begin))
					_, err = rig.do(c.req)
					require.ErrorIs(t, err, failure.ErrInterrupted)
					_, err = rig.client.HTTPClient().Get("http://shop/") //nolint:noctx // fails
					require.ErrorIs(t, err, failure.ErrInterrupted)
					assert.Empty(t, rig.measurements())
					rig.client.Close()
				})
			})
		}
	}
}

func TestRestGivesBuffersBack(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 10<<10))
	})})
	rig.mustDo(testRequest{URL: "/"})
	assert.NotNil(t, rig.client.last)
	rig.client.Rest()
	assert.Nil(t, rig.client.last)
	resp := rig.mustDo(testRequest{URL: "/"})
	assert.Len(t, resp.Header.Get("X-Long"), 10<<10)
}
