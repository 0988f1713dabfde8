package httpapi

import (
	"encoding/json"

	"github.com/opbeans/loadgen"
)

// Distribution is what [API.Distribution] gives: how long things took, in buckets.
type Distribution struct {
	Job      string   `json:"job"`
	Service  []Bucket `json:"service"`  // from a request sent to its response read
	Response []Bucket `json:"response"` // from an iteration due to that iteration done
}

// Bucket counts the times from From up to, but not, To. Bounds are the same for all
// jobs: a power of two of microseconds and seven steps to the next. Buckets that
// count nothing are left out.
type Bucket struct {
	From  float64 `json:"from_ms"`
	To    float64 `json:"to_ms"`
	Count uint64  `json:"count"`
}

// Distribution tells how long the requests and iterations of a job took so far. The
// error is an [*Error].
func (a *API) Distribution(name string) (Distribution, error) {
	j, err := a.get(name)
	if err != nil {
		return Distribution{}, err
	}
	s := j.Snapshot()
	return Distribution{Job: j.Name(), Service: buckets(&s.Service), Response: buckets(&s.Response)}, nil
}

func buckets(h *loadgen.Histogram) []Bucket {
	all := []Bucket{}
	for _, b := range h.Distribution() {
		all = append(all, Bucket{From: *ms(b.From), To: *ms(b.To), Count: b.Count})
	}
	return all
}

// Effective is what a job's scenario comes to under its configuration.
type Effective struct {
	Variables []Variable `json:"variables"`
	Tasks     []Task     `json:"tasks"`
}

// effective is nil if the scenario of a job that has not started cannot be read.
func (a *API) effective(j *loadgen.Job) *Effective {
	cfg := j.Config()
	if next, ok := j.Next(); ok {
		cfg = next
	}
	if s := j.Scenario(); s != nil {
		cfg.Scenario = s
	}
	p, err := a.m.Preview(cfg)
	if err != nil {
		return nil
	}
	return &Effective{Variables: variablesOf(p), Tasks: tasksOf(p)}
}

// jobNamed decodes the body of a call that needs only the name of a job.
func jobNamed(body json.RawMessage) (string, error) {
	object, err := readObject(body)
	if err != nil {
		return "", err
	}
	return jobOf(object)
}

// jobOf is the job that a body names, which has nothing else.
func jobOf(object map[string]json.RawMessage) (string, error) {
	invalid := &loadgen.ValidationError{}
	job := readJob(object, invalid)
	if err := unknownKey(object, nil); err != nil {
		return "", err
	}
	if len(invalid.Fields) > 0 {
		return "", toError(invalid)
	}
	return job, nil
}
