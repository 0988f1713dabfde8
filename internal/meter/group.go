package meter

import (
	"strings"
	"time"

	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/stats"
)

// groupTotals is what a recorder knows of a group.
type groupTotals struct {
	name          string
	count, failed uint64
	took          histogram.Histogram
}

// Group returns the number under which a group's records are kept.
func (r *Recorder) Group(name string) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = strings.ToValidUTF8(name[:min(len(name), textkit.MaxNameLen)], "")
	for range 2 {
		for i := range r.groups {
			if r.groups[i].name == name {
				return int32(i)
			}
		}
		if len(r.groups) >= stats.MaxGroups {
			name = stats.OtherGroups
		}
	}
	g := groupTotals{name: name}
	if r.exact {
		g.took.MakeExact()
	}
	r.groups = append(r.groups, g)
	return int32(len(r.groups) - 1)
}

// addGroup counts one record of a group; r is locked.
func (r *Recorder) addGroup(rec *Record) {
	g := &r.groups[rec.Task]
	g.count++
	g.failed += count(rec.Failed)
	g.took.Record(rec.Took)
}

// groupSnapshots copies the groups; r is locked.
func (r *Recorder) groupSnapshots() []stats.GroupSnapshot {
	var out []stats.GroupSnapshot
	for i := range r.groups {
		g := &r.groups[i]
		out = append(out, stats.GroupSnapshot{Group: g.name, Count: g.count, Failed: g.failed, Time: g.took.Clone()})
	}
	return out
}

// Resume makes a recorder that begins now go on with the statistics of a run that started
// at a time, and ran for so long.
func (r *Recorder) Resume(stats *stats.Snapshot, started time.Time, elapsed time.Duration, share ProcessShare) {
	numbers := make([]int32, len(stats.Tasks))
	for i := range stats.Tasks {
		numbers[i] = r.Task(stats.Tasks[i].Task)
	}
	groups := make([]int32, len(stats.Groups))
	for i := range stats.Groups {
		groups[i] = r.Group(stats.Groups[i].Group)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Start, r.Started = r.Start.Add(-elapsed), started
	r.first = int64(elapsed / time.Second)
	for i, n := range numbers {
		r.tasks[n].Merge(&stats.Tasks[i].Totals)
	}
	for i, n := range groups {
		g := &r.groups[n]
		g.count += stats.Groups[i].Count
		g.failed += stats.Groups[i].Failed
		g.took.Merge(&stats.Groups[i].Time)
	}
	r.lag.Merge(&stats.Lag)
	r.late += stats.LateStarts
	r.watch.ProcessShare = share
}

// Restart makes a recorder begin now, with the requests that it already has.
func (r *Recorder) Restart(now time.Time) {
	r.Flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Start, r.Started = now, now
	for i := range r.recent {
		r.recent[i] = second{at: -1}
	}
}
