package loadgen

import (
	"context"
	"errors"
)

// ErrInterrupted is what a request or a sleep returns when its job ended it
// before it was done, because a stop's grace time had passed. The iteration
// counts as interrupted, neither as failed nor as a latency.
var ErrInterrupted = errors.New("loadgen: interrupted by the end of the job")

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
