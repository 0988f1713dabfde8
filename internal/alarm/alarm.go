// Package alarm wakes the process at exact times. A Go process without work waits for
// whole milliseconds, and its timers are late by that; when an alarm rings the runtime is
// awake, and all timers that are due run. It can on Linux alone; elsewhere there are no
// alarms.
package alarm

import "time"

// Alarm rings once for each Set. Set and Wait are for one goroutine; Close is safe for
// concurrent use with them.
type Alarm interface {
	// Set makes the alarm ring after d, and not before.
	Set(d time.Duration) error
	// Wait returns nil when the alarm has rung, or an error when it was closed.
	Wait() error
	// Close ends the alarm, and who waits for it.
	Close() error
}
