package apm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// Verdict is what the documents of agents say of the requests of one run of a job.
type Verdict struct {
	Job  string    `json:"job"`
	Time time.Time `json:"time"` // when it was told
	// From and To are the interval that it is on, by when requests were sent. They are
	// zero in one on the whole run.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// OK is true if nothing was found wrong, nothing is pending and there is no doubt.
	OK bool `json:"ok"`
	// Settled is true if the job has ended and no request has grace time left.
	Settled bool `json:"settled"`
	// Doubts say which counts cannot be relied upon, and why.
	Doubts []Doubt `json:"doubts,omitempty"`
	Counts
	// Delay is the time from the response to the transaction that tells of it, of the
	// whole run.
	Delay Delay `json:"delay"`
	// Strange is what came since the job began and belongs to no request.
	Strange Strange       `json:"strange"`
	Tasks   []TaskVerdict `json:"tasks"`
	// Examples are, of each fault, up to five requests of the whole run.
	Examples []Example `json:"examples,omitempty"`

	complete bool // nothing more is expected
}

// Counts are numbers of requests, if nothing else is said. Sampled requests that got a
// response are found, pending or missing.
type Counts struct {
	Sent       int64 `json:"sent"`       // with a trace
	Sampled    int64 `json:"sampled"`    // of those, with the sampled flag
	Unanswered int64 `json:"unanswered"` // got no response: nothing is expected of them
	Found      int64 `json:"found"`      // have a transaction, or a span of a server
	Pending    int64 `json:"pending"`    // have none yet, and still grace time
	Missing    int64 `json:"missing"`    // have none
	Late       int64 `json:"late"`       // have one that came after the grace time; they are found, too
	// Duplicated and Orphaned are documents: those that came again, with the same id or
	// for the same request, and those whose parent nobody has sent.
	Duplicated int64 `json:"duplicated"`
	Orphaned   int64 `json:"orphaned"`
	WrongName  int64 `json:"wrong_name"`
	// WrongOutcome counts requests whose documents say something else than the response
	// did, those of NoError included.
	WrongOutcome int64 `json:"wrong_outcome"`
	NoError      int64 `json:"no_error"` // a status of 500 and above, and no error in the trace
	// ErrorDocs are error documents and exception events. ExpectedErrors are sampled
	// requests that were answered with 500 and above.
	ErrorDocs      int64 `json:"error_docs"`
	ExpectedErrors int64 `json:"expected_errors"`
	TooLong        int64 `json:"too_long"` // have a document that took longer than the client saw
	Broken         int64 `json:"broken"`   // the trace has not passed all services
	WrongSampled   int64 `json:"wrong_sampled"`
	UnsampledFound int64 `json:"unsampled_found"` // not sampled, but told of: what older Elastic agents do
	Untracked      int64 `json:"untracked"`       // more than there was room for: they are in no other count
}

// Doubt says that counts may be wrong.
type Doubt struct {
	Fields []string `json:"fields"`
	Why    string   `json:"why"`
}

// Delay says how long documents took. In JSON it is in seconds.
type Delay struct{ P50, P99, Max time.Duration }

// MarshalJSON writes p50_s, p99_s and max_s.
func (d Delay) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]float64{"p50_s": d.P50.Seconds(), "p99_s": d.P99.Seconds(), "max_s": d.Max.Seconds()})
}

// Strange is what belongs to no request of any job.
type Strange struct {
	Traces    uint64 `json:"traces"`    // that nobody here has sent: other traffic, or propagation that is broken
	Documents uint64 `json:"documents"` // of those
	Rejected  uint64 `json:"rejected"`  // documents that could not be read
	Refused   uint64 `json:"refused"`   // requests of agents that were not listened to: too many, or too large
}

// TaskVerdict is what there is of one task.
type TaskVerdict struct {
	Task string `json:"task"`
	Counts
	// Name is that which transactions of the task must have, Services those that its
	// traces must pass, Depth how many transactions must lie behind one another. They are
	// empty where they were neither given nor could be learned.
	Name     string   `json:"name"`
	Services []string `json:"services"`
	Depth    int      `json:"depth"`
	// Names and Paths are what there was, the most frequent first; at most ten.
	Names []NameCount `json:"names,omitempty"`
	Paths []PathCount `json:"paths,omitempty"`
}

// NameCount is how often transactions had a name.
type NameCount struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// PathCount is how many traces have passed the same services, equally deep.
type PathCount struct {
	Services []string `json:"services"`
	Depth    int      `json:"depth"`
	Count    int64    `json:"count"`
}

