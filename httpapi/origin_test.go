package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/httpapi"
)

const allowOrigin = "Access-Control-Allow-Origin"

func TestOrigins(t *testing.T) {
	for name, test := range map[string]struct {
		opts    []httpapi.Option
		allowed []string
		foreign []string
	}{
		"default": {
			allowed: []string{
				"http://localhost", "http://localhost:9000", "https://localhost:1", "http://LOCALHOST:9000",
				"http://127.0.0.1:9000", "http://[::1]:9000", "https://[::1]",
			},
			foreign: []string{
				"http://example.com", "http://localhost.example.com", "http://localhost:9000.example.com", "null",
				"ftp://localhost", "http://user@localhost", "http://localhost/x", "localhost:9000", "http://", "http://[::1",
				"http://localhost http://example.com", "http://127.0.0.10",
			},
		},
		"some": {
			opts:    []httpapi.Option{httpapi.WithOrigins("http://example.com:9000", "https://suite.test:*", "https://example.org/")},
			allowed: []string{"http://example.com:9000", "https://suite.test", "https://suite.test:8443", "https://example.org"},
			foreign: []string{"http://example.com", "http://example.com:9001", "http://suite.test", "https://example.org:8443", "http://localhost:9000"},
		},
		"any":  {opts: []httpapi.Option{httpapi.WithOrigins("*")}, allowed: []string{"http://example.com", "null"}},
		"none": {opts: []httpapi.Option{httpapi.WithOrigins()}, foreign: []string{"http://localhost:9000"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, test.opts...)
			for _, o := range test.allowed {
				a := s.do("POST", "/api/update", `{"job":"python"}`, "Origin: "+o)
				assert.Equal(t, 200, a.status, o)
				assert.Equal(t, o, a.header.Get(allowOrigin))
				a = s.do("POST", "/api/update", `{`, "Origin: "+o)
				assert.Equal(t, o, a.header.Get(allowOrigin), "a page may read an error as well")
			}
			before := s.get("/api/list").body
			for _, o := range test.foreign {
				for _, call := range [][2]string{{"POST", "/api/update"}, {"POST", "/api/start"}, {"GET", "/api/stop?job=x"}, {"DELETE", "/api/jobs/python"}} {
					a := s.do(call[0], call[1], `{"job":"ruby"}`, "Origin: "+o)
					assert.Equal(t, http.StatusForbidden, a.status, o)
					assert.Empty(t, a.header.Get(allowOrigin))
				}
				a := s.do("GET", "/api/list", "", "Origin: "+o)
				assert.Equal(t, 200, a.status, "the browser keeps the answer from the page")
				assert.Empty(t, a.header.Get(allowOrigin))
				a = s.do("OPTIONS", "/api/start", "", "Origin: "+o, "Access-Control-Request-Method: POST")
				assert.Empty(t, a.header.Get("Access-Control-Allow-Methods"))
			}
			assert.Equal(t, before, s.get("/api/list").body)
		})
	}
}

func TestPagesOfItsOwnAddress(t *testing.T) {
	s := serve(t, httpapi.WithOrigins())
	a := s.do("POST", "/api/update", `{"job":"python"}`, "Origin: "+s.server.URL)
	assert.Equal(t, 200, a.status)
	assert.Empty(t, a.header.Get(allowOrigin), "there is no need")
}

// TestImagesOfOtherSites: a picture whose address is that of a call.
func TestImagesOfOtherSites(t *testing.T) {
	s := serve(t)
	s.ok(s.start(`{"job":"python","port":8000}`))
	a := s.do("GET", "/api/stop?job=python", "", "Sec-Fetch-Site: cross-site")
	assert.Equal(t, http.StatusForbidden, a.status)
	assert.Equal(t, true, s.listing("python")["running"])
	s.ok(s.do("GET", "/api/stop?job=python", "", "Sec-Fetch-Site: none"))
}

func TestHeadAndOptions(t *testing.T) {
	s := serve(t)
	assert.Equal(t, 200, s.do("HEAD", "/api/list", "").status)
	assert.Equal(t, 405, s.do("HEAD", "/api/stop?job=x", "").status, "it would stop")
	a := s.do("OPTIONS", "/api/stop", "")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, "GET, OPTIONS, POST", a.header.Get("Allow"))
	assert.Empty(t, a.header.Get("Access-Control-Allow-Methods"))
}
