// Package loadtest runs load in Go tests: one call drives a service, holds what was
// measured against thresholds, and fails the test with one readable block if one does
// not hold.
//
//	func TestCheckout(t *testing.T) {
//		loadtest.Run(t, loadgen.JobConfig{Scenario: shop, BaseURL: url, Workers: 10, Duration: 2 * time.Second},
//			loadtest.P99Below(200*time.Millisecond), loadtest.ErrorRateBelow(0.01))
//	}
//
// The target is a server such as that of net/http/httptest, or with [Handler] an
// http.Handler that is called over connections in memory. Inside a bubble of
// testing/synctest such a run takes virtual time: a day of load takes a second or so,
// latencies are exactly what the handler sleeps, and so are their percentiles: see
// [loadgen.WithExactTimes].
package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

const (
	defaultSlowest = 5
	handlerURL     = "http://handler.test" // of targets that have no URL of their own
	minMargin      = time.Second           // before the test's deadline, for the end and the report
	maxMargin      = 30 * time.Second
)

// Option is what a run is held against, or how it is done.
type Option func(*setup)

// setup is what the options of one run say.
type setup struct {
	cfg     loadgen.JobConfig
	manager []loadgen.Option
	exact   bool
	ctx     context.Context
	handler http.Handler
	slowest int
	settle  func(ctx context.Context, job string)
	faults  []error
}

// Threshold is any threshold, as [loadgen.ParseThreshold] reads it, for instance
// "p95{task=checkout} < 1s". One that cannot be read fails the test.
func Threshold(text string) Option {
	return func(s *setup) {
		t, err := loadgen.ParseThreshold(text)
		if err != nil {
			s.faults = append(s.faults, err)
			return
		}
		s.cfg.Thresholds = append(s.cfg.Thresholds, t)
	}
}

func below(metric string, d time.Duration) Option { return Threshold(metric + " < " + d.String()) }

// P50Below wants the median response time below d.
func P50Below(d time.Duration) Option { return below("p50", d) }

// P90Below wants the 90th percentile of the response time below d.
func P90Below(d time.Duration) Option { return below("p90", d) }

// P95Below wants the 95th percentile of the response time below d.
func P95Below(d time.Duration) Option { return below("p95", d) }

// P99Below wants the 99th percentile of the response time below d.
func P99Below(d time.Duration) Option { return below("p99", d) }

// P999Below wants the 99.9th percentile of the response time below d.
func P999Below(d time.Duration) Option { return below("p99.9", d) }

// MaxBelow wants every response time below d.
func MaxBelow(d time.Duration) Option { return below("max", d) }

// MeanBelow wants the mean response time below d.
func MeanBelow(d time.Duration) Option { return below("mean", d) }

// ErrorRateBelow wants less than this share of iterations, and of requests, to fail:
// 0.01 is one in a hundred.
func ErrorRateBelow(share float64) Option {
	return Threshold(fmt.Sprintf("error_rate < %.10g", share))
}

// NoFailures wants no request and no iteration to fail.
func NoFailures() Option { return Threshold("failures == 0") }

// RateAbove wants more than this many requests per second, over the whole run.
func RateAbove(perSecond float64) Option {
	return Threshold(fmt.Sprintf("rate > %.10g/s", perSecond))
}

// Handler makes h the target: it serves HTTP over connections in memory, whatever
// address a request names. No socket is opened, so that many tests can do so at once,
// and it works inside a bubble of testing/synctest. The configuration needs no BaseURL.
func Handler(h http.Handler) Option { return func(s *setup) { s.handler = h } }

// Context ends the run when ctx is done, besides the test's own context and deadline.
func Context(ctx context.Context) Option { return func(s *setup) { s.ctx = ctx } }

// With gives options to the run's Manager: a logger, folders of scenarios, a dialer.
func With(opts ...loadgen.Option) Option {
	return func(s *setup) { s.manager = append(s.manager, opts...) }
}

// Settle waits, when the job has ended, until what thresholds are about is known, such as
// what APM agents say of its requests. It is called with the job's name, and ctx is done
// before the test's deadline.
//
//	loadtest.Run(t, loadgen.JobConfig{Trace: true, …},
//		loadtest.With(ledger.Options()...),
//		loadtest.Settle(func(ctx context.Context, job string) { ledger.Settle(ctx, job) }),
//		loadtest.Threshold("apm.missing == 0"))
func Settle(settle func(ctx context.Context, job string)) Option {
	return func(s *setup) { s.settle = settle }
}

// Slowest is how many of the slowest requests a failure shows; 5 unless said. At most
// 100.
func Slowest(n int) Option { return func(s *setup) { s.slowest = n } }

