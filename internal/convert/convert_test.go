package convert

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

var update = flag.Bool("update", false, "write the golden files anew")

type converter func([]byte, Options) (*Scenario, error)

func fromCurl(src []byte, o Options) (*Scenario, error) { return Curl(string(src), o) }

// parses is the file's text, which must be a scenario that can be used.
func parses(t *testing.T, s *Scenario) (string, *loadgen.Scenario) {
	t.Helper()
	out, err := s.YAML()
	require.NoError(t, err)
	parsed, err := load(s, out)
	require.NoError(t, err, "%s", out)
	_, err = loadgen.New().Preview(loadgen.JobConfig{Scenario: parsed})
	require.NoError(t, err, "%s", out)
	return string(out), parsed
}

// load reads a scenario with the files that it names, which are empty.
func load(s *Scenario, text []byte) (*loadgen.Scenario, error) {
	folder := fstest.MapFS{"made.yaml": {Data: text}}
	for _, name := range s.Files() {
		folder[name] = &fstest.MapFile{}
	}
	return loadgen.LoadScenario(folder, "made.yaml")
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file, golden string
		convert      converter
		options      Options
	}{
		{"shop.har", "shop.har.yaml", HAR, Options{Source: "shop.har"}},
		{"shop.har", "shop.har.all.yaml", HAR, Options{Static: true, Hosts: true, Secrets: true}},
		{"shop.openapi.yaml", "shop.openapi.golden.yaml", OpenAPI, Options{Source: "shop.openapi.yaml"}},
		{"shop.openapi.yaml", "shop.openapi.all.yaml", OpenAPI, Options{All: true}},
		{"commands.sh", "commands.yaml", fromCurl, Options{Source: "commands.sh"}},
		{"commands.sh", "commands.flow.yaml", fromCurl, Options{Flow: true, Secrets: true}},
	} {
		src, err := os.ReadFile(filepath.Join("testdata", c.file))
		require.NoError(t, err)
		s, err := c.convert(src, c.options)
		require.NoError(t, err, c.golden)
		got, _ := parses(t, s)
		path := filepath.Join("testdata", c.golden)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "go test -update writes it")
		assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got, c.golden)
		if !c.options.Secrets {
			for _, secret := range []string{"s3cret", "hunter2", "b34rer", "t0ken", "c5rf", `"s3"`} {
				assert.NotContains(t, got, secret, c.golden)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		convert   converter
		src, want string
	}{
		{HAR, "", "this is no HAR recording"},
		{HAR, "{}", "log.entries has nothing"},
		{HAR, `{"log":{"entries":[{"request":{"method":"GET","url":"ftp://x/"}}]}}`, "no request in it that a scenario can make: a URL of another kind"},
		{OpenAPI, "", "no OpenAPI 3 description"},
		{OpenAPI, "openapi: 3.0.0\npaths: 5", "no OpenAPI 3 description"},
		{OpenAPI, "swagger: '2.0'\npaths: {}", "Swagger 2.0 has no paths"},
		{OpenAPI, "swagger: '1.2'\npaths: {}", "convert it to OpenAPI 3 first"},
		{OpenAPI, "openapi: 3.0.0\ninfo: {title: x, version: '1'}\npaths: {}", "no request in it"},
		{fromCurl, "", "there is no curl command in it"},
		{fromCurl, "# only\n", "there is no curl command in it"},
		{fromCurl, "wget http://x", `command 1 does not begin with curl: "wget http://x"`},
		{fromCurl, "curl http://x\ncurl 'http://y", "a quote is not closed"},
		{fromCurl, "curl http://x\ncurl", "command 2: it has no URL"},
		{fromCurl, "curl -H", "the option -H needs a value"},
		{fromCurl, "curl --wat http://x", "the option --wat of curl is not known here"},
		{fromCurl, "curl -K file http://x", "takes options from elsewhere"},
		{fromCurl, "curl -F 'a=(;type=multipart/mixed' http://x", "nests parts"},
		{fromCurl, "Invoke-WebRequest -Uri http://x", "copy the request as cURL instead"},
		{fromCurl, "curl -X BREW http://x", "the method BREW cannot be sent"},
		{fromCurl, "curl ftp://x", "is not a URL of http or https"},
		{fromCurl, "curl http://x -d $'\\xff'", "command 1 has characters"},
		{fromCurl, "curl http://%zz", "is not a URL"},
		{fromCurl, "curl http://x \\", "ends in a backslash"},
	} {
		_, err := c.convert([]byte(c.src), Options{})
		assert.ErrorContains(t, err, c.want, c.src)
	}
}

// fuzz holds that whatever can be read becomes a scenario that can be used.
func fuzz(f *testing.F, convert converter, file string, seeds ...string) {
	src, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(f, err)
	f.Add(src, false)
	f.Add(src, true)
	for _, s := range seeds {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, src []byte, all bool) {
		s, err := convert(src, Options{Secrets: all, Static: all, Hosts: all, All: all, Flow: all})
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		if out, err := s.YAML(); err == nil && len(out) < loadgen.MaxScenarioSize {
			parses(t, s)
		}
	})
}

func FuzzHAR(f *testing.F) {
	fuzz(f, HAR, "shop.har", `{"log":{"entries":[{"request":{"method":"post","url":"http://x/${a}?${b}=${c}","postData":{"text":"${"}}}]}}`)
}

func FuzzOpenAPI(f *testing.F) {
	fuzz(f, OpenAPI, "shop.openapi.yaml", `{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{"/a b/{c}":{"get":{"operationId":"\u0000","responses":{}}}}}`)
}

func FuzzCurl(f *testing.F) {
	fuzz(f, fromCurl, "commands.sh", `curl 'http://x/${}' -H 'A: ${b' -d '${' -F 'a=${'`, `curl x -F a=b -F 'a="c"'`, `curl x -F a=b -H 'Content-Type: text/plain'`)
}
