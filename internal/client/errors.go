package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/wire"
)

// requestError is a request that cannot be sent, or not be followed up.
type requestError struct{ method, url, why string }

func (e *requestError) Error() string { return e.method + " " + e.url + ": " + e.why }

// statusError is a response with a status that was not expected. It makes its text
// only when it is asked for, which for most of many failures is never.
type statusError struct {
	method, url string
	status      int
	expected    string
}

func (e *statusError) Error() string {
	if e.expected == "" {
		return fmt.Sprintf("%s %s: unexpected status %d", e.method, e.url, e.status)
	}
	return fmt.Sprintf("%s %s: status %d, expected %s", e.method, e.url, e.status, e.expected)
}

func interrupted() error { return &failure.Error{Class: failure.Task, Err: failure.ErrInterrupted} }

// isAborted tells whether a request was ended from this side on purpose. Such a
// request says nothing about the target.
func isAborted(err error) bool {
	return err != nil && (errors.Is(err, failure.ErrInterrupted) || errors.Is(err, context.Canceled))
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// isTLS tells whether a connection has ended for a reason of TLS, long after the
// handshake perhaps: with TLS 1.3 a server tells only then that it does not like the
// certificate of a client, or that it wants one.
func isTLS(err error) bool {
	var alert *net.OpError // as crypto/tls wraps alerts, those that it sends and those that it gets
	var record tls.RecordHeaderError
	return errors.As(err, &record) ||
		errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error")
}

// lastWord returns what the server has said in TLS about the end of a connection of
// HTTP/2 that was dead before its first request, or else err: net/http tells only that,
// but an alert that was read is read again.
func lastWord(conn net.Conn, err error) error {
	secure, ok := conn.(*tls.Conn)
	if !ok || !strings.Contains(err.Error(), "could not be established") {
		return err
	}
	_ = secure.SetReadDeadline(time.Now().Add(time.Second)) // it is dead: there is nothing to wait for
	if _, said := secure.Read(make([]byte, 1)); said != nil && isTLS(said) {
		return said
	}
	return err
}

// failed makes the error of a hop one with a class, and with a text that names the
// request.
func (x *exchange) failed(err error) error {
	class, err := x.classify(err)
	if class == failure.Dial && errors.Is(err, syscall.EMFILE) {
		x.c.pool.Files.Add(1)
	}
	var status *statusError
	var request *requestError
	if isAborted(err) || errors.As(err, &status) || errors.As(err, &request) {
		return &failure.Error{Class: class, Err: err}
	}
	return &failure.Error{Class: class, Err: fmt.Errorf("%s %s: %w", x.method, x.where(), err)}
}

func (x *exchange) classify(err error) (failure.Class, error) {
	var known *failure.Error
	var status *statusError
	var request *requestError
	var protocol wire.ProtocolError
	var body *wire.BodyError
	switch {
	case errors.As(err, &status):
		return failure.Check, err
	case errors.As(err, &request), errors.As(err, &protocol):
		return failure.Protocol, err
	case x.c.over():
		return failure.Task, failure.ErrInterrupted
	case errors.As(err, &known):
		return known.Class, known.Err
	case errors.Is(x.ctx.Err(), context.Canceled):
		return failure.Task, x.ctx.Err()
	case errors.As(err, &body):
		return failure.Task, err
	case isTimeout(err) || x.ctx.Err() != nil:
		return failure.Timeout, x.timeoutError(err)
	case isTLS(err):
		return failure.TLS, err
	case errors.Is(err, errH2):
		return failure.Protocol, err
	case errors.Is(err, io.EOF):
		return failure.Reset, errors.New("the server closed the connection without an answer")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return failure.Reset, errors.New("the server closed the connection in the middle of the response")
	case errors.Is(err, net.ErrClosed):
		return failure.Reset, err
	}
	return failure.Reset, err
}

// timeoutError says which of the timeouts has passed.
func (x *exchange) timeoutError(err error) error {
	switch {
	case x.m.Status == 0 && x.headDeadline(x.m.Start).Before(x.total):
		return fmt.Errorf("no response header within %v: %w", x.t.headerTimeout, err)
	case x.byContext || x.ctx.Err() != nil:
		return fmt.Errorf("not done when its context was: %w", context.DeadlineExceeded)
	}
	return fmt.Errorf("not done within %v: %w", x.t.timeout, err)
}
