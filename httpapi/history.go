package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/opbeans/loadgen"
)

// HistoryLen is how many intervals [API.Record] keeps of each job: ten minutes.
const HistoryLen = 600

const (
	historyEvery  = time.Second
	revisionsKept = 200
)

// History is what [API.History] gives: the last minutes of a run, for whoever comes
// later. The intervals of a run that is younger add up to its totals.
type History struct {
	Job       string     `json:"job"`
	Started   time.Time  `json:"started,omitzero"` // of the run; tells runs of a job apart
	Intervals []Interval `json:"intervals"`        // oldest first
	Revisions []Revision `json:"revisions"`        // oldest first
}

// Interval is what happened in a run within about a second.
type Interval struct {
	Time             time.Time         `json:"time"`    // its end
	Seconds          float64           `json:"seconds"` // its length
	Revision         uint64            `json:"revision"`
	Workers          int               `json:"workers"` // asked for
	VUs              int               `json:"vus"`     // that exist
	Active           int               `json:"active"`  // of those, in an iteration
	Iterations       uint64            `json:"iterations"`
	FailedIterations uint64            `json:"failed_iterations"`
	Interrupted      uint64            `json:"interrupted"`
	Requests         uint64            `json:"requests"`
	FailedRequests   uint64            `json:"failed_requests"`
	Status           map[string]uint64 `json:"status"` // requests by "2xx" and so on
	Service          Percentiles       `json:"service"`
	Response         Percentiles       `json:"response"`
}

// Percentiles are times in milliseconds; nil if there were none.
type Percentiles struct {
	P50 *float64 `json:"p50_ms"`
	P95 *float64 `json:"p95_ms"`
	P99 *float64 `json:"p99_ms"`
	Max *float64 `json:"max_ms"`
}

// Revision is one accepted change of a job's configuration.
type Revision struct {
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Changes  []Change  `json:"changes"` // by field
}

// Change is one changed field of a configuration, as its JSON form names it:
// "workers", or "variables.ERROR_WEIGHT".
type Change struct {
	Field string          `json:"field"`
	From  json.RawMessage `json:"from"` // null if it had no value of its own
	To    json.RawMessage `json:"to"`   // null if it has none any more
}

// record is what is kept of one run of a job.
type record struct {
	job       *loadgen.Job
	before    *loadgen.Snapshot // that the next interval begins at
	intervals []interval        // a ring, once it is full
	oldest    int               // in the ring
	revisions []Revision
	config    loadgen.JobConfig // at the last revision
	revision  uint64
}

// interval is an [Interval] in as little memory as will do, since a service may have
// a thousand jobs: 144 bytes.
type interval struct {
	at                                        int64 // nanoseconds since 1970
	took                                      time.Duration
	revision                                  uint64
	workers, vus, active                      int32
	iterations, failedIterations, interrupted uint32
	requests, failedRequests                  uint32
	status                                    [numStatusClasses]uint32
	service, response                         quantiles
}

// quantiles are p50, p95, p99 and the largest of some times; negative if there were
// none.
type quantiles [4]time.Duration

// Record keeps the last ten minutes of every job, second by second, and its last
// changes, for [API.History], until ctx is done. Without it histories are empty.
func (a *API) Record(ctx context.Context) {
	events := a.m.Subscribe(ctx)
	ticker := time.NewTicker(historyEvery)
	defer ticker.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			a.recordEvent(e)
		case <-ticker.C:
			a.recordAll()
		}
	}
}

// recordEvent follows what happens to a job: a new run begins a new record, an end
// completes it.
func (a *API) recordEvent(e loadgen.Event) {
	a.recording.Lock()
	defer a.recording.Unlock()
	r := a.recordOf(e.Job)
	if r == nil {
		return
	}
	switch e.Kind {
	case loadgen.EventUpdated:
		if e.Status.Revision > r.revision {
			r.change(e)
		}
	case loadgen.EventEnded:
		if r.job.State().Ended() { // else it tells of the run before
			r.interval()
		}
	}
}

