package convert

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// sent runs a scenario once per task and returns what the target got.
func sent(t *testing.T, s *loadgen.Scenario, base string, env map[string]string) (got []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			line := fmt.Sprintf("%s %s%s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("Authorization"))
			if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "" {
				line += " " + kind
			}
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
				line += " " + string(body)
			}
			got = append(got, strings.TrimSpace(line))
			if strings.HasPrefix(r.URL.Path, "/api/cart") {
				w.WriteHeader(http.StatusConflict)
			}
		}))
		defer stop()
		for _, name := range s.TaskNames() {
			weights := map[string]float64{}
			for _, other := range s.TaskNames() {
				weights[other] = 0
			}
			weights[name] = 1
			snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: base, MaxIterations: 1, Weights: weights},
				loadgen.WithDialContext(dial), loadgen.WithEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
			require.NoError(t, err)
			assert.Zero(t, snap.FailedIterations, "%s: %v", name, snap.Errors)
		}
	})
	return got
}

// What a scenario sends is what was recorded, secrets included, whether these are in
// the file or in the environment.
func TestWhatWasRecordedIsSent(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "shop.har"))
	require.NoError(t, err)
	env := map[string]string{"PASSWORD": "hunter2", "X_CSRF_TOKEN": "c5rf", "ACCESS_TOKEN": "t0ken", "SECRET": "s3", "AUTHORIZATION": "b34rer"}
	for _, secrets := range []bool{true, false} {
		s, err := HAR(src, Options{Secrets: secrets})
		require.NoError(t, err)
		_, parsed := parses(t, s)
		assert.Equal(t, []string{
			"GET shop.test/?utm=1&q=a%20b",
			"POST shop.test/login  application/x-www-form-urlencoded user=me%40x&password=hunter2&role=a&role=b",
			`PUT shop.test/api/cart/7?access_token=t0ken&full Bearer b34rer application/json ` +
				`{"lines":[{"id":7,"amount":1.50,"gift":false,"note":null}],"text":"a ${b}","secret":"s3","empty":{},"none":[],"yes":"yes","n":"12"}`,
			"POST shop.test/upload  multipart/form-data",
		}, sent(t, parsed, "http://shop.test", env), secrets)
	}
}

func TestWhatCurlSendsIsSent(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "commands.sh"))
	require.NoError(t, err)
	s, err := Curl(strings.ReplaceAll(string(src), "https://", "http://"), Options{Secrets: true})
	require.NoError(t, err)
	_, parsed := parses(t, s)
	got := sent(t, parsed, "http://shop.test", nil)
	assert.Equal(t, []string{
		"GET shop.test/products?limit=5",
		`POST shop.test/api/orders Bearer b34rer application/json {"note":"it's é $5 ${x}","lines":[{"id":1}],"password":"hunter2"}`,
		"POST shop.test/form Basic bWU6aHVudGVyMg== application/x-www-form-urlencoded name=a&text=b c&more=x%26y",
		"HEAD shop.test/head",
		"GET shop.test/search?q=x&a=1&b=2",
		"POST shop.test/upload  multipart/form-data",
		`POST other.test/json  application/json {"a":1}`,
		"PATCH shop.test/text  text/plain plain \"text\"\nof two lines",
		"DELETE shop.test/it",
	}, normal(got))
}

// A query with what a target cannot hold: curl sends it as it is, which no server has to
// take.
func TestAQueryIsMadeFitToSend(t *testing.T) {
	s, err := Curl("curl -G -d 'q=a b#c \"${x}' -d 'token=t k' 'http://shop.test/?x y '\n", Options{Secrets: true})
	require.NoError(t, err)
	_, parsed := parses(t, s)
	assert.Equal(t, []string{"GET shop.test/?x%20y%20&q=a%20b%23c%20%22$%7Bx%7D&token=t%20k"}, sent(t, parsed, "http://shop.test", nil))
}

// normal takes the differences in how a form spells a blank out.
func normal(lines []string) []string {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "b+c", "b%20c")
	}
	return lines
}

// Values of a path or a query that are made up are expressions amid text, and only the
// text is escaped.
func TestMadeUpParametersAreExpressions(t *testing.T) {
	s, err := OpenAPI([]byte(`
openapi: 3.0.3
info: {title: shop, version: "1"}
paths:
  /runs/{id}:
    get:
      operationId: run
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: mail, in: query, required: true, schema: {type: string, format: email}}
        - {name: note, in: query, required: true, example: "a ${b}/c", schema: {type: string}}
      responses: {"200": {description: fine}}
`), Options{})
	require.NoError(t, err)
	_, parsed := parses(t, s)
	got := sent(t, parsed, "http://shop.test", nil)
	require.Len(t, got, 1)
	assert.Regexp(t, `^GET shop.test/runs/text%20\d+\?mail=user\d+@example.com&note=a%20\$%7Bb%7D%2Fc$`, got[0])
}
