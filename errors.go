package loadgen

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller can tell apart with [errors.Is].
var (
	// ErrClosed is returned by every call on a Manager that was closed.
	ErrClosed = errors.New("loadgen: the manager is closed")
	// ErrJobNotFound means that no job has that name.
	ErrJobNotFound = errors.New("loadgen: no such job")
	// ErrJobRunning refuses what needs a job at rest: starting or removing one
	// that still runs.
	ErrJobRunning = errors.New("loadgen: the job is running")
	// ErrJobEnded refuses an update of a job that has ended or is stopping.
	ErrJobEnded = errors.New("loadgen: the job has ended")
	// ErrScenarioNotFound means that the catalogue has no scenario of that name.
	ErrScenarioNotFound = errors.New("loadgen: no such scenario")
	// ErrAbort, wrapped by the error of a task, ends the whole job as failed.
	ErrAbort = errors.New("loadgen: job aborted by a task")
	// ErrInterrupted is what a request or a sleep returns when its job ended it
	// before it was done, because a stop's grace time had passed. The iteration
	// counts as interrupted, neither as failed nor as a latency.
	ErrInterrupted = errors.New("loadgen: interrupted by the end of the job")
)

// ErrorClass says what kind of thing went wrong. Statistics count by class and
// never by message, so that their size is bounded.
type ErrorClass string

// The classes of failure.
const (
	ClassNone     ErrorClass = ""         // no failure
	ClassDial     ErrorClass = "dial"     // name lookup or connecting failed
	ClassTLS      ErrorClass = "tls"      // handshake or certificate
	ClassTimeout  ErrorClass = "timeout"  // connect, header or total timeout
	ClassReset    ErrorClass = "reset"    // the peer closed or reset a connection in use
	ClassProtocol ErrorClass = "protocol" // not HTTP, too large, too many redirects
	ClassCheck    ErrorClass = "check"    // a response that was not as expected
	ClassTask     ErrorClass = "task"     // a task's own error
	ClassPanic    ErrorClass = "panic"    // a task panicked
)

const numClasses = 9

// errorClasses numbers the classes; 0 is none.
func errorClasses() [numClasses]ErrorClass {
	return [numClasses]ErrorClass{
		ClassNone, ClassDial, ClassTLS, ClassTimeout, ClassReset, ClassProtocol,
		ClassCheck, ClassTask, ClassPanic,
	}
}

// classNumber is the number of a class. A class that a task made up counts as
// class task, which keeps the number of classes bounded.
func classNumber(class ErrorClass) uint8 {
	for i, c := range errorClasses() {
		if c == class {
			return uint8(i)
		}
	}
	return classNumber(ClassTask)
}

// Error is a failure with its class. Requests of a [VU] fail with it; a Go task
// may return one to choose the class of its failure.
type Error struct {
	Class ErrorClass
	Err   error
}

// Error returns the message of the wrapped error.
func (e *Error) Error() string {
	switch {
	case e == nil:
		return "nil"
	case e.Err == nil:
		return string(e.Class)
	}
	return e.Err.Error()
}

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// ClassOf returns the class of an iteration's error: that of the [Error] it
// wraps, timeout for an exceeded deadline, otherwise task; none for nil.
func ClassOf(err error) ErrorClass {
	if err == nil {
		return ClassNone
	}
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e.Class
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ClassTimeout
	}
	return ClassTask
}

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
	return "loadgen: invalid job: " + strings.Join(parts, "; ")
}

type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) missing(field, format string, args ...any) {
	*f = append(*f, FieldError{Field: field, Message: fmt.Sprintf(format, args...), Missing: true})
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &ValidationError{Fields: f}
}
