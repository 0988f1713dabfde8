package apm

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

// Defaults that stand in for a zero field of [ReceiverConfig].
const (
	DefaultVersion     = "8.19.0"
	DefaultMaxBody     = 64 << 20
	DefaultMaxParallel = 256
	DefaultIdle        = time.Minute
	DefaultStream      = 10 * time.Minute
)

// ReceiverConfig says how a [Receiver] behaves. The zero value is the default.
type ReceiverConfig struct {
	// Version is that of the APM server that it says it is. From 8.0 on agents send no
	// transactions that are not sampled. Default: DefaultVersion.
	Version string
	// SecretToken, if there is one, is what agents must send as a bearer token. With
	// Forward, the other server judges what they send.
	SecretToken string
	// MaxBody is the most bytes of a body, uncompressed. Default: DefaultMaxBody.
	MaxBody int64
	// MaxParallel is how many requests are served at a time; more are answered with 503.
	// Default: DefaultMaxParallel.
	MaxParallel int
	// Idle is how long an agent may send nothing within a body, Stream how long a body
	// may take as a whole. Defaults: DefaultIdle and DefaultStream.
	Idle, Stream time.Duration
	// Forward is the URL of a real APM server, or of a collector, that gets all requests
	// unchanged, and whose answers agents get. Empty: the receiver answers by itself.
	Forward string
	// Transport is what Forward goes through. Default: one like http.DefaultTransport.
	Transport http.RoundTripper
	// Logger is told of trouble. Default: nobody is.
	Logger *slog.Logger
}

// Receiver is an HTTP handler that speaks what APM agents and OpenTelemetry exporters
// speak, and hands what they send to a [Ledger]:
//
//	POST /intake/v2/events, /intake/v2/rum/events, /intake/v3/rum/events
//	POST /v1/traces; /v1/metrics and /v1/logs are taken and not looked at
//	GET, POST /config/v1/agents, /config/v1/rum/agents
//	GET /
//
// It must be at the root of its server.
type Receiver struct {
	ledger *Ledger
	cfg    ReceiverConfig
	slots  chan struct{}
	proxy  *forwarder
	stats  receiverCounters
}

type receiverCounters struct {
	requests, documents, forwarded, forwardFailed, forwardRefused, panics atomic.Uint64
}

// ReceiverStats is what a [Receiver] has done so far.
type ReceiverStats struct {
	Requests  uint64 `json:"requests"`
	Documents uint64 `json:"documents"` // transactions, spans and errors
	// Forwarded requests were answered by the other server, ForwardRefused of those with
	// a status of 400 and above. ForwardFailed ones did not reach it.
	Forwarded      uint64 `json:"forwarded"`
	ForwardRefused uint64 `json:"forward_refused"`
	ForwardFailed  uint64 `json:"forward_failed"`
}

// NewReceiver returns a receiver for a ledger. The error says what is wrong with the
// configuration.
func NewReceiver(l *Ledger, cfg ReceiverConfig) (*Receiver, error) {
	if l == nil {
		return nil, errors.New("apm: a receiver needs a ledger")
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.MaxParallel <= 0 {
		cfg.MaxParallel = DefaultMaxParallel
	}
	if cfg.Idle <= 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.Stream <= 0 {
		cfg.Stream = DefaultStream
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Receiver{ledger: l, cfg: cfg, slots: make(chan struct{}, cfg.MaxParallel)}
	if cfg.Forward != "" {
		u, err := url.Parse(cfg.Forward)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("apm: %q is not where to forward to: a URL such as http://apm-server:8200 is needed", cfg.Forward)
		}
		r.proxy = newForwarder(r, u)
	}
	return r, nil
}

// Stats tells what was done so far.
func (r *Receiver) Stats() ReceiverStats {
	return ReceiverStats{
		Requests: r.stats.requests.Load(), Documents: r.stats.documents.Load(), Forwarded: r.stats.forwarded.Load(),
		ForwardRefused: r.stats.forwardRefused.Load(), ForwardFailed: r.stats.forwardFailed.Load(),
	}
}

// ServeHTTP answers an agent.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.stats.requests.Add(1)
	defer r.recover(w)
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		r.ledger.refuse()
		w.Header().Set("Retry-After", "1")
		writeJSON(w, http.StatusServiceUnavailable, &intakeAnswer{Errors: []intakeError{{Message: "queue is full"}}})
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(r.cfg.Stream + r.cfg.Idle))
	req.Body = &patientBody{http.MaxBytesReader(w, req.Body, r.cfg.MaxBody), control, r.cfg.Idle, time.Now().Add(r.cfg.Stream)}
	if r.proxy != nil {
		r.proxy.serve(w, req)
		return
	}
	if !r.allowed(req) {
		writeJSON(w, http.StatusUnauthorized, &intakeAnswer{Errors: []intakeError{{Message: "authentication failed: the secret token is missing or wrong"}}})
		return
	}
	r.answer(w, req)
}

