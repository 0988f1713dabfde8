package access_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/access"
)

const token = "0123456789abcdef"

// inside answers what has come through the gate.
func inside(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "inside "+r.URL.RequestURI())
}

func gate(t *testing.T, opts ...access.Option) *httptest.Server {
	t.Helper()
	g, err := access.New(http.HandlerFunc(inside), opts...)
	require.NoError(t, err)
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	return srv
}

// answer is a response that was read.
type answer struct {
	*http.Response
	body string
}

// do sends a request; headers are "Name: value".
func do(t *testing.T, c *http.Client, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name != "" {
			req.Header.Add(name, value)
		}
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := c.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp, string(b)}
}

func TestToken(t *testing.T) {
	srv := gate(t, access.WithToken(token), access.WithPublic("/healthz"))
	for _, test := range []struct {
		name, method, path, header string
		status                     int
	}{
		{"nothing", "GET", "/api/list", "", 401},
		{"nothing, to change", "POST", "/api/start", "", 401},
		{"old stop", "GET", "/api/stop?job=x", "", 401},
		{"metrics", "GET", "/metrics", "", 401},
		{"socket", "GET", "/socket.io/?EIO=4&transport=polling", "", 401},
		{"public", "GET", "/healthz", "", 200},
		{"below a public path", "GET", "/healthz/x", "", 401},
		{"preflight", "OPTIONS", "/api/start", "", 200},
		{"the token", "GET", "/api/list", "Authorization: Bearer " + token, 200},
		{"any spelling of bearer", "POST", "/api/start", "Authorization: bearer  " + token, 200},
		{"wrong", "GET", "/api/list", "Authorization: Bearer 0123456789abcdeF", 401},
		{"a beginning", "GET", "/api/list", "Authorization: Bearer 0123456789abcde", 401},
		{"more", "GET", "/api/list", "Authorization: Bearer " + token + "0", 401},
		{"empty", "GET", "/api/list", "Authorization: Bearer ", 401},
		{"other scheme", "GET", "/api/list", "Authorization: Basic " + token, 401},
		{"not in the query", "GET", "/api/list?token=" + token, "", 401},
		{"wrong on a public path", "GET", "/healthz", "Authorization: Bearer x", 200},
	} {
		a := do(t, srv.Client(), test.method, srv.URL+test.path, "", test.header)
		assert.Equal(t, test.status, a.StatusCode, test.name)
		if test.status == 200 {
			assert.Equal(t, "inside "+test.path, a.body)
			continue
		}
		assert.Equal(t, `Bearer realm="loadgen"`, a.Header.Get("WWW-Authenticate"))
		assert.Contains(t, a.body, `{"error":{"code":"unauthorized","message":"a token is needed, as a header`, test.name)
		assert.NotContains(t, a.body, token)
	}
}

func TestNoToken(t *testing.T) {
	srv := gate(t, access.WithToken(""))
	assert.Equal(t, "inside /login", do(t, srv.Client(), "GET", srv.URL+"/login", "").body)
}

// TestRebinding sends what a browser sends when a name of somebody else's leads here.
func TestRebinding(t *testing.T) {
	named := gate(t, access.WithHosts("Load.Example.com", "box"))
	anyName := gate(t, access.WithHosts("*"))
	for _, host := range []string{
		"localhost", "localhost:8999", "LOCALHOST", "localhost.:1", "a.localhost", "127.0.0.1:8999", "10.1.2.3", "[::1]:8999", "[fe80::1]",
		"load.example.com", "load.example.com:443", "box", "BOX.",
	} {
		assert.Equal(t, 200, do(t, named.Client(), "GET", named.URL, "", "Host: "+host).StatusCode, host)
	}
	for _, host := range []string{
		"evil.example", "evil.example:8999", "load.example.com.evil.example", "xload.example.com", "localhost.evil.example",
		"127.0.0.1.evil.example", "xlocalhost", "0x7f.1", "127.1",
	} {
		a := do(t, named.Client(), "POST", named.URL+"/api/start", "", "Host: "+host)
		assert.Equal(t, 403, a.StatusCode, host)
		assert.Contains(t, a.body, `"code":"host_not_allowed"`)
		assert.Contains(t, a.body, "-allow-host")
		assert.Equal(t, 200, do(t, anyName.Client(), "POST", anyName.URL, "", "Host: "+host).StatusCode, host)
	}
	for _, path := range []string{"/healthz", "/login"} {
		srv := gate(t, access.WithToken(token), access.WithPublic("/healthz"))
		assert.Equal(t, 403, do(t, srv.Client(), "GET", srv.URL+path, "", "Host: evil.example").StatusCode, path)
	}
}

