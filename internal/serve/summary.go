package serve

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

// firstProgress is when the first line of progress comes at the latest.
const firstProgress = time.Second

// startProgress logs a line for each running job this often, if that is not zero,
// and a first one early, until ctx is done or the returned function is called,
// which may be often.
func (a *App) startProgress(ctx context.Context, every time.Duration) (stop func()) {
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
func (a *App) logProgress(last map[string]*loadgen.Snapshot) {
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
			"per_s", report.Rate(PerSecond(d.Requests, d.Elapsed)),
			"failed", now.FailedRequests,
			"failed_iterations", now.FailedIterations,
			"p50", report.Duration(d.Response.P50()),
			"p99", report.Duration(d.Response.P99()),
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
func (a *App) summarize() {
	var ran []*report.Report
	for _, j := range a.manager.List() {
		if j.State() != loadgen.StatePending {
			s := j.Snapshot()
			ran = append(ran, &report.Report{Snapshot: s, Agents: a.tracing.said(j.Name()), Traces: a.tracing.Exemplars.Of(s)})
		}
	}
	if a.logFormat.value == "json" {
		for _, r := range ran {
			attrs := []any{"job", r.Snapshot.Job, "elapsed_s", r.Snapshot.Elapsed.Seconds(), "snapshot", r.Snapshot}
			if r.Agents != nil {
				attrs = append(attrs, "apm", r.Agents)
			}
			a.log.Info("summary", attrs...)
		}
		return
	}
	writeSummary(a.Stdout, ran)
}

func writeSummary(w io.Writer, jobs []*report.Report) {
	var b strings.Builder
	b.WriteString("\nSummary\n")
	if len(jobs) == 0 {
		b.WriteString("  no job ran\n")
	}
	for _, r := range jobs {
		_ = r.WriteSummary(&b)
	}
	_, _ = io.WriteString(w, b.String())
}

// PerSecond is n over d, or 0 if d is none.
func PerSecond(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// SortedKeys returns the keys of m in order.
func SortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
