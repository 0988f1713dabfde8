package stats

import (
	"fmt"
	"slices"
	"time"
)

const maxLag = 10 * time.Millisecond // of the 99th percentile of the schedule lag

const maxLateStarts = 0.01 // of all iterations

const verdictAfter = 100 // iterations; below that percentiles mean little

// IssueKind is a reason for which the statistics of a job say little about its target.
type IssueKind string

// The kinds of issues.
const (
	IssueScheduleLag     IssueKind = "schedule_lag"     // iterations began late although a VU was waiting
	IssueDroppedWork     IssueKind = "dropped_work"     // iterations were due and never began
	IssueLateStarts      IssueKind = "late_starts"      // iterations began late for want of a free VU
	IssueCPU             IssueKind = "cpu"              // this process used all the CPU it may
	IssueGC              IssueKind = "gc"               // garbage collection stopped this process
	IssueRateLimit       IssueKind = "rate_limit"       // a limit over all jobs held requests back
	IssueWorkerLimit     IssueKind = "worker_limit"     // a limit over all jobs held VUs back
	IssueFileDescriptors IssueKind = "file_descriptors" // connections could not be opened
	IssueOutOfStep       IssueKind = "out_of_step"      // segments of a job began at different times
	IssueIncomplete      IssueKind = "incomplete"       // segments of a job are missing
)

// Issue is one reason why a [Snapshot] is not valid.
type Issue struct {
	Kind IssueKind `json:"kind"`
	Text string    `json:"text"` // for people, in one sentence
}

// NewIssue returns an issue whose text is formatted as by [fmt.Sprintf].
func NewIssue(kind IssueKind, format string, args ...any) Issue {
	return Issue{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// AddIssues makes s invalid for more reasons, at most 100 in all. It changes nothing
// without any.
func (s *Snapshot) AddIssues(issues ...Issue) {
	s.Issues, s.Invalid = slices.Clip(s.Issues), slices.Clip(s.Invalid)
	for _, issue := range issues {
		s.Valid = false
		if len(s.Issues) < maxIssues && !slices.Contains(s.Issues, issue) {
			s.Issues = append(s.Issues, issue)
			s.Invalid = append(s.Invalid, issue.Text)
		}
	}
}

// HealthIssues returns the issues that follow from the other statistics of s: schedule
// lag, dropped work and late starts. It serves merged statistics, of which no part alone
// may have had enough iterations to judge.
func (s *Snapshot) HealthIssues() []Issue {
	var list []Issue
	add := func(kind IssueKind, format string, args ...any) { list = append(list, NewIssue(kind, format, args...)) }
	if s.Lag.Count() >= verdictAfter && s.Lag.P99() > maxLag {
		add(IssueScheduleLag, "schedule lag: 1 %% of the iterations that had a VU waiting began %s late or more", s.Lag.P99().Round(time.Millisecond))
	}
	if s.Dropped > 0 {
		add(IssueDroppedWork, "dropped work: %d iterations were due and never began", s.Dropped)
	}
	if n := s.Iterations + s.Interrupted; n >= verdictAfter && float64(s.LateStarts) > maxLateStarts*float64(n) {
		add(IssueLateStarts, "VU starvation: %d of %d iterations began late, because all VUs were busy; raise max_workers", s.LateStarts, n)
	}
	return list
}

// AllIssues returns the issues of s; of a record that was written before there were kinds,
// they have none.
func (s *Snapshot) AllIssues() []Issue {
	if len(s.Issues) == len(s.Invalid) {
		return s.Issues
	}
	var list []Issue
	for _, text := range s.Invalid {
		list = append(list, Issue{Text: text})
	}
	return list
}