// MetricNames are the names of what [Ledger.Metrics] returns: apm.missing and so on, as
// in the JSON of [Counts], and apm.doubts.
func MetricNames() []string {
	var names []string
	for _, f := range (&Counts{}).fields() {
		names = append(names, "apm."+f.name)
	}
	return append(names, "apm.doubts")
}

// Metrics are the counts of the run that a snapshot is of, for thresholds such as
// apm.missing == 0; final tells, of one that has ended, that its verdict is settled. There
// are none of a run that has sent no traces, and none of any but a job's last run. It is
// what [loadgen.WithMetrics] takes.
func (l *Ledger) Metrics(s *loadgen.Snapshot) (counts map[string]float64, final bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.advance(now)
	u := l.runs[s.Job]
	if u == nil || s.Started.Before(u.after) || !u.ended.IsZero() && s.Started.After(u.ended) {
		return nil, s.Requests == 0 || now.Sub(s.Started.Add(s.Elapsed)) > l.cfg.Grace
	}
	v := l.verdict(u)
	if v.Sent == 0 && v.Untracked == 0 {
		return nil, v.Settled
	}
	out := map[string]float64{"apm.doubts": float64(len(v.Doubts))}
	for _, f := range v.fields() {
		out["apm."+f.name] = float64(*f.n)
	}
	return out, v.Settled
}

type countField struct {
	name string
	n    *int64
}

func (c *Counts) fields() []countField {
	return []countField{
		{"sent", &c.Sent},
		{"sampled", &c.Sampled},
		{"unanswered", &c.Unanswered},
		{"found", &c.Found},
		{"pending", &c.Pending},
		{"missing", &c.Missing},
		{"late", &c.Late},
		{"duplicated", &c.Duplicated},
		{"orphaned", &c.Orphaned},
		{"wrong_name", &c.WrongName},
		{"wrong_outcome", &c.WrongOutcome},
		{"no_error", &c.NoError},
		{"error_docs", &c.ErrorDocs},
		{"expected_errors", &c.ExpectedErrors},
		{"too_long", &c.TooLong},
		{"broken", &c.Broken},
		{"wrong_sampled", &c.WrongSampled},
		{"unsampled_found", &c.UnsampledFound},
		{"untracked", &c.Untracked},
	}
}

func (c *Counts) plus(o *Counts) {
	of := o.fields()
	for i, f := range c.fields() {
		*f.n += *of[i].n
	}
}

// Verdict tells of the current or last run of a job. Of a job that is not known there is
// nothing in it.
func (l *Ledger) Verdict(job string) *Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(time.Now())
	u := l.runs[job]
	if u == nil {
		return &Verdict{Job: job, Time: time.Now(), Tasks: []TaskVerdict{}}
	}
	v := l.verdict(u)
	v.Examples = l.examples(u, v)
	return v
}

// Between tells of the requests that were sent in a part of a run, from included, to not.
// Its limits are moved outwards to whole seconds, and in runs of more than ten minutes to
// multiples of 2, 4 and so on; the verdict says where they are. What names and services
// are right is that of the whole run.
func (l *Ledger) Between(job string, from, to time.Time) *Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(time.Now())
	u := l.runs[job]
	if u == nil {
		return &Verdict{Job: job, Time: time.Now(), From: from, To: to, Tasks: []TaskVerdict{}}
	}
	width := max(u.slots.width, 1)
	first, last := from.UnixNano()/width, (to.UnixNano()+width-1)/width
	parts := map[*task]*halves{}
	for at, tasks := range u.slots.slots {
		if at < first || at >= last {
			continue
		}
		for tk, h := range tasks {
			sum := parts[tk]
			if sum == nil {
				sum = &halves{}
				parts[tk] = sum
			}
			sum[0].plus(&h[0])
			sum[1].plus(&h[1])
		}
	}
	v := l.verdictOn(u, func(tk *task) *halves { return parts[tk] })
	v.From, v.To = time.Unix(0, first*width), time.Unix(0, last*width)
	return v
}

func (l *Ledger) verdict(u *run) *Verdict {
	return l.verdictOn(u, func(tk *task) *halves { return &tk.total })
}

