//go:build !linux

package rss

import (
	"errors"
	"time"
)

// Read fails: only Linux is asked.
func Read() (now, peak int64, err error) {
	return 0, 0, errors.New("resident memory can be read on Linux alone")
}

// Usage is what a process uses.
type Usage struct {
	Name string
	RSS  int64
	CPU  time.Duration
}

// Of fails: only Linux is asked.
func Of(int) (Usage, error) { return Usage{}, errors.New("processes can be looked at on Linux alone") }

// Listener fails: only Linux is asked.
func Listener(int) (int, error) { return 0, errors.New("processes can be looked at on Linux alone") }
