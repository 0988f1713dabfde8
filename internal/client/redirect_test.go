package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// echo answers /redirect?to=&status= with that redirect, and everything else with
// what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	if to := r.URL.Query().Get("to"); to != "" {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.Header().Set("Location", to)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "moved")
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s auth=%q cookie=%q type=%q", r.Method, r.URL.RequestURI(), body,
		r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("Content-Type"))
}

func TestRedirectsByStatusAndMethod(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, echo)})
	for _, c := range []struct {
		status     int
		sent, seen string
	}{
		{301, "GET", `GET /to  auth="" cookie="" type="text/x"`},
		{301, "POST", `GET /to  auth="" cookie="" type=""`},
		{302, "POST", `GET /to  auth="" cookie="" type=""`},
		{303, "POST", `GET /to  auth="" cookie="" type=""`},
		{303, "PUT", `GET /to  auth="" cookie="" type=""`},
		{301, "PUT", `PUT /to b auth="" cookie="" type="text/x"`},
		{307, "POST", `POST /to b auth="" cookie="" type="text/x"`},
		{308, "POST", `POST /to b auth="" cookie="" type="text/x"`},
		{307, "DELETE", `DELETE /to b auth="" cookie="" type="text/x"`},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.sent), func(t *testing.T) {
			var body []byte
			if c.sent != "GET" {
				body = []byte("b")
			}
			resp := rig.mustDo(testRequest{
				Method: c.sent, URL: fmt.Sprintf("/from?status=%d&to=/to", c.status), Body: body,
				Header: http.Header{"Content-Type": {"text/x"}},
			})
			assert.Equal(t, c.seen, string(resp.Body))
			assert.True(t, strings.HasSuffix(resp.URL, "/to"))
			m := rig.measurements()
			require.Len(t, m, 2, "each hop is a request")
			assert.Equal(t, []int{0, 1}, []int{m[0].Hop, m[1].Hop})
			assert.Equal(t, []bool{true, false}, []bool{m[0].Follows, m[1].Follows})
			assert.Equal(t, []int{c.status, 200}, []int{m[0].Status, m[1].Status})
			assert.Equal(t, c.sent, m[0].Method)
			assert.Equal(t, "/from", m[0].URL.Path)
			assert.Equal(t, "/to", m[1].URL.Path)
		})
	}
}

func TestRedirectTargets(t *testing.T) {
	base := testtarget.Shop(t, echo)
	other := testtarget.Shop(t, echo)
	rig := newRig(t, testConfig{BaseURL: base + "/base"})
	for to, want := range map[string]string{
		"/abs":           base + "/abs",
		"rel":            base + "/base/dir/rel",
		"../up?q=1":      base + "/base/up?q=1",
		"?only=query":    base + "/base/dir/from?only=query",
		"/frag#here":     base + "/frag",
		"/ü x":           base + "/%C3%BC%20x",
		other:            other,
		other + "/x?y":   other + "/x?y",
		"//" + other[7:]: other,
	} {
		resp := rig.mustDo(testRequest{URL: "/dir/from?status=302&to=" + url.QueryEscape(to)})
		if strings.Count(want, "/") == 2 {
			want += "/"
		}
		assert.Equal(t, want, resp.URL, "%q", to)
	}
}

func TestRedirectsThatLeadNowhere(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, echo)})
	for to, text := range map[string]string{
		"ftp://h/x":       "bad redirect",
		"http://":         "bad redirect",
		"http://h:x/":     "bad redirect",
		"//h:x/":          "bad redirect",
		"javascript:true": "bad redirect",
	} {
		_, err := rig.do(testRequest{URL: "/?status=302&to=" + url.QueryEscape(to)})
		classIs(t, err, failure.Protocol, text)
		m := rig.only()
		assert.Equal(t, failure.Protocol, m.Class, to)
		assert.Equal(t, 302, m.Status)
	}
	resp := rig.mustDo(testRequest{URL: "/?status=302&to=/x", NoRedirect: true})
	assert.Equal(t, 302, resp.Status)
	assert.Equal(t, "moved", string(resp.Body))
	assert.False(t, rig.only().Follows)
}

func TestTenRedirectsAreFollowed(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		if n > 0 {
			http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusFound)
		}
	})})
	resp := rig.mustDo(testRequest{URL: "/10"})
	assert.Equal(t, 200, resp.Status)
	assert.Len(t, rig.measurements(), 11)
	_, err := rig.do(testRequest{URL: "/11"})
	classIs(t, err, failure.Protocol, "more than 10 redirects")
	m := rig.measurements()
	require.Len(t, m, 11)
	assert.Equal(t, failure.Protocol, m[10].Class)
	assert.EqualValues(t, 1, rig.totals().FailedRequests)
}

func TestARedirectWithoutALocationIsAResponse(t *testing.T) {
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) })})
	assert.Equal(t, 302, rig.mustDo(testRequest{URL: "/"}).Status)
}