// recordAll takes the interval of every job that runs, and drops the records of jobs
// that are gone.
func (a *API) recordAll() {
	a.recording.Lock()
	defer a.recording.Unlock()
	there := map[string]bool{}
	for _, j := range a.m.List() {
		there[j.Name()] = true
		if r := a.recordOf(j.Name()); r != nil {
			r.interval()
		}
	}
	maps.DeleteFunc(a.records, func(name string, _ *record) bool { return !there[name] })
}

// recordOf returns the record of the present run of a job, or nil if there is none;
// a.recording is locked.
func (a *API) recordOf(name string) *record {
	j, err := a.m.Get(name)
	if err != nil {
		delete(a.records, name)
		return nil
	}
	r := a.records[name]
	if r == nil || r.job != j {
		r = &record{job: j, config: j.Config(), revision: j.Status().Revision}
		a.records[name] = r
	}
	return r
}

// interval adds what has happened since the last one.
func (r *record) interval() {
	if r.before != nil && r.before.State.Ended() || r.job.State() == loadgen.StatePending {
		return
	}
	now := r.job.Snapshot()
	d := now.Since(r.before)
	r.before = now
	if d.Elapsed <= 0 && d.Iterations == 0 && d.Requests == 0 {
		return
	}
	i := interval{
		at: now.Time.UnixNano(), took: d.Elapsed, revision: now.Revision,
		workers: int32(now.Workers), vus: int32(now.VUs), active: int32(now.Active),
		iterations: uint32(d.Iterations), failedIterations: uint32(d.FailedIterations), interrupted: uint32(d.Interrupted),
		requests: uint32(d.Requests), failedRequests: uint32(d.FailedRequests), status: statusClasses(d.Status),
		service: quantilesOf(&d.Service), response: quantilesOf(&d.Response),
	}
	if n := len(r.intervals); n < HistoryLen {
		if n == cap(r.intervals) { // append would make room for more than there will be
			r.intervals = append(make([]interval, 0, min(2*n+16, HistoryLen)), r.intervals...)
		}
		r.intervals = append(r.intervals, i)
		return
	}
	r.intervals[r.oldest] = i
	r.oldest = (r.oldest + 1) % HistoryLen
}

// last gives the newest intervals, the oldest of them first.
func (r *record) last(n int) []Interval {
	n = min(n, len(r.intervals))
	all := make([]Interval, 0, n)
	for i := len(r.intervals) - n; i < len(r.intervals); i++ {
		all = append(all, r.intervals[(r.oldest+i)%len(r.intervals)].public())
	}
	return all
}

func (i *interval) public() Interval {
	p := Interval{
		Time: time.Unix(0, i.at).UTC(), Seconds: i.took.Seconds(), Revision: i.revision,
		Workers: int(i.workers), VUs: int(i.vus), Active: int(i.active),
		Iterations: uint64(i.iterations), FailedIterations: uint64(i.failedIterations), Interrupted: uint64(i.interrupted),
		Requests: uint64(i.requests), FailedRequests: uint64(i.failedRequests), Status: map[string]uint64{},
		Service: i.service.public(), Response: i.response.public(),
	}
	for class, n := range i.status {
		if n > 0 {
			p.Status[statusName(class)] = uint64(n)
		}
	}
	return p
}

// change notes a new revision.
func (r *record) change(e loadgen.Event) {
	changes := changesOf(&r.config, &e.Config)
	r.config, r.revision = e.Config, e.Status.Revision
	r.revisions = append(r.revisions, Revision{Revision: e.Status.Revision, Time: e.Time.UTC(), Changes: changes})
	if len(r.revisions) > revisionsKept {
		r.revisions = slices.Clone(r.revisions[1:])
	}
}

