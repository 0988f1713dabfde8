package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

const (
	// callTries bounds how often a call begins again because the job's state
	// changed under it, by the job's own end or by another program's hand.
	callTries = 8
	// startWait is how long a start waits for a job that is stopping.
	startWait = 10 * time.Second
)

// Start starts a job, or changes it in place if it runs; all that the body does
// not say stays as it is then. The body is an object:
//
//   - job, required: the name, which loses one leading "opbeans-". The service's
//     name is "opbeans-" and the name.
//   - port: the port of the target, see [WithTarget]; or url: the whole base URL,
//     which wins. One of them is required, unless the job is there and has one.
//   - scenario: its name; default "molotov_scenarios".
//   - workers: default 3. A fraction is rounded down, to 1 at least.
//   - delay: seconds between iterations of a worker, default 0.600; duration:
//     seconds, default 31536000, 0 for no end.
//   - error_weight, default 0; app_latency_weight, default 0; app_latency_label,
//     default "dyno_latency"; app_latency_lower_bound and app_latency_upper_bound,
//     ms, defaults 1 and 1000: the variables of these names. label_weight and
//     label_name are older names; the new ones win over them.
//   - every other key of a [loadgen.JobConfig] in JSON: rate ("100/s"), ramp_up,
//     max_iterations, variables, weights, seed, max_workers, and so on.
//
// Numbers may come as text. A key that is null counts as left out; name and running
// are passed over. A job that was only updated so far starts with what the updates
// said, unless the body says otherwise; one that has ended starts with the defaults,
// but keeps its base URL and, if updates came after its end, what those have left.
//
// A job that is still stopping is waited for, up to ten seconds. The error is an
// [*Error].
func (a *API) Start(ctx context.Context, body json.RawMessage) error {
	c, err := a.readChange(body)
	if err != nil {
		return toError(err)
	}
	giveUp := time.NewTimer(startWait)
	defer giveUp.Stop()
	for range callTries {
		again, err := a.start(ctx, c)
		if again == nil {
			return a.settle(c, err)
		}
		select {
		case <-again:
			continue
		case <-ctx.Done():
			return toError(ctx.Err())
		case <-giveUp.C:
		}
		break
	}
	return tooBusy(c)
}

// settle is the end of a call that has made a change, or was refused.
func (a *API) settle(c *change, err error) error {
	if err != nil {
		return refusal(c.fault(err))
	}
	return a.kept(c.job)
}

// start tries to. If the job stands in the way, it returns what to wait for before
// the next try.
func (a *API) start(ctx context.Context, c *change) (again <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.find(c.job)
	if j == nil {
		if err := a.room(); err != nil {
			return nil, err
		}
		return a.launch(ctx, c, a.defaults(jobName(c.job)), nil)
	}
	h := a.hold(j)
	switch state := j.State(); {
	case state == loadgen.StateRunning:
		again, err := a.updateRunning(j, c)
		if again {
			return j.Done(), nil
		}
		return nil, err
	case state.Active():
		return j.Done(), nil
	case state == loadgen.StatePending:
		return a.launch(ctx, c, j.Config(), h.spellings)
	}
	if next, ok := j.Next(); ok {
		return a.launch(ctx, c, next, h.spellings)
	}
	old := j.Config()
	cfg := a.defaults(j.Name())
	cfg.BaseURL = old.BaseURL
	if old.Scenario != nil { // it has no other name by which a client could ask for it
		cfg.Scenario, cfg.ScenarioName = old.Scenario, old.ScenarioName
	}
	return a.launch(ctx, c, cfg, map[string]spelling{"port": h.spellings["port"]})
}

// launch starts a job with a changed configuration.
func (a *API) launch(ctx context.Context, c *change, cfg loadgen.JobConfig, spellings map[string]spelling) (again <-chan struct{}, err error) {
	c.apply(&cfg)
	if err := a.loads(&cfg); err != nil {
		return nil, err
	}
	j, err := a.m.Start(ctx, cfg)
	if errors.Is(err, loadgen.ErrJobRunning) {
		now := make(chan struct{}) // another program was faster
		close(now)
		return now, nil
	}
	if err != nil {
		return nil, err
	}
	h := a.hold(j)
	for name, s := range spellings {
		h.spellings[name] = s
	}
	a.spelled(h, c, &cfg)
	return nil, nil
}

// Update changes a job in place, whatever its state, and takes what [API.Start]
// takes. A name that is not known yet is listed from then on, and so is prepared
// for its start. What a job that has ended will do at its next start is changed
// without touching its statistics. Naming a scenario, the same or another, reads
// its file again. The error is an [*Error].
func (a *API) Update(ctx context.Context, body json.RawMessage) error {
	c, err := a.readChange(body)
	if err != nil {
		return toError(err)
	}
	for range callTries {
		if err := ctx.Err(); err != nil {
			return toError(err)
		}
		again, err := a.update(c)
		if !again {
			return a.settle(c, err)
		}
	}
	return tooBusy(c)
}

// tooBusy gives up on a job that ends slowly, or changes all the time.
func tooBusy(c *change) error {
	return &Error{
		Status: http.StatusConflict, Code: CodeJobStopping, Field: "job",
		Message: fmt.Sprintf("job %q is about to end; try again in a moment", textkit.Shorten(c.job)),
	}
}

func (a *API) update(c *change) (again bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.find(c.job)
	if j == nil {
		return false, a.prepare(c)
	}
	switch state := j.State(); state {
	case loadgen.StatePending, loadgen.StateRunning:
		return a.updateRunning(j, c)
	default:
		return a.updateNext(j, c)
	}
}

