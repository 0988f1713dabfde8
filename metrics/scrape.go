package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

// jobLabel is not "job", which Prometheus itself gives to all it scrapes.
const jobLabel = "job_name"

// descs are the metrics of a Manager.
type descs struct {
	jobs, omitted, missed           *prometheus.Desc
	workers, vus, active            *prometheus.Desc
	iterations, requests, failures  *prometheus.Desc
	sent, received                  *prometheus.Desc
	serviceSeconds, responseSeconds *prometheus.Desc
	valid, starved, dropped, lag    *prometheus.Desc
}

func describe() descs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("loadgen_"+name, help, labels, nil)
	}
	return descs{
		jobs:    desc("jobs", "Jobs by state.", "state"),
		omitted: desc("jobs_omitted", "Jobs that are not shown one by one, because there are too many."),
		missed:  desc("observer_missed_samples_total", "Samples that observers missed because they were slow."),

		workers: desc("workers", "Virtual users that a job is asked to have.", jobLabel),
		vus:     desc("vus", "Virtual users of a job that exist.", jobLabel),
		active:  desc("vus_active", "Virtual users of a job that are in an iteration.", jobLabel),

		iterations: desc("iterations_total", "Iterations that have ended, by result: ok, failed or interrupted (by the job's end).", jobLabel, "task", "result"),
		requests:   desc("requests_total", "Requests by class of status: 1xx to 5xx, other, or none without a response.", jobLabel, "task", "status"),
		failures:   desc("failures_total", "Failed requests, and iterations that failed without one, by class of error.", jobLabel, "task", "class"),
		sent:       desc("sent_bytes_total", "Bytes sent in requests.", jobLabel, "task"),
		received:   desc("received_bytes_total", "Bytes received in responses.", jobLabel, "task"),

		serviceSeconds:  desc("service_seconds", "Time from a request sent to its response read.", jobLabel, "task"),
		responseSeconds: desc("response_seconds", "Time from an iteration due to that iteration done.", jobLabel, "task"),

		valid:   desc("valid", "1, or 0 when the generator and not the target was the limit.", jobLabel),
		starved: desc("iterations_starved_total", "Iterations that began more than 10 ms late, because every virtual user was busy.", jobLabel),
		dropped: desc("iterations_dropped_total", "Iterations that were due and had not begun when the job ended.", jobLabel),
		lag:     desc("schedule_lag_seconds", "How late iterations began for which a virtual user was waiting.", jobLabel),
	}
}

func (d *descs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.jobs, d.omitted, d.missed, d.workers, d.vus, d.active, d.iterations, d.requests,
		d.failures, d.sent, d.received, d.serviceSeconds, d.responseSeconds,
		d.valid, d.starved, d.dropped, d.lag,
	}
}

// scrape is one collection.
type scrape struct {
	descs
	out     chan<- prometheus.Metric
	created time.Time // when the counters of the job at hand began
}

