package loadgen

import (
	"context"
	"errors"
	"time"

	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/stats"
)

// Group runs a part of a task under a name, and measures how long it takes without
// the think time in it (see [VU.Sleep]). It returns the error of fn. Groups may be
// nested; each is measured on its own. A name is for statistics: put no ids into it.
func (vu *VU) Group(ctx context.Context, name string, fn func(ctx context.Context) error) error {
	t := vu.beginGroup(name)
	err := errGroup
	defer func() { vu.endGroup(t, err) }()
	err = fn(ctx)
	return err
}

var errGroup = errors.New("the group did not return") // it panicked, or ended its goroutine

// groupTimer is a group under way.
type groupTimer struct {
	number  int32
	begin   time.Time
	thought time.Duration // of the VU before it
}

func (vu *VU) beginGroup(name string) groupTimer {
	return groupTimer{number: vu.groupNumber(name), begin: time.Now(), thought: vu.thought}
}

func (vu *VU) endGroup(t groupTimer, err error) {
	if is := vu.judge(err); is.interrupted || is.exhausted {
		return
	}
	now, rec := time.Now(), vu.recorder()
	rec.Record(vu.stripe, meter.Record{
		At: now.Sub(rec.Start), Took: now.Sub(t.begin) - (vu.thought - t.thought),
		Kind: meter.KindGroup, Task: t.number, Failed: err != nil, Lag: -1,
	}, nil)
}

// vuGroup is a group that the VU has the number of.
type vuGroup struct {
	name   string
	number int32
}

func (vu *VU) groupNumber(name string) int32 {
	for i := range vu.groups {
		if vu.groups[i].name == name {
			return vu.groups[i].number
		}
	}
	n := vu.recorder().Group(name)
	if len(vu.groups) < stats.MaxGroups {
		vu.groups = append(vu.groups, vuGroup{name, n})
	}
	return n
}

// WithExactTimes makes percentiles exact, with an [Histogram.ErrorBound] of 0, for as long
// as a histogram counts at most 10,000 distinct durations. Beyond that it is an ordinary
// one. This is for virtual time, where a day of load may have a handful of durations; by a
// real clock hardly two are alike. It costs some 40 bytes for each duration of a task.
func WithExactTimes() Option { return func(e *environment) { e.exactTimes = true } }

// newRecorder is what a run of the job measures with.
func (j *Job) newRecorder() *meter.Recorder {
	return meter.New(time.Now(), j.m.watch.sink(), j.m.env.exactTimes)
}

// limited returns what the limits over all jobs have kept a job from.
func (j *Job) limited(s *Snapshot) []stats.Issue {
	var list []stats.Issue
	add := func(kind stats.IssueKind, format string, args ...any) {
		list = append(list, stats.NewIssue(kind, format, args...))
	}
	if n := s.Requests; n > 0 && float64(s.Throttled) > maxThrottled*float64(n) {
		add(stats.IssueRateLimit, "rate limit: %d of %d requests had to wait, because all jobs together may send at most %s", s.Throttled, n, j.m.env.limits.MaxRate)
	}
	if n := j.shared.Files.Load(); n > 0 {
		add(stats.IssueFileDescriptors, "file descriptors: %d connections could not be opened, because this process may have no more", n)
	}
	if j.short.workers.Load() {
		add(stats.IssueWorkerLimit, "worker limit: fewer VUs than the job needed, because there may be at most %d, all jobs together", j.m.env.limits.MaxWorkers)
	}
	return list
}

// maxThrottled is the share of requests that may wait for a limit before the run is invalid.
const maxThrottled = 0.01
