package loadgen

import (
	"net/netip"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/tracecontext"
)

// measurement is what the client knows of one request when it is over. An
// interrupted request is not measured.
type measurement struct {
	method   string
	url      sampleURL  // only filled in if the job is observed
	remote   netip.Addr // likewise
	hop      int
	follows  bool
	trace    tracecontext.Context
	status   int
	class    failure.Class
	err      error
	complete bool      // a whole response was read
	start    time.Time // the request was sent; after connecting
	header   time.Time // the response's header was read
	end      time.Time
	sent     int64
	received int64

	x *exchange // the request, until the measurement was reported
}

// sampleURL is the address of a measured request.
type sampleURL struct {
	Scheme string
	Host   string // with the port, if the URL has one
	Path   string // as sent, escaped
	Query  string // without the question mark
}

// address is the whole URL of the request.
func (m *measurement) address() string { return m.x.url() }

// head is the head of the request as it was sent: one line for each header, after that of
// the method. It is valid while the measurement is reported.
func (m *measurement) head() []byte { return m.x.out }

// requestBody is the body of the request, which is valid while the measurement is reported;
// streamed if it was not kept.
func (m *measurement) requestBody() (body []byte, streamed bool) {
	return m.x.body, m.x.source != nil
}
