//go:build unix

package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/internal/serve"
)

const root = "../.." // of the repository, from here

func readRoot(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(b)
}

// blocks returns the fenced code of a language, in order.
func blocks(markdown, language string) []string {
	var list []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(markdown, -1) {
		list = append(list, m[1])
	}
	return list
}

// TestLinks follows the links between the documents of the repository.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	for _, file := range append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md"), filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "SECURITY.md")) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(m[1], "://") {
				_, err := os.Stat(filepath.Join(filepath.Dir(file), m[1]))
				assert.NoError(t, err, "linked from %s", file)
			}
		}
	}
}

// TestServerSettings holds the table of settings in docs/server.md against the flags.
func TestServerSettings(t *testing.T) {
	var s serve.Settings
	var b strings.Builder
	b.WriteString("\n| flag | environment | default | |\n|---|---|---|---|\n")
	for _, r := range command.Table(s.Flags(), serve.EnvName) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(r.Flag), code(r.Env), code(r.Def), r.Usage)
	}
	for _, v := range serve.ContainerVariables() {
		fmt.Fprintf(&b, "|  | %s |  | %s |\n", code(v[0]), v[1])
	}
	b.WriteString("\n")
	const begin, end = "<!-- settings -->\n", "<!-- /settings -->"
	readme := readRoot(t, "docs/server.md")
	before, rest, ok := strings.Cut(readme, begin)
	require.True(t, ok, "docs/server.md has no %s", begin)
	have, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "docs/server.md has no %s", end)
	if golden.Update() && have != b.String() {
		require.NoError(t, os.WriteFile(filepath.Join(root, "docs/server.md"), []byte(before+begin+b.String()+end+after), 0o644))
		return
	}
	assert.Equal(t, b.String(), have, "go test ./internal/cli -run ServerSettings -update rewrites it")
}

// TestCLIDoc holds the help of every command in docs/cli.md against the commands.
func TestCLIDoc(t *testing.T) {
	have := readRoot(t, "docs/cli.md")
	want := have
	for _, c := range Commands().All() {
		if c.Name == Commands()[0].Name {
			continue // its table is in docs/server.md
		}
		if c.Flags == nil {
			c.Flags = command.NewFlags()
		}
		begin, end := "<!-- help "+c.Name+" -->\n", "<!-- /help "+c.Name+" -->"
		before, rest, ok := strings.Cut(want, begin)
		if !assert.True(t, ok, "docs/cli.md has no %s", begin) {
			continue
		}
		_, after, ok := strings.Cut(rest, end)
		require.True(t, ok, "docs/cli.md has no %s", end)
		want = before + begin + "```text\n" + c.Help(false) + "```\n" + end + after
	}
	if golden.Update() && have != want {
		require.NoError(t, os.WriteFile(filepath.Join(root, "docs/cli.md"), []byte(want), 0o644))
		return
	}
	assert.True(t, want == have, "docs/cli.md is not what the commands say: go test ./internal/cli -run CLIDoc -update rewrites it")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// TestREADMEGo runs the program of the README, which is an example too.
func TestREADMEGo(t *testing.T) {
	programs := blocks(readRoot(t, "README.md"), "go")
	require.Len(t, programs, 1)
	assert.Equal(t, readRoot(t, "examples/quickstart/main.go"), programs[0])

	shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer shop.Close()
	file := filepath.Join(t.TempDir(), "main.go")
	program := strings.Replace(programs[0], "http://localhost:8000", shop.URL, 1)
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it is compiled first
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", file)
	cmd.Dir, cmd.WaitDelay = root, time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `^[1-9][0-9]+ requests, 0 failed, p99 [0-9.]+[µm]s\n$`, string(out))
}

// TestREADMEScenario parses the scenario of the README.
func TestREADMEScenario(t *testing.T) {
	files := blocks(readRoot(t, "README.md"), "yaml")
	require.Len(t, files, 1)
	s, err := loadgen.ParseScenario("shop", []byte(files[0]))
	require.NoError(t, err)
	assert.Equal(t, "shop", s.Name())
}

