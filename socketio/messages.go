package socketio

import (
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// The events for clients.
const (
	eventServiceState = "service_state"
	eventJob          = "job"
	eventStats        = "stats"
	eventJobError     = "job_error"
	eventAPM          = "apm"
)

// The values of service_state.
const (
	serviceStart  = "start"
	serviceStop   = "stop"
	serviceUpdate = "update"
)

// ServiceStateMessage is the argument of a service_state event: what has happened
// to the service of a job. Its form is that of the Python load generator.
type ServiceStateMessage struct {
	// Data has one job, and "start", "stop" or "update" for it.
	Data map[string]string `json:"data"`
}

// JobMessage is the argument of a job event.
type JobMessage struct {
	Job string `json:"job"`
	loadgen.Status
	Config loadgen.JobConfig `json:"config"`
	// Next is what the next start of a job that has ended is to have, if an update
	// has said so.
	Next    *loadgen.JobConfig `json:"next,omitempty"`
	Removed bool               `json:"removed,omitempty"` // it is not listed any more
	// LeaseEnds is when it stops unless its lease is renewed.
	LeaseEnds time.Time `json:"lease_ends,omitzero"`
}

// StatsMessage is the argument of a stats event.
type StatsMessage struct {
	Job      string        `json:"job"`
	State    loadgen.State `json:"state"`
	Revision uint64        `json:"revision"`
	Time     time.Time     `json:"time"`
	Started  time.Time     `json:"started"` // tells runs of a job apart
	Workers  int           `json:"workers"` // asked for
	VUs      int           `json:"vus"`     // that exist
	Active   int           `json:"active"`  // of those, in an iteration
	Valid    bool          `json:"valid"`   // false when the generator was the limit
	Invalid  []string      `json:"invalid,omitempty"`
	// Verdicts are what the job's thresholds say of it so far.
	Verdicts []loadgen.Verdict `json:"verdicts,omitempty"`

	Interval Numbers `json:"interval"`
	Total    Numbers `json:"total"` // since the start
}

// Numbers is what happened in some time. The intervals that a client has seen of a
// run add up to its totals, unless it missed some.
type Numbers struct {
	Seconds          float64                       `json:"seconds"`
	Iterations       uint64                        `json:"iterations"`
	FailedIterations uint64                        `json:"failed_iterations"`
	Interrupted      uint64                        `json:"interrupted"`
	IterationRate    float64                       `json:"iterations_per_s"`
	Requests         uint64                        `json:"requests"`
	FailedRequests   uint64                        `json:"failed_requests"`
	RequestRate      float64                       `json:"requests_per_s"`
	Status           map[string]uint64             `json:"status"` // requests by "2xx" and so on
	Errors           map[loadgen.ErrorClass]uint64 `json:"errors"` // failures by class
	Sent             uint64                        `json:"bytes_sent"`
	Received         uint64                        `json:"bytes_received"`
	Service          loadgen.Histogram             `json:"service"`
	Response         loadgen.Histogram             `json:"response"`
}

// JobErrorMessage is the argument of a job_error event: the first failure of its
// class in a run, or the failure of the whole job.
type JobErrorMessage struct {
	Job     string             `json:"job"`
	Time    time.Time          `json:"time"`
	Class   loadgen.ErrorClass `json:"class,omitempty"` // of the failure
	Count   uint64             `json:"count,omitempty"` // of failures of that class so far
	Message string             `json:"message"`
	Failed  bool               `json:"failed"` // the job has ended with it
}

func jobMessage(name string, status loadgen.Status, cfg loadgen.JobConfig, next *loadgen.JobConfig, leaseEnds time.Time) JobMessage {
	status.Since = status.Since.UTC()
	if next != nil {
		shown := next.Redacted()
		next = &shown
	}
	return JobMessage{Job: name, Status: status, Config: cfg.Redacted(), Next: next, LeaseEnds: leaseEnds.UTC()}
}

// statsMessage tells what happened between two snapshots.
func statsMessage(now, before *loadgen.Snapshot) StatsMessage {
	interval := now.Since(before)
	return StatsMessage{
		Job: now.Job, State: now.State, Revision: now.Revision,
		Time: now.Time.UTC(), Started: now.Started.UTC(),
		Workers: now.Workers, VUs: now.VUs, Active: now.Active,
		Valid: now.Valid, Invalid: now.Invalid, Verdicts: now.Verdicts,
		Interval: numbers(interval), Total: numbers(now),
	}
}

func numbers(s *loadgen.Snapshot) Numbers {
	seconds := s.Elapsed.Seconds()
	n := Numbers{
		Seconds:    seconds,
		Iterations: s.Iterations, FailedIterations: s.FailedIterations, Interrupted: s.Interrupted,
		IterationRate: rate(s.Iterations, seconds),
		Requests:      s.Requests, FailedRequests: s.FailedRequests,
		RequestRate: rate(s.Requests, seconds),
		Status:      map[string]uint64{}, Errors: map[loadgen.ErrorClass]uint64{},
		Sent: s.Sent, Received: s.Received,
		Service: s.Service, Response: s.Response,
	}
	for code, count := range s.Status {
		n.Status[textkit.StatusClass(code)] += count
	}
	for class, stat := range s.Errors {
		n.Errors[class] = stat.Count
	}
	return n
}

// rate is n per second; 0 if there was no time for it.
func rate(n uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