// browser is a client that keeps cookies and does not follow redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func form(values ...string) (body, header string) {
	v := url.Values{}
	for i := 0; i < len(values); i += 2 {
		v.Set(values[i], values[i+1])
	}
	return v.Encode(), "Content-Type: application/x-www-form-urlencoded"
}

func TestLogin(t *testing.T) {
	srv := gate(t, access.WithToken(token))
	b := browser(t)

	page := do(t, b, "GET", srv.URL+"/jobs/shop?x=1", "", "Accept: text/html,*/*")
	assert.Equal(t, 401, page.StatusCode)
	assert.Contains(t, page.body, `<form method="post" action="/login">`)
	assert.Contains(t, page.body, `name="next" value="/jobs/shop?x=1"`)
	assert.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assertScriptAllowed(t, page)
	assert.Equal(t, "DENY", page.Header.Get("X-Frame-Options"))
	assert.Equal(t, 200, do(t, b, "GET", srv.URL+"/login", "").StatusCode)
	assert.Equal(t, 405, do(t, b, "PUT", srv.URL+"/login", "").StatusCode)

	body, header := form("token", "wrong", "next", `/x?"><script>`)
	wrong := do(t, b, "POST", srv.URL+"/login", body, header)
	assert.Equal(t, 401, wrong.StatusCode)
	assert.Contains(t, wrong.body, "That is not the token.")
	assert.Equal(t, 1, strings.Count(wrong.body, "<script>"), "its own")
	assert.Empty(t, wrong.Header.Get("Set-Cookie"))

	body, header = form("token", " "+token+"\n", "next", "/jobs/shop?x=1")
	foreign := do(t, b, "POST", srv.URL+"/login", body, header, "Origin: http://evil.example")
	assert.Equal(t, 403, foreign.StatusCode)
	assert.Equal(t, 403, do(t, b, "POST", srv.URL+"/login", body, header, "Sec-Fetch-Site: cross-site").StatusCode)
	assert.Equal(t, 400, do(t, b, "POST", srv.URL+"/login", "token="+strings.Repeat("x", 1<<20), header).StatusCode)

	in := do(t, b, "POST", srv.URL+"/login", body, header, "Origin: "+srv.URL)
	assert.Equal(t, 303, in.StatusCode)
	assert.Equal(t, "/jobs/shop?x=1", in.Header.Get("Location"))
	require.Len(t, in.Cookies(), 1)
	cookie := in.Cookies()[0]
	assert.True(t, cookie.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	assert.False(t, cookie.Secure, "this is plain HTTP")
	assert.NotContains(t, cookie.Value, token)

	assert.Equal(t, "inside /jobs/shop?x=1", do(t, b, "GET", srv.URL+"/jobs/shop?x=1", "").body)
	assert.Equal(t, 200, do(t, b, "POST", srv.URL+"/api/start", "", "Origin: "+srv.URL).StatusCode)
	for _, header := range []string{"Origin: http://localhost:9000", "Origin: null", "Sec-Fetch-Site: cross-site", "Authorization: Bearer wrong"} {
		a := do(t, b, "POST", srv.URL+"/api/start", "", header)
		assert.Equal(t, 401, a.StatusCode, "the cookie is for the server's own pages: %s", header)
	}

	// An image of another port of the same machine comes with the cookie, without an Origin.
	for site, status := range map[string]int{"none": 200, "same-origin": 200, "same-site": 401, "cross-site": 401} {
		a := do(t, b, "GET", srv.URL+"/api/stop?job=shop", "", "Sec-Fetch-Site: "+site, "Referer: http://localhost:9000/")
		assert.Equal(t, status, a.StatusCode, site)
	}

	other := gate(t, access.WithToken(token+"x"))
	assert.Equal(t, 401, do(t, b, "GET", other.URL, "").StatusCode, "a browser shows the cookie to every port")
	assert.Equal(t, 401, do(t, b, "GET", other.URL, "", "Cookie: "+do(t, other.Client(), "GET", other.URL, "").Header.Get("Set-Cookie")).StatusCode)
	flipped := []byte(cookie.Value)
	flipped[0] ^= 1
	for _, value := range []string{string(flipped), cookie.Value[:len(cookie.Value)-1], cookie.Value + "A", "x", "", token} {
		a := do(t, srv.Client(), "GET", srv.URL, "", "Cookie: "+cookie.Name+"="+value)
		assert.Equal(t, 401, a.StatusCode, value)
	}
}

// assertScriptAllowed asserts that the form's script is what its policy allows, and
// nothing else is. What it is for, the tests of the web page show in a browser.
func assertScriptAllowed(t *testing.T, page answer) {
	t.Helper()
	_, rest, _ := strings.Cut(page.body, "<script>")
	script, _, found := strings.Cut(rest, "</script>")
	require.True(t, found, page.body)
	sum := sha256.Sum256([]byte(script))
	assert.Contains(t, page.Header.Get("Content-Security-Policy"), "; script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")
}

// TestLoginLeadsHere does not let a login lead to somebody else's server.
func TestLoginLeadsHere(t *testing.T) {
	srv := gate(t, access.WithToken(token))
	for next, want := range map[string]string{
		"/": "/", "": "/", "/api/list?x=/": "/api/list?x=/", "//evil.example": "/", `/\evil.example`: "/", "http://evil.example": "/",
		"evil": "/", "/\t/evil.example": "/", "/a\nX: y": "/", "/" + strings.Repeat("x", 3000): "/",
	} {
		body, header := form("token", token, "next", next)
		assert.Equal(t, want, do(t, browser(t), "POST", srv.URL+"/login", body, header).Header.Get("Location"), "%q", next)
	}
}

// TestForgedSession changes every part of a cookie that would be good: its end, its
// random number, its signature.
func TestForgedSession(t *testing.T) {
	srv := gate(t, access.WithToken(token))
	body, header := form("token", token)
	in := do(t, browser(t), "POST", srv.URL+"/login", body, header)
	require.Len(t, in.Cookies(), 1)
	good := in.Cookies()[0]
	with := func(value string) int {
		return do(t, srv.Client(), "GET", srv.URL, "", "Cookie: "+good.Name+"="+value).StatusCode
	}
	require.Equal(t, 200, with(good.Value))
	raw, err := base64.RawURLEncoding.DecodeString(good.Value)
	require.NoError(t, err)
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 1
		assert.Equal(t, 401, with(base64.RawURLEncoding.EncodeToString(forged)), "byte %d", i)
	}
	for _, value := range []string{"", "x", good.Value + "A", good.Value[:len(good.Value)-2], base64.RawURLEncoding.EncodeToString(make([]byte, len(raw)))} {
		assert.Equal(t, 401, with(value), value)
	}
	assert.Equal(t, 401, do(t, srv.Client(), "GET", srv.URL, "", "Cookie: loadgen_0="+good.Value).StatusCode)
}

