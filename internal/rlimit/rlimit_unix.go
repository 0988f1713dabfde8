//go:build unix

// Package rlimit knows the limits that the system sets to a process.
package rlimit

import "syscall"

// OpenFiles is how many file descriptors the process may have, or 0 if that is
// unknown or without end.
func OpenFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > 1<<30 {
		return 0
	}
	return int(l.Cur)
}
