package stats

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
)

// recordVersion is that of the JSON form of a SnapshotRecord. It changes when a
// reader of the form before would take something for what it is not.
const recordVersion = 1

// maxIssues bounds the issues of a merged snapshot.
const maxIssues = 100

// Record is a [Snapshot] whose JSON form loses nothing: statistics that are
// kept in a file, sent to another process, and compared or added up there. It has all
// that the JSON of a Snapshot has; beside it, a version, the elapsed time to the
// nanosecond, and every counter of the histograms.
//
// Reading gives back an equal snapshot, except that times lose what is not data: the
// name of their location and the reading of the monotonic clock.
type Record struct {
	Snapshot
	// Compact writes histograms as text that only this package reads, in about a
	// third of the room. Both forms are read.
	Compact bool `json:"-"`
}

// MarshalJSON writes the snapshot such that [SnapshotRecord.UnmarshalJSON] can read it.
func (r Record) MarshalJSON() ([]byte, error) {
	s := r.Snapshot
	s.Tasks, s.Groups = slices.Clone(s.Tasks), slices.Clone(s.Groups)
	for h := range s.histograms() {
		*h = h.Lossless(r.Compact)
	}
	type plain Snapshot
	return json.Marshal(struct {
		Version int `json:"version"`
		plain
		Elapsed   float64 `json:"elapsed_s"`
		ElapsedNS int64   `json:"elapsed_ns"`
		Offered   float64 `json:"offered_s"`
		OfferedNS int64   `json:"offered_ns"`
	}{recordVersion, plain(s), s.Elapsed.Seconds(), int64(s.Elapsed), s.LoadDuration.Seconds(), int64(s.LoadDuration)})
}

