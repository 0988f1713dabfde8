package httpapi

import (
	"time"
)

// Limits is what [API.Limits] gives. A limit that is not set is left out.
type Limits struct {
	MaxRate    string `json:"max_rate,omitempty"` // of requests, such as "1000/s"
	MaxWorkers int    `json:"max_workers,omitempty"`
	MaxJobs    int    `json:"max_jobs,omitempty"`
	// Targets are the rules of where jobs may connect to; nothing if anywhere.
	Targets []string `json:"targets,omitempty"`

	Workers int    `json:"workers"` // that exist now
	Jobs    int    `json:"jobs"`    // that run now, or are stopping
	Held    uint64 `json:"held"`    // requests that had to wait for max_rate so far
	// APM tells whether the service receives what agents send, so that there is
	// [API.APM].
	APM bool `json:"apm"`
}

// Limits tells what all jobs together may do, and how much of it they do.
func (a *API) Limits() Limits {
	set, used := a.m.Limits(), a.m.Usage()
	l := Limits{
		MaxWorkers: set.MaxWorkers, MaxJobs: set.MaxJobs,
		Workers: used.Workers, Jobs: used.Jobs, Held: used.Held, APM: a.documents != nil,
	}
	if !set.MaxRate.IsZero() {
		l.MaxRate = set.MaxRate.String()
	}
	if rules := a.m.TargetRules(); rules != nil {
		l.Targets = rules.Rules()
	}
	return l
}

// Lease is what [API.Renew] gives.
type Lease struct {
	// Ends is when the job stops unless its lease is renewed again; left out if it has
	// none.
	Ends time.Time `json:"lease_ends,omitzero"`
}

// Renew begins the lease of a running job anew. The error is an [*Error].
func (a *API) Renew(job string) (Lease, error) {
	j, err := a.get(job)
	if err != nil {
		return Lease{}, err
	}
	if err := j.Renew(); err != nil {
		return Lease{}, toError(err)
	}
	return Lease{Ends: j.LeaseEnds()}, nil
}

// Stopped is what [API.StopAll] gives.
type Stopped struct {
	Jobs []string `json:"jobs"` // that ran, by name
}

// StopAll stops every job softly and does not wait for them, as [API.Stop] does for
// one.
func (a *API) StopAll() (Stopped, error) {
	s := Stopped{Jobs: []string{}}
	var waits []func() error
	for _, j := range a.m.StopAll() {
		s.Jobs = append(s.Jobs, j.Name())
		waits = append(waits, a.save(j.Name()))
	}
	for _, wait := range waits {
		if err := saved(wait()); err != nil {
			return Stopped{}, err
		}
	}
	return s, nil
}
