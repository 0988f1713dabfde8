package loadgen

import (
	"errors"
	"strings"

	"github.com/opbeans/loadgen/internal/fault"
)

// Errors that a caller can tell apart with [errors.Is].
var (
	// ErrClosed is returned by every call on a Manager that was closed.
	ErrClosed = errors.New("the manager is closed")
	// ErrJobNotFound means that no job has that name.
	ErrJobNotFound = errors.New("no such job")
	// ErrJobRunning is returned by Start and Remove while the job still runs.
	ErrJobRunning = errors.New("the job is running")
	// ErrJobEnded is returned by an update of a job that has ended or is stopping.
	ErrJobEnded = errors.New("the job has ended")
	// ErrScenarioNotFound means that the catalogue has no scenario of that name.
	ErrScenarioNotFound = errors.New("no such scenario")
	// ErrAbort, wrapped by the error of a task, ends the whole job as failed.
	ErrAbort = errors.New("job aborted by a task")
)

// FieldError is one fault in a configuration.
type FieldError struct {
	// Field names the faulty field as the JSON form of [JobConfig] spells it,
	// for instance "workers" or "variables.ERROR_WEIGHT".
	Field string
	// Message says what is wrong and what would be right.
	Message string
	// Missing marks a required field that was left out, as opposed to a value
	// that cannot be.
	Missing bool
	// Err is the error behind the message, such as [ErrTargetRefused], or nil.
	Err error
}

// ValidationError lists every fault of a configuration, in the order of its
// fields.
type ValidationError struct{ Fields []FieldError }

// Error lists the faults, one after the other.
func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return "invalid job: " + strings.Join(parts, "; ")
}

// Unwrap returns the errors behind the faults, for [errors.Is].
func (e *ValidationError) Unwrap() []error {
	var errs []error
	for _, f := range e.Fields {
		if f.Err != nil {
			errs = append(errs, f.Err)
		}
	}
	return errs
}

// validation makes an error of faults; nil if there are none.
func validation(f fault.List) error {
	if len(f) == 0 {
		return nil
	}
	e := &ValidationError{Fields: make([]FieldError, len(f))}
	for i := range f {
		e.Fields[i] = FieldError(f[i])
	}
	return e
}
