package loadgen

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
)

// TestRemoteAddress: a sample tells where its request went, as far as the connection
// says so.
func TestRemoteAddress(t *testing.T) {
	plain := shop(t, sees)
	overTLS, trust, _ := secure(t, false, sees)
	overH2, trustH2, _ := secure(t, true, sees)
	proxy := httptest.NewServer(&testProxy{})
	defer proxy.Close()
	socket := filepath.Join(t.TempDir(), "shop.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	behind := httptest.NewUnstartedServer(http.HandlerFunc(sees))
	_ = behind.Listener.Close()
	behind.Listener = l
	behind.Start()
	defer behind.Close()
	unix := WithUnixSockets(func(string) bool { return true })
	addr := func(url string) string { return url[strings.Index(url, "//")+2:] }

	for name, test := range map[string]struct {
		cfg    JobConfig
		opt    Option
		fails  bool
		remote string
	}{
		"plain":                       {cfg: JobConfig{BaseURL: plain}, remote: "127.0.0.1"},
		"TLS":                         {cfg: JobConfig{BaseURL: overTLS.URL}, opt: trust, remote: "127.0.0.1"},
		"HTTP/2":                      {cfg: JobConfig{BaseURL: overH2.URL}, opt: trustH2, remote: "127.0.0.1"},
		"HTTP/2 with prior knowledge": {cfg: JobConfig{BaseURL: plainH2(t, sees), HTTP: "2"}, remote: "127.0.0.1"},
		"another address":             {cfg: JobConfig{BaseURL: "http://shop.test", ConnectTo: map[string]string{"shop.test:80": addr(plain)}}, remote: "127.0.0.1"},
		"past the proxy": {
			cfg:    JobConfig{BaseURL: "http://shop.test", Proxy: proxy.URL, ConnectTo: map[string]string{"shop.test:80": addr(plain)}},
			remote: "127.0.0.1",
		},
		"proxy":       {cfg: JobConfig{BaseURL: named(t, plain, "shop.test"), Proxy: proxy.URL}},
		"Unix socket": {cfg: JobConfig{BaseURL: "http://shop.test", ConnectTo: map[string]string{"shop.test:80": "unix:" + socket}}, opt: unix},
		"nobody":      {cfg: JobConfig{BaseURL: closedPort(t)}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.opt == nil {
				test.opt = func(*environment) {}
			}
			want := netip.Addr{}
			if test.remote != "" {
				want = netip.MustParseAddr(test.remote)
			}
			test.cfg.ScenarioName = "visit"
			rig := newRig(t, test.cfg, test.opt)
			for range 2 { // on a new connection, and on one that was kept
				_, err := rig.do(Request{URL: "/"})
				require.Equal(t, test.fails, err != nil, "%v", err)
			}
			for _, s := range rig.measurements() {
				assert.Equal(t, want, s.Remote)
				assert.Equal(t, "visit", s.Scenario)
			}
		})
	}
}