// A page of another port can set a cookie of the same name, which browsers then send first.
func TestACookieOfTheSameNameDoesNotEndALogin(t *testing.T) {
	srv := gate(t, access.WithToken(token))
	body, header := form("token", token)
	in := do(t, browser(t), "POST", srv.URL+"/login", body, header)
	require.Len(t, in.Cookies(), 1)
	good := in.Cookies()[0]
	junk := good.Name + "=junk; "
	with := func(line string) int { return do(t, srv.Client(), "GET", srv.URL, "", "Cookie: "+line).StatusCode }
	assert.Equal(t, 200, with(junk+good.Name+"="+good.Value))
	assert.Equal(t, 200, with(good.Name+"="+good.Value+"; "+junk))
	assert.Equal(t, 401, with(junk+junk))
}

// TestSessionEnds lets the clock pass the end of a session.
func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := access.New(http.HandlerFunc(inside), access.WithToken(token), access.WithLoginPath("/prefix/login"))
		require.NoError(t, err)
		serve := func(method, path, body string, headers ...string) *http.Response {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Set(name, value)
			}
			r.Host = "localhost"
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			return w.Result()
		}
		body, header := form("token", token)
		in := serve("POST", "/prefix/login", body, header)
		require.Equal(t, 303, in.StatusCode)
		cookie := "Cookie: " + in.Cookies()[0].Name + "=" + in.Cookies()[0].Value
		time.Sleep(12*time.Hour - time.Second)
		assert.Equal(t, 200, serve("GET", "/", "", cookie).StatusCode)
		time.Sleep(time.Second)
		assert.Equal(t, 401, serve("GET", "/", "", cookie).StatusCode)
	})
}

