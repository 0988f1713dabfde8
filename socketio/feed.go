package socketio

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/sio/socket"
)

// The rooms that sockets are in.
const (
	roomEveryone = "everyone"
	roomAllJobs  = "jobs" // those who have not chosen
	roomJob      = "job:" // and the name: those who have chosen this job
)

// feed turns what happens in a Manager into events for clients.
type feed struct {
	m      *loadgen.Manager
	socket *socket.Server
	log    *slog.Logger

	seq    uint64          // of the last event
	synced time.Time       // of the last resync: clients know of events before it
	full   bool            // there may have been no room for some events
	runs   map[string]*run // jobs that have started and not ended

	verdicts Verdicts // nil: none

	// known is what clients have been told of each job, agents what agents say of it. They
	// are read and written together with rooms, so that whoever connects hears it, and
	// then each change.
	known  map[string]known
	agents map[string]told
}

// told is the last verdict that was told of a job.
type told struct {
	mark    string
	message socket.Message
}

// known is the last that was said of a job.
type known struct {
	state    loadgen.State
	revision uint64
	since    time.Time
	message  socket.Message
}

// run is what the feed keeps of one run of a job.
type run struct {
	job    *loadgen.Job
	before *loadgen.Snapshot // that the next interval begins at; nil: at the start
	unseen bool              // nobody has listened: the next interval begins now
	told   map[loadgen.ErrorClass]bool
}

func newFeed(m *loadgen.Manager, server *socket.Server, log *slog.Logger) *feed {
	f := &feed{m: m, socket: server, log: log, runs: map[string]*run{}, known: map[string]known{}, agents: map[string]told{}}
	f.resync()
	return f
}

// run tells of events until their channel is closed, and of statistics.
func (f *feed) run(events <-chan loadgen.Event) {
	ticker := time.NewTicker(statsEvery)
	defer ticker.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			f.full = f.full || len(events) >= cap(events)-1
			f.event(e)
			if f.full && len(events) == 0 {
				f.full = false
				f.resync() // the last of what was missed shows in no later event
			}
		case <-ticker.C:
			f.stats()
			f.tellAgents()
		}
	}
}

// welcome tells a new client everything, and lets it hear of all changes.
func (f *feed) welcome(c *socket.Socket) {
	f.socket.Together(func(rooms *socket.Rooms) {
		rooms.Join(c, roomEveryone)
		rooms.Join(c, roomAllJobs)
		f.tell(c, f.names())
	})
}

// tell sends a client what is known of some jobs; rooms are held.
func (f *feed) tell(c *socket.Socket, jobs []string) {
	for _, name := range jobs {
		if k, ok := f.known[name]; ok {
			_ = c.Send(k.message) // or it has gone
		}
		if a, ok := f.agents[name]; ok {
			_ = c.Send(a.message)
		}
	}
}

// event tells of one event of the Manager.
func (f *feed) event(e loadgen.Event) {
	missed := f.seq != 0 && e.Seq != f.seq+1
	f.seq = e.Seq
	if missed {
		f.resync()
	}
	if e.Kind == loadgen.EventStarted {
		f.follow(e.Job, true)
	}
	if !e.Time.Before(f.synced) {
		message := jobMessage(e.Job, e.Status, e.Config, e.Next, e.LeaseEnds)
		message.Removed = e.Kind == loadgen.EventRemoved
		f.job(message, serviceState(e.Kind))
	}
	if e.Kind == loadgen.EventEnded {
		f.ended(e.Job)
		if !e.Time.Before(f.synced) {
			f.failed(e.Job, e.Status)
		}
	}
}

// serviceState is what an event means for the service of a job. A job ends when it
// begins to stop: from then on it is not listed as running.
func serviceState(kind loadgen.EventKind) string {
	switch kind {
	case loadgen.EventStarted:
		return serviceStart
	case loadgen.EventPrepared, loadgen.EventUpdated, loadgen.EventNext:
		return serviceUpdate
	case loadgen.EventStopping:
		return serviceStop
	}
	return ""
}

// job tells of the state of a job, and remembers it for those who come later.
func (f *feed) job(j JobMessage, service string) {
	message, ok := f.message(eventJob, j)
	if !ok {
		return
	}
	state, stateOK := f.message(eventServiceState, ServiceStateMessage{Data: map[string]string{j.Job: service}})
	f.socket.Together(func(rooms *socket.Rooms) {
		if j.Removed {
			delete(f.known, j.Job)
			delete(f.agents, j.Job)
		} else {
			f.known[j.Job] = known{state: j.State, revision: j.Revision, since: j.Since, message: message}
		}
		rooms.Broadcast(message, false, roomAllJobs, roomJob+j.Job)
		if service != "" && stateOK {
			rooms.Broadcast(state, false, roomEveryone)
		}
	})
}

// resync tells what is different from what clients have been told, because events
// were missed.
func (f *feed) resync() {
	f.synced = time.Now()
	gone := maps.Clone(f.known)
	for _, j := range f.m.List() {
		message := jobMessage(j.Name(), j.Status(), j.Config(), nil, j.LeaseEnds())
		if next, ok := j.Next(); ok {
			message.Next = &next
		}
		before, had := gone[j.Name()]
		delete(gone, j.Name())
		if now, ok := f.message(eventJob, message); had && ok && now.Equal(before.message) {
			continue
		}
		if j.State().Active() {
			f.follow(j.Name(), false)
		}
		service := missedState(before.state, message.State)
		if service == "" && message.Next != nil && before.since.Equal(message.Since) {
			service = serviceUpdate
		}
		f.job(message, service)
		if f.ended(j.Name()) {
			f.failed(j.Name(), message.Status)
		}
	}
	for name, last := range gone {
		delete(f.runs, name)
		f.job(JobMessage{Job: name, Status: loadgen.Status{State: last.state, Revision: last.revision, Since: last.since}, Removed: true}, "")
	}
}

// missedState is the service_state that was missed between two states of a job, the
// last if there were several.
func missedState(before, now loadgen.State) string {
	switch {
	case now == loadgen.StateRunning && before == loadgen.StateRunning, now == loadgen.StatePending:
		return serviceUpdate
	case now == loadgen.StateRunning:
		return serviceStart
	case before == loadgen.StateRunning:
		return serviceStop
	}
	return ""
}

// message writes an event, which works for all that there are.
func (f *feed) message(name string, arg any) (socket.Message, bool) {
	m, err := socket.NewMessage(name, arg)
	if err != nil {
		f.log.Error("a message for Socket.IO clients cannot be written", "event", name, "error", err)
	}
	return m, err == nil
}

// chosen are the jobs that a client has chosen; rooms are held.
func chosen(rooms *socket.Rooms, c *socket.Socket) []string {
	jobs := []string{}
	for _, room := range rooms.Of(c) {
		if name, ok := strings.CutPrefix(room, roomJob); ok {
			jobs = append(jobs, name)
		}
	}
	return jobs
}

// names are the jobs that clients have been told of; rooms are held.
func (f *feed) names() []string { return slices.Sorted(maps.Keys(f.known)) }