// Run runs one job to its end and returns its statistics. The job must say when it
// ends, by Duration, Stages or MaxIterations; its Name is that of the test unless it
// has one.
//
// The test fails, and goes on, if a threshold of cfg, of the scenario or of the options
// does not hold, if the job failed, if it was ended before its time by the test's
// deadline, its context or that of [Context], if no iteration has ended, or if every one
// failed and no threshold is about failures ([ErrorRateBelow], [NoFailures] and so on).
// The message then says which threshold and by how much, shows the distribution of the
// response times, the slowest requests with a line each that sends it again with curl, and
// the failures by class. Secrets in requests read REDACTED: see [loadgen.WithExemplars].
//
// The test ends at once if the job cannot start. Run ends the job early enough before
// the deadline of go test -timeout to report; it leaves no goroutine. It may be called
// by several tests at a time, and within a bubble of testing/synctest.
func Run(t testing.TB, cfg loadgen.JobConfig, opts ...Option) *loadgen.Snapshot {
	t.Helper()
	s := prepare(t, cfg, opts)
	s.exact = true
	if s.cfg.Duration == 0 && len(s.cfg.Stages) == 0 && s.cfg.MaxIterations == 0 {
		t.Fatal("loadtest: the job would never end: set Duration, MaxIterations or Stages")
	}
	r, err := s.run(t)
	if err != nil {
		t.Fatalf("loadtest: %v", err)
	}
	if why := r.faults(); why != "" {
		t.Error(r.block(why))
	}
	return r.snap
}

// prepare applies the options.
func prepare(t testing.TB, cfg loadgen.JobConfig, opts []Option) *setup {
	t.Helper()
	s := &setup{cfg: cfg, ctx: context.Background(), slowest: defaultSlowest}
	s.cfg.Thresholds = append([]loadgen.Threshold(nil), cfg.Thresholds...)
	for _, opt := range opts {
		opt(s)
	}
	if err := errors.Join(s.faults...); err != nil {
		t.Fatalf("loadtest: %v", err)
	}
	if s.cfg.Name == "" {
		s.cfg.Name = cmp.Or(strings.NewReplacer("/", " ", "\uFFFD", "?").Replace(t.Name()), "test")
	}
	if s.cfg.BaseURL == "" && s.handler != nil {
		s.cfg.BaseURL = handlerURL
	}
	return s
}

// result is what a run has come to.
type result struct {
	snap      *loadgen.Snapshot
	exemplars loadgen.Exemplars
	cut       string // what ended it before its time
}

// run runs the job. The error says why it could not start.
func (s *setup) run(t testing.TB) (*result, error) {
	opts := append([]loadgen.Option{loadgen.WithExemplars(s.slowest)}, s.manager...)
	if s.exact {
		opts = append(opts, loadgen.WithExactTimes())
	}
	if s.handler != nil {
		dial, stop := memnet.Serve(s.handler)
		defer stop()
		opts = append(opts, loadgen.WithDialContext(dial))
	}
	m := loadgen.New(opts...)
	defer m.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(t.Context(), cancel)()
	margin := time.Duration(0)
	if deadline, ok := deadlineOf(t); ok {
		left := time.Until(deadline)
		margin = min(max(left/20, minMargin), maxMargin)
		defer time.AfterFunc(left-margin, cancel).Stop()
	}
	j, err := m.Start(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	r := &result{}
	select {
	case <-j.Done():
	case <-ctx.Done():
		r.cut = "the test's deadline"
		if t.Context().Err() != nil || s.ctx.Err() != nil {
			r.cut = "its context"
		}
		end(context.WithoutCancel(ctx), m, j, margin)
	}
	if s.settle != nil {
		s.settle(ctx, j.Name())
	}
	r.snap, r.exemplars = j.Snapshot(), j.Exemplars()
	return r, nil
}

// end stops the job, with its grace time or half of what is left of the test.
func end(ctx context.Context, m *loadgen.Manager, j *loadgen.Job, margin time.Duration) {
	if margin > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, margin/2)
		defer cancel()
	}
	_ = m.Shutdown(ctx) // that iterations were cut short shows in the statistics
	<-j.Done()
}

// deadlineOf is the test's deadline. Benchmarks have none, and the one of a test in a
// bubble of testing/synctest, which is of real time, cannot be asked for.
func deadlineOf(t testing.TB) (at time.Time, ok bool) {
	d, has := t.(interface{ Deadline() (time.Time, bool) })
	if !has {
		return time.Time{}, false
	}
	defer func() {
		if recover() != nil {
			at, ok = time.Time{}, false
		}
	}()
	return d.Deadline()
}
