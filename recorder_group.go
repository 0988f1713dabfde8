package loadgen

import (
	"strings"
	"time"
)

// groupTotals is what a recorder knows of a group.
type groupTotals struct {
	name          string
	count, failed uint64
	took          Histogram
}

// group returns the number under which a group's records are kept.
func (r *recorder) group(name string) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = strings.ToValidUTF8(name[:min(len(name), maxNameLen)], "")
	for range 2 {
		for i := range r.groups {
			if r.groups[i].name == name {
				return int32(i)
			}
		}
		if len(r.groups) >= maxGroups {
			name = otherGroups
		}
	}
	g := groupTotals{name: name}
	if r.exact {
		g.took.exactly()
	}
	r.groups = append(r.groups, g)
	return int32(len(r.groups) - 1)
}

// addGroup counts one record of a group; r is locked.
func (r *recorder) addGroup(rec *record) {
	g := &r.groups[rec.task]
	g.count++
	g.failed += count(rec.failed)
	g.took.Record(rec.took)
}

// groupSnapshots copies the groups; r is locked.
func (r *recorder) groupSnapshots() []GroupSnapshot {
	var out []GroupSnapshot
	for i := range r.groups {
		g := &r.groups[i]
		out = append(out, GroupSnapshot{Group: g.name, Count: g.count, Failed: g.failed, Time: g.took.clone()})
	}
	return out
}

// resume makes a recorder that begins now go on with the statistics of a run that started
// at a time, and ran for so long.
func (r *recorder) resume(stats *Snapshot, started time.Time, elapsed time.Duration, share processShare) {
	numbers := make([]int32, len(stats.Tasks))
	for i := range stats.Tasks {
		numbers[i] = r.task(stats.Tasks[i].Task)
	}
	groups := make([]int32, len(stats.Groups))
	for i := range stats.Groups {
		groups[i] = r.group(stats.Groups[i].Group)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start, r.started = r.start.Add(-elapsed), started
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
	r.late += stats.Starved
	r.watch.processShare = share
}

// restart makes a recorder begin now, with the requests that it already has.
func (r *recorder) restart(now time.Time) {
	r.flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start, r.started = now, now
	for i := range r.recent {
		r.recent[i] = second{at: -1}
	}
}
