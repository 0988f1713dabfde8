package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Defaults that stand in for a zero field of [JobConfig].
const (
	DefaultWorkers        = 1
	DefaultMaxWorkers     = 1000 // of a job with a rate
	DefaultGrace          = 5 * time.Second
	DefaultConnectTimeout = 10 * time.Second
	DefaultTimeout        = 300 * time.Second
	DefaultMaxBody        = 64 << 20
	DefaultDNSTTL         = time.Minute
)

// Limits of what [JobConfig.Validate] accepts; beyond them a value is taken for
// a mistake.
const (
	MaxWorkers  = 1_000_000
	MaxDuration = 100 * 365 * 24 * time.Hour
	MaxWeight   = scenariofile.MaxWeight // 1e9
	MaxNameLen  = textkit.MaxNameLen     // of names, in bytes

	StartTolerance = time.Second          // that a job may begin after its StartAt
	maxStartIn     = 365 * 24 * time.Hour // until StartAt
)

// JobConfig says what a job does. It is plain data: it can be copied, stored and
// sent, and its JSON form is the wire form, with durations in seconds. The zero
// value of a field means its default. What is not data (a dialer, a logger,
// observers) is an [Option] of the [Manager].
//
// The API calls the number of VUs workers; this package uses that word for the
// number asked for, and VU for one of them.
type JobConfig struct {
	// Name identifies the job within its Manager. Required; at most MaxNameLen
	// bytes, without control characters or slashes.
	Name string
	// Scenario is what to run. Either it or ScenarioName is required; if both
	// are set, Scenario wins.
	Scenario *Scenario
	// ScenarioName is looked up in the Manager's catalogue when the job starts.
	ScenarioName string
	// BaseURL is where relative URLs of the scenario lead, for instance
	// http://localhost:8000/shop. Required; http or https.
	BaseURL string
	// ServiceName is what conditions in scenarios see as SERVICE_NAME. Default:
	// "default".
	ServiceName string

	// Workers is the number of VUs, at most MaxWorkers; default DefaultWorkers.
	// With a Rate it is the number to begin with.
	Workers int
	// MaxWorkers bounds the VUs of a job with a Rate, which adds VUs while
	// iterations come due faster than they end. Default: DefaultMaxWorkers, or
	// Workers if that is more.
	MaxWorkers int
	// Delay is the pause of a VU between the end of an iteration and the next
	// (closed model). Ignored with a Rate.
	Delay time.Duration
	// Rate, if not zero, starts iterations at this rate whatever the target
	// does (open model), instead of by Workers and Delay.
	Rate Rate
	// Stages, if there are any, give the course of the job: each leads to a rate
	// (open model) or to a number of workers (closed model), all to the same of the
	// two. The job ends with the last one, unless Duration says otherwise.
	Stages []Stage
	// RampUp spreads the start of the VUs evenly over this time; with a Rate,
	// the rate grows linearly from zero over it.
	RampUp time.Duration
	// Duration ends the job: no iteration begins that is due at or after it.
	// Zero: the job runs until it is stopped.
	Duration time.Duration
	// MaxIterations ends the job after so many iterations in all. Zero: no
	// limit.
	MaxIterations uint64

	// Segment, if not zero, makes the job one of several that are the whole together,
	// each in a process of its own. All the other values here, also those of an update,
	// are those of the whole, which all segments get alike. It cannot be changed while the
	// job runs.
	Segment Segment
	// StartAt is when the iterations begin, by the clock of this machine; until then the
	// job waits, and stays in step with others of the same StartAt. Times since the
	// start count from there, even if the job comes up to StartTolerance late; later, it
	// does not start, or fails if that was because of its set-up, which runs before.
	// Zero: at once. It cannot be changed while the job runs.
	StartAt time.Time

	// Thresholds say what the statistics of the job must be: see [ParseThreshold] and
	// [Snapshot.Verdicts]. Those of the scenario count beside them, except for ones
	// with the same metric, labels and direction. At most MaxThresholds.
	Thresholds []Threshold

	// Lease stops the job when it is that long since its start, its last update or
	// [Job.Renew]: a job that is not looked after any more ends by itself. Zero: no
	// lease.
	Lease time.Duration

	// Variables override the defaults of variables that the scenario declares.
	// Values are converted to the type of the default. The names that the wire
	// always sends (see StandardVariables) may be set for any scenario.
	Variables map[string]string
	// Weights override the effective weights of tasks, by name.
	Weights map[string]float64
	// Headers are sent with every request, unless the request sets the same
	// header itself.
	Headers map[string]string

	// Trace makes every request carry trace context, after the standard of the W3C: a
	// header traceparent with ids that follow from the seed, the name of the job, the
	// VU, its iteration and the step there, so that a run with the same seed has the
	// same ids; a job that was resumed (see [Manager.Restore]) has other ones from then
	// on. The hops of a redirect are spans of one trace; a request is sent again with
	// the same ids only where a kept connection had died under it. A request that sets
	// one of these headers itself keeps its own.
	Trace bool
	// TraceRatio is the share of traces that are marked as sampled, from 0 to 1.
	// Default 1; NoSampling for none.
	TraceRatio float64
	// TraceState and Baggage, if not empty, are sent as tracestate and baggage with
	// each traced request, for instance "es=s:1" and "tenant=7,plan=gold". Baggage, like
	// the header of TraceHeader, does not follow a redirect to another origin.
	TraceState, Baggage string
	// TraceHeader is the name of a header in which each traced request says where it
	// comes from: "job=shop,task=list%20products,revision=3", with names escaped as in
	// URLs. Empty: none.
	TraceHeader string

	// Seed makes a run repeat: each VU draws the same picks and the same random
	// values again. Zero: a random seed, which Job.Config then shows.
	Seed uint64

	// Grace is how long running iterations may go on after a stop or the end of
	// Duration, before they are interrupted. Default DefaultGrace; NoGrace for
	// none.
	Grace time.Duration
	// ConnectTimeout bounds name lookup, connect and TLS handshake together;
	// default DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// HeaderTimeout bounds the wait from the request sent to the end of the
	// response's header. Zero: only Timeout bounds it.
	HeaderTimeout time.Duration
	// Timeout bounds one request from connecting to the last byte of the body;
	// default DefaultTimeout. Each redirect is a request of its own.
	Timeout time.Duration
	// MaxBody is the largest response body in bytes; a longer one is a failure
	// of class protocol. Default DefaultMaxBody.
	MaxBody int64
	// HTTP chooses the protocol version: "" for HTTP/1.1, and HTTP/2 where a
	// TLS server prefers it; "1.1" for that alone; "2" for HTTP/2 alone, with
	// prior knowledge over plain http.
	HTTP string

	// Reuse says who uses a connection again: "vu" (or empty) for the VU that has
	// opened it; "shared" for all VUs of the job, which then have as many
	// connections as there are requests at a time, and of HTTP/2 about one; "none"
	// for nobody, so that each request has a connection of its own.
	Reuse string
	// Proxy is the URL of a proxy for all requests: http, https, socks5 (names are
	// looked up here) or socks5h (there), with user and password if it asks for
	// them. Empty: none; the environment is not asked. Over http and https it
	// forwards requests of plain HTTP/1.1, and is asked for a tunnel (CONNECT) for
	// others.
	Proxy string
	// ConnectTo leads connections elsewhere: from the host and port of a URL
	// ("shop.test:443") to another host and port, or to a Unix socket
	// ("unix:/run/shop.sock", if the Manager allows it: see [WithUnixSockets]).
	// Header, TLS name and statistics are those of the URL. Such connections do not
	// take the Proxy.
	ConnectTo map[string]string
	// LocalAddr is the IP address of this machine that connections begin at. Empty:
	// what the system picks. Not with [WithDialContext].
	LocalAddr string
	// DNSTTL is how long the addresses of a name are remembered, by all jobs of the
	// Manager; default DefaultDNSTTL, NoDNSCache to look it up for each connection.
	// Connections go to the addresses of a name in turn; where one is refused, the
	// next is tried. Ignored with [WithDialContext], whose dialer gets the name.
	DNSTTL time.Duration
	// Insecure accepts any certificate of a server, or of a proxy.
	Insecure bool
	// CACerts are the certificates, in PEM form, of the authorities that are trusted
	// instead of the system's or of those of [WithTLSConfig]. Certificates of the
	// client have private keys, which have no place in a JobConfig: WithTLSConfig
	// takes them.
	CACerts string

	reload bool // set by Reload
}

