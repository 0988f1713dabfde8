package loadgen_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/internal/shop"
)

// docFiles returns the files that docs/scenarios.md shows, and the whole scenarios
// among its blocks, as files in one folder.
func docFiles(t *testing.T) (folder fstest.MapFS, examples []string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("docs", "scenarios.md"))
	require.NoError(t, err)
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	folder = fstest.MapFS{}
	for i, m := range regexp.MustCompile("(?ms)^```([a-z]+)( [^\n]+)?\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		name := strings.TrimSpace(m[2])
		if m[1] == "yaml" && name == "" {
			name = "example" + string(rune('A'+i)) + ".yaml"
			examples = append(examples, name)
		}
		folder[name] = &fstest.MapFile{Data: []byte(m[3])}
	}
	require.NotEmpty(t, examples)
	return folder, examples
}

// loginToken is what the shop gives to ada.
func loginToken(t *testing.T, s http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/api/login", strings.NewReader("user=ada&password=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.ServeHTTP(w, r)
	var answer struct{ Token string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Token
}

// runOnShop runs each task of a scenario for some iterations against the shop, in
// virtual time, and wants no failure.
func runOnShop(t *testing.T, folder fs.FS, file string) {
	t.Helper()
	scenario, err := loadgen.LoadScenario(folder, file)
	require.NoError(t, err)
	for _, task := range scenario.TaskNames() {
		t.Run(task, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := shop.New(shop.Options{})
				dial, stop := memnet.Serve(target)
				defer stop()
				env := map[string]string{"API_TOKEN": loginToken(t, target), "SHOP_PASSWORD": "open sesame"}
				cfg := loadgen.JobConfig{
					Scenario: scenario, BaseURL: "http://localhost:8000", ServiceName: "opbeans-python",
					Workers: 3, MaxIterations: 12, Seed: 1, Weights: map[string]float64{},
				}
				for _, other := range scenario.TaskNames() {
					cfg.Weights[other] = 0
				}
				cfg.Weights[task] = 1
				snap, err := loadgen.Run(context.Background(), cfg, loadgen.WithDialContext(dial),
					loadgen.WithEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
				require.NoError(t, err)
				assert.EqualValues(t, 12, snap.Iterations)
				assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
				assert.Zero(t, snap.FailedRequests, "%v", snap.Errors)
				assert.Empty(t, snap.Errors)
			})
		})
	}
}

// Every example of the documentation runs as it stands.
func TestDocumentationRuns(t *testing.T) {
	folder, examples := docFiles(t)
	for _, name := range examples {
		t.Run(name, func(t *testing.T) { runOnShop(t, folder, name) })
	}
}

// The example scenarios run against the shop.
func TestExampleScenariosRun(t *testing.T) {
	folder := os.DirFS(filepath.Join("examples", "scenarios"))
	files, err := fs.Glob(folder, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		if name == "replay_orders.yaml" {
			continue // ends by itself: below
		}
		t.Run(name, func(t *testing.T) { runOnShop(t, folder, name) })
	}
	t.Run("replay_orders.yaml", func(t *testing.T) {
		s, err := loadgen.LoadScenario(folder, "replay_orders.yaml")
		require.NoError(t, err)
		target := shop.New(shop.Options{})
		server := httptest.NewServer(target)
		defer server.Close()
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: server.URL, Workers: 3})
		require.NoError(t, err)
		assert.EqualValues(t, 4, snap.Iterations)
		assert.EqualValues(t, 4, target.Orders())
		assert.Empty(t, snap.Errors)
		assert.Equal(t, `feeder "orders" has given out all its 4 rows`, snap.Reason)
	})
}
