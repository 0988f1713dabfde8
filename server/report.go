package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
)

// firstProgress is when the first line of progress comes at the latest.
const firstProgress = time.Second

// startProgress logs a line for each running job this often, if that is not zero,
// and a first one early, until ctx is done or the returned function is called,
// which may be often.
func (a *app) startProgress(ctx context.Context, every time.Duration) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTimer(min(every, firstProgress))
		defer tick.Stop()
		last := map[string]*loadgen.Snapshot{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				tick.Reset(every)
				a.logProgress(last)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// logProgress logs what each running job did since the snapshots in last, which it
// replaces.
func (a *app) logProgress(last map[string]*loadgen.Snapshot) {
	running := map[string]bool{}
	for _, j := range a.manager.List() {
		if !j.State().Active() {
			continue
		}
		now := j.Snapshot()
		prev := last[now.Job]
		if prev != nil && !prev.Started.Equal(now.Started) {
			prev = nil // another run of that name
		}
		d := now.Since(prev)
		a.log.Info("progress", "job", now.Job,
			"elapsed", now.Elapsed.Round(time.Second).String(),
			"vus", now.VUs,
			"requests", now.Requests,
			"per_s", perSecond(d.Requests, d.Elapsed),
			"failed", now.FailedRequests,
			"failed_iterations", now.FailedIterations,
			"p50", show(d.Response.P50()),
			"p99", show(d.Response.P99()),
			"valid", valid(now),
		)
		last[now.Job] = now
		running[now.Job] = true
	}
	for name := range last {
		if !running[name] {
			delete(last, name)
		}
	}
}

// valid tells whether the numbers can be trusted, or why not.
func valid(s *loadgen.Snapshot) string {
	if s.Valid {
		return "true"
	}
	return "false: " + strings.Join(s.Invalid, "; ")
}

// summarize says what became of every job that ran: as text for people, or as a
// record each in a log of JSON.
func (a *app) summarize() {
	var ran []*loadgen.Snapshot
	for _, j := range a.manager.List() {
		if j.State() != loadgen.StatePending {
			ran = append(ran, j.Snapshot())
		}
	}
	if a.logFormat.value == "json" {
		for _, s := range ran {
			a.log.Info("summary", "job", s.Job, "elapsed_s", s.Elapsed.Seconds(), "snapshot", s)
		}
		return
	}
	writeSummary(a.stdout, ran)
}

func writeSummary(w io.Writer, jobs []*loadgen.Snapshot) {
	var b strings.Builder
	b.WriteString("\nSummary\n")
	if len(jobs) == 0 {
		b.WriteString("  no job ran\n")
	}
	for _, s := range jobs {
		fmt.Fprintf(&b, "  %s: %s after %s", s.Job, s.State, s.Elapsed.Round(time.Millisecond))
		if s.Reason != "" {
			fmt.Fprintf(&b, " (%s)", s.Reason)
		}
		b.WriteString("\n")
		fmt.Fprintf(&b, "    iterations  %d, %s/s, %d failed, %d interrupted\n",
			s.Iterations, perSecond(s.Iterations, s.Elapsed), s.FailedIterations, s.Interrupted)
		fmt.Fprintf(&b, "    requests    %d, %s/s, %d failed\n",
			s.Requests, perSecond(s.Requests, s.Elapsed), s.FailedRequests)
		writeTimes(&b, "response", &s.Response)
		writeTimes(&b, "service", &s.Service)
		for _, class := range sortedKeys(s.Errors) {
			e := s.Errors[class]
			fmt.Fprintf(&b, "    %-11s %d, for instance: %s\n", class, e.Count, e.Sample)
		}
		for _, why := range s.Invalid {
			fmt.Fprintf(&b, "    not valid   %s\n", why)
		}
	}
	_, _ = io.WriteString(w, b.String())
}

func writeTimes(w io.Writer, name string, h *loadgen.Histogram) {
	if h.Count() == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "    %-11s p50 %s, p90 %s, p95 %s, p99 %s, p99.9 %s, max %s, mean %s\n", name,
		show(h.P50()), show(h.P90()), show(h.P95()), show(h.P99()), show(h.P999()), show(h.Max()), show(h.Mean()))
}

// perSecond is a rate with as many digits as help.
func perSecond(n uint64, d time.Duration) string {
	if d <= 0 {
		return "0"
	}
	return fmt.Sprintf("%.1f", float64(n)/d.Seconds())
}

// show is a duration with three significant digits or so.
func show(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
