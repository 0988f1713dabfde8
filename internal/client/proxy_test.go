package client

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
	"github.com/opbeans/loadgen/stats"
)

// testProxy forwards requests and makes tunnels, and notes both. Every host name leads
// to this machine.
type testProxy struct {
	credentials string // user:password that it asks for, or ""

	mu    sync.Mutex
	asked []string
}

func (p *testProxy) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, fmt.Sprintf(format, args...))
}

func (p *testProxy) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func (p *testProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.credentials)); p.credentials != "" &&
		r.Header.Get("Proxy-Authorization") != want {
		p.note("refused")
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	p.note("%s %s", r.Method, r.RequestURI)
	_, port, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		r.URL.Host = "127.0.0.1:" + port
		r.Header.Set("Via", "1.1 test")
		r.Header.Del("Proxy-Authorization")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	there, err := net.Dial("tcp", "127.0.0.1:"+port) //nolint:noctx // a test
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	join(here, there)
}

// join copies both ways, until one side has ended.
func join(a, b net.Conn) {
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
	_, _ = a.Close(), b.Close()
	<-done
}

// named is a URL with another host, which only a proxy or connect-to can reach.
func named(t testing.TB, serverURL, host string) string {
	t.Helper()
	u, err := url.Parse(serverURL)
	require.NoError(t, err)
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}

func TestProxyForwardsRequests(t *testing.T) {
	for _, credentials := range []string{"", "user:p@ss"} {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q %v", credentials, encrypted), func(t *testing.T) {
				p := &testProxy{credentials: credentials}
				srv := httptest.NewUnstartedServer(p)
				var trust testOption = func(*Network) {}
				if encrypted {
					srv.StartTLS()
					trust = withTLS(srv.Client().Transport.(*http.Transport).TLSClientConfig)
				} else {
					srv.Start()
				}
				defer srv.Close()
				proxy, err := url.Parse(srv.URL)
				require.NoError(t, err)
				if credentials != "" {
					proxy.User = url.UserPassword("user", "p@ss")
				}
				base := named(t, testtarget.Shop(t, testtarget.Sees), "shop.test")
				rig := newRig(t, testConfig{BaseURL: base + "/base", Config: Config{Proxy: proxy.String()}}, trust)
				host := strings.TrimPrefix(base, "http://")
				for _, req := range []testRequest{{URL: "/x?y"}, {URL: "/x?y", Header: http.Header{"X-A": {"b"}}}} {
					resp := rig.mustDo(req)
					assert.Equal(t, fmt.Sprintf("HTTP/1.1 %s /base/x?y via=\"1.1 test\" auth=\"\"", host), string(resp.Body))
					assert.Equal(t, base+"/base/x?y", resp.URL)
				}
				assert.Equal(t, []string{"GET " + base + "/base/x?y", "GET " + base + "/base/x?y"}, p.got())
				assert.Len(t, rig.client.idle, 1, "one connection")
				for _, m := range rig.measurements() {
					assert.Equal(t, stats.SampleURL{Scheme: "http", Host: host, Path: "/base/x", Query: "y"}, m.URL)
				}
			})
		}
	}
	t.Run("wrong password", func(t *testing.T) {
		srv := httptest.NewServer(&testProxy{credentials: "user:password"})
		defer srv.Close()
		rig := newRig(t, testConfig{BaseURL: named(t, testtarget.Shop(t, testtarget.Sees), "shop.test"), Config: Config{Proxy: srv.URL}})
		resp, err := rig.do(testRequest{URL: "/"})
		require.NoError(t, err, "an answer like any other")
		assert.Equal(t, 407, resp.Status)
	})
}