func TestSecureCookie(t *testing.T) {
	g, err := access.New(http.HandlerFunc(inside), access.WithToken(token))
	require.NoError(t, err)
	srv := httptest.NewTLSServer(g)
	defer srv.Close()
	body, header := form("token", token)
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	in := do(t, c, "POST", srv.URL+"/login", body, header)
	require.Len(t, in.Cookies(), 1)
	assert.True(t, in.Cookies()[0].Secure)
}

// TestRefusalsAreLogged counts what it leaves out, and does not tell the token.
func TestRefusalsAreLogged(t *testing.T) {
	var log strings.Builder
	srv := gate(t, access.WithToken(token), access.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for range 100 {
		do(t, srv.Client(), "GET", srv.URL, "", "Authorization: Bearer guess")
	}
	assert.Equal(t, 1, strings.Count(log.String(), "a request was refused"))
	assert.Contains(t, log.String(), "code=unauthorized")
	assert.NotContains(t, log.String(), "guess")
}

func TestBadOptions(t *testing.T) {
	for _, opt := range []access.Option{
		access.WithToken("a b"), access.WithToken("a\n"), access.WithToken("ü"),
		access.WithHosts(""), access.WithHosts("a:1"), access.WithHosts("http://a"), access.WithHosts("a,b"), access.WithHosts("*.a"),
	} {
		_, err := access.New(http.HandlerFunc(inside), opt)
		assert.Error(t, err)
	}
}

// TestWebSocket lets an upgrade through with the token or the cookie, and no other.
func TestWebSocket(t *testing.T) {
	g, err := access.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if !assert.NoError(t, err, "an upgrade that the gate lets through works") {
			return
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}), access.WithToken(token))
	require.NoError(t, err)
	srv := httptest.NewServer(g)
	defer srv.Close()
	b := browser(t)
	body, header := form("token", token)
	require.Equal(t, 303, do(t, b, "POST", srv.URL+"/login", body, header).StatusCode)
	for _, test := range []struct {
		name   string
		client *http.Client
		header http.Header
		status int
	}{
		{"nothing", srv.Client(), nil, 401},
		{"a page, without", srv.Client(), http.Header{"Accept": {"text/html"}}, 401},
		{"token", srv.Client(), http.Header{"Authorization": {"Bearer " + token}}, 101},
		{"cookie", b, http.Header{"Origin": {srv.URL}}, 101},
		{"cookie, of another page", b, http.Header{"Origin": {"http://localhost:9000"}}, 401},
	} {
		c, resp, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{HTTPClient: test.client, HTTPHeader: test.header})
		if err == nil {
			_ = c.CloseNow()
		}
		require.NotNil(t, resp, "%s: %v", test.name, err)
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		assert.Equal(t, test.status, resp.StatusCode, test.name)
	}
}

// TestRefusalsForPages: a page of another origin that may use the service reads why it
// was refused, as it reads the answers of what is behind the gate.
func TestRefusalsForPages(t *testing.T) {
	const cors = "Access-Control-Allow-Origin"
	local := gate(t, access.WithToken(token))
	some := gate(t, access.WithToken(token), access.WithOrigins("https://suite.test:*"))
	for _, test := range []struct {
		srv          *httptest.Server
		from, header string
		status       int
		readable     bool
	}{
		{local, "http://localhost:9000", "", 401, true},
		{local, "http://localhost:9000", "Authorization: Bearer wrong", 401, true},
		{local, "http://localhost:9000", "Host: load.test", 403, true},
		{local, "https://suite.test", "", 401, false},
		{local, "null", "", 401, false},
		{some, "https://suite.test:8443", "", 401, true},
		{some, "https://suite.test", "Host: load.test", 403, true},
		{some, "http://localhost:9000", "", 401, false},
		{some, "https://suite.test.evil.example", "Host: load.test", 403, false},
	} {
		name := test.from + " " + test.header
		a := do(t, test.srv.Client(), "POST", test.srv.URL+"/api/start", "", "Origin: "+test.from, test.header)
		assert.Equal(t, test.status, a.StatusCode, name)
		assert.Equal(t, []string{"Origin"}, a.Header.Values("Vary"), name)
		if test.readable {
			assert.Equal(t, []string{test.from}, a.Header.Values(cors), name)
		} else {
			assert.Empty(t, a.Header.Values(cors), name)
		}
		assert.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"), "the cookie is for its own pages")
	}
	through := do(t, local.Client(), "GET", local.URL, "", "Origin: http://localhost:9000", "Authorization: Bearer "+token)
	assert.Empty(t, through.Header.Values(cors), "that is for the handler behind")
}
