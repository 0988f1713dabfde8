// Package locust makes a job a worker of a Locust master (https://locust.io): the master's
// web page and API start, resize and stop the test, spread the users over all workers, and
// show the sum of their statistics. The users that the master gives to this worker are the
// virtual users of one job, which is changed in place.
//
// Statistics are differences of snapshots, once a second: a request costs nothing beyond
// what the job counts anyway, however many there are.
package locust

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// ErrNoMaster is the end of a worker that hears no master any more, or has never heard one.
var ErrNoMaster = errors.New("locust: no master")

// Locust's own times (locust/runners.py), and what is beyond them.
const (
	reportEvery  = 3               // seconds from one report to the next
	readyEvery   = 5 * time.Second // from one try to be welcomed to the next
	joinPatience = 5 * time.Minute // to be welcomed the first time
	lostAfter    = time.Minute     // without a sign of the master the worker ends

	// After so long without a heartbeat the master may have missed the worker. Once that is
	// back, a master whose test goes on gives it users anew, before it answers its heartbeat,
	// or when the worker asks. One whose test has ended meanwhile gives none.
	missedAfter = 4 * time.Second
	orderWithin = 5 * time.Second

	stuckAfter = 20 * time.Second // without a sign on it a connection is made anew
	// A connection on which no heartbeat is answered is made anew, and again: a ROUTER drops
	// what comes on a new connection while it still has the old one of the same identity.
	// When that does not help, the master does not know the worker.
	dumbAfter   = 4 * time.Second
	dumbMost    = 2
	redialFirst = 500 * time.Millisecond
	redialMost  = 2 * time.Second
	lastWord    = 250 * time.Millisecond // after a master's quit; it listens half a second
)

// Config says who the master is, and what to run.
type Config struct {
	// Master is the HOST:PORT that the master awaits workers on; Locust's default port is 5557.
	Master string
	// Job is what runs. How much, and for how long, the master says: Workers, MaxWorkers,
	// Rate, Stages, RampUp, Duration, MaxIterations, Segment, StartAt and Lease must not be
	// set. Without a BaseURL
	// the host that the master names is the target. A Seed is mixed with the number that the
	// master gives the worker. A stop timeout of the master's, other than 0, takes the place
	// of Grace.
	Job loadgen.JobConfig
	// ID is what the master lists the worker as; default: the host's name and a random
	// number. It must not be that of another worker.
	ID string
	// DialContext makes connections to the master, if it is not nil.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger is told what happens; nil for nobody.
	Logger *slog.Logger
}

// Validate says what is wrong with c, except for what only a start of the job can tell.
func (c *Config) Validate() error {
	host, port, err := net.SplitHostPort(c.Master)
	switch {
	case err != nil || host == "" || textkit.CheckPort(port) != nil:
		return fmt.Errorf("the master must be HOST:PORT, such as localhost:5557, not %q", c.Master)
	case len(c.ID) > 255:
		return fmt.Errorf("the ID of a worker has at most 255 bytes, not %d", len(c.ID))
	}
	j := &c.Job
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"workers", j.Workers != 0},
		{"max_workers", j.MaxWorkers != 0},
		{"rate", j.Rate != loadgen.Rate{}},
		{"stages", len(j.Stages) > 0},
		{"ramp_up", j.RampUp != 0},
		{"duration", j.Duration != 0},
		{"max_iterations", j.MaxIterations != 0},
		{"segment", !j.Segment.IsZero()},
		{"start_at", !j.StartAt.IsZero()},
		{"lease", j.Lease != 0},
	} {
		if f.set {
			return fmt.Errorf("%s cannot be set: how many users there are, and for how long, is the master's to say", f.name)
		}
	}
	return nil
}

// Run is a worker of the master until that ends it or ctx is done. It then stops the job
// softly, as [loadgen.Job.Stop] does, tells the master the last statistics and that it
// leaves, and returns nil; [loadgen.Manager.Close] cuts that short.
//
// The job is of m, under the name that cfg gives it or else its scenario's; from one test
// to the next it is another job of that name. When the connection breaks, the job runs on,
// and all that it did meanwhile is reported once there is a new connection. If the master
// then does not say within five seconds how many users there are to be, the test has ended
// meanwhile: the job is stopped, and the worker is there for the next test. When nothing
// was heard of the master for a minute, the job is stopped, and the error wraps
// [ErrNoMaster]; so it does when no master was there for five minutes to begin with. A
// master that was started anew is joined as a new worker.
func Run(ctx context.Context, m *loadgen.Manager, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Job.Name = cmp.Or(cfg.Job.Name, cfg.Job.ScenarioName)
	if cfg.Job.Name == "" && cfg.Job.Scenario != nil {
		cfg.Job.Name = cfg.Job.Scenario.Name()
	}
	check := cfg.Job
	check.BaseURL = cmp.Or(check.BaseURL, "http://host.invalid")
	preview, err := m.Preview(check)
	if err != nil {
		return err
	}
	if preview.Refused != nil {
		return preview.Refused
	}
	if cfg.DialContext == nil {
		cfg.DialContext = (&net.Dialer{Timeout: readyEvery, KeepAlive: 15 * time.Second}).DialContext
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.ID == "" {
		cfg.ID = newID()
	}
	w := newWorker(m, &cfg)
	defer w.line.close()
	return w.run(ctx)
}

// newID is an ID that no other worker has.
func newID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "loadgen"
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return host[:min(len(host), 200)] + "_" + hex.EncodeToString(b[:])
}