// prepare registers a job that is not known yet.
func (a *API) prepare(c *change) error {
	if err := a.room(); err != nil {
		return err
	}
	cfg := a.defaults(jobName(c.job))
	c.apply(&cfg)
	if err := a.loads(&cfg); err != nil {
		return err
	}
	j, err := a.m.Prepare(cfg)
	if err != nil {
		return err
	}
	a.spelled(a.hold(j), c, &cfg)
	return nil
}

// updateRunning changes a job that is running or pending. If it has ended or was
// replaced meanwhile, the caller is to look again.
func (a *API) updateRunning(j *loadgen.Job, c *change) (again bool, err error) {
	cfg := j.Config()
	c.apply(&cfg)
	if c.has("scenario") {
		if err := a.loads(&cfg); err != nil {
			return false, err
		}
	}
	err = c.update(j)
	if now, _ := a.m.Get(j.Name()); now != j || errors.Is(err, loadgen.ErrJobEnded) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	cfg = j.Config()
	a.spelled(a.hold(j), c, &cfg)
	return false, nil
}

// updateNext changes what an ended job will have at its next start. Its seed was
// drawn, or was for one run: the next start draws another.
// If it was replaced meanwhile, the caller is to look again.
func (a *API) updateNext(j *loadgen.Job, c *change) (again bool, err error) {
	next, ok := j.Next()
	if !ok {
		next = j.Config()
		next.Seed = 0
	}
	c.apply(&next)
	if err := next.Validate(); err != nil {
		return false, err
	}
	if c.has("scenario") {
		if err := a.loads(&next); err != nil {
			return false, err
		}
	}
	if err := j.SetNext(next); err != nil {
		return errors.Is(err, loadgen.ErrJobNotFound), err
	}
	a.spelled(a.hold(j), c, &next)
	return false, nil
}

// loads tells whether the scenario of a configuration can be used.
func (a *API) loads(cfg *loadgen.JobConfig) error {
	if cfg.Scenario != nil {
		return nil
	}
	_, err := a.m.Catalogue().Load(cfg.ScenarioName)
	if err == nil || errors.Is(err, loadgen.ErrScenarioNotFound) {
		return err
	}
	bad := badRequest(CodeBadScenario, "scenario", "scenario %q cannot be used: %s", cfg.ScenarioName, err.Error())
	bad.err = err
	return bad
}

// room refuses to make one more job than there may be.
func (a *API) room() error {
	jobs := a.m.List()
	a.forget(jobs)
	if len(jobs) < MaxJobs {
		return nil
	}
	return &Error{
		Status: http.StatusConflict, Code: CodeTooManyJobs, Field: "job",
		Message: fmt.Sprintf("there are %d jobs already; remove some (DELETE /api/jobs/NAME)", len(jobs)),
	}
}

// find returns the job that a client means, or nil. The name is looked up without
// the prefix; a program may have started a job whose name has it, though.
func (a *API) find(name string) *loadgen.Job {
	if j, err := a.m.Get(jobName(name)); err == nil {
		return j
	}
	j, _ := a.m.Get(name)
	return j
}

// get is find for calls that need the job to be there.
func (a *API) get(name string) (*loadgen.Job, error) {
	if j := a.find(name); j != nil {
		return j, nil
	}
	_, err := a.m.Get(jobName(name))
	return nil, toError(err)
}

// jobName is the name of a job without one leading prefix.
func jobName(given string) string { return strings.TrimPrefix(given, namePrefix) }

// Stop stops a job softly and does not wait for it: the job is stopping when Stop
// returns. A job that has ended, or that nobody knows, is fine. A name is required.
// The error is an [*Error].
func (a *API) Stop(job string) error {
	if jobName(job) == "" {
		return toError(&loadgen.ValidationError{Fields: []loadgen.FieldError{missingJob()}})
	}
	j := a.find(job)
	if j == nil {
		return nil
	}
	j.Stop()
	return a.kept(job)
}

// List shows every job that there is, running or not, by its name.
func (a *API) List() map[string]Listing {
	a.mu.Lock()
	defer a.mu.Unlock()
	jobs := a.m.List()
	a.forget(jobs)
	all := make(map[string]Listing, len(jobs))
	for _, j := range jobs {
		all[j.Name()] = a.listing(j)
	}
	return all
}

// Scenarios is what [API.Scenarios] gives.
type Scenarios struct {
	// Scenarios are the names of those that can be started, the default first.
	Scenarios []string `json:"scenarios"`
	// Errors says of the others what is wrong with them.
	Errors map[string]string `json:"errors,omitempty"`
}

// Scenarios lists the scenarios of the Manager's catalogue as they are now.
func (a *API) Scenarios() Scenarios {
	s := Scenarios{Scenarios: []string{}}
	for _, info := range a.m.Catalogue().List() {
		if info.Err == nil {
			s.Scenarios = append(s.Scenarios, info.Name)
			continue
		}
		if s.Errors == nil {
			s.Errors = map[string]string{}
		}
		s.Errors[info.Name] = info.Err.Error()
	}
	slices.SortStableFunc(s.Scenarios, func(x, y string) int {
		return cmp.Compare(rank(x), rank(y))
	})
	return s
}

func rank(scenario string) int {
	if scenario == defaultScenario {
		return 0
	}
	return 1
}

// Splays is what [API.Splays] gives.
type Splays struct {
	Splays []string `json:"splays"`
}

// Splays lists the ways in which load can be spread, for the suite's control page.
func (a *API) Splays() Splays { return Splays{Splays: []string{"User-Agent: Safari"}} }
