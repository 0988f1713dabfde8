package stats

import "slices"

// State is where a job is in its life.
type State string

// The states of a job, and the only ways between them:
//
//	from     | to       | when
//	---------|----------|---------------------------------------------
//	(none)   | pending  | Manager.Prepare, or first thing in Start
//	pending  | running  | Manager.Start
//	running  | stopping | Stop, the end of duration or iterations, abort
//	stopping | stopped  | all VUs are back, after Stop
//	stopping | finished | all VUs are back, after the job's own end
//	stopping | failed   | all VUs are back, after an abort
//
// Only a new Start brings an ended job back: as a new Job.
const (
	StatePending  State = "pending"
	StateRunning  State = "running"
	StateStopping State = "stopping" // no new iterations; running ones have their grace time
	StateStopped  State = "stopped"  // ended by Stop
	StateFinished State = "finished" // ended by its duration or number of iterations
	StateFailed   State = "failed"   // ended by an error
)

// Active tells whether a job in this state has VUs: it is running or stopping.
func (s State) Active() bool { return s == StateRunning || s == StateStopping }

// Ended tells whether the state is a last one.
func (s State) Ended() bool {
	return s == StateStopped || s == StateFinished || s == StateFailed
}

// gravity orders states by how much they say when several become one.
func (s State) gravity() int {
	return slices.Index([]State{
		"", StateFinished, StateStopped, StateFailed, StatePending, StateStopping, StateRunning,
	}, s)
}