// TestREADMEShell types what README.md, docs/server.md and CONTRIBUTING.md say to type, block by block, while
// `make run` runs; then the same calls as the Python service's documentation spells
// them. Only ports differ: the test takes free ones.
func TestREADMEShell(t *testing.T) {
	// What each block must print, found by a part of the block.
	expect := []struct{ block, output string }{
		{"--data '{\"job\":\"opbeans-python\"", `^\{\}`},
		{"make test", `go test -race`},
		{"/api/list", `"python"`},
		{"\"workers\":4}", `^\{\}`},
		{"/api/stop?job=opbeans-python", `\{\}`},
		{"/api/scenarios", `molotov_scenarios`},
		{"OPBEANS_URLS", `(?m)^    iterations  20, `},
		{"go run ./cmd/loadgen check", `(?m)^ok  root in `},
		{"go run ./cmd/loadgen run", `(?m)^    iterations  60, `},
	}
	demo, ports := makeRun(t)
	documented, err := os.ReadFile("testdata/documented.md")
	require.NoError(t, err)
	markdown := readRoot(t, "README.md") + readRoot(t, "docs/server.md") + readRoot(t, "CONTRIBUTING.md") + string(documented)

	all := blocks(markdown, "sh")
	require.Equal(t, "make run\n", all[0])
	for _, block := range all[1:] {
		want := ""
		for _, e := range expect {
			if strings.Contains(block, e.block) {
				want = e.output
			}
		}
		if !assert.NotEmpty(t, want, "no expectation for the block\n%s", block) {
			continue
		}
		assert.Regexp(t, want, shell(t, ports.Replace(block)), "the block\n%s", block)
	}

	require.NoError(t, syscall.Kill(-demo.cmd.Process.Pid, syscall.SIGINT), "Ctrl-C")
	_, err = demo.wait()
	require.NoError(t, err)
	assert.Contains(t, demo.stdout.String(), "\nSummary\n")
}

// makeRun runs `make run`, and returns it with what replaces the usual ports by
// those that it took.
func makeRun(t *testing.T) (*process, *strings.Replacer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	env := append(os.Environ(), "LOADGEN_ADDR=127.0.0.1:0", "BIN="+filepath.Join(t.TempDir(), "loadgen"))
	build := exec.CommandContext(ctx, "make", "build")
	build.Dir, build.Env, build.WaitDelay = root, env, time.Second
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.CommandContext(context.WithoutCancel(ctx), "make", "run")
	cmd.Dir, cmd.Env = root, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that it can be interrupted as a terminal does
	demo, err := startProcess(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-demo.done
	})
	addr, err := demo.addr()
	require.NoError(t, err)
	shop, err := demo.stdout.await(regexp.MustCompile(`A small shop listens on http://localhost:([0-9]+),`))
	require.NoError(t, err)

	// A newcomer sees traffic after a second; what comes each five seconds would be late, even
	// on a machine that is busy.
	times, err := demo.stdout.await(regexp.MustCompile(`(?ms)time=(\S+) level=INFO msg=listening.*^time=(\S+) level=INFO msg=progress job=demo .* requests=[1-9]`))
	require.NoError(t, err)
	began, err := time.Parse(time.RFC3339, times[1])
	require.NoError(t, err)
	seen, err := time.Parse(time.RFC3339, times[2])
	require.NoError(t, err)
	assert.Less(t, seen.Sub(began), 5*time.Second)

	_, port, _ := strings.Cut(addr, ":")
	return demo, strings.NewReplacer("8999", port, "8000", shop[1], "run.html", filepath.Join(t.TempDir(), "run.html"))
}

// shell runs a block of shell and returns its standard output. As `make test` is
// what runs this, it is not run again: make only says what it would do.
func shell(t *testing.T, block string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const prelude = "set -euo pipefail\nmake() { command make -n \"$@\"; }\ncommand -v jq >/dev/null || jq() { cat; }\n"
	cmd := exec.CommandContext(ctx, "bash", "-c", prelude+block)
	cmd.Dir, cmd.WaitDelay = root, time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s%s", block, out, &stderr)
	return string(out)
}
