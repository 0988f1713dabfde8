package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/textkit"
)

// rendered returns the request line and the headers of a request that is not sent.
func rendered(t *testing.T, cfg testConfig, target string) (line string, header map[string]string, addr string) {
	t.Helper()
	rig := newRig(t, cfg)
	x := rig.client.begin()
	require.NoError(t, x.aim([]byte(target)))
	require.NoError(t, x.render(&Call{}))
	line, rest, _ := strings.Cut(string(x.out), "\r\n")
	header = map[string]string{}
	for l := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(l, ": ")
		header[name] = value
	}
	return line, header, x.at.addr
}

func TestURLsAreJoined(t *testing.T) {
	for _, c := range []struct{ base, target, want string }{
		{"http://h", "/x", "/x"},
		{"http://h", "x", "/x"},
		{"http://h", "", "/"},
		{"http://h", "?q=1", "/?q=1"},
		{"http://h", "#frag", "/"},
		{"http://h/", "/x", "/x"},
		{"http://h/", "", "/"},
		{"http://h/", "?q", "/?q"},
		{"http://h/base", "/x?y=z&a=/b", "/base/x?y=z&a=/b"},
		{"http://h/base", "x", "/base/x"},
		{"http://h/base", "", "/base"},
		{"http://h/base", "?q", "/base?q"},
		{"http://h/base/", "/x", "/base/x"},
		{"http://h/base/", "", "/base/"},
		{"http://h/base/", "?q", "/base/?q"},
		{"http://h/a%2Fb", "/c%2Fd", "/a%2Fb/c%2Fd"},
		{"http://h/ü", "/ö ä", "/%C3%BC/%C3%B6%20%C3%A4"},
		{"http://h/base", "//x", "/base//x"},
		{"http://h/base", "/../x", "/base/../x"},
		{"http://h/base", "/x?redirect=http://other/", "/base/x?redirect=http://other/"},
		{"http://h/base", "http://other/x?y#z", "/x?y"},
		{"http://h/base", "HTTP://other", "/"},
		{"http://h/base", "https://other?q", "/?q"},
	} {
		line, _, _ := rendered(t, testConfig{BaseURL: c.base}, c.target)
		assert.Equal(t, "GET "+c.want+" HTTP/1.1", line, "%q + %q", c.base, c.target)
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct{ base, target, host, addr string }{
		{"http://shop", "/", "shop", "shop:80"},
		{"http://shop:80", "/", "shop", "shop:80"},
		{"http://Shop:8000", "/", "shop:8000", "shop:8000"},
		{"https://shop", "/", "shop", "shop:443"},
		{"https://shop:443", "/", "shop", "shop:443"},
		{"https://shop:80", "/", "shop:80", "shop:80"},
		{"http://[::1]:8000", "/", "[::1]:8000", "[::1]:8000"},
		{"http://[::1]", "/", "[::1]", "[::1]:80"},
		{"http://[fe80::1%25eth0]:1", "/", "[fe80::1]:1", "[fe80::1%eth0]:1"},
		{"http://bücher.example", "/", "xn--bcher-kva.example", "xn--bcher-kva.example:80"},
		{"http://shop", "http://other:81/x", "other:81", "other:81"},
		{"http://shop", "https://other/x", "other", "other:443"},
	} {
		_, header, addr := rendered(t, testConfig{BaseURL: c.base}, c.target)
		assert.Equal(t, c.host, header["Host"], c.base)
		assert.Equal(t, c.addr, addr, c.base)
	}
	_, header, _ := rendered(t, testConfig{BaseURL: "http://shop", Config: Config{Headers: map[string]string{"host": "virtual"}}}, "/")
	assert.Equal(t, "virtual", header["Host"])
	_, header, _ = rendered(t, testConfig{BaseURL: "http://shop", Config: Config{Headers: map[string]string{"host": "virtual"}}}, "http://other/")
	assert.Equal(t, "other", header["Host"], "the base URL's virtual host is not another host's")
}

func TestUserInTheURL(t *testing.T) {
	_, header, _ := rendered(t, testConfig{BaseURL: "http://user:p%40ss@shop"}, "/")
	assert.Equal(t, "Basic dXNlcjpwQHNz", header["Authorization"])
	_, header, _ = rendered(t, testConfig{BaseURL: "http://user:pass@shop"}, "http://other/")
	assert.NotContains(t, header, "Authorization")
	_, header, _ = rendered(t, testConfig{BaseURL: "http://user:pass@shop"}, "http://shop/x")
	assert.Equal(t, "Basic dXNlcjpwYXNz", header["Authorization"])
	_, header, _ = rendered(t, testConfig{BaseURL: "http://shop"}, "http://a:b@other/")
	assert.Equal(t, "Basic YTpi", header["Authorization"])
	_, header, _ = rendered(t, testConfig{BaseURL: "http://user@shop", Config: Config{Headers: map[string]string{"Authorization": "Bearer x"}}}, "/")
	assert.Equal(t, "Bearer x", header["Authorization"])
}

func TestTargetsThatCannotBe(t *testing.T) {
	for _, base := range []string{"http://ü-", "http://-ü"} {
		u, err := url.Parse(base)
		require.NoError(t, err)
		_, f := NewTarget(&Config{}, u, &Network{})
		assert.NotEmpty(t, f, base)
	}
}

func TestHeadersAreValidated(t *testing.T) {
	for name, valid := range map[string]bool{"X-A": true, "x_a": true, "": false, "X A": false, "X:": false, "Ü": false, "X\r\n": false} {
		assert.Equal(t, valid, textkit.IsToken(name), "%q", name)
	}
	for value, valid := range map[string]bool{"": true, "a b\tc": true, "ü": true, "a\r\nb": false, "\x00": false, "\x7f": false} {
		assert.Equal(t, valid, ValidHeaderValue(value), "%q", value)
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("no IPv6 on this machine:", err)
		return
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host))
	}))
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	rig := newRig(t, testConfig{BaseURL: srv.URL})
	assert.Equal(t, l.Addr().String(), string(rig.mustDo(testRequest{URL: "/"}).Body))
}

// FuzzRequestURL renders requests for all kinds of URLs and sees that each is one request
// line, to the host that it says.
func FuzzRequestURL(f *testing.F) {
	for _, s := range []string{"/x?y", "", "?q", "http://h/x", "https://u:p@[::1]:1/x#y", "http://h\r\nX: y", "//x", "http://ü/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		rig := newRig(t, testConfig{BaseURL: "http://base/b"})
		x := rig.client.begin()
		if x.aim([]byte(target)) != nil || x.render(&Call{}) != nil {
			return
		}
		head := string(x.out)
		line, _, _ := strings.Cut(head, "\r\n")
		require.True(t, strings.HasPrefix(line, "GET /"), "%q", line)
		require.Equal(t, 2, strings.Count(line, " "), "%q", line)
		for _, b := range []byte(line) {
			require.True(t, b >= ' ' && b < 0x7f, "%q", line)
		}
		require.Equal(t, strings.Count(head, "\n"), strings.Count(head, "\r\n"))
		require.Equal(t, 1, strings.Count(head, "\r\n\r\n"))
		require.True(t, strings.HasSuffix(head, "\r\n\r\n"))
		require.Equal(t, 1, strings.Count(head, "\r\nHost: "), "%q", head)
	})
}
