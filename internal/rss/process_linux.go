package rss

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process uses.
type Usage struct {
	Name string
	RSS  int64         // bytes resident now
	CPU  time.Duration // of all its threads, since it began
}

// ticks per second, of the times in /proc: 100 on every Linux that Go runs on.
const ticks = 100

// Of reads what a process uses.
func Of(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The name, in parentheses, may have spaces and parentheses in it.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return Usage{}, fmt.Errorf("/proc/%d/stat has no name", pid)
	}
	u := Usage{Name: string(stat[open+1 : end])}
	fields := strings.Fields(string(stat[end+1:])) // from field 3 on
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	user, err1 := strconv.ParseInt(fields[14-3], 10, 64)
	system, err2 := strconv.ParseInt(fields[15-3], 10, 64)
	pages, err3 := strconv.ParseInt(fields[24-3], 10, 64)
	u.CPU = time.Duration(user+system) * (time.Second / ticks)
	u.RSS = pages * int64(os.Getpagesize())
	return u, errors.Join(err1, err2, err3)
}

// Listener returns the process that listens on a TCP port.
func Listener(port int) (pid int, err error) {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // without IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			const listening = "0A"
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // those that may be read
	for _, fd := range files {
		if to, err := os.Readlink(fd); err == nil && inodes[to] {
			return strconv.Atoi(strings.Split(fd, "/")[2])
		}
	}
	return 0, fmt.Errorf("nobody listens on port %d, as far as can be seen", port)
}
