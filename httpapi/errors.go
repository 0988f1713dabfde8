package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opbeans/loadgen"
)

// The codes of an [Error].
const (
	CodeBadJSON          = "bad_json"           // 400: the body is not one JSON object
	CodeMissingField     = "missing_field"      // 400: something required was left out
	CodeUnknownField     = "unknown_field"      // 400: there is no such setting
	CodeInvalidField     = "invalid_field"      // 400: a value that cannot be
	CodeUnknownScenario  = "unknown_scenario"   // 400: the message lists those there are
	CodeBadScenario      = "bad_scenario"       // 400: its file does not parse; the message says where
	CodeOrigin           = "origin_not_allowed" // 403: a page of another site wants to change something
	CodeJobNotFound      = "job_not_found"      // 404
	CodeNotFound         = "not_found"          // 404: no such path
	CodeMethodNotAllowed = "method_not_allowed" // 405: the header Allow lists those that are
	CodeRunNotFound      = "run_not_found"      // 404
	CodeNoReceiver       = "no_receiver"        // 404: the service does not receive what APM agents send
	CodeJobRunning       = "job_running"        // 409: stop it first
	CodeJobStopping      = "job_stopping"       // 409: it takes long to stop; try again
	CodeLimit            = "limit_reached"      // 409: more than all jobs together may have
	CodeTooManyJobs      = "too_many_jobs"      // 409: remove some first
	CodeTooLarge         = "body_too_large"     // 413
	CodeInternal         = "internal"           // 500: a mistake in this program
	CodeNotSaved         = "not_saved"          // 507: the change is in force, but would be lost with the process
	CodeUnavailable      = "unavailable"        // 503: the service shuts down
)

// Error says why a call was refused, as the answer's body {"error": …} has it. A
// call that was refused has changed nothing, except for [CodeNotSaved].
type Error struct {
	Status  int    `json:"-"`       // of HTTP
	Code    string `json:"code"`    // for programs
	Message string `json:"message"` // for people: what is wrong and what would be right
	// Field is the part of the request that the error is about, as the request
	// spells it, if it is about one; the first, if there are several.
	Field string `json:"field,omitempty"`
	// Fields lists the faults if there are several.
	Fields []FieldError `json:"fields,omitempty"`

	err error
}

// FieldError is one fault of several.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the error of package loadgen behind this one, or nil.
func (e *Error) Unwrap() error { return e.err }

// refusal is err as an [*Error], or nil.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	return toError(err)
}

// toError is how every error becomes an answer.
func toError(err error) *Error {
	var (
		e        *Error
		invalid  *loadgen.ValidationError
		scenario *loadgen.ScenarioError
	)
	about := func(status int, code, field string) *Error {
		return &Error{Status: status, Code: code, Message: err.Error(), Field: field, err: err}
	}
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &invalid):
		return fieldsError(invalid)
	case errors.Is(err, loadgen.ErrScenarioNotFound):
		return about(http.StatusBadRequest, CodeUnknownScenario, "scenario")
	case errors.As(err, &scenario):
		return about(http.StatusBadRequest, CodeBadScenario, "scenario")
	case errors.Is(err, loadgen.ErrJobNotFound):
		return about(http.StatusNotFound, CodeJobNotFound, "job")
	case errors.Is(err, loadgen.ErrJobRunning):
		return about(http.StatusConflict, CodeJobRunning, "job")
	case errors.Is(err, loadgen.ErrLimit):
		return about(http.StatusConflict, CodeLimit, "")
	case errors.Is(err, loadgen.ErrJobEnded):
		return about(http.StatusConflict, CodeJobStopping, "job")
	case errors.Is(err, loadgen.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return about(http.StatusServiceUnavailable, CodeUnavailable, "")
	}
	internal := internalError()
	internal.err = err
	return internal
}

func internalError() *Error {
	return &Error{
		Status: http.StatusInternalServerError, Code: CodeInternal,
		Message: "an internal error, which is not the request's fault; the log has more",
	}
}

// fieldsError makes one error of the faults of a configuration.
func fieldsError(invalid *loadgen.ValidationError) *Error {
	e := &Error{Status: http.StatusBadRequest, Code: CodeMissingField, err: invalid}
	var messages []string
	for i, f := range invalid.Fields {
		if i == 0 {
			e.Field = f.Field
		}
		if !f.Missing {
			e.Code = CodeInvalidField
		}
		messages = append(messages, f.Field+": "+f.Message)
		e.Fields = append(e.Fields, FieldError{Field: f.Field, Message: f.Message})
	}
	e.Message = strings.Join(messages, "; ")
	if len(e.Fields) == 1 {
		e.Fields = nil
	}
	return e
}

// badRequest is an error about one field, or about the whole body.
func badRequest(code, field, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}
