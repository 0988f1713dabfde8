package testagents

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// fault is what goes wrong between the agent of the shop and the receiver.
type fault string

const (
	none      fault = "none"
	drop      fault = "drop"      // a transaction is lost
	double    fault = "double"    // it is sent twice
	delay     fault = "delay"     // it comes when nobody expects it any more
	rename    fault = "rename"    // it has another name
	flip      fault = "outcome"   // it says success for failure, or the other way round
	lengthen  fault = "lengthen"  // it takes an hour more
	loseError fault = "error"     // an error is lost
	sever     fault = "propagate" // the call to the next service has no trace
)

// every is how many documents there are for one with a fault.
const every = 20

// injector stands between an agent and a receiver.
type injector struct {
	fault    fault
	receiver http.Handler

	mu       sync.Mutex
	seen     int
	injected int // faults
	orphans  int // documents whose parent was lost
	held     []func()
}

// hit tells whether this one is to have the fault.
func (in *injector) hit() bool {
	in.seen++
	if in.seen%every != 0 {
		return false
	}
	in.injected++
	return true
}

// release lets go of what was delayed.
func (in *injector) release() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, send := range in.held {
		send()
	}
	in.held = nil
}

func (in *injector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var change func([]byte) []byte
	switch req.URL.Path {
	case "/intake/v2/events":
		change = func(body []byte) []byte { return in.lines(body, req) }
	case "/v1/traces":
		change = func(body []byte) []byte { return in.spans(body, req) }
	default:
		in.receiver.ServeHTTP(w, req)
		return
	}
	var body io.Reader = req.Body
	var err error
	switch req.Header.Get("Content-Encoding") {
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	}
	var plain []byte
	if err == nil {
		plain, err = io.ReadAll(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	plain = change(plain)
	in.mu.Unlock()
	in.receiver.ServeHTTP(w, in.request(req, plain))
}

// request is the one of an agent with another body.
func (in *injector) request(like *http.Request, body []byte) *http.Request {
	req := like.Clone(like.Context())
	req.Header.Del("Content-Encoding")
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return req
}

// later sends a body by itself, when it is released.
func (in *injector) later(like *http.Request, body []byte) {
	req := httptest.NewRequest(like.Method, like.URL.Path, bytes.NewReader(body))
	req.Header.Set("Content-Type", like.Header.Get("Content-Type"))
	in.held = append(in.held, func() { in.receiver.ServeHTTP(httptest.NewRecorder(), req) })
}

// lines changes a stream of Elastic APM.
func (in *injector) lines(body []byte, req *http.Request) []byte {
	var out bytes.Buffer
	var meta []byte
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := append(bytes.Clone(lines.Bytes()), '\n')
		var event map[string]map[string]any
		if json.Unmarshal(line, &event) != nil || meta == nil {
			meta = line
			out.Write(line)
			continue
		}
		tx, isTransaction := event["transaction"]
		_, isError := event["error"]
		if in.fault == none || in.fault == sever || (in.fault == loseError) != isError || !isTransaction && !isError || !in.hit() {
			out.Write(line)
			continue
		}
		switch in.fault {
		case drop:
			if strings.Contains(tx["name"].(string), "/home") {
				in.orphans++ // the span of the call
			}
			continue
		case loseError:
			continue
		case double:
			out.Write(line)
		case delay:
			in.later(req, append(bytes.Clone(meta), line...))
			continue
		case rename:
			tx["name"] = "renamed"
		case lengthen:
			tx["duration"] = tx["duration"].(float64) + float64(time.Hour/time.Millisecond)
		case flip:
			if tx["outcome"] == "failure" {
				tx["outcome"] = "success"
			} else {
				tx["outcome"] = "failure"
			}
		}
		changed, err := json.Marshal(event)
		if err != nil {
			panic(err)
		}
		out.Write(append(changed, '\n'))
	}
	return out.Bytes()
}

// spans changes a request of OTLP.
func (in *injector) spans(body []byte, req *http.Request) []byte {
	var data tracepb.TracesData
	if err := proto.Unmarshal(body, &data); err != nil {
		panic(err)
	}
	for _, r := range data.ResourceSpans {
		for _, s := range r.ScopeSpans {
			var kept []*tracepb.Span
			for _, span := range s.Spans {
				if in.fault == none || in.fault == sever || span.Kind != tracepb.Span_SPAN_KIND_SERVER || in.fault == loseError && len(span.Events) == 0 || !in.hit() {
					kept = append(kept, span)
					continue
				}
				switch in.fault {
				case drop:
					if strings.Contains(span.String(), "/home") {
						in.orphans++
					}
					continue
				case loseError:
					span.Events = nil
				case double:
					kept = append(kept, span)
				case delay:
					one := &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
						Resource: r.Resource, ScopeSpans: []*tracepb.ScopeSpans{{Scope: s.Scope, Spans: []*tracepb.Span{span}}},
					}}}
					b, err := proto.Marshal(one)
					if err != nil {
						panic(err)
					}
					in.later(req, b)
					continue
				case rename:
					span.Name = "renamed"
				case lengthen:
					span.EndTimeUnixNano += uint64(time.Hour)
				case flip:
					if span.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
						span.Status = nil
					} else {
						span.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
					}
				}
				kept = append(kept, span)
			}
			s.Spans = kept
		}
	}
	out, err := proto.Marshal(&data)
	if err != nil {
		panic(err)
	}
	return out
}

// severer takes the trace out of every few calls, as a proxy does that does not know it.
type severer struct {
	on      bool
	calls   atomic.Int64
	severed atomic.Int64
}

func (s *severer) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.on && s.calls.Add(1)%every == 0 {
		s.severed.Add(1)
		req = req.Clone(req.Context())
		for _, name := range []string{"Traceparent", "Tracestate", "Elastic-Apm-Traceparent"} {
			req.Header.Del(name)
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}
