package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Documents tells what the APM agents of targets have told of the requests of jobs.
type Documents interface {
	// JobVerdict is on the present or last run of a job, in a form that can be written as
	// JSON, or on the requests that were sent in a part of it, if from and to are not zero.
	JobVerdict(job string, from, to time.Time) any
}

// WithDocuments lets [API.APM] tell what agents say.
func WithDocuments(d Documents) Option { return func(a *API) { a.documents = d } }

// WithTraces lets [API.Traces] tell of requests whose traces can be looked at.
func WithTraces(t *loadgen.TraceExemplars) Option { return func(a *API) { a.traces = t } }

// APM tells what agents say of the requests of a job, as docs/openapi.yaml has it. The
// body is an object with the job, and "from" and "to" (RFC 3339) for a part of its run;
// a limit that is left out is that of the run. The error is an [*Error], with status 404
// too if there is no receiver.
func (a *API) APM(body json.RawMessage) (any, error) {
	object, err := readObject(body)
	if err != nil {
		return nil, err
	}
	from, err := takeTime(object, "from")
	if err != nil {
		return nil, err
	}
	to, err := takeTime(object, "to")
	if err != nil {
		return nil, err
	}
	job, err := jobOf(object)
	if err != nil {
		return nil, err
	}
	j, err := a.get(job)
	switch {
	case err != nil:
		return nil, err
	case a.documents == nil:
		return nil, &Error{Status: http.StatusNotFound, Code: CodeNoReceiver, Message: "no agent can tell anything here: the service receives their data when it is started with -apm HOST:PORT"}
	case from.IsZero() && to.IsZero():
		return a.documents.JobVerdict(j.Name(), from, to), nil
	case from.IsZero():
		from = j.Snapshot().Started
	case to.IsZero():
		to = time.Now()
	}
	if !from.Before(to) {
		return nil, badRequest(CodeInvalidField, "to", "must be after the time that from says")
	}
	return a.documents.JobVerdict(j.Name(), from, to), nil
}

// takeTime reads a time that a body may have, and takes it out.
func takeTime(object map[string]json.RawMessage, name string) (at time.Time, err error) {
	raw, ok := object[name]
	delete(object, name)
	if !ok || string(raw) == "null" {
		return at, nil
	}
	if json.Unmarshal(raw, &at) != nil || at.Year() < 1970 || at.Year() > 2261 {
		return at, badRequest(CodeInvalidField, name, "must be a time such as 2026-11-26T12:00:00Z, not %s", textkit.Shorten(string(raw)))
	}
	return at, nil
}

func apmArgs(w http.ResponseWriter, r *http.Request, p httprouter.Params) (json.RawMessage, error) {
	object := map[string]string{}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(CodeInvalidField, "", "the query cannot be read: %v", err)
	}
	for name, values := range query {
		if len(values) > 1 {
			return nil, badRequest(CodeInvalidField, textkit.Shorten(name), "%s can be given only once", textkit.Shorten(name))
		}
		object[name] = values[0]
	}
	object["job"] = p.ByName("name")
	return json.Marshal(object)
}

// Traces is what [API.Traces] gives.
type Traces struct {
	Job    string          `json:"job"`
	Traces []TraceExemplar `json:"traces"`
}

// TraceExemplar is a request behind a percentile of the service time.
type TraceExemplar struct {
	Percentile string             `json:"percentile"`
	Task       string             `json:"task"`
	Time       time.Time          `json:"time"`
	Service    float64            `json:"service_ms"`
	Status     int                `json:"status"`
	Class      loadgen.ErrorClass `json:"class,omitempty"`
	TraceID    loadgen.TraceID    `json:"trace_id"`
	SpanID     loadgen.SpanID     `json:"span_id"`
	URL        string             `json:"url,omitempty"` // of the trace in a user interface
}

// Traces tells of requests behind the percentiles of a job's service time: none, if its
// requests are not traced. The error is an [*Error].
func (a *API) Traces(job string) (Traces, error) {
	j, err := a.get(job)
	if err != nil {
		return Traces{}, err
	}
	t := Traces{Job: j.Name(), Traces: []TraceExemplar{}}
	if a.traces == nil {
		return t, nil
	}
	for _, e := range a.traces.Of(j.Snapshot()) {
		t.Traces = append(t.Traces, TraceExemplar{
			Percentile: e.Percentile, Task: e.Task, Time: e.Time, Service: *ms(e.Service), Status: e.Status, Class: e.Class,
			TraceID: e.TraceID, SpanID: e.SpanID, URL: e.URL,
		})
	}
	return t, nil
}
