package client

import (
	"net/netip"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/tracecontext"
)

// Measurement is what the client knows of one request when it is over. An
// interrupted request is not measured.
type Measurement struct {
	Method   string
	URL      URL        // only filled in if the job is observed
	Remote   netip.Addr // likewise
	Hop      int
	Follows  bool
	Trace    tracecontext.Context
	Status   int
	Class    failure.Class
	Err      error
	Complete bool      // a whole response was read
	Start    time.Time // the request was sent; after connecting
	Header   time.Time // the response's header was read
	End      time.Time
	Sent     int64
	Received int64

	x *exchange // the request, until the measurement was reported
}

// URL is the address of a measured request.
type URL struct {
	Scheme string
	Host   string // with the port, if the URL has one
	Path   string // as sent, escaped
	Query  string // without the question mark
}

// Address is the whole URL of the request.
func (m *Measurement) Address() string { return m.x.url() }

// Head is the head of the request as it was sent: one line for each header, after that of
// the method. It is valid while the measurement is reported.
func (m *Measurement) Head() []byte { return m.x.out }

// RequestBody is the body of the request, which is valid while the measurement is reported;
// streamed if it was not kept.
func (m *Measurement) RequestBody() (body []byte, streamed bool) {
	return m.x.body, m.x.source != nil
}