// recover keeps panics from the agent, and from whoever runs the server.
func (r *Receiver) recover(w http.ResponseWriter) {
	p := recover()
	switch {
	case p == nil:
	case p == http.ErrAbortHandler: //nolint:errorlint // the very value, as net/http compares it
		panic(p)
	default:
		r.panicked(p)
		writeJSON(w, http.StatusInternalServerError, &intakeAnswer{Errors: []intakeError{{Message: "internal error"}}})
	}
}

func (r *Receiver) panicked(p any) {
	r.stats.panics.Add(1)
	r.cfg.Logger.Error("the APM receiver panicked", "panic", p, "stack", string(debug.Stack()))
}

// allowed compares in constant time. Browsers have no token, and who asks what server
// this is needs none.
func (r *Receiver) allowed(req *http.Request) bool {
	if r.cfg.SecretToken == "" || strings.Contains(req.URL.Path, "/rum/") || req.URL.Path == "/" {
		return true
	}
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	have, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(r.cfg.SecretToken))
	return ok && subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// answer is what there is without another server.
func (r *Receiver) answer(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	if strings.Contains(path, "/rum/") {
		allowBrowsers(w.Header())
		if req.Method == http.MethodOptions {
			w.WriteHeader(http.StatusOK)
			return
		}
	}
	switch path {
	case "/intake/v2/events", "/intake/v2/rum/events", "/intake/v3/rum/events":
		r.intake(w, req)
	case "/v1/traces":
		r.otlp(w, req, true)
	case "/v1/metrics", "/v1/logs":
		r.otlp(w, req, false)
	case "/config/v1/agents", "/config/v1/rum/agents":
		agentConfig(w, req)
	case "/":
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			methodNotAllowed(w, "GET, HEAD")
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{
			"version": r.cfg.Version, "publish_ready": true, "build_date": "2026-01-01T00:00:00Z", "build_sha": strings.Repeat("0", 40),
		})
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "404 page not found"})
	}
}

// allowBrowsers lets pages of everywhere send, as the real server does by default.
func allowBrowsers(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, Accept, If-None-Match")
	h.Set("Access-Control-Expose-Headers", "ETag")
	h.Set("Access-Control-Max-Age", "3600")
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	writeJSON(w, http.StatusMethodNotAllowed, &intakeAnswer{Errors: []intakeError{{Message: "only " + allow + " requests are supported"}}})
}

