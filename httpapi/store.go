package httpapi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Store keeps what must survive the process: see package state.
type Store interface {
	// Save takes note that a job has changed, or is gone, and of what the API holds
	// about it beyond the job. It is called in the order of the changes and does not
	// block; the function that it returns waits until that is kept.
	Save(job string, held json.RawMessage) (wait func() error)
	// Held is what Save was last told about a job, also by the process before.
	Held(job string) json.RawMessage
	// Err says why what has changed last could not be kept; nil if it is.
	Err() error
}

// Runs are the runs of jobs that have ended and are kept.
type Runs interface {
	// Runs lists them, the newest first, without their statistics.
	Runs() ([]loadgen.RunRecord, error)
	// Run returns one with its statistics. The error wraps [fs.ErrNotExist] if there is
	// none of that ID.
	Run(id string) (loadgen.RunRecord, error)
}

// WithStore answers a call that changes a job only when the change is kept. Where it
// cannot be, the answer has the code [CodeNotSaved], and the change is in force all the
// same. The jobs of the process before must be in the Manager by then.
func WithStore(s Store) Option { return func(a *API) { a.store = s } }

// WithRuns serves the runs that have ended. Without it there are none.
func WithRuns(r Runs) Option { return func(a *API) { a.runs = r } }

// heldRecord is what the API holds about a job, as data.
type heldRecord struct {
	Spellings map[string]spellingRecord `json:"spellings,omitempty"`
}

type spellingRecord struct {
	Raw   json.RawMessage `json:"raw"`
	Value string          `json:"value"`
}

// remember takes over what the API of the process before held about the jobs.
func (a *API) remember() error {
	if a.store == nil {
		return nil
	}
	var errs []error
	for _, j := range a.m.List() {
		raw := a.store.Held(j.Name())
		if raw == nil {
			continue
		}
		var r heldRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			errs = append(errs, err)
			continue
		}
		h := a.hold(j)
		for name, s := range r.Spellings {
			h.spellings[name] = spelling{raw: s.Raw, value: s.Value}
		}
	}
	return errors.Join(errs...)
}

// kept waits until the store has what a call has changed.
func (a *API) kept(job string) error { return saved(a.save(job)()) }

// saved is the error of a call whose change could not be saved.
func saved(err error) error {
	if err == nil {
		return nil
	}
	return &Error{
		Status: http.StatusInsufficientStorage, Code: CodeNotSaved, Field: "job",
		Message: "the change is in force, but could not be saved, and would be lost with the process: " + err.Error(),
		err:     err,
	}
}

func (a *API) save(job string) (wait func() error) {
	if a.store == nil {
		return func() error { return nil }
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.find(job)
	if j == nil {
		// One of the two names is gone; neither is there.
		wait := a.store.Save(jobName(job), nil)
		if job != jobName(job) {
			return a.store.Save(job, nil)
		}
		return wait
	}
	h := a.held[j.Name()]
	if h == nil || h.job != j {
		return a.store.Save(j.Name(), nil)
	}
	r := heldRecord{Spellings: map[string]spellingRecord{}}
	for name, s := range h.spellings {
		r.Spellings[name] = spellingRecord{s.raw, s.value}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return func() error { return err } // cannot be: it came as JSON
	}
	return a.store.Save(j.Name(), raw)
}

// Health is the answer of /healthz.
type Health struct {
	Status string `json:"status"` // ok, or degraded
	// Problem says what is wrong while the service answers all the same.
	Problem string `json:"problem,omitempty"`
}

func (a *API) health() Health {
	if a.store != nil {
		if err := a.store.Err(); err != nil {
			return Health{Status: "degraded", Problem: "the state cannot be saved: " + err.Error()}
		}
	}
	return Health{Status: "ok"}
}

// RunList is what [API.Runs] gives.
type RunList struct {
	Runs []Run `json:"runs"` // the newest first
}

// Run is a run of a job that has ended.
type Run struct {
	ID   string `json:"id"`
	Name string `json:"job"`
	loadgen.Status
	Started time.Time `json:"started"`
	Elapsed float64   `json:"elapsed_s"` // for how long it ran
	loadgen.RunSummary
	// Of one run alone:
	Config   *loadgen.JobConfig   `json:"config,omitempty"`
	History  []loadgen.Transition `json:"history,omitempty"`
	Snapshot *Snapshot            `json:"snapshot,omitempty"`
}

// The bounds of how many runs are listed at a time.
const (
	defaultRuns = 100
	maxRuns     = 10_000
)

// Runs lists the runs that have ended and are kept, the newest first. The body may have
// a job, whose runs alone are then listed, and a limit, 100 if it is left out. The error
// is an [*Error].
func (a *API) Runs(body json.RawMessage) (RunList, error) {
	job, limit, err := readRuns(body)
	if err != nil {
		return RunList{}, err
	}
	list := RunList{Runs: []Run{}}
	if a.runs == nil {
		return list, nil
	}
	all, err := a.runs.Runs()
	if err != nil {
		return RunList{}, toError(err)
	}
	for i := range all {
		name := all[i].Job.Config.Name
		if job != "" && name != job && name != jobName(job) {
			continue
		}
		if len(list.Runs) == limit {
			break
		}
		list.Runs = append(list.Runs, run(&all[i]))
	}
	return list, nil
}

func readRuns(body json.RawMessage) (job string, limit int, err error) {
	limit = defaultRuns
	if len(body) == 0 {
		return "", limit, nil
	}
	object, err := readObject(body)
	if err != nil {
		return "", 0, err
	}
	if raw, ok := object["job"]; ok && !isNull(raw) {
		if job, ok = text(raw); !ok {
			return "", 0, badRequest(CodeInvalidField, "job", "job must be text, not %s", textkit.Shorten(string(raw)))
		}
	}
	if raw, ok := object["limit"]; ok && !isNull(raw) {
		n, err := number(raw, 1, maxRuns)
		if err != nil || n != float64(int(n)) {
			return "", 0, badRequest(CodeInvalidField, "limit", "limit: must be a whole number from 1 to %d, not %s", maxRuns, textkit.Shorten(string(raw)))
		}
		limit = int(n)
	}
	delete(object, "limit")
	delete(object, "job")
	return job, limit, unknownKey(object, []field{{name: "limit"}})
}

// Run describes one run that has ended, with its configuration and statistics. The body
// has its id. The error is an [*Error]; its code is [CodeRunNotFound] if there is no such
// run, or not any more.
func (a *API) Run(body json.RawMessage) (Run, error) {
	object, err := readObject(body)
	if err != nil {
		return Run{}, err
	}
	id, _ := text(object["id"])
	missing := &Error{
		Status: http.StatusNotFound, Code: CodeRunNotFound, Field: "id",
		Message: "there is no run " + textkit.Shorten(id) + "; GET /api/runs lists those that are kept", err: fs.ErrNotExist,
	}
	if a.runs == nil || id == "" {
		return Run{}, missing
	}
	r, err := a.runs.Run(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Run{}, missing
	case err != nil:
		return Run{}, toError(err)
	}
	v, cfg := run(&r), r.Job.Config.Redacted()
	v.Config, v.History = &cfg, r.Job.History
	v.Snapshot = &Snapshot{Snapshot: r.Statistics, Elapsed: r.Statistics.Elapsed.Seconds()}
	return v, nil
}

func run(r *loadgen.RunRecord) Run {
	return Run{
		ID: r.ID, Name: r.Job.Config.Name, Status: r.Job.Status,
		Started: r.Job.Started, Elapsed: r.Job.Elapsed.Seconds(), RunSummary: r.Summary,
	}
}
