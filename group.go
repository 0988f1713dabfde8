package loadgen

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	maxGroups   = 100
	otherGroups = "(other)"
)

// GroupSnapshot is how long a group took: a named part of a flow, in whichever tasks
// it is. Time is from its begin to its end without the think time in between. At
// most 100 names are kept apart; further ones share the entry "(other)".
type GroupSnapshot struct {
	Group  string    `json:"group"`
	Count  uint64    `json:"count"`  // ended, not counting interrupted ones
	Failed uint64    `json:"failed"` // of those, the failed
	Time   Histogram `json:"time"`
}

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
	rec.record(vu.stripe, record{
		at: now.Sub(rec.start), took: now.Sub(t.begin) - (vu.thought - t.thought),
		kind: kindGroup, task: t.number, failed: err != nil, lag: -1,
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
	n := vu.recorder().group(name)
	if len(vu.groups) < maxGroups {
		vu.groups = append(vu.groups, vuGroup{name, n})
	}
	return n
}

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
	name = strings.ToValidUTF8(name[:min(len(name), MaxNameLen)], "")
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

// mergeGroups adds groups of another snapshot.
func (s *Snapshot) mergeGroups(more []GroupSnapshot) {
	s.Groups = slices.Clip(s.Groups)
	for i := range more {
		g := &more[i]
		at := slices.IndexFunc(s.Groups, func(have GroupSnapshot) bool { return have.Group == g.Group })
		if at < 0 {
			at = len(s.Groups)
			s.Groups = append(s.Groups, GroupSnapshot{Group: g.Group})
		}
		s.Groups[at].Count += g.Count
		s.Groups[at].Failed += g.Failed
		s.Groups[at].Time.Merge(&g.Time)
	}
}

// groupsSince is what happened between two snapshots.
func groupsSince(now, before []GroupSnapshot) []GroupSnapshot {
	var out []GroupSnapshot
	for _, g := range now {
		old := GroupSnapshot{}
		if i := slices.IndexFunc(before, func(b GroupSnapshot) bool { return b.Group == g.Group }); i >= 0 {
			old = before[i]
		}
		out = append(out, GroupSnapshot{
			Group: g.Group, Count: g.Count - old.Count, Failed: g.Failed - old.Failed, Time: g.Time.since(&old.Time),
		})
	}
	return out
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
