package socketio

import (
	"maps"
	"slices"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/sio/socket"
)

// follow begins to watch the statistics of a job; if it has just started, from its
// start.
func (f *feed) follow(name string, fresh bool) {
	j, err := f.m.Get(name)
	if err != nil || f.runs[name] != nil && f.runs[name].job == j {
		return // it has been removed since, or is known
	}
	f.runs[name] = &run{job: j, unseen: !fresh, told: map[loadgen.ErrorClass]bool{}}
}

// stats tells of the last interval of each job that runs. Without listeners it costs
// nothing; the first one waits until there is a whole interval.
func (f *feed) stats() {
	nobody := false
	f.socket.Together(func(rooms *socket.Rooms) { nobody = rooms.Empty(roomEveryone) })
	for _, name := range slices.Sorted(maps.Keys(f.runs)) {
		r := f.runs[name]
		if nobody {
			r.before, r.unseen = nil, true
			continue
		}
		now := r.job.Snapshot()
		if now.State.Ended() || now.Started.IsZero() {
			continue // the event is on its way, or the job is in its set-up
		}
		if !r.unseen {
			f.interval(r, now, true)
		}
		r.before, r.unseen = now, false
	}
}

// interval tells of the statistics since the last time, and of failures that are
// new. The last interval of a run is not droppable.
func (f *feed) interval(r *run, now *loadgen.Snapshot, droppable bool) {
	if m, ok := f.message(eventStats, statsMessage(now, r.before)); ok {
		f.toListeners(now.Job, m, droppable)
	}
	for _, class := range slices.Sorted(maps.Keys(now.Errors)) {
		stat := now.Errors[class]
		if r.told[class] || stat.Count == 0 {
			continue
		}
		r.told[class] = true
		f.jobError(JobErrorMessage{Job: now.Job, Time: now.Time.UTC(), Class: class, Count: stat.Count, Message: stat.Sample})
	}
}

// ended tells of the last interval of a run, if it has ended and was followed.
func (f *feed) ended(job string) bool {
	r := f.runs[job]
	if r == nil {
		return false
	}
	now := r.job.Snapshot()
	if !now.State.Ended() {
		return false // a later run
	}
	delete(f.runs, job)
	if !r.unseen && !now.Started.IsZero() {
		f.interval(r, now, false)
	}
	return true
}

// failed tells why a job has ended, if it has failed.
func (f *feed) failed(job string, status loadgen.Status) {
	if status.State == loadgen.StateFailed {
		f.jobError(JobErrorMessage{Job: job, Time: status.Since.UTC(), Message: status.Reason, Failed: true})
	}
}

func (f *feed) jobError(e JobErrorMessage) {
	if m, ok := f.message(eventJobError, e); ok {
		f.toListeners(e.Job, m, false)
	}
}

// toListeners sends to those who want to hear of a job.
func (f *feed) toListeners(job string, m socket.Message, droppable bool) {
	f.socket.Together(func(rooms *socket.Rooms) { rooms.Broadcast(m, droppable, roomAllJobs, roomJob+job) })
}

// tellAgents tells of each job what agents say of it, if that has changed. Without listeners
// it costs nothing; whoever comes first hears of all within a second.
func (f *feed) tellAgents() {
	if f.verdicts == nil {
		return
	}
	var names []string
	f.socket.Together(func(rooms *socket.Rooms) {
		if rooms.Empty(roomEveryone) {
			clear(f.agents) // which grow old
			return
		}
		names = f.names()
	})
	for _, name := range names {
		verdict, mark, final := f.verdicts(name)
		if verdict == nil {
			continue
		}
		f.socket.Together(func(rooms *socket.Rooms) {
			if _, there := f.known[name]; !there || f.agents[name].mark == mark {
				return
			}
			m, ok := f.message(eventAPM, verdict)
			if !ok {
				return
			}
			f.agents[name] = told{mark, m}
			rooms.Broadcast(m, !final, roomAllJobs, roomJob+name)
		})
	}
}
