package apm

import (
	"encoding/hex"
	"time"

	"github.com/opbeans/loadgen"
)

// Kind says what a [Document] is about.
type Kind uint8

// The kinds of documents.
const (
	// Transaction is the part that one service has in a request: a transaction of
	// Elastic APM, a server or consumer span of OpenTelemetry.
	Transaction Kind = iota
	Span             // any other piece of work
	Error            // an error document of Elastic APM
)

// Protocol is the family of the agent that has sent a document. The rules of outcomes
// depend on it.
type Protocol uint8

// The protocols.
const (
	Elastic Protocol = iota
	OTel
)

// Outcome is what a document says that has become of the work.
type Outcome uint8

// The outcomes. OutcomeUnset is that of an agent that does not say, and the status
// "unset" of OpenTelemetry.
const (
	OutcomeUnset Outcome = iota
	OutcomeSuccess
	OutcomeFailure
	OutcomeUnknown // an agent has said that it does not know
)

// Document is what a [Ledger] needs to know of one transaction, span or error.
type Document struct {
	Kind     Kind
	Protocol Protocol
	Trace    loadgen.TraceID
	ID       loadgen.SpanID
	Parent   loadgen.SpanID // zero if there is none
	Service  string
	Agent    string // "go" or "rum-js" of Elastic APM, "otel/java" of OpenTelemetry
	Name     string
	Outcome  Outcome
	// Status is that of the HTTP response; 0 if the document does not say. Class is its
	// first digit, where an agent says that alone, as in "HTTP 5xx".
	Status, Class int
	Sampled       bool
	// Async is true of what may go on when the response has been sent.
	Async    bool
	Duration time.Duration
	// Exceptions is how many errors the span itself records, as OpenTelemetry does in
	// events.
	Exceptions int
}

// parseID reads n bytes of hexadecimal text. What it cannot read is the zero id, which
// belongs to nothing that was sent.
func parseID(id []byte, s string) bool {
	if len(s) != 2*len(id) {
		return false
	}
	if _, err := hex.Decode(id, []byte(s)); err != nil {
		clear(id)
		return false
	}
	return true
}

func traceID(s string) (id loadgen.TraceID) { parseID(id[:], s); return id }
func spanID(s string) (id loadgen.SpanID)   { parseID(id[:], s); return id }
