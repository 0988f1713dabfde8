//go:build !linux

package rss

import "errors"

// Read fails: only Linux is asked.
func Read() (now, peak int64, err error) {
	return 0, 0, errors.New("resident memory can be read on Linux alone")
}