// Reload asks the Update that c is changed for to read the scenario of that name
// again, even though the name is the same, so that a changed file takes effect.
func (c *JobConfig) Reload() { c.reload = true }

// NoGrace as a JobConfig's Grace interrupts running iterations at once.
const NoGrace time.Duration = -1

// NoDNSCache as a JobConfig's DNSTTL looks a name up for each connection.
const NoDNSCache time.Duration = -1

// StandardVariables returns the names that a job may set in Variables whether or not
// its scenario declares them, because clients of the API always send them. Names in
// one row mean the same variable: a value for one is the value of both. The first
// two rows are what the job's BaseURL and ServiceName say, in every scenario.
func StandardVariables() [][]string {
	return [][]string{
		{"SERVER_URL", "OPBEANS_BASE_URL"},
		{"SERVICE_NAME", "OPBEANS_NAME"},
		{"ERROR_WEIGHT"},
		{"APP_LATENCY_WEIGHT", "LABEL_WEIGHT"},
		{"APP_LATENCY_LABEL", "LABEL_NAME"},
		{"APP_LATENCY_LOWER_BOUND"},
		{"APP_LATENCY_UPPER_BOUND"},
		{"APP_LATENCY_USER_AGENT"},
	}
}

// Validate reports every fault of c at once, as a [*ValidationError], or nil. It
// changes nothing and looks nothing up: whether a scenario of that name exists,
// and whether the variables fit it, shows when a Manager takes the config.
func (c *JobConfig) Validate() error { return validation(c.check()) }

