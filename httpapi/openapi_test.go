package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/httpapi"
)

// spec is docs/openapi.yaml.
type spec struct {
	doc    *openapi3.T
	router routers.Router
}

func loadSpec(t testing.TB) *spec {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "docs", "openapi.yaml"))
	require.NoError(t, err)
	doc.Servers = nil // any host
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	require.NoError(t, err)
	return &spec{doc: doc, router: router}
}

// check holds an answer against the description of its operation. What is outside
// of the description, an unknown path or a wrong method, must be an error or an
// answer to OPTIONS.
func (s *spec) check(t testing.TB, req *http.Request, a answer) {
	t.Helper()
	if req.Method == http.MethodOptions || req.Method == http.MethodHead {
		assert.Empty(t, a.body)
		return
	}
	route, params, err := s.router.FindRoute(req)
	if err != nil || strings.HasSuffix(req.URL.Path, "/") { // which this router passes over
		assert.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, a.status, a.body)
		schema := s.doc.Components.Schemas["Error"].Value
		var body any
		require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
		assert.NoError(t, schema.VisitJSON(body, openapi3.MultiErrors()), a.body)
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	input.SetBodyBytes([]byte(a.body))
	assert.NoError(t, openapi3filter.ValidateResponse(t.Context(), input), "%s %s\n%s", req.Method, req.URL, a.body)
}

func TestDescriptionIsValid(t *testing.T) {
	assert.NoError(t, loadSpec(t).doc.Validate(t.Context()))
}

func TestEveryRouteIsDescribed(t *testing.T) {
	var described []string
	for path, item := range loadSpec(t).doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	assert.ElementsMatch(t, httpapi.Routes(), described)
}

func TestEveryKeyIsDescribed(t *testing.T) {
	described := loadSpec(t).doc.Components.Schemas["Settings"].Value.Properties
	assert.ElementsMatch(t, httpapi.Keys(), slices.Collect(maps.Keys(described)))
}

func TestEveryCodeIsDescribed(t *testing.T) {
	schema := loadSpec(t).doc.Components.Schemas["Error"].Value.Properties["error"].Value.Properties["code"].Value
	var described []string
	for _, code := range schema.Enum {
		described = append(described, code.(string))
	}
	assert.ElementsMatch(t, []string{
		httpapi.CodeBadJSON, httpapi.CodeMissingField, httpapi.CodeUnknownField, httpapi.CodeInvalidField,
		httpapi.CodeUnknownScenario, httpapi.CodeBadScenario, httpapi.CodeOrigin, httpapi.CodeJobNotFound,
		httpapi.CodeNotFound, httpapi.CodeMethodNotAllowed, httpapi.CodeJobRunning, httpapi.CodeJobStopping,
		httpapi.CodeLimit, httpapi.CodeTooManyJobs, httpapi.CodeTooLarge, httpapi.CodeInternal,
		httpapi.CodeUnavailable, httpapi.CodeRunNotFound, httpapi.CodeNoReceiver, httpapi.CodeNotSaved,
	}, described)
}

// TestCheckFindsFaults tries the check itself.
func TestCheckFindsFaults(t *testing.T) {
	s := loadSpec(t)
	for name, body := range map[string]string{
		"an unknown key":   `{"scenarios":[],"more":1}`,
		"a key less":       `{}`,
		"a wrong type":     `{"scenarios":"dyno"}`,
		"text that is not": `scenarios`,
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/scenarios", nil)
			require.NoError(t, err)
			var failed recorder
			failed.TB = t
			s.check(&failed, req, answer{status: 200, header: http.Header{
				"Content-Type": {"application/json"}, "Vary": {"Origin"},
			}, body: body})
			assert.True(t, failed.failed)
		})
	}
}

// recorder is a test that remembers that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestExamplesOfTheDescriptionWork(t *testing.T) {
	s := serve(t)
	examples := s.spec.doc.Components.RequestBodies["Settings"].Value.Content["application/json"].Examples
	require.NotEmpty(t, examples)
	for name, example := range examples {
		body, err := json.Marshal(example.Value.Value)
		require.NoError(t, err)
		a := s.updateJob(string(body))
		assert.Equal(t, 200, a.status, "%s: %s", name, a.body)
	}
}
