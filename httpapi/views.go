package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Snapshot is a [loadgen.Snapshot] in JSON.
type Snapshot struct {
	*loadgen.Snapshot
	Elapsed float64 `json:"elapsed_s"` // seconds
}

// Stats is what [API.Stats] gives.
type Stats struct {
	Jobs []Snapshot `json:"jobs"` // by name
}

// Job is what [API.Job] gives.
type Job struct {
	Name string `json:"job"`
	loadgen.Status
	Config  loadgen.JobConfig    `json:"config"`
	Next    *loadgen.JobConfig   `json:"next,omitempty"` // of the next start, once an update has come after the end
	History []loadgen.Transition `json:"history"`
	// LeaseEnds is when the job stops unless its lease is renewed; see [API.Renew].
	LeaseEnds time.Time `json:"lease_ends,omitzero"`
	Snapshot  *Snapshot `json:"snapshot,omitempty"`
	// Effective is left out while the scenario of a pending job cannot be read.
	Effective *Effective `json:"effective,omitempty"`
}

// Jobs is what [API.Jobs] gives.
type Jobs struct {
	Jobs    []Job     `json:"jobs"`    // by name
	Started time.Time `json:"started"` // when this API began; tells restarts of the service
}

// Stats gives the statistics so far of every job; of one that has ended, the final
// ones.
func (a *API) Stats() Stats {
	s := Stats{Jobs: []Snapshot{}}
	for _, j := range a.m.List() {
		s.Jobs = append(s.Jobs, *snapshot(j))
	}
	return s
}

// Jobs describes every job, without statistics.
func (a *API) Jobs() Jobs {
	s := Jobs{Jobs: []Job{}, Started: a.started}
	for _, j := range a.m.List() {
		s.Jobs = append(s.Jobs, view(j))
	}
	return s
}

// Job describes one job: its state, since when and why, its revision, the
// configuration in force with defaults filled in (and REDACTED in the place of
// passwords; sent back, it stands for what is in force), the states that it has been in, and its statistics. The error
// is an [*Error].
func (a *API) Job(name string) (Job, error) {
	j, err := a.get(name)
	if err != nil {
		return Job{}, err
	}
	v := view(j)
	v.Snapshot, v.Effective = snapshot(j), a.effective(j)
	return v, nil
}

// Remove forgets a job that is pending or has ended, with its statistics. While the
// job runs the error's code is [CodeJobRunning]. The error is an [*Error].
func (a *API) Remove(name string) error {
	if err := a.remove(name); err != nil {
		return err
	}
	return a.kept(name)
}

func (a *API) remove(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	j, err := a.get(name)
	if err != nil {
		return err
	}
	if err := a.m.Remove(j.Name()); err != nil {
		return toError(err)
	}
	delete(a.held, j.Name())
	return nil
}

func view(j *loadgen.Job) Job {
	v := Job{Name: j.Name(), Status: j.Status(), Config: j.Config().Redacted(), History: j.History(), LeaseEnds: j.LeaseEnds()}
	if next, ok := j.Next(); ok {
		next = next.Redacted()
		v.Next = &next
	}
	return v
}

func snapshot(j *loadgen.Job) *Snapshot {
	s := j.Snapshot()
	return &Snapshot{Snapshot: s, Elapsed: s.Elapsed.Seconds()}
}

// The names of the calls of [API.Call].
const (
	callStart     = "start"
	callUpdate    = "update"
	callStop      = "stop"
	callList      = "list"
	callScenarios = "scenarios"
	callSplays    = "splays"
	callStats     = "stats"
	callJobs      = "jobs"
	callJob       = "job"
	callRenew     = "renew"
	callStopAll   = "stop-all"
	callLimits    = "limits"
	callRemove    = "remove"
	callHealth    = "health"
	callRuns      = "runs"
	callRun       = "run"

	callCatalogue    = "catalogue"
	callScenario     = "scenario"
	callHistory      = "history"
	callDistribution = "distribution"
	callAPM          = "apm"
	callTraces       = "traces"
)

// Call does one call by its name, for a transport other than HTTP: start and update
// with the body of [API.Start]; stop, job, remove, distribution and traces with {"job": NAME};
// history with that and "last", apm with that, "from" and "to"; scenario with the body of [API.Scenario]; list,
// scenarios, catalogue, splays, stats, jobs and health without a body; runs with the
// body of [API.Runs], run with that of [API.Run]. The result can be
// written as JSON. The error is an [*Error]; Call does not panic.
func (a *API) Call(ctx context.Context, name string, body json.RawMessage) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, a.panicked(p)
		}
	}()
	switch name {
	case callStart:
		return done(a.Start(ctx, body))
	case callUpdate:
		return done(a.Update(ctx, body))
	case callStopAll:
		return given(a.StopAll())
	case callLimits:
		return a.Limits(), nil
	case callStop, callJob, callRemove, callRenew, callDistribution, callTraces:
		return a.callJob(name, body)
	case callScenario:
		return given(a.Scenario(body))
	case callAPM:
		return a.APM(body)
	case callHistory:
		return given(a.callHistory(body))
	case callCatalogue:
		return a.Catalogue(), nil
	case callList:
		return a.List(), nil
	case callScenarios:
		return a.Scenarios(), nil
	case callSplays:
		return a.Splays(), nil
	case callStats:
		return a.Stats(), nil
	case callJobs:
		return a.Jobs(), nil
	case callHealth:
		return a.health(), nil
	case callRuns:
		return given(a.Runs(body))
	case callRun:
		return given(a.Run(body))
	}
	return nil, &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: "there is no call " + textkit.Shorten(name)}
}

// callJob does the calls that need only the name of a job.
func (a *API) callJob(name string, body json.RawMessage) (any, error) {
	job, err := jobNamed(body)
	if err != nil {
		return nil, err
	}
	switch name {
	case callStop:
		return done(a.Stop(job))
	case callRenew:
		return given(a.Renew(job))
	case callRemove:
		return done(a.Remove(job))
	case callDistribution:
		return given(a.Distribution(job))
	case callTraces:
		return given(a.Traces(job))
	}
	return given(a.Job(job))
}

// given is the result of a call that has something to tell, or its error.
func given[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// done is the result of a call that has nothing to tell: {}.
func done(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}
