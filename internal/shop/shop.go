// Package shop is a small coffee shop behind an HTTP API like that of the Opbeans
// applications: the target of the demonstration and of tests. Its data is made up,
// always the same, and never changes.
//
// It is cheap enough to be put under load: bodies are made once, a request that
// waits holds nothing but its goroutine and a timer, and counting takes no lock.
package shop

import (
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Options of a Shop. The zero value is a shop that answers at once and without
// random errors.
type Options struct {
	// Latency scales how long answers take: 1 is that of a small shop with a
	// database, a few milliseconds with now and then a slow one; 0 is none.
	// What /labeldelay is asked to wait is not scaled.
	Latency float64
	// Seed chooses the random latencies and errors. The nth request of a shop
	// meets the same luck in every run.
	Seed uint64
	// ErrorRate is the share of requests, from 0 to 1, that fail with status
	// 500 for no reason.
	ErrorRate float64
}

// StatusCanceled is the status under which requests are counted whose client went
// away before the answer.
const StatusCanceled = 499

// Shop is an [http.Handler]. All its methods are safe for concurrent use.
type Shop struct {
	opts     Options
	data     *data
	mux      *http.ServeMux
	routes   []*route
	luck     atomic.Uint64 // random numbers drawn
	orders   atomic.Uint64 // orders taken
	sessions atomic.Uint64 // session cookies given out
}

// route counts the requests of one row of the API.
type route struct {
	pattern string
	counts  [600]atomic.Uint64 // by status
}

// answer is what a route says to a request. Bodies are shared and read only.
type answer struct {
	status int
	body   body
	wait   time.Duration // before answering, besides the latency
	cookie *http.Cookie
	allow  []string // methods, if the request's was none of them

	location string // where the answer is to be had instead
}

// body is a body with its headers, made once.
type body struct {
	bytes       []byte
	tail        []byte // comes after bytes
	contentType []string
	length      []string
}

//go:embed index.html
var index []byte

// New returns a shop. It takes some milliseconds to stock.
func New(opts Options) *Shop {
	s := &Shop{opts: opts, data: newData(), mux: http.NewServeMux()}
	home := newBody("text/html; charset=utf-8", index)

	const ms = time.Millisecond
	s.handle("GET /{$}", 2*ms, func(r *http.Request) answer {
		return answer{status: http.StatusOK, body: home, cookie: s.session(r)}
	})
	s.handle("GET /api/stats", 18*ms, always(s.data.stats))
	s.handle("GET /api/products", 5*ms, always(s.data.products.all()))
	s.handle("GET /api/products/top", 12*ms, always(s.data.top))
	s.handle("GET /api/products/{id}", 4*ms, one("product", s.data.products))
	s.handle("GET /api/products/{id}/customers", 25*ms, s.productCustomers)
	s.handle("GET /api/types", 3*ms, always(s.data.types.all()))
	s.handle("GET /api/types/{id}", 5*ms, one("type", s.data.typeDetails))
	s.handle("GET /api/customers", 15*ms, page(s.data.customers))
	s.handle("GET /api/customers/{id}", 4*ms, one("customer", s.data.customers))
	s.handle("GET /api/orders", 12*ms, page(s.data.orders))
	s.handle("GET /api/orders/{id}", 6*ms, one("order", s.data.orderDetails))
	s.handle("POST /api/orders", 20*ms, s.order)
	s.handle("POST /api/orders/csv", 35*ms, s.orderCSV)
	s.handle("POST /api/login", 30*ms, s.login)
	s.handle("DELETE /api/login", 3*ms, s.private(logout))
	s.handle("GET /api/account", 5*ms, s.private(account))
	s.handle("PUT /api/customers/{id}/note", 8*ms, s.note)
	s.handle("GET /products/{id}", ms, moved)
	s.handle("GET /labeldelay", 0, labelDelay)

	broken := always500("the shop fails on purpose")
	for _, path := range []string{"/oopsie", "/log-error", "/log-message", "/is-it-coffee-time", "/throw-error"} {
		s.handle("GET "+path, 3*ms, broken)
	}
	s.handle("GET /throw-async-error", 3*ms, always(jsonBody(map[string]string{
		"status": "thrown where no request sees it",
	})))
	s.handle("/", 0, s.unknown)
	return s
}

// ServeHTTP answers a request after the latency of its route, or not at all if
// the client goes away meanwhile.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handle adds a route. typical is its median latency; a route without one takes
// no time and has no random errors.
func (s *Shop) handle(pattern string, typical time.Duration, fn func(*http.Request) answer) {
	rt := &route{pattern: pattern}
	s.routes = append(s.routes, rt)
	failed := failure(http.StatusInternalServerError, "something broke")
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a := failed
		if typical == 0 || s.opts.ErrorRate <= 0 || s.uniform() >= s.opts.ErrorRate {
			a = fn(r)
		}
		if !sleep(r, a.wait+s.latency(typical)) {
			a = answer{status: StatusCanceled}
		}
		rt.counts[a.status].Add(1)
		a.write(w)
	})
}