func TestSecretsStayWithTheirOrigin(t *testing.T) {
	base, other := testtarget.Shop(t, echo), testtarget.Shop(t, echo)
	secret := http.Header{"Authorization": {"Bearer x"}, "Cookie": {"mine=1"}}
	for name, cfg := range map[string]testConfig{
		"of the request":  {BaseURL: base},
		"of the job":      {BaseURL: base, Config: Config{Headers: map[string]string{"Authorization": "Bearer x", "Cookie": "mine=1"}}},
		"of the base URL": {BaseURL: strings.Replace(base, "http://", "http://user:pass@", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			rig := newRig(t, cfg)
			req := testRequest{}
			want := `auth="Bearer x" cookie="mine=1"`
			switch name {
			case "of the request":
				req.Header = secret
			case "of the base URL":
				want = `auth="Basic dXNlcjpwYXNz" cookie=""`
			}
			req.URL = "/?status=307&to=/here"
			assert.Contains(t, string(rig.mustDo(req).Body), want)
			req.URL = "/?status=307&to=" + other + "/there"
			assert.Contains(t, string(rig.mustDo(req).Body), `auth="" cookie=""`)
			// And do not come back.
			req.URL = "/?status=307&to=" + url.QueryEscape(other+"/?status=307&to="+base+"/back")
			body := string(rig.mustDo(req).Body)
			assert.Contains(t, body, "/back")
			if name != "of the base URL" {
				assert.Contains(t, body, `auth="" cookie=""`)
			}
		})
	}
}

func TestCookies(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "deep", Value: "d1", Path: "/deep"})
			http.Redirect(w, r, "/home", http.StatusSeeOther)
		case "/logout":
			http.SetCookie(w, &http.Cookie{Name: "session", MaxAge: -1, Path: "/"})
		case "/many":
			for i := range 100 {
				http.SetCookie(w, &http.Cookie{Name: "c" + r.URL.RawQuery + strconv.Itoa(i), Value: "x", Path: "/"})
			}
		default:
			_, _ = io.WriteString(w, r.Header.Get("Cookie"))
		}
	}))
	defer srv.Close()
	rig := newRig(t, testConfig{BaseURL: srv.URL})
	cookies := func(path string, h http.Header) string {
		return string(rig.mustDo(testRequest{URL: path, Header: h}).Body)
	}
	assert.Empty(t, cookies("/", nil))
	assert.Nil(t, rig.client.jar, "there is a jar only once there are cookies")
	assert.Equal(t, "session=s1", cookies("/login", nil), "the redirect takes it along")
	assert.Equal(t, "deep=d1; session=s1", cookies("/deep/x?y", nil))
	assert.Equal(t, "mine=1; session=s1", cookies("/", http.Header{"Cookie": {"mine=1"}}))
	resp, err := rig.client.HTTPClient().Get(srv.URL + "/deep") //nolint:noctx // a test
	require.NoError(t, err)
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	assert.Equal(t, "deep=d1; session=s1", string(body), "the jar is one for both")
	assert.Empty(t, cookies("/logout", nil))
	assert.Empty(t, cookies("/", nil))
	for i := range 5 {
		cookies("/many?"+strconv.Itoa(i), nil)
	}
	assert.Equal(t, maxCookies, strings.Count(cookies("/", nil), "="), "their number is bounded")

	rig2 := newRig(t, testConfig{BaseURL: srv.URL})
	assert.Empty(t, string(rig2.mustDo(testRequest{URL: "/"}).Body), "another VU has its own")
}

// What is named like a secret, or made of one, stays with its origin, whoever follows the
// redirect and over which version of HTTP.
func TestHeadersThatHoldSecretsStayWithTheirOrigin(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		for _, name := range []string{"X-Api-Key", "X-Job-Token", "X-Made", "X-Plain"} {
			_, _ = fmt.Fprintf(w, "%s=%s ", name, r.Header.Get(name))
		}
	}
	header := http.Header{"X-Api-Key": {"k"}, "X-Job-Token": {"t"}, "X-Made": {"id hush2"}, "X-Plain": {"p"}}
	const all, plain = "X-Api-Key=k X-Job-Token=t X-Made=id hush2 X-Plain=p ", "X-Api-Key= X-Job-Token= X-Made= X-Plain=p "
	for _, version := range []string{"1.1", "2"} {
		base, other := httptest.NewUnstartedServer(http.HandlerFunc(show)), httptest.NewUnstartedServer(http.HandlerFunc(show))
		for _, s := range []*httptest.Server{base, other} {
			s.EnableHTTP2 = version == "2"
			s.StartTLS()
			defer s.Close()
		}
		rig := newRig(t, testConfig{BaseURL: base.URL, Config: Config{HTTP: version, Insecure: true}})
		rig.secret = "hush2"
		get := func(std bool, to string) string {
			if !std {
				return string(rig.mustDo(testRequest{URL: "/?to=" + url.QueryEscape(to), Header: header}).Body)
			}
			req, err := http.NewRequestWithContext(rig.ctx, http.MethodGet, base.URL+"/?to="+url.QueryEscape(to), nil)
			require.NoError(t, err)
			req.Header = header.Clone()
			resp, err := rig.client.HTTPClient().Do(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return string(body)
		}
		for _, std := range []bool{false, true} {
			assert.Equal(t, all, get(std, "/here"), "HTTP/%s, http.Client %v", version, std)
			assert.Equal(t, plain, get(std, other.URL+"/there"), "HTTP/%s, http.Client %v", version, std)
		}
		of := newRig(t, testConfig{BaseURL: base.URL, Config: Config{HTTP: version, Insecure: true, Headers: map[string]string{"X-Api-Key": "k", "X-Plain": "p"}}})
		assert.Equal(t, plain, string(of.mustDo(testRequest{URL: "/?to=" + url.QueryEscape(other.URL)}).Body), "of the job")
	}
}
