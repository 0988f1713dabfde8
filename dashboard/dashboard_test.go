package dashboard_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/dashboard"
)

// site is the page on a real socket.
type site struct {
	t   *testing.T
	url string
}

func serve(t *testing.T, h http.Handler) site {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return site{t, server.URL}
}

func (s site) do(method, path string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	require.NoError(s.t, err)
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Add(name, value)
	}
	// Without this transport the client would ask for gzip by itself.
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp, string(body)
}

var reference = regexp.MustCompile(`(?:src|href)="([^"#][^"]*)"`)

func references(html string) []string {
	var all []string
	for _, m := range reference.FindAllStringSubmatch(html, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestPageLoadsItsOwnFilesAlone(t *testing.T) {
	s := serve(t, dashboard.New())
	resp, html := s.do("GET", "/")
	require.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-cache", resp.Header.Get("Cache-Control"))
	files := references(html)
	require.GreaterOrEqual(t, len(files), 3, html)
	for _, file := range files {
		require.True(t, strings.HasPrefix(file, "./assets/"), "%s is relative, so that a prefix does not matter", file)
		resp, body := s.do("GET", strings.TrimPrefix(file, "."))
		assert.Equal(t, 200, resp.StatusCode, file)
		assert.NotEmpty(t, body, file)
	}
	assert.NotRegexp(t, `<script(?:>| (?:[^>](?:src)?)*>)[^<]|<style| style=| on[a-z]+=`, html, "nothing inline")
}

func TestPageIsUnderAStrictPolicy(t *testing.T) {
	s := serve(t, dashboard.New())
	_, html := s.do("GET", "/")
	for _, file := range append(references(html), "./") {
		resp, _ := s.do("GET", strings.TrimPrefix(file, "."))
		policy := resp.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", file)
		assert.Contains(t, policy, "script-src 'self'", file)
		assert.NotContains(t, policy, "unsafe", file)
		assert.NotContains(t, policy, "http", file)
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), file)
	}
}

func TestFilesAreCachedByTheirName(t *testing.T) {
	s := serve(t, dashboard.New())
	_, html := s.do("GET", "/")
	immutable := 0
	for _, file := range references(html) {
		resp, _ := s.do("GET", strings.TrimPrefix(file, "."))
		if regexp.MustCompile(`-[\w-]{8}\.(js|css)$`).MatchString(file) {
			immutable++
			assert.Contains(t, resp.Header.Get("Cache-Control"), "immutable", file)
		} else {
			assert.Equal(t, "no-cache", resp.Header.Get("Cache-Control"), file)
		}
	}
	assert.Equal(t, 2, immutable, "the script and the style sheet")
}

func TestCompressedForThoseWhoTakeIt(t *testing.T) {
	s := serve(t, dashboard.New())
	_, html := s.do("GET", "/")
	for _, file := range references(html) {
		if path.Ext(file) != ".js" || strings.Contains(file, "theme") {
			continue
		}
		file = strings.TrimPrefix(file, ".")
		plain, want := s.do("GET", file)
		assert.Empty(t, plain.Header.Get("Content-Encoding"))
		zipped, body := s.do("GET", file, "Accept-Encoding: br, gzip;q=0.5")
		assert.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
		assert.Equal(t, "Accept-Encoding", zipped.Header.Get("Vary"))
		assert.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"))
		assert.Less(t, len(body), 80<<10, "the page stays small")
		r, err := gzip.NewReader(strings.NewReader(body))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
		none, body := s.do("GET", file, "Accept-Encoding: gzip;q=0")
		assert.Empty(t, none.Header.Get("Content-Encoding"))
		assert.Equal(t, want, body)
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	s := serve(t, dashboard.New())
	resp, _ := s.do("GET", "/")
	tag := resp.Header.Get("ETag")
	require.NotEmpty(t, tag)
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		resp, body := s.do("GET", "/", "If-None-Match: "+known)
		assert.Equal(t, http.StatusNotModified, resp.StatusCode, known)
		assert.Empty(t, body)
	}
	resp, _ = s.do("GET", "/", `If-None-Match: "x"`)
	assert.Equal(t, 200, resp.StatusCode)
}

func TestWhatIsNotThere(t *testing.T) {
	h := dashboard.New()
	s := serve(t, h)
	for _, p := range []string{"/x", "/assets/", "/assets/../index.html", "/dist/index.html", "/api/list"} {
		resp, _ := s.do("GET", p)
		assert.Equal(t, 404, resp.StatusCode, p)
		assert.False(t, h.Has(p), p)
	}
	assert.True(t, h.Has("/"))
	resp, _ := s.do("POST", "/")
	assert.Equal(t, 405, resp.StatusCode)
	assert.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	resp, body := s.do("HEAD", "/")
	assert.Equal(t, 200, resp.StatusCode)
	assert.NotEqual(t, "0", resp.Header.Get("Content-Length"))
	assert.Empty(t, body)
}

func TestUnderAPrefix(t *testing.T) {
	s := serve(t, http.StripPrefix("/load", dashboard.New()))
	_, html := s.do("GET", "/load/")
	for _, file := range references(html) {
		resp, _ := s.do("GET", "/load/"+strings.TrimPrefix(file, "./"))
		assert.Equal(t, 200, resp.StatusCode, file)
	}
}

// TestBundleReachesNobodyElse looks for addresses of other hosts in what is embedded.
func TestBundleReachesNobodyElse(t *testing.T) {
	// Names of XML namespaces, and what an error of the Socket.IO client refers to.
	harmless := regexp.MustCompile(`^http://www\.w3\.org/|^https://socket\.io/docs/`)
	require.NoError(t, fs.WalkDir(os.DirFS("dist"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path.Join("dist", name))
		for _, found := range regexp.MustCompile(`https?://[a-z0-9.-]+\.[a-z]{2,}[^"'\x60 ]*`).FindAllString(string(content), -1) {
			assert.Regexp(t, harmless, found, name)
		}
		return err
	}))
}
