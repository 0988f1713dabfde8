package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// secure serves a handler over TLS, with HTTP/2 or without, and counts connections.
func secure(t testing.TB, http2 bool, handler http.HandlerFunc) (srv *httptest.Server, trust testOption, conns *atomic.Int64) {
	t.Helper()
	conns = new(atomic.Int64)
	srv = httptest.NewUnstartedServer(handler)
	srv.EnableHTTP2 = http2
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, withTLS(srv.Client().Transport.(*http.Transport).TLSClientConfig), conns
}

// plainH2 serves HTTP/2 with prior knowledge.
func plainH2(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

func proto(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s %s %s", r.Proto, r.Method, r.URL.RequestURI(), r.Host, body)
}

func TestProtocolIsNegotiated(t *testing.T) {
	for _, c := range []struct {
		version string
		server  bool // speaks HTTP/2
		want    string
	}{
		{"", true, "HTTP/2.0"}, {"", false, "HTTP/1.1"}, {"1.1", true, "HTTP/1.1"}, {"2", true, "HTTP/2.0"},
	} {
		t.Run(fmt.Sprintf("%q %v", c.version, c.server), func(t *testing.T) {
			srv, trust, conns := secure(t, c.server, proto)
			rig := newRig(t, testConfig{BaseURL: srv.URL, Config: Config{HTTP: c.version}}, trust)
			host := strings.TrimPrefix(srv.URL, "https://")
			for range 3 {
				assert.Equal(t, c.want+" GET /x?y "+host+" ", string(rig.mustDo(testRequest{URL: "/x?y"}).Body))
			}
			assert.Equal(t, c.want+" POST / "+host+" data", string(rig.mustDo(testRequest{Method: "POST", URL: "/", Body: []byte("data")}).Body))
			if c.want == "HTTP/1.1" {
				assert.EqualValues(t, 1, conns.Load(), "one connection serves them all")
			} else {
				assert.LessOrEqual(t, conns.Load(), int64(2), "one connection serves them all, but see TestReuse")
			}
			m := rig.measurements()
			require.Len(t, m, 4)
			for _, s := range m {
				assert.Equal(t, 200, s.Status)
				assert.Equal(t, failure.None, s.Class)
				assert.Positive(t, s.Sent)
				assert.Positive(t, s.Received)
				assert.Positive(t, s.Service)
				assert.LessOrEqual(t, s.Header, s.Service)
				assert.Equal(t, "https", s.URL.Scheme)
			}
		})
	}
	t.Run("http/2 that is not there", func(t *testing.T) {
		srv, trust, _ := secure(t, false, proto)
		rig := newRig(t, testConfig{BaseURL: srv.URL, Config: Config{HTTP: "2"}}, trust)
		_, err := rig.do(testRequest{URL: "/"})
		require.Error(t, err)
		assert.Contains(t, []failure.Class{failure.Protocol, failure.TLS}, failure.ClassOf(err), "%v", err)
		assert.Len(t, rig.measurements(), 1)
	})
	t.Run("prior knowledge", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: plainH2(t, proto), Config: Config{HTTP: "2"}})
		for range 3 {
			assert.Contains(t, string(rig.mustDo(testRequest{URL: "/x"}).Body), "HTTP/2.0 GET /x")
		}
		assert.Len(t, rig.measurements(), 3)
	})
	t.Run("prior knowledge that is wrong", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, proto), Config: Config{HTTP: "2"}})
		_, err := rig.do(testRequest{URL: "/"})
		require.Error(t, err)
		assert.Len(t, rig.measurements(), 1)
	})
}

