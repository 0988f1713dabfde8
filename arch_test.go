package loadgen_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/opbeans/loadgen"

// goList returns the lines that go list prints for its arguments.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	require.NoError(t, err, "go list %q", args)
	return strings.Fields(string(out))
}

// deps are the packages of this module that a package's code needs, itself and its
// internal helpers left out.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	var own []string
	for _, dep := range goList(t, "-deps", pkg) {
		if dep != pkg && (dep == module || strings.HasPrefix(dep, module+"/")) {
			own = append(own, dep)
		}
	}
	return own
}

// TestArrows holds the arrows between packages: the library knows none of the
// others, an adapter knows the library alone, and only the server knows them all.
func TestArrows(t *testing.T) {
	// What each package may need beside the library and what has no arrows of its own.
	allowed := map[string][]string{
		module:               nil,
		module + "/httpapi":  {module, module + "/internal/origins"},
		module + "/socketio": {module, module + "/internal/origins", module + "/internal/sio/engine", module + "/internal/sio/socket"},
		module + "/statsd":   {module, module + "/internal/origins", module + "/internal/sio/engine", module + "/internal/sio/socket"},

		module + "/socketio/gosfclient": {},                             // for programs elsewhere
		module + "/access":              {module + "/internal/origins"}, // for any handler
		module + "/metrics":             {module},
		module + "/state":               {module},
		module + "/report":              {module},
		module + "/apm":                 {module},
		module + "/dashboard":           {}, // it speaks to the API as any other page does
		module + "/scenarios":           {},
		module + "/internal/shop":       {},
		module + "/sizing":              {module},
		module + "/locust":              {module, module + "/internal/locustwire"},
		module + "/overhead":            {module, module + "/internal/rss"},
		module + "/internal/trial":      {module},
		module + "/internal/faultnet":   {},
		module + "/loadtest":            {module, module + "/internal/memnet"}, // the one that may need package testing
	}
	all := goList(t, "./...")
	for _, pkg := range all {
		name := strings.TrimPrefix(pkg, module+"/")
		if name == "server" || strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "bench/") {
			continue // programs: nobody imports them, and they may import everything
		}
		may, known := allowed[pkg]
		if outer, _, found := strings.Cut(name, "/internal/"); found {
			name = outer + "/internal" // helpers of one room
			may, known = []string{}, true
		}
		if !known && strings.HasPrefix(name, "internal/") {
			may, known = []string{}, true // helpers: they need nothing of ours
		}
		if !assert.True(t, known, "%s: say in this test what it may import", pkg) {
			continue
		}
		for _, dep := range deps(t, pkg) {
			if dep == module+"/internal/wire" || dep == module+"/internal/rlimit" || dep == module+"/internal/alarm" || dep == module+"/internal/suggest" || dep == module+"/internal/secrets" || strings.HasPrefix(dep, module+"/"+strings.TrimSuffix(name, "/internal")+"/internal/") {
				continue // the library's own helpers, and the package's
			}
			if strings.HasPrefix(name, "internal/sio/") && strings.HasPrefix(dep, module+"/internal/sio/") {
				continue // the layers of Socket.IO
			}
			assert.Contains(t, may, dep, "%s must not import %s", pkg, dep)
		}
	}
	server := deps(t, module+"/server")
	for _, pkg := range []string{module, module + "/httpapi", module + "/scenarios"} {
		assert.Contains(t, server, pkg, "the server brings everything together")
	}
}

// TestExamplesUsePublicPackages keeps the examples to what a stranger can import.
func TestExamplesUsePublicPackages(t *testing.T) {
	for _, imported := range goList(t, "-f", `{{join .Imports "\n"}}`, "./examples/...") {
		assert.NotContains(t, imported, "/internal/")
	}
}

// TestSmallDependencyTree keeps what a test that imports the library has to compile
// small: no web framework, no test helpers, few modules.
func TestSmallDependencyTree(t *testing.T) {
	allowed := []string{
		module,
		"github.com/andybalholm/brotli",
		"github.com/expr-lang/expr",
		"github.com/klauspost/compress",
		"github.com/molecule-man/go-brrr", // of fasthttp
		"github.com/valyala/bytebufferpool",
		"github.com/valyala/fasthttp",
		"go.yaml.in/yaml/v4",
		"golang.org/x/net",
		"golang.org/x/text", // of x/net
	}
	assert.NotContains(t, goList(t, "-deps", "."), "testing", "that is for package loadtest")
	modules := goList(t, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	slices.Sort(modules)
	for _, m := range slices.Compact(modules) {
		assert.Contains(t, allowed, m, "a new dependency of the library: say in docs/decisions.md what it saves")
	}
}
