// Package loadgen generates HTTP load from Go.
//
// A [Scenario] is a weighted set of tasks, written in Go or read from YAML. A
// [Manager] runs scenarios as jobs: each [Job] drives one target with a number of
// virtual users (VUs), by a fixed delay between iterations (closed model) or at a
// fixed rate (open model), and keeps statistics of fixed size, however long it runs.
// A running job can be changed in place: workers, delay, rate, weights, variables,
// target and scenario take effect without a restart.
//
//	m := loadgen.New()
//	defer m.Close()
//	shop := loadgen.NewScenario("shop").
//		Task("home", 3, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }).
//		Task("cart", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/cart") })
//	job, err := m.Start(ctx, loadgen.JobConfig{
//		Name: "shop", Scenario: shop, BaseURL: "http://localhost:8000",
//		Workers: 10, Delay: 100 * time.Millisecond, Duration: time.Minute,
//	})
//	if err != nil {
//		return err
//	}
//	err = job.Wait(ctx)
//	fmt.Println(job.Snapshot().Response.P99())
//
// [Run] does the same for one job in one call.
//
// # Two latencies
//
// Service time is measured for each request, from the request sent to the response
// read. Response time is measured for each iteration, from the moment it was due to
// its end. In the open model the due times come from the rate alone, so that
// response time counts the wait that a slow target causes to those behind it
// (no coordinated omission); service time shows what the server did.
//
// # Beside this package
//
// loadtest checks thresholds in tests and benchmarks. report writes, compares and merges
// results. sizing finds the largest load that a target can take; overhead measures the cost
// of an agent. httpapi, socketio and dashboard are the API, the stream and the page of a
// Manager, as http.Handlers for any program; access protects them, and state keeps their
// jobs over a restart. statsd and metrics send statistics to other systems. apm receives
// agents' trace data and checks it against the requests sent. locust runs a job as the
// worker of a Locust master. scenarios has the built-in files. This package imports none of
// them.
//
// # Concurrency
//
// A Manager and its jobs may be used from any goroutine. A VU may be used
// only by the task that receives it. A Snapshot is a copy.
package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/fault"
)

// Manager is a registry of jobs and a catalogue of scenarios. All its methods are
// safe for concurrent use. A Manager must be closed.
type Manager struct {
	env *environment

	mu     sync.Mutex // before a job's mu
	jobs   map[string]*Job
	closed bool
	wg     sync.WaitGroup // jobs that have not ended

	events events
	watch  *watchers
}

// New returns a Manager without jobs.
func New(opts ...Option) *Manager {
	env := &environment{
		Network:   client.Network{Buffers: client.NewBuffers()},
		logger:    slog.New(slog.DiscardHandler),
		lookupEnv: func(string) (string, bool) { return "", false },
		catalogue: NewCatalogue(),
	}
	for _, opt := range opts {
		opt(env)
	}
	return &Manager{env: env, jobs: map[string]*Job{}, watch: watch(env)}
}

// Start starts a job under its name and returns it while it runs. A job of that
// name that has ended, or was only prepared, is replaced; one that runs is left
// alone, and the error is [ErrJobRunning].
//
// The error is a [*ValidationError] that lists every fault of cfg, wraps
// [ErrScenarioNotFound] or [ErrLimit], or says why the scenario cannot be read. ctx
// bounds the start, not the job.
func (m *Manager) Start(ctx context.Context, cfg JobConfig) (*Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	scenario, p, err := m.compile(cfg, nil)
	if err != nil {
		return nil, err
	}
	if err := p.cfg.checkStart(); err != nil {
		return nil, err
	}
	if err := p.open(scenario, nil, nil); err != nil {
		return nil, err
	}
	j := newJob(m, p.cfg, scenario)
	if err := m.run(j, p); err != nil {
		return nil, err
	}
	j.logStart(p)
	return j, nil
}

// run registers a job and launches it. Otherwise it closes what p has open.
func (m *Manager) run(j *Job, p *plan) error {
	err := m.register(j, func() error { return m.admit(j, p) }, func() {
		m.wg.Add(1)
		j.launch(p)
	})
	if err != nil {
		closeFeeds(p.feeds, nil)
	}
	return err
}

// register makes j the job of its name, unless one of that name is active or it is not
// admitted, and starts what is to be with that.
func (m *Manager) register(j *Job, admit func() error, begin func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if old := m.jobs[j.name]; old != nil {
		old.mu.Lock()
		active := old.status.State.Active()
		old.mu.Unlock()
		if active {
			return fmt.Errorf("%w: %q", ErrJobRunning, j.name)
		}
	}
	if err := admit(); err != nil {
		return err
	}
	if old := m.jobs[j.name]; old != nil {
		old.mu.Lock()
		old.gone = true
		old.mu.Unlock()
	}
	m.jobs[j.name] = j
	begin()
	return nil
}

// Prepare registers a job without starting it: its state is pending, and what it
// lacks (a base URL, for instance) may still be missing. Start replaces it. An
// ended job of the same name is replaced, a running one is left alone.
//
// The error is a *[ValidationError] for what is wrong rather than missing, or wraps
// [ErrJobRunning] or [ErrClosed].
func (m *Manager) Prepare(cfg JobConfig) (*Job, error) {
	if err := validation(present(cfg.check())); err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		return nil, cfg.Validate()
	}
	return m.enter(newJob(m, cfg.clone(), nil), EventPrepared)
}

