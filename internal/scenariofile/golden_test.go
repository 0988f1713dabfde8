package scenariofile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testRules have some variables that need no declaration.
type testRules struct{}

func (testRules) Check(Variable) string           { return "" }
func (testRules) Alias(string, []Variable) string { return "" }
func (testRules) Values(declared []Variable) map[string]any {
	vars := map[string]any{"SERVER_URL": "", "SERVICE_NAME": "default", "ERROR_WEIGHT": 0.0}
	for _, v := range declared {
		vars[v.Name] = v.Def
		if n, ok := v.Def.(int64); ok {
			vars[v.Name] = int(n)
		}
	}
	return vars
}

func testOptions(folder fs.FS) Options {
	return Options{File: "x.yaml", Folder: folder, Variables: testRules{}}
}

// Each file of testdata/scenariofile/bad has its faults, with their places, in the file
// beside it.
func TestBadFiles(t *testing.T) {
	const dir = "testdata"
	files, err := filepath.Glob(filepath.Join(dir, "bad", "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 100)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".err")
			require.NoError(t, err)
			_, faults := Parse(src, testOptions(os.DirFS(filepath.Join(dir, "folder"))))
			var got strings.Builder
			for _, f := range faults {
				fmt.Fprintf(&got, "%d:%d: %s\n", f.Line, f.Column, f.Message)
			}
			assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got.String())
		})
	}
}