func (c *JobConfig) check() fault.List {
	var f fault.List
	c.checkWhat(&f)
	c.checkHow(&f)
	return f
}

// checkWhat looks at what runs against what.
func (c *JobConfig) checkWhat(f *fault.List) {
	switch {
	case c.Name == "":
		f.Missing("job", "a name is required, for instance \"shop\"")
	case len(c.Name) > MaxNameLen:
		f.Add("job", "must be at most %d bytes long, not %d", MaxNameLen, len(c.Name))
	case strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\uFFFD' }):
		f.Add("job", "must have no slashes or control characters, and be valid UTF-8, not %q", c.Name)
	case c.Name == "." || c.Name == "..":
		f.Add("job", "must not be %q, which no URL can name", c.Name)
	}
	if c.Scenario == nil && c.ScenarioName == "" {
		f.Missing("scenario", "a scenario is required")
	}
	if c.BaseURL == "" {
		f.Missing("url", "a base URL is required, for instance http://localhost:8000")
	} else if _, err := parseBaseURL(c.BaseURL); err != nil {
		f.Add("url", "%v", err)
	}
	if strings.ContainsFunc(c.ServiceName, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		f.Add("service_name", "must have no control characters")
	}
	for _, name := range textkit.SortedKeys(c.Weights) {
		if w := c.Weights[name]; !(w >= 0 && w <= MaxWeight) {
			f.Add("weights."+name, "must be a number from 0 to %g, not %v", MaxWeight, w)
		}
	}
	for _, name := range textkit.SortedKeys(c.Headers) {
		if !textkit.IsToken(name) || !client.ValidHeaderValue(c.Headers[name]) {
			f.Add("headers."+name, "is not a valid HTTP header")
		}
	}
}

