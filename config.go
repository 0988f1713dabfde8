package loadgen

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
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

// Off is the value of Grace, Client.DNSTTL and Trace.Ratio that means none; -1 in JSON. A zero value
// there means the default.
const Off = -1

// JobConfig says what a job does. It is plain data: it can be copied, stored and
// sent, and its JSON form is the wire form, with durations in seconds. What is not data (a dialer, a logger,
// observers) is an [Option] of the [Manager].
//
// The zero value of a field, in Go and in JSON, means its default, as does a key of JSON that
// is left out:
//
//	Workers, Client.ConnectTimeout, Client.Timeout,   the constants Default…
//	Client.MaxBody
//	MaxWorkers                                        DefaultMaxWorkers with a Rate, or Workers if that is more
//	Grace, Client.DNSTTL, Trace.Ratio                 DefaultGrace, DefaultDNSTTL, 1; Off for none
//	Duration, MaxIterations, Lease,                   no limit
//	Client.HeaderTimeout
//	Delay, RampUp                                     none
//	Rate, Stages, Segment, StartAt                    closed model, no stages, the whole job, at once
//	Seed                                              a random one
//
// Where 0 could also mean none (grace, dns_ttl, trace_ratio), JSON refuses 0 and asks for -1.
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
	// Stages are the plan of the job: each leads to a rate (open model) or to a number
	// of workers (closed model); the two cannot be mixed. The job ends with the last
	// stage, unless Duration is set.
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

	// Segment, if not zero, makes the job one of several processes that share the load.
	// All other values, also in an update, are for the whole load; every segment gets the
	// same. It cannot be changed while the job runs.
	Segment Segment
	// StartAt is when the iterations begin, by the clock of this machine. The job waits
	// until then, so that jobs with the same StartAt run in step. Times since the start
	// count from StartAt, even if the job is up to StartTolerance late. If it is later, it
	// does not start; if its set-up took that long, it fails. Zero: at once. It cannot be
	// changed while the job runs.
	StartAt time.Time

	// Thresholds say what the statistics of the job must be: see [ParseThreshold] and
	// [Snapshot.Verdicts]. Those of the scenario count beside them, except for ones
	// with the same metric, labels and direction. At most MaxThresholds.
	Thresholds []Threshold

	// Lease stops the job when its start, its last update and the last [Job.Renew] are all
	// that long ago, so that an abandoned job ends by itself. Zero: no lease.
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

	// Client says how requests are sent: timeouts, connections, protocol, certificates.
	Client ClientConfig
	// Trace says whether requests carry trace context, and which.
	Trace TraceConfig

	// Seed makes a run repeat: each VU draws the same picks and the same random
	// values again. Zero: a random seed, which Job.Config then shows.
	Seed uint64

	// Grace is how long running iterations may go on after a stop or the end of
	// Duration, before they are interrupted. Default DefaultGrace; Off for none.
	Grace time.Duration
}

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
		} else if canonical := http.CanonicalHeaderKey(name); client.FramingHeader(canonical) {
			f.Add("headers."+name, "is set by the client, from the body of each request")
		} else if canonical == "Host" && !textkit.IsHost(c.Headers[name]) {
			f.Add("headers."+name, "must be a host, with a port if it needs one, not %q", textkit.Shorten(c.Headers[name]))
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
	const day = 24 * time.Hour
	checkSpan(f, "delay", c.Delay, 365*day)
	if err := c.Rate.Validate(); err != nil {
		f.Add("rate", "%v", err)
	}
	c.checkStages(f)
	c.checkSegment(f)
	checkSpan(f, "ramp_up", c.RampUp, 365*day)
	checkSpan(f, "duration", c.Duration, MaxDuration)
	checkSpan(f, "lease", c.Lease, MaxDuration)
	if c.Grace != Off {
		checkSpan(f, "grace", c.Grace, 365*day)
	}
	c.Client.check(f)
	c.client().Check(f)
	c.checkTrace(f)
	checkThresholds(c.Thresholds, f)
}

func checkSpan(f *fault.List, field string, d, most time.Duration) {
	if d < 0 || d > most {
		f.Add(field, "must be from 0 to %s, not %s", most, d)
	}
}

// withDefaults returns c with every zero field that has a default filled in, and
// with maps of its own.
func (c JobConfig) withDefaults() JobConfig {
	c = c.clone()
	if c.ServiceName == "" {
		c.ServiceName = "default"
	}
	if c.Workers == 0 && (len(c.Stages) == 0 || c.open()) {
		c.Workers = DefaultWorkers
	}
	if c.MaxWorkers == 0 && c.open() {
		c.MaxWorkers = max(DefaultMaxWorkers, c.Workers)
	}
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.Client.setDefaults()
	if c.Scenario != nil {
		c.ScenarioName = c.Scenario.Name()
	}
	return c
}

// clone returns a copy of c that shares no map with it.
func (c JobConfig) clone() JobConfig {
	c.Variables = maps.Clone(c.Variables)
	c.Weights = maps.Clone(c.Weights)
	c.Headers = maps.Clone(c.Headers)
	c.Client.ConnectTo = maps.Clone(c.Client.ConnectTo)
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
		if err := textkit.CheckPort(port); err != nil {
			return nil, err
		}
	}
	return u, nil
}

var errBaseURL = errors.New("must be an http or https URL without query or fragment, for instance http://localhost:8000")