// UnmarshalJSON reads what MarshalJSON has written, of this version of the form. Data
// from elsewhere cannot take more memory than the statistics of a job can; the error
// says what is wrong with it, and r is unchanged then. Whether the totals are the sum
// of the tasks is not looked at.
func (r *Record) UnmarshalJSON(data []byte) error {
	var head struct {
		Version int               `json:"version"`
		Elapsed int64             `json:"elapsed_ns"`
		Offered *int64            `json:"offered_ns"` // older records have none
		Tasks   []json.RawMessage `json:"tasks"`
		Groups  []json.RawMessage `json:"groups"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("not a record of a snapshot: %w", err)
	}
	switch {
	case head.Version == 0:
		return errors.New("not a record of a snapshot: it has no version")
	case head.Version != recordVersion:
		return fmt.Errorf("the record of a snapshot has version %d, and this program reads version %d", head.Version, recordVersion)
	case len(head.Groups) > MaxGroups+1:
		return fmt.Errorf("the record of a snapshot has %d groups; a job has at most %d", len(head.Groups), MaxGroups+1)
	case len(head.Tasks) > MaxTaskNames+1:
		return fmt.Errorf("the record of a snapshot has %d tasks; a job has at most %d", len(head.Tasks), MaxTaskNames+1)
	case head.Elapsed < 0 || head.Offered != nil && *head.Offered < 0:
		return errors.New("the record of a snapshot has a negative elapsed time")
	}
	type plain Snapshot
	in := struct {
		plain
		Lag losslessHistogram `json:"lag"`
		totalsRecord
		Tasks []struct {
			TaskSnapshot
			totalsRecord
		} `json:"tasks"`
		Groups []struct {
			GroupSnapshot
			Time losslessHistogram `json:"time"`
		} `json:"groups"`
	}{}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("the record of a snapshot cannot be read: %w", err)
	}
	s := Snapshot(in.plain)
	s.Elapsed = time.Duration(head.Elapsed)
	if s.LoadDuration = s.Elapsed; head.Offered != nil {
		s.LoadDuration = time.Duration(*head.Offered)
	}
	s.Lag = in.Lag.Histogram
	in.fill(&s.Totals)
	s.Tasks = make([]TaskSnapshot, len(in.Tasks))
	for i := range in.Tasks {
		s.Tasks[i] = in.Tasks[i].TaskSnapshot
		in.Tasks[i].fill(&s.Tasks[i].Totals)
	}
	for i := range in.Groups {
		g := in.Groups[i].GroupSnapshot
		g.Time = in.Groups[i].Time.Histogram
		s.Groups = append(s.Groups, g)
	}
	r.Snapshot = s
	return nil
}

// losslessHistogram is a Histogram in a record.
type losslessHistogram struct{ histogram.Histogram }

// UnmarshalJSON reads a lossless form.
func (h *losslessHistogram) UnmarshalJSON(data []byte) (err error) {
	h.Histogram, err = histogram.Parse(data)
	return err
}

// totalsRecord is what the record of Totals has in another form. Where it is embedded
// beside them, its fields win, as they are less deep.
type totalsRecord struct {
	Service  losslessHistogram `json:"service"`
	Response losslessHistogram `json:"response"`
}

// fill completes totals.
func (r *totalsRecord) fill(t *Totals) {
	t.Service, t.Response = r.Service.Histogram, r.Response.Histogram
	t.fillMaps()
}

// histograms are all that a snapshot has.
func (s *Snapshot) histograms() iter.Seq[*histogram.Histogram] {
	return func(yield func(*histogram.Histogram) bool) {
		if !yield(&s.Lag) || !yield(&s.Service) || !yield(&s.Response) {
			return
		}
		for i := range s.Tasks {
			if t := &s.Tasks[i]; !yield(&t.Service) || !yield(&t.Response) {
				return
			}
		}
		for i := range s.Groups {
			if !yield(&s.Groups[i].Time) {
				return
			}
		}
	}
}

// Merge adds what o counts to s: statistics of another job or process that ran side
// by side with s, or a part of the same run. Counts, bytes, histograms, errors and
// statuses add up exactly, tasks by their name and method, groups by their name; so do workers, VUs,
// and the rates of Recent. Started is the earlier of the two, Time the later, Elapsed, LoadDuration and
// Revision the larger. Issues and Invalid have the reasons of both, at most 100; s stays
// Valid if o is, too.
// Verdicts are given anew on the sum, except for those that have ended a job, and
// Metrics add up.
// State is the more severe of the two, with its Reason.
// Job and Seed are those of s, unless it has none.
//
// Merging is associative. The zero Snapshot changes nothing where it is added, and as
// s takes over what o has. It is not safe for concurrent use; o is left as it is.
func (s *Snapshot) Merge(o *Snapshot) {
	if s.Started.IsZero() && s.Time.IsZero() && s.State == "" {
		s.Valid = true // nothing yet
	}
	s.Job, s.Seed = cmp.Or(s.Job, o.Job), cmp.Or(s.Seed, o.Seed)
	if s.State.gravity() < o.State.gravity() {
		s.State, s.Reason = o.State, o.Reason
	}
	s.Revision = max(s.Revision, o.Revision)
	if s.Started.IsZero() || !o.Started.IsZero() && o.Started.Before(s.Started) {
		s.Started = o.Started
	}
	if o.Time.After(s.Time) {
		s.Time = o.Time
	}
	s.Elapsed, s.LoadDuration = max(s.Elapsed, o.Elapsed), max(s.LoadDuration, o.LoadDuration)
	s.Workers += o.Workers
	s.VUs += o.VUs
	s.Active += o.Active
	s.Recent.Iterations += o.Recent.Iterations
	s.Recent.FailedIterations += o.Recent.FailedIterations
	s.Recent.Requests += o.Recent.Requests
	s.Recent.FailedRequests += o.Recent.FailedRequests
	if o.State != "" || !o.Time.IsZero() {
		s.Valid = s.Valid && o.Valid
	}
	valid := s.Valid
	s.AddIssues(o.AllIssues()...)
	s.Valid = valid
	s.Lag.Merge(&o.Lag)
	s.LateStarts += o.LateStarts
	s.Dropped += o.Dropped
	s.Throttled += o.Throttled
	s.Totals.Merge(&o.Totals)
	s.Tasks = slices.Clip(s.Tasks)
	for i := range o.Tasks {
		name, method := o.Tasks[i].Task, o.Tasks[i].Method
		at := slices.IndexFunc(s.Tasks, func(t TaskSnapshot) bool { return t.Task == name && t.Method == method })
		if at < 0 {
			at = len(s.Tasks)
			s.Tasks = append(s.Tasks, TaskSnapshot{Task: name, Method: method})
		}
		s.Tasks[at].Merge(&o.Tasks[i].Totals)
	}
	s.mergeGroups(o.Groups)
	s.mergeVerdicts(o)
}

// Merge adds what o counts to t, exactly. The sample of an error stays where there is
// one. It is not safe for concurrent use; o is left as it is.
func (t *Totals) Merge(o *Totals) {
	t.fillMaps()
	t.Iterations += o.Iterations
	t.FailedIterations += o.FailedIterations
	t.Interrupted += o.Interrupted
	t.Requests += o.Requests
	t.FailedRequests += o.FailedRequests
	t.Sent += o.Sent
	t.Received += o.Received
	for code, n := range o.Status {
		t.Status[code] += n
	}
	for class, e := range o.Errors {
		sum := t.Errors[class]
		sum.Count += e.Count
		if sum.Sample == "" {
			sum.Sample = e.Sample
		}
		t.Errors[class] = sum
	}
	t.Service.Merge(&o.Service)
	t.Response.Merge(&o.Response)
}

// fillMaps makes the maps that are missing.
func (t *Totals) fillMaps() {
	if t.Status == nil {
		t.Status = map[int]uint64{}
	}
	if t.Errors == nil {
		t.Errors = map[failure.Class]ErrorStat{}
	}
}
