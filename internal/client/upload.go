package client

import (
	"errors"
	"net/http"

	"github.com/opbeans/loadgen/internal/wire"
)

// writeLarge sends a large body, and reads the head of the response meanwhile: a server may
// refuse the request (413, 401) long before it has read the body, and read no more of it. Such
// an answer ends the sending at once; after one below 300 the body is sent to its end.
func (x *exchange) writeLarge() (answered bool, err error) {
	cn := x.conn
	if err := cn.Both(true); err != nil {
		return false, err
	}
	head := make(chan error, 1)
	go func() {
		err := x.readHead(x.method == http.MethodHead, false)
		if err == nil && x.in.Status >= http.StatusMultipleChoices {
			cn.StopWriting()
		}
		head <- err
	}()
	if x.source != nil {
		err = wire.CopyBody(&cn.Conn, x.source, x.sourceLen)
	} else {
		_, err = cn.Write(x.body)
	}
	var ours *wire.BodyError
	switch {
	case errors.As(err, &ours):
		cn.StopReading()
	case err == nil && x.t.headerTimeout > 0:
		cn.ReadUntil(x.headDeadline(nowAfter(x.m.Start)))
	}
	why := <-head
	if end := cn.Both(false); end != nil && err == nil {
		err = end
	}
	switch {
	case ours != nil:
		return false, err
	case why == nil:
		x.closing = x.closing || err != nil
		return true, cn.SetDeadline(x.total, nowAfter(x.m.Start))
	case err == nil || isTLS(why):
		return false, why
	}
	return false, err
}