// changesOf lists the fields that differ between two configurations. Those that are
// objects differ by their entries.
func changesOf(before, after *loadgen.JobConfig) []Change {
	was, is := flat(before), flat(after)
	shownWas, shownIs := flat(redacted(before)), flat(redacted(after))
	fields := maps.Clone(was)
	maps.Copy(fields, is)
	changes := []Change{}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if string(was[field]) != string(is[field]) {
			changes = append(changes, Change{Field: field, From: orNull(shownWas[field]), To: orNull(shownIs[field])})
		}
	}
	return changes
}

func redacted(cfg *loadgen.JobConfig) *loadgen.JobConfig {
	shown := cfg.Redacted()
	return &shown
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// flat is the JSON form of a configuration by field.
func flat(cfg *loadgen.JobConfig) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	text, err := json.Marshal(cfg)
	if err != nil || json.Unmarshal(text, &all) != nil {
		return all // cannot be
	}
	for field, raw := range maps.Clone(all) {
		var inner map[string]json.RawMessage
		if raw[0] != '{' || json.Unmarshal(raw, &inner) != nil {
			continue
		}
		delete(all, field)
		for name, value := range inner {
			all[field+"."+name] = value
		}
	}
	return all
}

// numStatusClasses are those of HTTP, from 1xx, and one for every other code.
const numStatusClasses = 6

func statusClasses(codes map[int]uint64) (classes [numStatusClasses]uint32) {
	for code, n := range codes {
		class := numStatusClasses - 1
		if code >= 100 && code <= 599 {
			class = code/100 - 1
		}
		classes[class] += uint32(n)
	}
	return classes
}

func statusName(class int) string {
	if class == numStatusClasses-1 {
		return "other"
	}
	return string(rune('1'+class)) + "xx"
}

func quantilesOf(h *loadgen.Histogram) quantiles {
	if h.Count() == 0 {
		return quantiles{-1}
	}
	return quantiles{h.P50(), h.P95(), h.P99(), h.Max()}
}

func (q quantiles) public() Percentiles {
	if q[0] < 0 {
		return Percentiles{}
	}
	return Percentiles{P50: ms(q[0]), P95: ms(q[1]), P99: ms(q[2]), Max: ms(q[3])}
}

func ms(d time.Duration) *float64 {
	x := float64(d) / float64(time.Millisecond)
	return &x
}

// History gives the last minutes of a job's present or last run, if [API.Record]
// keeps them: at most the given number of intervals. The error is an [*Error].
func (a *API) History(name string, last int) (History, error) {
	j, err := a.get(name)
	if err != nil {
		return History{}, err
	}
	h := History{Job: j.Name(), Intervals: []Interval{}, Revisions: []Revision{}}
	a.recording.Lock()
	defer a.recording.Unlock()
	r := a.records[j.Name()]
	if r == nil || r.job != j || r.before == nil {
		return h, nil
	}
	h.Started = r.before.Started.UTC()
	h.Intervals = r.last(max(last, 0))
	h.Revisions = append(h.Revisions, r.revisions...)
	return h, nil
}

// callHistory does the call of that name.
func (a *API) callHistory(body json.RawMessage) (History, error) {
	object, err := readObject(body)
	if err != nil {
		return History{}, err
	}
	last := float64(HistoryLen)
	if raw, ok := object["last"]; ok {
		if last, err = number(raw, 0, HistoryLen); err != nil {
			return History{}, badRequest(CodeInvalidField, "last", "last: %v", err)
		}
		delete(object, "last")
	}
	job, err := jobOf(object)
	if err != nil {
		return History{}, err
	}
	return a.History(job, int(last))
}

// historyArgs takes the job of the path and the query's last.
func historyArgs(_ http.ResponseWriter, r *http.Request, p httprouter.Params) (json.RawMessage, error) {
	args := map[string]string{"job": p.ByName("name")}
	if last := r.URL.Query().Get("last"); last != "" {
		args["last"] = last
	}
	return json.Marshal(args)
}