// checkHow looks at how much, how often and how long.
func (c *JobConfig) checkHow(f *fault.List) {
	if c.Workers < 0 || c.Workers > MaxWorkers {
		f.Add("workers", "must be from 1 to %d, not %d", MaxWorkers, c.Workers)
	}
	switch {
	case c.MaxWorkers < 0 || c.MaxWorkers > MaxWorkers:
		f.Add("max_workers", "must be from 1 to %d, not %d", MaxWorkers, c.MaxWorkers)
	case c.MaxWorkers > 0 && c.MaxWorkers < c.Workers:
		f.Add("max_workers", "must not be below workers (%d), as %d is", c.Workers, c.MaxWorkers)
	}
	span := func(field string, d, max time.Duration) {
		if d < 0 || d > max {
			f.Add(field, "must be from 0 to %s, not %s", max, d)
		}
	}
	const day = 24 * time.Hour
	span("delay", c.Delay, 365*day)
	if err := c.Rate.Validate(); err != nil {
		f.Add("rate", "%v", err)
	}
	c.checkStages(f)
	c.checkSegment(f)
	span("ramp_up", c.RampUp, 365*day)
	span("duration", c.Duration, MaxDuration)
	span("lease", c.Lease, MaxDuration)
	if c.Grace != NoGrace {
		span("grace", c.Grace, 365*day)
	}
	span("connect_timeout", c.ConnectTimeout, day)
	span("header_timeout", c.HeaderTimeout, 365*day)
	span("timeout", c.Timeout, 365*day)
	if c.MaxBody < 0 {
		f.Add("max_body", "must not be negative")
	}
	if !slices.Contains([]string{"", "1.1", "2"}, c.HTTP) {
		f.Add("http", "must be \"1.1\", \"2\", or empty to negotiate, not %q", c.HTTP)
	}
	c.client().Check(f)
	c.checkTrace(f)
	checkThresholds(c.Thresholds, f)
}

// withDefaults returns c with every zero field that has a default filled in, and
// with maps of its own.
func (c JobConfig) withDefaults() JobConfig {
	c = c.clone()
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	if c.ServiceName == "" {
		c.ServiceName = "default"
	}
	if c.Workers == 0 && (len(c.Stages) == 0 || c.open()) {
		c.Workers = DefaultWorkers
	}
	if c.MaxWorkers == 0 && c.open() {
		c.MaxWorkers = max(DefaultMaxWorkers, c.Workers)
	}
	or(&c.Grace, DefaultGrace)
	or(&c.ConnectTimeout, DefaultConnectTimeout)
	or(&c.Timeout, DefaultTimeout)
	or(&c.DNSTTL, DefaultDNSTTL)
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Scenario != nil {
		c.ScenarioName = c.Scenario.Name()
	}
	return c
}

// client is the part of c that the client of each VU needs.
func (c *JobConfig) client() *client.Config {
	out := &client.Config{
		ConnectTimeout: c.ConnectTimeout, HeaderTimeout: c.HeaderTimeout, Timeout: c.Timeout, MaxBody: c.MaxBody,
		HTTP: c.HTTP, Reuse: c.Reuse, Proxy: c.Proxy, ConnectTo: c.ConnectTo, LocalAddr: c.LocalAddr,
		DNSTTL: c.DNSTTL, Insecure: c.Insecure, CACerts: c.CACerts, Headers: c.Headers,
		Trace: client.TraceConfig{
			On: c.Trace, Ratio: cmp.Or(c.TraceRatio, 1), State: c.TraceState, Baggage: c.Baggage,
			Header: c.TraceHeader, Seed: c.Seed, Job: c.Name,
		},
	}
	if c.TraceRatio == NoSampling {
		out.Trace.Ratio = 0
	}
	return out
}

// clone returns a copy of c that shares no map with it.
func (c JobConfig) clone() JobConfig {
	c.Variables = maps.Clone(c.Variables)
	c.Weights = maps.Clone(c.Weights)
	c.Headers = maps.Clone(c.Headers)
	c.ConnectTo = maps.Clone(c.ConnectTo)
	c.Stages = slices.Clone(c.Stages)
	c.Thresholds = slices.Clone(c.Thresholds)
	return c
}

// grace is the time that running iterations get after a stop.
func (c *JobConfig) grace() time.Duration { return max(c.Grace, 0) }

func parseBaseURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		return nil, errors.New("must begin with http:// or https://, for instance http://localhost:8000")
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errBaseURL
	}
	if strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") { // which url.Parse lets pass
		return nil, errors.New("must have one port at most, and an IPv6 address in brackets, for instance http://[::1]:8000")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errBaseURL
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("must have a port from 1 to 65535, not %q", port)
		}
	}
	return u, nil
}

var errBaseURL = errors.New("must be an http or https URL without query or fragment, for instance http://localhost:8000")
