// Package failure has the classes by which failed requests and iterations are counted, and
// the error that carries one.
package failure

import (
	"context"
	"errors"
)

// ErrInterrupted is what a request or a sleep returns when its job ended it
// before it was done, because a stop's grace time had passed. The iteration
// counts as interrupted, neither as failed nor as a latency.
var ErrInterrupted = errors.New("interrupted by the end of the job")

// Class says what kind of thing went wrong. Statistics count by class and
// never by message, so that their size is bounded.
type Class string

// The classes of failure.
const (
	None     Class = ""         // no failure
	Dial     Class = "dial"     // name lookup or connecting failed
	TLS      Class = "tls"      // handshake or certificate
	Timeout  Class = "timeout"  // connect, header or total timeout
	Reset    Class = "reset"    // the peer closed or reset a connection in use
	Protocol Class = "protocol" // not HTTP, too large, too many redirects
	Check    Class = "check"    // a response that was not as expected
	Task     Class = "task"     // a task's own error
	Panic    Class = "panic"    // a task panicked
)

// NumClasses is the number of classes, None included.
const NumClasses = 9

// Classes numbers the classes; 0 is none.
func Classes() [NumClasses]Class {
	return [NumClasses]Class{
		None, Dial, TLS, Timeout, Reset, Protocol,
		Check, Task, Panic,
	}
}

// Number is the number of a class. A class that a task made up counts as
// class task, which keeps the number of classes bounded.
func Number(class Class) uint8 {
	for i, c := range Classes() {
		if c == class {
			return uint8(i)
		}
	}
	return Number(Task)
}

// Error is a failure with its class. Requests of a [VU] fail with it; a Go task
// may return one to choose the class of its failure.
type Error struct {
	Class Class
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
func ClassOf(err error) Class {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e.Class
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Timeout
	}
	return Task
}