// enter registers a job that does not run.
func (m *Manager) enter(j *Job, kind EventKind) (*Job, error) {
	err := m.register(j, func() error { return nil }, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.publish(kind)
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// present drops the faults that are only something missing.
func present(f fault.List) fault.List {
	return slices.DeleteFunc(f, func(e fault.Fault) bool { return e.Missing })
}

// compile makes the plan of a config. The scenario is the one that the job already
// has; without, it is taken from the config, or else looked up.
func (m *Manager) compile(cfg JobConfig, scenario *Scenario) (*Scenario, *plan, error) {
	f := append(cfg.check(), m.env.limits.check(&cfg)...)
	switch {
	case scenario != nil:
	case cfg.Scenario != nil:
		scenario = cfg.Scenario.clone()
	case cfg.ScenarioName != "":
		var err error
		if scenario, err = m.env.catalogue.Load(cfg.ScenarioName); err != nil {
			if !errors.Is(err, ErrScenarioNotFound) {
				return nil, nil, err
			}
			if len(f) == 0 {
				return nil, nil, err
			}
			f.Add("scenario", "%v", err)
		}
	}
	if cfg.Seed == 0 {
		cfg.Seed = randomSeed()
	}
	p := &plan{cfg: cfg.withDefaults()}
	if scenario != nil {
		b, bf := scenario.bind(&p.cfg, m.env.lookupEnv)
		f = append(f, bf...)
		p.take(b)
		p.judge(scenario, m.env, &f)
		p.session = sessionKey{scenario, cfg.BaseURL}
		p.newSession = scenario.newSession
	}
	if err := validation(f); err != nil {
		return nil, nil, err
	}
	var err error
	if p.base, err = url.Parse(cfg.BaseURL); err != nil {
		return nil, nil, err // cannot be: check has parsed it
	}
	p.target, f = client.NewTarget(p.cfg.client(), p.base, &m.env.Network)
	if err := validation(f); err != nil {
		return nil, nil, err
	}
	return scenario, p, nil
}

// Get returns the job of a name, or an error that wraps [ErrJobNotFound].
func (m *Manager) Get(name string) (*Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if j := m.jobs[name]; j != nil {
		return j, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrJobNotFound, name)
}

// List returns all jobs, running or not, by name.
func (m *Manager) List() []*Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.jobs), func(a, b *Job) int { return cmp.Compare(a.name, b.name) })
}

// StopAll asks every job that runs to stop; see [Job.Stop]. It returns those jobs.
func (m *Manager) StopAll() []*Job {
	return slices.DeleteFunc(m.List(), func(j *Job) bool {
		if j.State() != StateRunning {
			return true
		}
		j.Stop()
		return false
	})
}

// Remove forgets a job that is pending or has ended. The error wraps
// [ErrJobRunning] while it runs, or [ErrJobNotFound].
func (m *Manager) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[name]
	if j == nil {
		return fmt.Errorf("%w: %q", ErrJobNotFound, name)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status.State.Active() {
		return fmt.Errorf("%w: stop %q first", ErrJobRunning, name)
	}
	delete(m.jobs, name)
	j.gone = true
	j.publish(EventRemoved)
	return nil
}

// Wait returns nil when every job that was started has ended, or the error of ctx
// when that is done first.
func (m *Manager) Wait(ctx context.Context) error {
	for _, j := range m.List() {
		if j.State() == StatePending {
			continue
		}
		select {
		case <-j.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Shutdown closes the Manager softly: it takes no more jobs, stops those that run,
// and gives their iterations until ctx is done, or until the job's grace time has
// passed, to end. It returns when all is at rest: nil, or the error of ctx if that
// had cut iterations short.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	for _, j := range m.List() {
		j.stop(StateStopped, "the service is shutting down")
	}
	err := m.Wait(ctx)
	m.Close()
	return err
}

// Close ends the Manager and every job at once: running iterations are interrupted,
// whatever grace time they would have. It returns when no goroutine of the Manager
// is left, which needs tasks written in Go to heed their context. Closing twice is
// fine. Jobs stay readable.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	for _, j := range m.List() {
		j.stop(StateStopped, "the manager was closed")
		j.kill()
	}
	m.wg.Wait()
	m.watch.close()
	m.events.close()
}

// Catalogue returns the catalogue of scenarios.
func (m *Manager) Catalogue() *Catalogue { return m.env.catalogue }

// DroppedSamples is the number of samples that observers missed because they were slow.
func (m *Manager) DroppedSamples() uint64 { return m.watch.missed.Load() }

// Run runs one job to its end and returns its statistics: for tests and small
// programs. When ctx is done the job is stopped, with its grace time, and the
// error is that of ctx; if the job failed, the error says why. The snapshot is
// valid also then, unless the job could not start. Failed requests are no error, nor is a
// threshold that does not hold, unless it aborts: see [Snapshot.FailedVerdicts]. Without a
// Duration, Stages or MaxIterations in cfg it runs until ctx is done.
func Run(ctx context.Context, cfg JobConfig, opts ...Option) (*Snapshot, error) {
	if cfg.Name == "" {
		cfg.Name = "run"
	}
	m := New(opts...)
	defer m.Close()
	j, err := m.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { j.stop(StateStopped, "the context is done") })
	defer stop()
	err = j.Wait(context.WithoutCancel(ctx))
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return j.Snapshot(), err
}