func TestProxyTunnels(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			p := &testProxy{credentials: "user:password"}
			via := httptest.NewServer(p)
			defer via.Close()
			srv, trust, _ := secure(t, http2, testtarget.Sees)
			base := named(t, srv.URL, "example.com") // a name that its certificate has
			host := strings.TrimPrefix(base, "https://")
			rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: strings.Replace(via.URL, "//", "//user:password@", 1)}}, trust)
			for range 3 {
				assert.Equal(t, name+" "+host+` /x via="" auth=""`, string(rig.mustDo(testRequest{URL: "/x"}).Body))
			}
			assert.Equal(t, []string{"CONNECT " + host}, p.got(), "one tunnel serves them all")

			rig.aim(testConfig{BaseURL: base, Config: Config{Proxy: via.URL}})
			_, err := rig.do(testRequest{URL: "/"})
			classIs(t, err, failure.Dial, "the proxy refuses to connect to "+host+": 407")
			assert.Equal(t, "refused", p.got()[1], "the tunnel of another user is of no use")
		})
	}
	t.Run("prior knowledge", func(t *testing.T) {
		p := &testProxy{}
		via := httptest.NewServer(p)
		defer via.Close()
		base := named(t, plainH2(t, testtarget.Sees), "shop.test")
		rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: via.URL, HTTP: "2"}})
		assert.Contains(t, string(rig.mustDo(testRequest{URL: "/x"}).Body), "HTTP/2.0 shop.test")
		assert.Equal(t, []string{"CONNECT " + strings.TrimPrefix(base, "http://")}, p.got())
	})
	for name, answer := range map[string]string{
		"nonsense":       "nonsense\r\n\r\n",
		"closes":         "",
		"never ends":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxProxyHead) + "\r\n\r\n",
		"talks too soon": "HTTP/1.1 200 OK\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			via := play(t, []string{answer})
			rig := newRig(t, testConfig{BaseURL: "https://shop.test", Config: Config{Proxy: via.url()}})
			_, err := rig.do(testRequest{URL: "/"})
			classIs(t, err, failure.Dial, "proxy")
		})
	}
	t.Run("hangs", func(t *testing.T) {
		via := play(t, []string{"|hang"})
		rig := newRig(t, testConfig{BaseURL: "https://shop.test", Config: Config{Proxy: via.url(), ConnectTimeout: 50 * time.Millisecond}})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Timeout, "connecting took too long")
	})
	t.Run("is interrupted", func(t *testing.T) {
		via := play(t, []string{"|hang"})
		rig := newRig(t, testConfig{BaseURL: "https://shop.test", Config: Config{Proxy: via.url()}})
		go func() {
			for asked, _ := via.got(); len(asked) == 0; asked, _ = via.got() {
				<-time.After(time.Millisecond)
			}
			rig.client.Interrupt()
		}()
		_, err := rig.do(testRequest{URL: "/"})
		require.ErrorIs(t, err, failure.ErrInterrupted)
	})
	t.Run("is not there", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: "http://shop.test", Config: Config{Proxy: closedPort(t)}})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Dial, "proxy: ")
	})
}

// closedPort is a URL that nobody listens at.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// socks is a SOCKS5 proxy that leads every address to this machine.
func socks(t testing.TB, user, password string) (addr string, asked func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var log testProxy
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				if there := serveSOCKS(c, user, password, &log); there != nil {
					join(c, there)
				}
			})
		}
	})
	return l.Addr().String(), log.got
}

// serveSOCKS does what RFC 1928 and 1929 have a server do.
func serveSOCKS(c net.Conn, user, password string, log *testProxy) net.Conn {
	br := bufio.NewReaderSize(c, 1) // what follows belongs to the tunnel
	next := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(br, b)
		return b
	}
	sized := func() string { return string(next(int(next(1)[0]))) }
	next(1) // version
	offered := sized()
	if user == "" {
		_, _ = c.Write([]byte{5, 0})
	} else {
		if !strings.Contains(offered, "\x02") {
			log.note("refused")
			_, _ = c.Write([]byte{5, 0xff})
			return nil
		}
		_, _ = c.Write([]byte{5, 2})
		next(1)
		if u, p := sized(), sized(); u != user || p != password {
			log.note("refused")
			_, _ = c.Write([]byte{1, 1})
			return nil
		}
		_, _ = c.Write([]byte{1, 0})
	}
	var host string
	switch head := next(4); head[3] {
	case 1:
		host = net.IP(next(4)).String()
	case 3:
		host = sized()
	case 4:
		host = net.IP(next(16)).String()
	default:
		return nil
	}
	port := fmt.Sprint(binary.BigEndian.Uint16(next(2)))
	log.note("%s", net.JoinHostPort(host, port))
	there, err := net.Dial("tcp", "127.0.0.1:"+port) //nolint:noctx // a test
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return nil
	}
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return there
}

