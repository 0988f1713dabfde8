package client

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
)

func TestConnectToAnotherAddress(t *testing.T) {
	srv, trust, conns := secure(t, true, testtarget.Sees)
	plain := testtarget.Shop(t, testtarget.Sees)
	addr := func(url string) string { return url[strings.Index(url, "//")+2:] }
	p := &testProxy{}
	via := httptest.NewServer(p)
	defer via.Close()
	cfg := testConfig{BaseURL: "https://example.com", Config: Config{Proxy: via.URL, ConnectTo: map[string]string{"example.com:443": addr(srv.URL), "Shop.test:80": addr(plain)}}}
	rig := newRig(t, cfg, trust)
	assert.Contains(t, string(rig.mustDo(testRequest{URL: "/x"}).Body), "HTTP/2.0 example.com", "name and certificate are those of the URL")
	resp := rig.mustDo(testRequest{URL: "http://shop.test/x"})
	assert.Equal(t, `HTTP/1.1 shop.test /x via="" auth=""`, string(resp.Body))
	assert.Equal(t, "http://shop.test/x", resp.URL)
	assert.Empty(t, p.got(), "past the proxy")
	assert.Equal(t, "shop.test", rig.measurements()[1].URL.Host)

	kept := rig.client.idle[0]
	cfg.ConnectTo = map[string]string{"example.com:443": closedPort(t)[len("http://"):], "shop.test:80": addr(plain)}
	rig.aim(cfg)
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "refused")
	rig.mustDo(testRequest{URL: "http://shop.test/"})
	assert.Same(t, kept, rig.client.idle[0], "its way is as before")
	assert.EqualValues(t, 1, conns.Load())
}

func TestUnixSockets(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "shop.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS: ", encrypted), func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(testtarget.Sees))
			_ = srv.Listener.Close()
			srv.Listener = l
			base, port := "http://example.com", ":80"
			if encrypted {
				l, err = net.Listen("unix", socket)
				require.NoError(t, err)
				srv.Listener = l
				srv.EnableHTTP2 = true
				srv.StartTLS()
				base, port = "https://example.com", ":443"
			} else {
				srv.Start()
			}
			defer srv.Close()
			cfg := testConfig{BaseURL: base + "/base", Config: Config{CACerts: "", Insecure: encrypted, ConnectTo: map[string]string{"example.com" + port: "unix:" + socket}}}
			rig := newRig(t, cfg, withUnixSockets(func(path string) bool { return path == socket }))
			for range 2 {
				assert.Contains(t, string(rig.mustDo(testRequest{URL: "/x"}).Body), " example.com /base/x")
			}
			assert.Len(t, rig.measurements(), 2)
		})
	}
	t.Run("that are not there", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: "http://shop.test", Config: Config{ConnectTo: map[string]string{"shop.test:80": "unix:" + socket + "x"}}},
			withUnixSockets(func(string) bool { return true }))
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Dial, socket)
	})
}

func TestLocalAddress(t *testing.T) {
	url := testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	here := "127.0.0.2"
	if l, err := net.Listen("tcp", here+":0"); err != nil {
		t.Log("this system has no 127.0.0.2:", err)
		here = "127.0.0.1"
	} else {
		_ = l.Close()
	}
	rig := newRig(t, testConfig{BaseURL: url, Config: Config{LocalAddr: here}})
	assert.True(t, strings.HasPrefix(string(rig.mustDo(testRequest{URL: "/"}).Body), here+":"))
	rig.aim(testConfig{BaseURL: url})
	assert.True(t, strings.HasPrefix(string(rig.mustDo(testRequest{URL: "/"}).Body), "127.0.0.1:"), "a running job follows")
	assert.Len(t, rig.client.open, 1)

	rig.aim(testConfig{BaseURL: url, Config: Config{LocalAddr: "::1"}})
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "no address that can be reached from ::1")

	other := &Network{Dial: new(net.Dialer).DialContext, Buffers: NewBuffers()}
	_, f := NewTarget(&Config{LocalAddr: here}, mustParse(t, url), other)
	require.Len(t, f, 1)
	assert.Equal(t, "local_addr", f[0].Field)
}
