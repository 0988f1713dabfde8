package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/testtarget"
)

// TestRemoteAddress: a sample tells where its request went, as far as the connection
// says so.
func TestRemoteAddress(t *testing.T) {
	plain := testtarget.Shop(t, testtarget.Sees)
	overTLS, trust, _ := secure(t, false, testtarget.Sees)
	overH2, trustH2, _ := secure(t, true, testtarget.Sees)
	proxy := httptest.NewServer(&testProxy{})
	defer proxy.Close()
	socket := filepath.Join(t.TempDir(), "shop.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	behind := httptest.NewUnstartedServer(http.HandlerFunc(testtarget.Sees))
	_ = behind.Listener.Close()
	behind.Listener = l
	behind.Start()
	defer behind.Close()
	unix := withUnixSockets(func(string) bool { return true })
	addr := func(url string) string { return url[strings.Index(url, "//")+2:] }

	for name, test := range map[string]struct {
		cfg    testConfig
		opt    testOption
		fails  bool
		remote string
	}{
		"plain":                       {cfg: testConfig{BaseURL: plain}, remote: "127.0.0.1"},
		"TLS":                         {cfg: testConfig{BaseURL: overTLS.URL}, opt: trust, remote: "127.0.0.1"},
		"HTTP/2":                      {cfg: testConfig{BaseURL: overH2.URL}, opt: trustH2, remote: "127.0.0.1"},
		"HTTP/2 with prior knowledge": {cfg: testConfig{BaseURL: plainH2(t, testtarget.Sees), Config: Config{HTTP: "2"}}, remote: "127.0.0.1"},
		"another address":             {cfg: testConfig{BaseURL: "http://shop.test", Config: Config{ConnectTo: map[string]string{"shop.test:80": addr(plain)}}}, remote: "127.0.0.1"},
		"past the proxy": {
			cfg:    testConfig{BaseURL: "http://shop.test", Config: Config{Proxy: proxy.URL, ConnectTo: map[string]string{"shop.test:80": addr(plain)}}},
			remote: "127.0.0.1",
		},
		"proxy":       {cfg: testConfig{BaseURL: named(t, plain, "shop.test"), Config: Config{Proxy: proxy.URL}}},
		"Unix socket": {cfg: testConfig{BaseURL: "http://shop.test", Config: Config{ConnectTo: map[string]string{"shop.test:80": "unix:" + socket}}}, opt: unix},
		"nobody":      {cfg: testConfig{BaseURL: closedPort(t)}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.opt == nil {
				test.opt = func(*Network) {}
			}
			want := netip.Addr{}
			if test.remote != "" {
				want = netip.MustParseAddr(test.remote)
			}
			rig := newRig(t, test.cfg, test.opt)
			for range 2 { // on a new connection, and on one that was kept
				_, err := rig.do(testRequest{URL: "/"})
				require.Equal(t, test.fails, err != nil, "%v", err)
			}
			for _, s := range rig.measurements() {
				assert.Equal(t, want, s.Remote)
			}
		})
	}
}