// manager sends everything.
func (s *scrape) manager(m *loadgen.Manager) {
	jobs := m.List()
	states := map[loadgen.State]int{
		loadgen.StatePending: 0, loadgen.StateRunning: 0, loadgen.StateStopping: 0,
		loadgen.StateStopped: 0, loadgen.StateFinished: 0, loadgen.StateFailed: 0,
	}
	status := make(map[*loadgen.Job]loadgen.Status, len(jobs))
	for _, j := range jobs {
		status[j] = j.Status()
		states[status[j].State]++
	}
	for state, n := range states {
		s.gauge(s.jobs, n, string(state))
	}
	slices.SortStableFunc(jobs, func(a, b *loadgen.Job) int {
		return cmp.Or(
			-compareBool(status[a].State.Active(), status[b].State.Active()),
			status[b].Since.Compare(status[a].Since),
		)
	})
	shown := map[string]bool{}
	for _, j := range jobs {
		if name := clean(j.Name()); len(shown) < maxJobs && !shown[name] {
			shown[name] = true
			s.job(name, j.Snapshot())
		}
	}
	s.gauge(s.omitted, len(jobs)-len(shown))
	missed, err := prometheus.NewConstMetric(s.missed, prometheus.CounterValue, float64(m.DroppedSamples()))
	s.send(s.missed, missed, err)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// job sends what there is of a job.
func (s *scrape) job(name string, snap *loadgen.Snapshot) {
	workers := snap.Workers
	if !snap.State.Active() {
		workers = 0
	}
	s.gauge(s.workers, workers, name)
	s.gauge(s.vus, snap.VUs, name)
	s.gauge(s.active, snap.Active, name)
	valid := 0
	if snap.Valid {
		valid = 1
	}
	s.gauge(s.valid, valid, name)
	if snap.Started.IsZero() {
		return // nothing is counted yet
	}
	s.created = snap.Started
	s.counter(s.starved, snap.LateStarts, name)
	s.counter(s.dropped, snap.Dropped, name)
	s.histogram(s.lag, &snap.Lag, name)
	for _, t := range foldTasks(snap.Tasks) {
		s.task(name, t)
	}
}

// task sends what there is of a task.
func (s *scrape) task(job string, t *task) {
	s.counter(s.iterations, t.ok, job, t.name, "ok")
	s.counter(s.iterations, t.failed, job, t.name, "failed")
	s.counter(s.iterations, t.interrupted, job, t.name, "interrupted")
	for _, class := range slices.Sorted(maps.Keys(t.status)) {
		s.counter(s.requests, t.status[class], job, t.name, class)
	}
	for _, class := range slices.Sorted(maps.Keys(t.errors)) {
		s.counter(s.failures, t.errors[class], job, t.name, string(class))
	}
	s.counter(s.sent, t.sent, job, t.name)
	s.counter(s.received, t.received, job, t.name)
	s.histogram(s.serviceSeconds, &t.service, job, t.name)
	s.histogram(s.responseSeconds, &t.response, job, t.name)
}

func (s *scrape) gauge(desc *prometheus.Desc, value int, labels ...string) {
	m, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	s.send(desc, m, err)
}

func (s *scrape) counter(desc *prometheus.Desc, value uint64, labels ...string) {
	m, err := prometheus.NewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(value), s.created, labels...)
	s.send(desc, m, err)
}

func (s *scrape) histogram(desc *prometheus.Desc, h *loadgen.Histogram, labels ...string) {
	m, err := newHistogram(desc, h, s.created, labels...)
	s.send(desc, m, err)
}

// send sends a metric. An error fails the scrape, and shows there; there is none, since
// labels are clean and of the right number.
func (s *scrape) send(desc *prometheus.Desc, m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(desc, err)
	}
	s.out <- m
}

// task is what is shown of a task, or of several.
type task struct {
	name                    string
	ok, failed, interrupted uint64
	status                  map[string]uint64
	errors                  map[loadgen.ErrorClass]uint64
	sent, received          uint64
	service, response       loadgen.Histogram
}

// other is the name of the tasks that are too many, as in snapshots.
const other = "(other)"

// foldTasks returns tasks by name, those beyond maxTasks as one.
func foldTasks(snaps []loadgen.TaskSnapshot) []*task {
	index := map[string]*task{}
	var tasks []*task
	for i := range snaps {
		name := clean(snaps[i].Task)
		if index[name] == nil && len(tasks) >= maxTasks-1 {
			name = other
		}
		t := index[name]
		if t == nil {
			t = &task{name: name, status: map[string]uint64{}, errors: map[loadgen.ErrorClass]uint64{}}
			index[name] = t
			tasks = append(tasks, t)
		}
		t.add(&snaps[i].Totals)
	}
	return tasks
}

func (t *task) add(o *loadgen.Totals) {
	t.ok += o.Iterations - o.FailedIterations
	t.failed += o.FailedIterations
	t.interrupted += o.Interrupted
	answered := uint64(0)
	for status, n := range o.Status {
		t.status[textkit.StatusClass(status)] += n
		answered += n
	}
	if o.Requests > answered {
		t.status["none"] += o.Requests - answered
	}
	for class, e := range o.Errors {
		t.errors[class] += e.Count
	}
	t.sent += o.Sent
	t.received += o.Received
	t.service.Merge(&o.Service)
	t.response.Merge(&o.Response)
}

// clean makes a label's value of any name.
func clean(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
