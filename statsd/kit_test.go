package statsd_test

import (
	"context"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// wire stands for a UDP socket: it keeps datagrams and when they were written.
type wire struct {
	net.Conn // nil: nothing else is called

	mu        sync.Mutex
	datagrams []string
	at        []time.Time
	dials     int
	fail      error
	blocked   chan struct{} // when not nil, writes wait for it, or for the deadline
	deadline  chan struct{}
}

func newWire() *wire { return &wire{deadline: make(chan struct{})} }

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	return w, nil
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	blocked := w.blocked
	w.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-w.deadline:
			return 0, os.ErrDeadlineExceeded
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	w.datagrams = append(w.datagrams, string(p))
	w.at = append(w.at, time.Now())
	return len(p), nil
}

func (w *wire) SetWriteDeadline(at time.Time) error {
	time.AfterFunc(time.Until(at), func() { close(w.deadline) })
	return nil
}

func (w *wire) Close() error { return nil }

// setFail makes writes fail from now on, or no longer.
func (w *wire) setFail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// sent returns the datagrams so far.
func (w *wire) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.datagrams...)
}

// lines returns all lines so far.
func (w *wire) lines() []string {
	text := strings.Join(w.sent(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// open returns an Observer that writes to w.
func open(t *testing.T, w *wire, opts ...statsd.Option) *statsd.Observer {
	t.Helper()
	opts = append([]statsd.Option{statsd.WithHostname("box"), statsd.WithDialContext(w.dial)}, opts...)
	o, err := statsd.New("udp://statsd:8125", opts...)
	require.NoError(t, err)
	return o
}

// sample is a request as the usual one, but for what change changes.
func sample(change ...func(*loadgen.Sample)) loadgen.Sample {
	s := loadgen.Sample{
		Job: "python", Scenario: "dyno", Task: "products", Method: "GET",
		URL:    loadgen.SampleURL{Scheme: "http", Host: "opbeans:8000", Path: "/api/products"},
		Status: 200, Start: time.Now(), Header: 12900 * time.Microsecond, Service: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func path(p string) func(*loadgen.Sample) { return func(s *loadgen.Sample) { s.URL.Path = p } }

func host(h string) func(*loadgen.Sample) { return func(s *loadgen.Sample) { s.URL.Host = h } }

func failed(class loadgen.ErrorClass) func(*loadgen.Sample) {
	return func(s *loadgen.Sample) { s.Status, s.Class = 0, class }
}

// totals is what a StatsD server works out from lines.
type totals struct {
	counters map[string]int
	timings  map[string]float64 // how many, by their rates
	written  int                // timings
}

var line = regexp.MustCompile(`^([^:|@\x00-\x1f]+):([0-9]+)\|(c|ms)(?:\|@([0-9.]+))?$`)

// add adds lines up; each must be a line of StatsD.
func add(t *testing.T, lines []string) totals {
	t.Helper()
	sum := totals{map[string]int{}, map[string]float64{}, 0}
	for _, l := range lines {
		m := line.FindStringSubmatch(l)
		require.NotNil(t, m, "%q is not a line", l)
		value, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		rate := 1.0
		if m[4] != "" {
			rate, err = strconv.ParseFloat(m[4], 64)
			require.NoError(t, err)
		}
		if m[3] == "c" {
			require.Empty(t, m[4], "counts are exact")
			sum.counters[m[1]] += value
			continue
		}
		sum.timings[m[1]] += 1 / rate
		sum.written++
	}
	return sum
}

// mostCommon returns the line that is there most often, of the timings.
func mostCommon(lines []string) string {
	seen, most := map[string]int{}, ""
	for _, l := range lines {
		if strings.Contains(l, "|ms") {
			if seen[l]++; seen[l] > seen[most] {
				most = l
			}
		}
	}
	return most
}
