package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/opbeans/loadgen/internal/textkit"
)

// route binds a method and a path to a call of [API.Call].
type route struct {
	method, path string
	call         string
	args         func(w http.ResponseWriter, r *http.Request, p httprouter.Params) (json.RawMessage, error)
	changes      bool // it changes something, which is not for pages of other sites
}

func routes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		{get, "/api/list", callList, noArgs, false},
		{post, "/api/start", callStart, bodyArgs, true},
		{post, "/api/update", callUpdate, bodyArgs, true},
		{get, "/api/stop", callStop, queryArgs, true},
		{post, "/api/stop", callStop, bodyOrQueryArgs, true},
		{get, "/api/scenarios", callScenarios, noArgs, false},
		{get, "/api/catalogue", callCatalogue, noArgs, false},
		{get, "/api/catalogue/:name", callScenario, scenarioArgs, false},
		{get, "/api/splays", callSplays, noArgs, false},
		{get, "/api/stats", callStats, noArgs, false},
		{get, "/api/jobs", callJobs, noArgs, false},
		{get, "/api/jobs/:name", callJob, pathArgs, false},
		{get, "/api/jobs/:name/history", callHistory, historyArgs, false},
		{get, "/api/jobs/:name/distribution", callDistribution, pathArgs, false},
		{get, "/api/jobs/:name/apm", callAPM, apmArgs, false},
		{get, "/api/jobs/:name/traces", callTraces, pathArgs, false},
		{post, "/api/jobs/:name/renew", callRenew, pathArgs, true},
		{post, "/api/stop-all", callStopAll, noArgs, true},
		{get, "/api/limits", callLimits, noArgs, false},
		{del, "/api/jobs/:name", callRemove, pathArgs, true},
		{get, "/api/runs", callRuns, runsArgs, false},
		{get, "/api/runs/:id", callRun, runArgs, false},
		{get, "/healthz", callHealth, noArgs, false},
	}
}

func (a *API) newRouter() *httprouter.Router {
	router := httprouter.New()
	// A redirect would lead out of the prefix under which the API is mounted.
	router.RedirectTrailingSlash, router.RedirectFixedPath = false, false
	for _, rt := range routes() {
		router.Handle(rt.method, rt.path, a.handler(rt))
		if rt.method == http.MethodGet && !rt.changes {
			router.Handle(http.MethodHead, rt.path, a.handler(rt))
		}
	}
	router.GlobalOPTIONS = http.HandlerFunc(a.options)
	router.NotFound = http.HandlerFunc(a.notFound)
	router.MethodNotAllowed = http.HandlerFunc(a.methodNotAllowed)
	return router
}

func (a *API) handler(rt route) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		if rt.changes && a.origins.Foreign(r) {
			a.refuse(w, &Error{
				Status: http.StatusForbidden, Code: CodeOrigin,
				Message: "pages of this site may not use the API; the service can be told to allow its origin",
			})
			return
		}
		args, err := rt.args(w, r, p)
		if err != nil {
			a.refuse(w, toError(err))
			return
		}
		result, err := a.Call(r.Context(), rt.call, args)
		if err != nil {
			a.refuse(w, toError(err))
			return
		}
		a.answer(w, http.StatusOK, result)
	}
}

// answer writes a body the way that the recorded answers have it: compact, and
// without the escapes that are for JSON inside of HTML.
func (a *API) answer(w http.ResponseWriter, status int, body any) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		a.log.Error("an answer of the API cannot be written as JSON", "error", err)
		status = http.StatusInternalServerError
		out.Reset()
		_ = enc.Encode(errorBody{internalError()}) // this one can
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSuffix(out.Bytes(), []byte("\n"))) // the client may be gone
}

// errorBody is the body of every refusal.
type errorBody struct {
	Error *Error `json:"error"`
}

func (a *API) refuse(w http.ResponseWriter, e *Error) {
	if e.Status == http.StatusInternalServerError && e.err != nil {
		a.log.Error("a call of the API failed", "error", e.err)
	}
	a.answer(w, e.Status, errorBody{e})
}

func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, &Error{
		Status: http.StatusNotFound, Code: CodeNotFound,
		Message: fmt.Sprintf("there is no %q%s", textkit.Shorten(r.URL.Path), nearestPath(r.URL.Path)),
	})
}

// nearestPath says which path of the API a misspelt one may have meant.
func nearestPath(path string) string {
	parts := strings.Split(path, "/")
	var paths []string
	for _, rt := range routes() {
		words := strings.Split(rt.path, "/")
		for i := range words {
			if strings.HasPrefix(words[i], ":") && len(words) == len(parts) && parts[i] != "" {
				words[i] = parts[i]
			}
		}
		known := strings.Join(words, "/")
		if known == "/api"+path {
			return fmt.Sprintf(" (did you mean %q?)", known)
		}
		paths = append(paths, known)
	}
	if hint := textkit.DidYouMean(path, paths); hint != "" {
		return hint
	}
	return "; the API is at /api/list, /api/start, /api/update, /api/stop and so on"
}

func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, &Error{
		Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed,
		Message: fmt.Sprintf("%s is not for %s; allowed: %s", textkit.Shorten(r.URL.Path), textkit.Shorten(r.Method), w.Header().Get("Allow")),
	})
}

func noArgs(http.ResponseWriter, *http.Request, httprouter.Params) (json.RawMessage, error) {
	return nil, nil
}

// bodyArgs reads the body, of any content type: old clients send JSON as text.
func bodyArgs(w http.ResponseWriter, r *http.Request, _ httprouter.Params) (json.RawMessage, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &Error{
			Status: http.StatusRequestEntityTooLarge, Code: CodeTooLarge,
			Message: fmt.Sprintf("the body must be at most %d bytes long", MaxBody),
		}
	case err != nil:
		return nil, badRequest(CodeBadJSON, "", "the body could not be read: %v", err)
	}
	return body, nil
}

func queryArgs(_ http.ResponseWriter, r *http.Request, _ httprouter.Params) (json.RawMessage, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case err != nil:
		return nil, badRequest(CodeInvalidField, "job", "the query cannot be read: %v", err)
	case len(query["job"]) > 1:
		return nil, badRequest(CodeInvalidField, "job", "only one job can be named")
	}
	return jobArgs(query.Get("job"))
}

func bodyOrQueryArgs(w http.ResponseWriter, r *http.Request, p httprouter.Params) (json.RawMessage, error) {
	body, err := bodyArgs(w, r, p)
	if err != nil || len(bytes.TrimSpace(body)) > 0 {
		return body, err
	}
	return queryArgs(w, r, p)
}

func pathArgs(_ http.ResponseWriter, _ *http.Request, p httprouter.Params) (json.RawMessage, error) {
	return jobArgs(p.ByName("name"))
}

func jobArgs(name string) (json.RawMessage, error) {
	return json.Marshal(map[string]string{"job": name})
}

func runsArgs(_ http.ResponseWriter, r *http.Request, _ httprouter.Params) (json.RawMessage, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(CodeInvalidField, "", "the query cannot be read: %v", err)
	}
	object := map[string]string{}
	for name, values := range query {
		if len(values) > 1 {
			return nil, badRequest(CodeInvalidField, textkit.Shorten(name), "%s can be given only once", textkit.Shorten(name))
		}
		object[name] = values[0]
	}
	return json.Marshal(object)
}

func runArgs(_ http.ResponseWriter, _ *http.Request, p httprouter.Params) (json.RawMessage, error) {
	return json.Marshal(map[string]string{"id": p.ByName("id")})
}