func (r *Receiver) intake(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		methodNotAllowed(w, http.MethodPost)
		return
	}
	a := &intakeAnswer{}
	if kind := req.Header.Get("Content-Type"); !strings.Contains(kind, "application/x-ndjson") && !strings.Contains(kind, "application/ndjson") {
		a.fail(http.StatusBadRequest, fmt.Sprintf("invalid content type: %q", kind), nil)
	} else {
		a = r.decodeIntake(req.Body, req)
	}
	_, verbose := req.URL.Query()["verbose"]
	switch {
	case a.status != 0:
		w.Header().Set("Connection", "Close")
		writeJSON(w, a.status, a)
	case verbose:
		writeJSON(w, http.StatusAccepted, a)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// decodeIntake hands what a request of an agent brings to the ledger.
func (r *Receiver) decodeIntake(body io.Reader, req *http.Request) *intakeAnswer {
	text, err := plain(body, req.Header.Get("Content-Encoding"), r.cfg.MaxBody)
	if err != nil {
		a := &intakeAnswer{}
		status, message := readFailure(err)
		a.fail(status, message, nil)
		r.ledger.reject(1)
		return a
	}
	decode := decodeEvent
	if strings.HasPrefix(req.URL.Path, "/intake/v3/") {
		decode = decodeRUM
	}
	a := decodeIntake(text, decode, r.take)
	if a.rejected > 0 {
		r.ledger.reject(a.rejected)
	}
	return a
}

func (r *Receiver) take(docs []Document) {
	r.stats.documents.Add(uint64(len(docs)))
	r.ledger.Take(docs)
}

func (r *Receiver) otlp(w http.ResponseWriter, req *http.Request, traces bool) {
	kind, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	asJSON := kind == "application/json"
	if !asJSON {
		kind = "application/x-protobuf"
	}
	answer := func(status int, body []byte) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
	switch {
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		answer(http.StatusMethodNotAllowed, otlpError(12, "only POST requests are supported", asJSON))
		return
	case !asJSON && !strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-protobuf"):
		w.Header().Set("Accept", "application/x-protobuf, application/json")
		answer(http.StatusUnsupportedMediaType, otlpError(3, "use application/x-protobuf or application/json", asJSON))
		return
	case !traces:
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			status, message := readFailure(err)
			answer(status, otlpError(3, message, asJSON))
			return
		}
		answer(http.StatusOK, otlpAnswer(0, "", asJSON))
		return
	}
	rejected, status, err := r.decodeOTLP(req.Body, req, asJSON)
	if err != nil {
		answer(status, otlpError(3, err.Error(), asJSON))
		return
	}
	answer(http.StatusOK, otlpAnswer(rejected, "spans must have a trace id of 16 bytes and a span id of 8, not all zero", asJSON))
}

// decodeOTLP hands the spans of a request to the ledger.
func (r *Receiver) decodeOTLP(body io.Reader, req *http.Request, asJSON bool) (rejected, status int, err error) {
	text, err := plain(body, req.Header.Get("Content-Encoding"), r.cfg.MaxBody)
	var all []byte
	if err == nil {
		all, err = io.ReadAll(text)
	}
	if err != nil {
		r.ledger.reject(1)
		status, message := readFailure(err)
		if errors.Is(err, errEncoding) {
			status = http.StatusUnsupportedMediaType
		}
		return 0, status, errors.New(message)
	}
	docs, rejected, err := decodeOTLP(all, asJSON)
	if err != nil {
		r.ledger.reject(1)
		return 0, http.StatusBadRequest, err
	}
	if rejected > 0 {
		r.ledger.reject(rejected)
	}
	r.take(docs)
	return rejected, http.StatusOK, nil
}

// agentConfig answers that there is no configuration for the agent. It may ask again in
// thirty seconds.
func agentConfig(w http.ResponseWriter, req *http.Request) {
	const etag = `"-"`
	service := req.URL.Query().Get("service.name")
	switch req.Method {
	case http.MethodGet:
	case http.MethodPost:
		var query struct {
			Service struct {
				Name string `json:"name"`
			} `json:"service"`
		}
		if err := json.NewDecoder(io.LimitReader(req.Body, maxEvent)).Decode(&query); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid query"})
			return
		}
		service = query.Service.Name
	default:
		w.Header().Set("Allow", "GET, POST")
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "only GET and POST requests are supported"})
		return
	}
	if service == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "service.name is required"})
		return
	}
	w.Header().Set("Cache-Control", "max-age=30, must-revalidate")
	w.Header().Set("Etag", etag)
	if req.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	b, err := json.Marshal(body)
	if err == nil {
		_, _ = w.Write(append(b, '\n'))
	}
}