func TestSOCKS(t *testing.T) {
	t.Run("plain, by name", func(t *testing.T) {
		addr, asked := socks(t, "", "")
		base := named(t, testtarget.Shop(t, testtarget.Sees), "shop.test")
		host := strings.TrimPrefix(base, "http://")
		rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: "socks5h://" + addr}})
		for range 2 {
			assert.Equal(t, "HTTP/1.1 "+host+` /x via="" auth=""`, string(rig.mustDo(testRequest{URL: "/x"}).Body))
		}
		assert.Equal(t, []string{host}, asked(), "one connection; the proxy looks the name up")
	})
	t.Run("TLS, with a password", func(t *testing.T) {
		addr, asked := socks(t, "user", "pass")
		srv, trust, _ := secure(t, true, testtarget.Sees)
		base := named(t, srv.URL, "example.com")
		rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: "socks5h://user:pass@" + addr}}, trust)
		assert.Contains(t, string(rig.mustDo(testRequest{URL: "/x"}).Body), "HTTP/2.0 example.com")
		assert.Equal(t, []string{strings.TrimPrefix(base, "https://")}, asked())
		for _, proxy := range []string{"socks5h://user:wrong@" + addr, "socks5h://" + addr} {
			rig.aim(testConfig{BaseURL: base, Config: Config{Proxy: proxy}})
			_, err := rig.do(testRequest{URL: "/"})
			classIs(t, err, failure.Dial, "proxy: ")
		}
		assert.Equal(t, []string{"refused", "refused"}, asked()[1:])
	})
	t.Run("names are looked up here", func(t *testing.T) {
		addr, asked := socks(t, "", "")
		names := testtarget.ServeDNS(t, map[string][]string{"shop.test.": {"127.0.0.9"}})
		base := named(t, testtarget.Shop(t, testtarget.Sees), "shop.test")
		rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: "socks5://" + addr}}, withResolver(names.Resolver()))
		rig.mustDo(testRequest{URL: "/x"})
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
		assert.Equal(t, []string{"127.0.0.9:" + port}, asked())
	})
	t.Run("a refused target", func(t *testing.T) {
		addr, _ := socks(t, "", "")
		rig := newRig(t, testConfig{BaseURL: closedPort(t), Config: Config{Proxy: "socks5://" + addr}})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.Dial, "connection refused")
	})
}

func TestProxyURLs(t *testing.T) {
	for s, want := range map[string]string{
		"http://proxy":              "proxy:80",
		"https://Proxy/":            "proxy:443",
		"socks5://proxy":            "proxy:1080",
		"socks5h://u:p@[::1]:1":     "[::1]:1",
		"http://user@10.0.0.1:3128": "10.0.0.1:3128",
	} {
		p, err := parseProxy(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, p.addr, s)
	}
	long := strings.Repeat("x", 256)
	for _, s := range []string{
		"proxy:3128", "ftp://proxy", "http://", "http://proxy/path", "http://proxy?x", "http://proxy#x",
		"http://proxy:", "http://proxy:0", "http://proxy:99999", "http://secret:%zz@proxy", "socks5://secret@proxy",
		"socks5://secret:" + long + "@proxy", "http://ü",
	} {
		_, err := parseProxy(s)
		require.Error(t, err, s)
		assert.NotContains(t, err.Error(), "secret")
	}
}