// verdictOn judges that part of each task that of returns.
func (l *Ledger) verdictOn(u *run, of func(*task) *halves) *Verdict {
	v := &Verdict{Job: u.job, Time: time.Now(), Tasks: []TaskVerdict{}}
	outstanding := int64(0)
	var unsure []string
	for _, tk := range u.order {
		h := of(tk)
		if h == nil {
			continue
		}
		e := l.expect(tk)
		t := TaskVerdict{Task: tk.name, Counts: e.counts(l, h), Name: e.name, Services: e.services, Depth: e.depth}
		t.Names, t.Paths = l.names(h), l.paths(h)
		v.plus(&t.Counts)
		v.Tasks = append(v.Tasks, t)
		outstanding += h[0].orphaned + e.broken(l, &h[0]) + e.noError(&h[0])
		if e.name == "" && len(t.Names) > 0 || e.services == nil && len(t.Paths) > 0 {
			unsure = append(unsure, strconv.Quote(tk.name))
		}
	}
	v.Delay = Delay{u.delay.P50(), u.delay.P99(), u.delay.Max()}
	v.Strange = Strange{
		Traces: l.strange.traces - u.before.traces, Documents: l.strange.documents - u.before.documents,
		Rejected: l.strange.rejected - u.before.rejected, Refused: l.strange.refused - u.before.refused,
	}
	v.Doubts = l.doubts(u, v, unsure)
	var open int64
	for _, tk := range u.order {
		open += tk.total[0].sent
	}
	ended := !u.ended.IsZero()
	graced := ended && v.Time.Sub(u.ended) > l.cfg.Grace
	seen := u.samples >= u.expected || graced
	v.Settled = ended && seen && open == 0
	quiet := ended && v.Time.Sub(u.ended) >= l.cfg.Quiet && v.Time.Sub(u.heard) >= l.cfg.Quiet
	v.complete = ended && seen && quiet && v.Pending == 0 && outstanding == 0
	wrong := v.Pending + v.Missing + v.Late + v.Duplicated + v.Orphaned + v.WrongName + v.WrongOutcome + v.TooLong + v.Broken + v.WrongSampled
	v.OK = v.Sent > 0 && wrong == 0 && len(v.Doubts) == 0
	return v
}

// doubts are the reasons why a verdict is not conclusive.
func (l *Ledger) doubts(u *run, v *Verdict, unsure []string) []Doubt {
	var list []Doubt
	add := func(why string, fields ...string) { list = append(list, Doubt{fields, why}) }
	missed := l.missedNow() - u.missed
	if lost := int64(u.expected) - int64(u.samples); !u.ended.IsZero() && v.Time.Sub(u.ended) > l.cfg.Grace && lost > 0 {
		missed = max(missed, uint64(lost))
	}
	if missed > 0 {
		add(fmt.Sprintf("%d samples of requests were missed: the machine was too slow for the load, and what agents say of them belongs to nothing", missed),
			"sent", "sampled", "found", "missing", "expected_errors", "error_docs")
	}
	if v.Untracked > 0 {
		add(fmt.Sprintf("%d requests were more than the ledger follows at a time (%d): nothing is known of them", v.Untracked, l.cfg.MaxRequests),
			"sent", "sampled", "found", "missing", "expected_errors", "error_docs")
	}
	if n := l.strange.early - u.before.early; n > 0 {
		add(fmt.Sprintf("documents of %d traces came before any request of theirs, and had to be let go for want of room", n), "missing", "orphaned", "broken")
	}
	if n := u.cut(); n > 0 {
		add(fmt.Sprintf("%d traces have more than %d documents, which are not all kept", n, maxDocuments), "orphaned", "broken", "duplicated", "error_docs", "no_error")
	}
	if n := l.strange.refused - u.before.refused; n > 0 {
		add(fmt.Sprintf("%d requests of agents were not listened to: there were too many at a time, or they were too large", n), "found", "missing", "orphaned", "broken", "no_error")
	}
	if len(unsure) > 0 {
		add("no name, or no set of services, is that of most requests of "+strings.Join(unsure, ", ")+": what is right must be given", "wrong_name", "broken")
	}
	return list
}

func (u *run) cut() (n int64) {
	for _, tk := range u.order {
		n += tk.total[0].cut + tk.total[1].cut
	}
	return n
}

// String says the verdict in a line.
func (v *Verdict) String() string {
	var parts []string
	for _, f := range v.fields() {
		if *f.n != 0 || slices.Contains([]string{"sent", "found", "missing"}, f.name) {
			parts = append(parts, strconv.FormatInt(*f.n, 10)+" "+strings.ReplaceAll(f.name, "_", " "))
		}
	}
	text := strings.Join(parts, ", ")
	if len(v.Doubts) > 0 {
		text += "; inconclusive: " + v.Doubts[0].Why
	}
	return text
}
