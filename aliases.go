package loadgen

import (
	"github.com/opbeans/loadgen/egress"
	"github.com/opbeans/loadgen/exemplar"
	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/pace"
	"github.com/opbeans/loadgen/stats"
	"github.com/opbeans/loadgen/tracecontext"
)

// What programs write, from the packages below this one.
type (
	// Snapshot is the statistics of a job up to one moment; see [stats.Snapshot].
	Snapshot = stats.Snapshot
	// TaskSnapshot is the part of one task in a Snapshot; see [stats.TaskSnapshot].
	TaskSnapshot = stats.TaskSnapshot
	// GroupSnapshot is how long a group took; see [stats.GroupSnapshot].
	GroupSnapshot = stats.GroupSnapshot
	// SnapshotRecord is a Snapshot whose JSON loses nothing; see [stats.Record].
	SnapshotRecord = stats.Record
	// Totals counts iterations and requests; see [stats.Totals].
	Totals = stats.Totals
	// ErrorStat counts the failures of one class; see [stats.ErrorStat].
	ErrorStat = stats.ErrorStat
	// Recent is what happened per second lately; see [stats.Recent].
	Recent = stats.Recent
	// Sample is one measured request; see [stats.Sample].
	Sample = stats.Sample
	// SampleURL is the address of a measured request; see [stats.SampleURL].
	SampleURL = stats.SampleURL
	// Observer receives every measured request; see [stats.Observer].
	Observer = stats.Observer
	// ObserverFunc is a function as an Observer; see [stats.ObserverFunc].
	ObserverFunc = stats.ObserverFunc
	// Threshold is a condition on the statistics of a job; see [stats.Threshold].
	Threshold = stats.Threshold
	// Verdict is whether a Threshold holds; see [stats.Verdict].
	Verdict = stats.Verdict
	// Outcome is the result of a Verdict; see [stats.Outcome].
	Outcome = stats.Outcome
	// State is where a job is in its life; see [stats.State].
	State = stats.State
	// Exemplar is one request of a job, kept whole; see [WithExemplars].
	Exemplar = exemplar.Exemplar
	// Exemplars are the requests that a job has kept.
	Exemplars = exemplar.Set
	// TraceExemplar is a traced request near a percentile.
	TraceExemplar = exemplar.Trace
	// TraceExemplars is an observer that keeps such requests.
	TraceExemplars = exemplar.Traces
	// Histogram is a distribution of durations; see [histogram.Histogram].
	Histogram = histogram.Histogram
	// Bucket is one counter of a Histogram; see [histogram.Bucket].
	Bucket = histogram.Bucket
	// Error is a failure with its class; see [failure.Error].
	Error = failure.Error
	// ErrorClass is what kind of thing went wrong; see [failure.Class].
	ErrorClass = failure.Class
	// Rate is a number of iterations per time; see [pace.Rate].
	Rate = pace.Rate
	// Stage is one part of a job's course; see [pace.Stage].
	Stage = pace.Stage
	// Pacer is a schedule of iterations; see [pace.Pacer].
	Pacer = pace.Pacer
	// Segment is the part of a job that one of several processes runs; see [pace.Segment].
	Segment = pace.Segment
	// TraceContext is what a request has sent as traceparent; see [tracecontext.Context].
	TraceContext = tracecontext.Context
	// TraceID identifies a trace; see [tracecontext.TraceID].
	TraceID = tracecontext.TraceID
	// SpanID identifies a span; see [tracecontext.SpanID].
	SpanID = tracecontext.SpanID
	// TargetRules say where jobs may connect to; see [egress.Rules].
	TargetRules = egress.Rules
)

// The states of a job; see [stats.State].
const (
	StatePending  = stats.StatePending
	StateRunning  = stats.StateRunning
	StateStopping = stats.StateStopping
	StateStopped  = stats.StateStopped
	StateFinished = stats.StateFinished
	StateFailed   = stats.StateFailed
)

// The outcomes of a threshold; see [stats.Outcome].
const (
	OutcomePass    = stats.OutcomePass
	OutcomeFail    = stats.OutcomeFail
	OutcomeUnknown = stats.OutcomeUnknown
)

// The classes of failure; see [failure.Class].
const (
	ClassNone     = failure.None
	ClassDial     = failure.Dial
	ClassTLS      = failure.TLS
	ClassTimeout  = failure.Timeout
	ClassReset    = failure.Reset
	ClassProtocol = failure.Protocol
	ClassCheck    = failure.Check
	ClassTask     = failure.Task
	ClassPanic    = failure.Panic
)

// Limits of a configuration.
const (
	MaxSegments   = pace.MaxSegments    // of a job
	MaxThresholds = stats.MaxThresholds // of a job, and of a scenario
)

// ErrInterrupted is the error of a request or a sleep that its job's end has cut short;
// see [failure.ErrInterrupted].
var ErrInterrupted = failure.ErrInterrupted

// ErrTargetRefused is wrapped by the error of a connection, or of a start, that the rules
// for targets do not allow; see [egress.ErrRefused].
var ErrTargetRefused = egress.ErrRefused

// ClassOf returns the class of an iteration's error; see [failure.ClassOf].
func ClassOf(err error) ErrorClass { return failure.ClassOf(err) }

// NewTraceExemplars returns an observer that finds the traces behind percentiles; see
// [exemplar.NewTraces].
func NewTraceExemplars(template string) (*TraceExemplars, error) { return exemplar.NewTraces(template) }

// PerSecond is a rate of n iterations a second.
func PerSecond(n uint64) Rate { return pace.PerSecond(n) }

// PerMinute is a rate of n iterations a minute.
func PerMinute(n uint64) Rate { return pace.PerMinute(n) }

// ParseRate reads a rate such as "100/s"; see [pace.ParseRate].
func ParseRate(text string) (Rate, error) { return pace.ParseRate(text) }

// ParseSegment reads a segment such as "3/10"; see [pace.ParseSegment].
func ParseSegment(text string) (Segment, error) { return pace.ParseSegment(text) }

// ParseThreshold reads a threshold such as "p99 < 200ms"; see [stats.ParseThreshold].
func ParseThreshold(text string) (Threshold, error) { return stats.ParseThreshold(text) }

// MustThresholds reads thresholds that are written in a program, and panics if one
// cannot be read.
func MustThresholds(texts ...string) []Threshold { return stats.MustThresholds(texts...) }

// ParseTargetRules reads rules such as "10.0.0.0/8" or "shop.test"; see [egress.Parse].
func ParseTargetRules(rules ...string) (*TargetRules, error) { return egress.Parse(rules...) }
