package apm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
)

// The intake of Elastic APM takes lines of JSON: metadata first, then one event a line
// (https://www.elastic.co/guide/en/observability/current/apm-api-events.html).

const (
	// maxEvent is the largest line, in bytes; that of the real server.
	maxEvent = 300 << 10
	// maxErrors is how many lines an answer complains of, and maxShownLine how much of
	// each it has.
	maxErrors    = 5
	maxShownLine = 1024
	// batch is how many documents a ledger is given at a time.
	batch = 256
)

// intakeAnswer is what an agent is told.
type intakeAnswer struct {
	Accepted int           `json:"accepted"`
	Errors   []intakeError `json:"errors,omitempty"`

	status   int // of the worst error
	rejected int // lines
}

type intakeError struct {
	Message  string `json:"message"`
	Document string `json:"document,omitempty"`
}

func (a *intakeAnswer) fail(status int, message string, line []byte) {
	a.status = max(a.status, status)
	a.rejected++
	if len(a.Errors) < maxErrors {
		a.Errors = append(a.Errors, intakeError{message, strings.ToValidUTF8(string(line[:min(len(line), maxShownLine)]), "�")})
	}
}

// errTooLong is that of a line.
var errTooLong = errors.New("event exceeded the permitted size")

// lineReader reads lines of at most maxEvent bytes.
type lineReader struct {
	r    *bufio.Reader
	line []byte
}

// next returns a line that is valid until the next call. Of one that is too long it
// returns the beginning, and errTooLong.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	var tooLong error
	for {
		part, err := l.r.ReadSlice('\n')
		if keep := maxEvent - len(l.line); len(bytes.TrimRight(part, "\r\n")) > keep {
			l.line, tooLong = append(l.line, part[:keep]...), errTooLong
		} else if tooLong == nil {
			l.line = append(l.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && len(l.line) > 0 && errors.Is(err, io.EOF):
			return l.line, tooLong
		case err != nil:
			return l.line, err
		default:
			return l.line, tooLong
		}
	}
}

// decodeIntake reads events until the end of r, and hands their documents over as they
// come. decode makes documents of one event.
func decodeIntake(r io.Reader, decode func(*metadata, []byte, []Document) ([]Document, error), take func([]Document)) *intakeAnswer {
	a := &intakeAnswer{}
	lines := &lineReader{r: bufio.NewReaderSize(r, 16<<10)}
	var meta *metadata
	var docs []Document
	flush := func() {
		if len(docs) > 0 {
			take(docs)
			docs = docs[:0]
		}
	}
	defer flush()
	for {
		if len(docs) >= batch || lines.r.Buffered() == 0 {
			flush() // before waiting for more
		}
		line, err := lines.next()
		text := bytes.TrimSpace(line)
		switch {
		case errors.Is(err, errTooLong):
			a.fail(http.StatusRequestEntityTooLarge, err.Error(), text)
			if meta == nil {
				return a
			}
			continue
		case errors.Is(err, io.EOF):
			return a
		case err != nil:
			status, message := readFailure(err)
			a.fail(status, message, nil)
			return a
		case len(text) == 0:
			continue
		case meta == nil:
			if meta, err = decodeMetadata(text); err != nil {
				a.fail(http.StatusBadRequest, err.Error(), text)
				return a
			}
			continue
		}
		before := len(docs)
		docs, err = decode(meta, text, docs)
		if err != nil {
			docs = docs[:before]
			a.fail(http.StatusBadRequest, err.Error(), text)
			continue
		}
		a.Accepted++
	}
}

// metadata is the first line of a stream.
type metadata struct{ service, agent string }