func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.cookie != nil {
		http.SetCookie(w, a.cookie)
	}
	if a.allow != nil {
		h["Allow"] = a.allow
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.body.contentType != nil {
		h["Content-Type"] = a.body.contentType
		h["Content-Length"] = a.body.length
	}
	w.WriteHeader(a.status)
	// A failed write means that the client has gone; there is nobody to tell.
	_, _ = w.Write(a.body.bytes)
	if len(a.body.tail) > 0 {
		_, _ = w.Write(a.body.tail)
	}
}

// session gives a cookie to a client that has none.
func (s *Shop) session(r *http.Request) *http.Cookie {
	const name = "shop_session"
	if c, err := r.Cookie(name); err == nil && c.Value != "" {
		return nil
	}
	id := mix(s.opts.Seed ^ s.sessions.Add(1))
	return &http.Cookie{
		Name: name, Value: fmt.Sprintf("%016x", id), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Sessions is how many clients came to the home page without a session cookie,
// and were given one.
func (s *Shop) Sessions() uint64 { return s.sessions.Load() }

// Orders is how many orders were taken.
func (s *Shop) Orders() uint64 { return s.orders.Load() }

// productCustomers lists who bought a product.
func (s *Shop) productCustomers(r *http.Request) answer {
	i, ok := s.data.products.find(r.PathValue("id"))
	if !ok {
		return notFound("product", r)
	}
	return page(s.data.buyers[i])(r)
}

// unknown answers what no route takes: 405 if one takes the path, else 404.
func (s *Shop) unknown(r *http.Request) answer {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
			allow = append(allow, method)
		}
	}
	if allow != nil {
		methods := strings.Join(allow, ", ")
		a := failure(http.StatusMethodNotAllowed, "%.40q takes %s, not %s", r.URL.Path, methods, r.Method)
		a.allow = []string{methods}
		return a
	}
	return failure(http.StatusNotFound, "no such page: %.40q", r.URL.Path)
}

// maxDelay bounds /labeldelay, so that no request stays for hours.
const maxDelay = time.Minute

// labelDelay waits for as many milliseconds as asked, under a label that a
// monitored service would put on its transaction.
func labelDelay(r *http.Request) answer {
	q := r.URL.Query()
	label := q.Get("label")
	delay, err := strconv.Atoi(q.Get("delay"))
	if err != nil || delay < 0 || delay > int(maxDelay/time.Millisecond) {
		return failure(http.StatusBadRequest, "delay must be from 0 to %d milliseconds, not %.40q",
			maxDelay/time.Millisecond, q.Get("delay"))
	}
	if label == "" {
		return failure(http.StatusBadRequest, "label must not be empty")
	}
	return answer{
		status: http.StatusOK,
		body:   jsonBody(map[string]any{"delay": delay, "label": label}),
		wait:   time.Duration(delay) * time.Millisecond,
	}
}

// always answers every request with the same.
func always(b body) func(*http.Request) answer {
	return func(*http.Request) answer { return answer{status: http.StatusOK, body: b} }
}

func always500(message string) func(*http.Request) answer {
	a := failure(http.StatusInternalServerError, "%s", message)
	return func(*http.Request) answer { return a }
}

// one answers with the row that the path names.
func one(what string, rows *table) func(*http.Request) answer {
	return func(r *http.Request) answer {
		i, ok := rows.find(r.PathValue("id"))
		if !ok {
			return notFound(what, r)
		}
		return answer{status: http.StatusOK, body: rows.row(i)}
	}
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// page answers with the first rows, as many as the query's limit.
func page(rows *table) func(*http.Request) answer {
	return func(r *http.Request) answer {
		limit := defaultLimit
		if s := r.URL.Query().Get("limit"); s != "" {
			var err error
			if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxLimit {
				return failure(http.StatusBadRequest, "limit must be from 1 to %d, not %.40q", maxLimit, s)
			}
		}
		return answer{status: http.StatusOK, body: rows.first(limit)}
	}
}

func notFound(what string, r *http.Request) answer {
	return failure(http.StatusNotFound, "no such %s: %.40q", what, r.PathValue("id"))
}

func failure(status int, format string, args ...any) answer {
	return answer{status: status, body: jsonBody(map[string]string{"error": fmt.Sprintf(format, args...)})}
}
