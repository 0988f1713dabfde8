package metrics_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// dashboard is what the test looks at of a Grafana dashboard.
type dashboard struct {
	Title  string
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ RefID, Expr string }
	}
	Templating struct {
		List []struct {
			Name  string
			Query any
		}
	}
}

// TestDashboard holds that the dashboard asks for metrics and labels that there are,
// that it shows every metric of ours, and that its panels do not lie on each other.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	var queries []string
	for _, v := range d.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			queries = append(queries, q["query"].(string))
		}
	}
	cells, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "the id of %q is not its own", p.Title)
		ids[p.ID] = true
		assert.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				assert.Less(t, cell[0], 24, p.Title)
				assert.Empty(t, cells[cell], "%q lies on another panel", p.Title)
				cells[cell] = p.Title
			}
		}
	}

	running(t, func(t *testing.T, m *loadgen.Manager) {
		exporter := everything(m)
		ours := gather(t, exporter)
		known := map[string]map[string]bool{} // labels by name
		for name, f := range ours {
			labels := map[string]bool{}
			for _, metric := range f.GetMetric() {
				for _, l := range metric.GetLabel() {
					labels[l.GetName()] = true
				}
			}
			if f.GetType().String() == "HISTOGRAM" {
				labels["le"] = true
				name += "_bucket"
			}
			known[name] = labels
		}
		for _, name := range served(t, exporter) {
			if known[name] == nil {
				known[name] = map[string]bool{}
			}
		}
		metric := regexp.MustCompile(`\b(?:loadgen|go|process)_[a-z_]+`)
		label := regexp.MustCompile(`by \(([a-z_, ]+)\)|[{,] *([a-z_]+)=|label_values\([a-z_]+, ([a-z_]+)\)`)
		used := map[string]bool{}
		for _, q := range queries {
			names := metric.FindAllString(q, -1)
			require.NotEmpty(t, names, q)
			for _, name := range names {
				require.Contains(t, known, name, q)
				used[name] = true
				for _, match := range label.FindAllStringSubmatch(q, -1) {
					for l := range strings.SplitSeq(match[1]+match[2]+match[3], ", ") {
						assert.True(t, known[name][l], "%s has no label %q: %s", name, l, q)
					}
				}
			}
		}
		for name := range ours {
			assert.True(t, used[name] || used[name+"_bucket"], "%s is not shown", name)
		}
	})
}

// served returns the names of the metrics that a handler answers with.
func served(t *testing.T, h http.Handler) []string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	var names []string
	for line := range strings.Lines(w.Body.String()) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(name)[0])
		}
	}
	return names
}