func decodeMetadata(line []byte) (*metadata, error) {
	type named struct {
		Name string `json:"name"`
	}
	var m struct {
		Metadata *struct {
			Service *struct {
				Name  string `json:"name"`
				Agent named  `json:"agent"`
			} `json:"service"`
		} `json:"metadata"`
		Short *struct {
			Service *struct {
				Name  string `json:"n"`
				Agent struct {
					Name string `json:"n"`
				} `json:"a"`
			} `json:"se"`
		} `json:"m"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, fmt.Errorf("failed to decode metadata: %w", err)
	}
	switch {
	case m.Metadata != nil && m.Metadata.Service != nil && m.Metadata.Service.Name != "":
		return &metadata{m.Metadata.Service.Name, m.Metadata.Service.Agent.Name}, nil
	case m.Short != nil && m.Short.Service != nil && m.Short.Service.Name != "":
		return &metadata{m.Short.Service.Name, m.Short.Service.Agent.Name}, nil
	case m.Metadata != nil || m.Short != nil:
		return nil, errors.New("metadata: 'service.name' is required")
	}
	return nil, errors.New("the first line must be metadata")
}

// serviceName is in the context of an event that is another service's than that of the
// metadata.
type serviceName struct {
	Service *struct {
		Name string `json:"name"`
	} `json:"service"`
}

func (m *metadata) of(c *serviceName) string {
	if c.Service != nil && c.Service.Name != "" {
		return c.Service.Name
	}
	return m.service
}

type elasticTransaction struct {
	ID       string   `json:"id"`
	TraceID  string   `json:"trace_id"`
	ParentID string   `json:"parent_id"`
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Result   string   `json:"result"`
	Outcome  string   `json:"outcome"`
	Duration *float64 `json:"duration"` // in milliseconds
	Sampled  *bool    `json:"sampled"`
	Context  struct {
		serviceName
		Response struct {
			Status int `json:"status_code"`
		} `json:"response"`
	} `json:"context"`
}

type elasticSpan struct {
	ID       string   `json:"id"`
	TraceID  string   `json:"trace_id"`
	ParentID string   `json:"parent_id"`
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Outcome  string   `json:"outcome"`
	Duration *float64 `json:"duration"`
	Sync     *bool    `json:"sync"`
	Context  struct {
		serviceName
	} `json:"context"`
}

type elasticError struct {
	ID            string `json:"id"` // of 16 bytes
	TraceID       string `json:"trace_id"`
	TransactionID string `json:"transaction_id"`
	ParentID      string `json:"parent_id"`
	Context       struct {
		serviceName
	} `json:"context"`
}

// decodeEvent makes documents of an event of the intake, version 2.
func decodeEvent(m *metadata, line []byte, docs []Document) ([]Document, error) {
	var e struct {
		Transaction *elasticTransaction `json:"transaction"`
		Span        *elasticSpan        `json:"span"`
		Error       *elasticError       `json:"error"`
		Metricset   *struct{}           `json:"metricset"`
		Log         *struct{}           `json:"log"`
		Metadata    *struct{}           `json:"metadata"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return docs, fmt.Errorf("failed to decode: %w", err)
	}
	switch {
	case e.Transaction != nil:
		return e.Transaction.document(m, docs)
	case e.Span != nil:
		return e.Span.document(m, docs)
	case e.Error != nil:
		return e.Error.document(m, docs)
	case e.Metricset != nil, e.Log != nil, e.Metadata != nil:
		return docs, nil
	}
	return docs, errors.New("did not recognize object type")
}

func required(kind string, fields ...[2]string) error {
	for _, f := range fields {
		if f[1] == "" {
			return fmt.Errorf("%s: '%s' is required", kind, f[0])
		}
	}
	return nil
}

func (t *elasticTransaction) document(m *metadata, docs []Document) ([]Document, error) {
	if err := required("transaction", [2]string{"id", t.ID}, [2]string{"trace_id", t.TraceID}, [2]string{"type", t.Type}); err != nil {
		return docs, err
	}
	took, err := millis("transaction", t.Duration)
	if err != nil {
		return docs, err
	}
	return append(docs, Document{
		Kind: Transaction, Trace: traceID(t.TraceID), ID: spanID(t.ID), Parent: spanID(t.ParentID), Service: m.of(&t.Context.serviceName),
		Agent: m.agent, Name: t.Name, Outcome: outcome(t.Outcome), Status: t.Context.Response.Status, Class: resultClass(t.Result),
		Sampled: t.Sampled == nil || *t.Sampled, Duration: took, Async: t.Type == "messaging",
	}), nil
}

func (s *elasticSpan) document(m *metadata, docs []Document) ([]Document, error) {
	if err := required("span", [2]string{"id", s.ID}, [2]string{"trace_id", s.TraceID}, [2]string{"parent_id", s.ParentID}); err != nil {
		return docs, err
	}
	took, err := millis("span", s.Duration)
	if err != nil {
		return docs, err
	}
	return append(docs, Document{
		Kind: Span, Trace: traceID(s.TraceID), ID: spanID(s.ID), Parent: spanID(s.ParentID), Service: m.of(&s.Context.serviceName),
		Agent: m.agent, Name: s.Name, Outcome: outcome(s.Outcome), Sampled: true, Duration: took,
		Async: s.Sync != nil && !*s.Sync || strings.HasPrefix(s.Type, "messaging"),
	}), nil
}

func (e *elasticError) document(m *metadata, docs []Document) ([]Document, error) {
	if err := required("error", [2]string{"id", e.ID}); err != nil {
		return docs, err
	}
	parent := e.ParentID
	if parent == "" {
		parent = e.TransactionID
	}
	id := e.ID // of 128 bits, of which half tells errors of a trace apart
	if len(id) == 32 {
		id = id[16:]
	}
	return append(docs, Document{
		Kind: Error, Trace: traceID(e.TraceID), ID: spanID(id), Parent: spanID(parent), Service: m.of(&e.Context.serviceName), Agent: m.agent,
		Sampled: true,
	}), nil
}

// millis reads a duration, which is required.
func millis(kind string, ms *float64) (time.Duration, error) {
	switch {
	case ms == nil:
		return 0, fmt.Errorf("%s: 'duration' is required", kind)
	case !(*ms >= 0):
		return 0, fmt.Errorf("%s: 'duration' must not be negative", kind)
	}
	return time.Duration(min(*ms*float64(time.Millisecond), math.MaxInt64/2)), nil
}

func outcome(s string) Outcome {
	switch s {
	case "success":
		return OutcomeSuccess
	case "failure":
		return OutcomeFailure
	case "":
		return OutcomeUnset
	default:
		return OutcomeUnknown
	}
}

// resultClass reads "HTTP 4xx".
func resultClass(result string) int {
	digits, ok := strings.CutPrefix(result, "HTTP ")
	if ok && len(digits) == 3 && digits[0] >= '1' && digits[0] <= '5' && strings.EqualFold(digits[1:], "xx") {
		return int(digits[0] - '0')
	}
	return 0
}
