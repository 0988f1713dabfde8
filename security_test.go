package loadgen_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rows returns the cells of the table between two marks of a document, without its head.
func rows(t *testing.T, file, mark string) [][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "<!-- "+mark+" -->\n")
	require.True(t, ok, "%s has no mark %s", file, mark)
	table, _, ok := strings.Cut(rest, "<!-- /"+mark+" -->")
	require.True(t, ok, "%s has no end of %s", file, mark)
	var list [][]string
	for line := range strings.Lines(strings.TrimSpace(table)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		list = append(list, cells)
	}
	require.Greater(t, len(list), 2)
	return list[2:]
}

// TestThreatsHaveTests looks for the tests that SECURITY.md names.
func TestThreatsHaveTests(t *testing.T) {
	name := regexp.MustCompile("`([^`:]+):([^`]+)`")
	for _, row := range rows(t, "SECURITY.md", "threats") {
		require.Len(t, row, 3, "%q", row)
		tests := name.FindAllStringSubmatch(row[2], -1)
		assert.NotEmpty(t, tests, "no test for: %s", row[0])
		for _, m := range tests {
			folder, test := m[1], m[2]
			if strings.HasSuffix(test, ".txtar") {
				assert.FileExists(t, filepath.Join(folder, "testdata", "script", test))
				continue
			}
			assert.True(t, hasTest(t, folder, test), "there is no %s in %s", test, folder)
		}
	}
}

func hasTest(t *testing.T, folder, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return strings.Contains(string(text), "\nfunc "+test+"(t *testing.T)")
	})
}

// TestDependenciesAreListed holds the table in docs/decisions.md against go.mod.
func TestDependenciesAreListed(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var required, listed []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+`).FindAllStringSubmatch(string(text), -1) {
		required = append(required, m[1])
	}
	require.NotEmpty(t, required)
	for _, row := range rows(t, "docs/decisions.md", "dependencies") {
		require.Len(t, row, 3, "%q", row)
		listed = append(listed, strings.Trim(row[0], "`"))
		assert.NotEmpty(t, row[1], "licence of %s", row[0])
		assert.NotEmpty(t, row[2], "why %s", row[0])
	}
	assert.ElementsMatch(t, required, listed, "say in docs/decisions.md, under Dependencies, why a module is needed, and its licence")
}

// TestVulnerabilityCheck runs the step of CI with programs that stand in for the real one.
func TestVulnerabilityCheck(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the step is a script for a Unix shell
	}
	for name, test := range map[string]struct {
		script string
		code   int
		says   string
	}{
		"nothing found":  {"echo No vulnerabilities found.", 0, "No vulnerabilities found."},
		"a finding":      {"echo Vulnerability 1; exit 3", 3, "Vulnerability 1"},
		"another error":  {"echo cannot load packages; exit 1", 1, "cannot load packages"},
		"no database":    {"echo 'govulncheck: fetching vulnerabilities: no such host' >&2; exit 1", 0, "NOT CHECKED for known vulnerabilities"},
		"no such script": {"exec /nonexistent", 127, ""},
		"in one module":  {`case "$PWD $1" in */deploy/kubernetes" "-test) echo Vulnerability 2; exit 3; esac`, 3, "Vulnerability 2"},
	} {
		program := filepath.Join(t.TempDir(), "govulncheck")
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+test.script+"\n"), 0o700))
		cmd := exec.CommandContext(t.Context(), "bash", ".ci/vulncheck", "./", "deploy/kubernetes/")
		cmd.Env = append(os.Environ(), "GOVULNCHECK="+program)
		out, _ := cmd.CombinedOutput()
		assert.Equal(t, test.code, cmd.ProcessState.ExitCode(), "%s: %s", name, out)
		assert.Contains(t, string(out), test.says, name)
		assert.Equal(t, name == "no database", strings.Contains(string(out), "NOT CHECKED"), name)
	}
}
