// Package loglimit keeps what happens often from filling a log.
package loglimit

import (
	"sync"
	"time"
)

// Every is the least time between two lines of one kind.
const Every = 10 * time.Second

// Limit lets one line pass each time Every is over. The zero value lets the first one pass.
// It is safe for concurrent use.
type Limit struct {
	mu      sync.Mutex
	last    time.Time
	skipped uint64
}

// Pass reports whether to log a line now, and how many lines were skipped since the last
// one that passed.
func (l *Limit) Pass() (skipped uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.last.IsZero() && now.Sub(l.last) < Every {
		l.skipped++
		return 0, false
	}
	skipped = l.skipped
	l.last, l.skipped = now, 0
	return skipped, true
}

// Reset lets the next line pass.
func (l *Limit) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.skipped = time.Time{}, 0
}
