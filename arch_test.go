package loadgen_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/golden"
)

const module = "github.com/opbeans/loadgen"

// goList returns the lines that go list prints for its arguments.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	require.NoError(t, err, "go list %q", args)
	return strings.Fields(string(out))
}

// rooms says of every package of this module what it may import of the others, by paths
// below the module; "." is the root. vocabulary stands for the public leaves whose types
// users read. Tests may import more.
const rooms = `
# the public leaves: pure data and arithmetic
egress:                 internal/textkit
exemplar:               failure stats tracecontext internal/secrets internal/textkit
failure:
histogram:              internal/textkit
pace:
tracecontext:           internal/textkit
stats:                  failure histogram tracecontext internal/textkit

# what the root is made of: none of it knows the root
internal/alarm:
internal/client:        egress failure pace tracecontext internal/escape internal/fault internal/secrets internal/textkit internal/wire
internal/escape:        internal/textkit
internal/expr:          internal/escape internal/jsonpath internal/textkit
internal/fault:
internal/feed:          pace internal/escape internal/jsonpath internal/textkit
internal/jsonform:      internal/textkit
internal/jsonpath:      internal/escape internal/textkit
internal/meter:         exemplar failure histogram stats internal/textkit
internal/rlimit:
internal/scenariofile:  stats internal/escape internal/expr internal/feed internal/textkit
internal/schedule:      pace
internal/secrets:       internal/escape
internal/loglimit:
internal/textkit:
internal/wire:

# the facade, and the life of jobs and VUs
.:                      vocabulary internal/alarm internal/client internal/escape internal/expr internal/fault internal/feed internal/jsonform internal/jsonpath internal/loglimit internal/meter internal/rlimit internal/scenariofile internal/schedule internal/secrets internal/textkit

# adapters: they know the root, and never one another
access:                 internal/origins internal/loglimit
apm:                    . vocabulary internal/secrets
dashboard:
httpapi:                . vocabulary internal/origins internal/textkit
loadtest:               . vocabulary internal/memnet
locust:                 . vocabulary internal/locustwire internal/textkit
metrics:                . vocabulary internal/textkit
overhead:               . vocabulary internal/rss
report:                 . vocabulary internal/secrets
scenarios:
sizing:                 . vocabulary
socketio:               . vocabulary internal/origins internal/sio/engine internal/sio/socket internal/textkit
socketio/gosfclient:
state:                  . vocabulary internal/loglimit
statsd:                 . vocabulary internal/origins internal/sio/engine internal/sio/socket internal/textkit

# programs, in rooms of their own
internal/command:       . vocabulary internal/textkit
internal/serve:         . vocabulary access apm dashboard httpapi internal/command internal/lossy internal/rlimit internal/shop internal/textkit metrics report scenarios socketio state statsd
internal/cli:           . vocabulary apm internal/command internal/convert internal/serve internal/textkit internal/trial locust overhead report sizing

# helpers of adapters, programs and tests
internal/golden:
internal/convert:       internal/convert/curlcmd internal/convert/shell internal/escape internal/expr internal/secrets
internal/convert/curlcmd:
internal/convert/shell:
internal/blunt:
internal/faultnet:
internal/filltest:      histogram
internal/locustwire:
internal/lossy:
internal/memnet:
internal/origins:
internal/rss:
internal/shop:
internal/sio/engine:
internal/sio/socket:    internal/sio/engine
internal/sio/testclient:
internal/testtarget:    tracecontext
internal/trial:         .
`

const vocabulary = "egress exemplar failure histogram pace stats tracecontext"

// programs are mains, and folders of tests alone: nobody imports them, and they may import
// everything.
func isProgram(name string) bool {
	return name == "server" || name == "cmd/loadgen" || strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "bench/")
}

// arrows reads the table of rooms.
func arrows(t *testing.T) map[string][]string {
	t.Helper()
	table := map[string][]string{}
	for line := range strings.Lines(rooms) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, may, ok := strings.Cut(line, ":")
		require.True(t, ok, line)
		may = strings.Replace(may, "vocabulary", vocabulary, 1)
		assert.NotContains(t, table, name, "there are two rows for it")
		table[name] = strings.Fields(may)
	}
	return table
}

// TestArrows holds every import between packages of this module against the table.
func TestArrows(t *testing.T) {
	table := arrows(t)
	local := func(pkg string) string {
		if pkg == module {
			return "."
		}
		return strings.TrimPrefix(pkg, module+"/")
	}
	seen := map[string]bool{}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := local(fields[0])
		if !strings.HasPrefix(fields[0], module) || isProgram(name) {
			continue
		}
		seen[name] = true
		may, known := table[name]
		if !assert.True(t, known, "%s: give it a row in the table of rooms", name) {
			continue
		}
		for _, imported := range fields[1:] {
			if imported == module || strings.HasPrefix(imported, module+"/") {
				assert.Contains(t, may, local(imported), "%s must not import %s", name, imported)
			}
		}
	}
	for name := range table {
		assert.True(t, seen[name], "%s is in the table of rooms and does not exist", name)
	}
}

// TestTheLinterKnowsTheArrows holds the rules of depguard in .golangci.yml against the table;
// go test -update writes them. depguard says while a file is written what TestArrows says of
// all of them.
func TestTheLinterKnowsTheArrows(t *testing.T) {
	const begin, end = "        # begin of the arrows\n", "        # end of the arrows\n"
	table := arrows(t)
	var rules strings.Builder
	for _, name := range slices.Sorted(maps.Keys(table)) {
		folder, files := name, `"**/`+name+`/*.go"`
		if name == "." {
			folder, files = "root", `"$all", "!**/*/*.go"`
		}
		fmt.Fprintf(&rules, "        %s:\n          list-mode: lax\n          files: [%s, \"!$test\"]\n", strings.ReplaceAll(folder, "/", "-"), files)
		fmt.Fprintf(&rules, "          deny:\n            - pkg: %s\n              desc: the table of rooms in arch_test.go has no such arrow\n", module)
		if len(table[name]) > 0 {
			fmt.Fprintf(&rules, "          allow:\n")
		}
		for _, to := range table[name] {
			path := module + "/" + to
			if to == "." {
				path = module
			}
			fmt.Fprintf(&rules, "            - %s$\n", path)
		}
	}
	config, err := os.ReadFile(".golangci.yml")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(config), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	golden.Check(t, ".golangci.yml", []byte(before+begin+rules.String()+end+after))
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