func TestHTTP2DoesTheSame(t *testing.T) {
	srv, trust, _ := secure(t, true, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cookie":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, "/echo?to=&x", http.StatusFound)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(encode(t, "gzip", "zipped"))
		case "/large":
			_, _ = w.Write(make([]byte, 2000))
		case "/abort":
			w.WriteHeader(200)
			panic(http.ErrAbortHandler)
		default:
			echo(w, r)
		}
	})
	rig := newRig(t, testConfig{BaseURL: srv.URL, Config: Config{MaxBody: 1000, Headers: map[string]string{"X-Job": "1", "Connection": "keep-alive"}}}, trust)
	resp := rig.mustDo(testRequest{URL: "/cookie"})
	assert.Contains(t, string(resp.Body), `cookie="a=b"`)
	assert.Equal(t, srv.URL+"/echo?to=&x", resp.URL)
	assert.Len(t, rig.measurements(), 2)
	assert.Equal(t, "zipped", string(rig.mustDo(testRequest{URL: "/gzip"}).Body))
	assert.Empty(t, rig.mustDo(testRequest{Method: "HEAD", URL: "/gzip"}).Body)
	rig.measurements()

	_, err := rig.do(testRequest{URL: "/large"})
	classIs(t, err, failure.Protocol, "larger than 1000 bytes")
	assert.Equal(t, failure.Protocol, rig.only().Class)
	_, err = rig.do(testRequest{URL: "/abort"})
	classIs(t, err, failure.Reset, "GET /abort")
	assert.Equal(t, failure.Reset, rig.only().Class)

	hr, err := rig.client.HTTPClient().Get(srv.URL + "/echo") //nolint:noctx // a test
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0", hr.Proto)
	body, err := io.ReadAll(hr.Body)
	require.NoError(t, err)
	require.NoError(t, hr.Body.Close())
	assert.Contains(t, string(body), "GET /echo")
	assert.True(t, rig.only().Received > 0)

	r, err := rig.client.Send(rig.ctx, &Call{Method: "GET", Target: []byte("/cookie"), NoRedirect: true})
	require.NoError(t, err)
	assert.Equal(t, "/echo?to=&x", string(r.Header("location")))
	assert.Equal(t, "a=b", string(r.Header("Set-Cookie")))
	assert.Nil(t, r.Header("X-None"))
}

func TestTLSIsVerified(t *testing.T) {
	srv, _, _ := secure(t, true, proto)
	rig := newRig(t, testConfig{BaseURL: srv.URL})
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.TLS, "certificate")
	assert.Equal(t, failure.TLS, rig.only().Class)

	rig = newRig(t, testConfig{BaseURL: strings.Replace(srv.URL, "https", "http", 1)})
	resp, err := rig.do(testRequest{URL: "/"}) // Go's servers answer this with a 400
	require.NoError(t, err)
	assert.Equal(t, 400, resp.Status)

	rig = newRig(t, testConfig{BaseURL: strings.Replace(testtarget.Shop(t, proto), "http", "https", 1)})
	_, err = rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.TLS, "")

	rig = newRig(t, testConfig{BaseURL: srv.URL}, withTLS(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // the point
	_, err = rig.do(testRequest{URL: "/"})
	require.NoError(t, err)
}

func TestTimeoutsOfHTTP2(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  testConfig
		text string
	}{
		"header": {testConfig{Config: Config{HeaderTimeout: 2 * time.Second}}, "no response header within 2s"},
		"total":  {testConfig{Config: Config{Timeout: 2 * time.Second}}, "not done within 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleH2(t, func(t *testing.T, dial testOption) {
				c.cfg.BaseURL, c.cfg.HTTP = "http://shop", "2"
				rig := newRig(t, c.cfg, dial)
				begin := time.Now()
				_, err := rig.do(testRequest{URL: "/hang"})
				classIs(t, err, failure.Timeout, c.text)
				assert.Equal(t, 2*time.Second, time.Since(begin))
				assert.Equal(t, failure.Timeout, rig.only().Class)
				rig.client.Close()
			})
		})
	}
}

func TestInterruptOfHTTP2(t *testing.T) {
	inBubbleH2(t, func(t *testing.T, dial testOption) {
		rig := newRig(t, testConfig{BaseURL: "http://shop", Config: Config{HTTP: "2"}}, dial)
		rig.mustDo(testRequest{URL: "/"})
		rig.measurements()
		time.AfterFunc(time.Second, rig.client.Interrupt)
		begin := time.Now()
		_, err := rig.do(testRequest{URL: "/hang"})
		require.ErrorIs(t, err, failure.ErrInterrupted)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Empty(t, rig.measurements())
		rig.client.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: "http://shop", Config: Config{HTTP: "2"}}, withDial(
			func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}))
		time.AfterFunc(time.Second, rig.client.Interrupt)
		_, err := rig.do(testRequest{URL: "/"})
		require.ErrorIs(t, err, failure.ErrInterrupted)
		rig.client.Close()
	})
}

// inBubbleH2 runs f in virtual time, with a server of HTTP/2 on a network in memory
// that hangs when asked for /hang. No goroutine may be left.
func inBubbleH2(t *testing.T, f func(*testing.T, testOption)) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("shop:80")
		require.NoError(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				<-r.Context().Done()
			}
		}), Protocols: new(http.Protocols), ErrorLog: quiet()}
		srv.Protocols.SetUnencryptedHTTP2(true)
		done := make(chan error)
		go func() { done <- srv.Serve(l) }()
		f(t, withDial(network.DialContext))
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
