package rss

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
)

// Read returns the bytes that are resident now, and the most that ever were. Memory
// that the runtime has freed but not given back counts.
func Read() (now, peak int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kb); n == 1 {
			now = kb << 10
		}
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kb); n == 1 {
			peak = kb << 10
		}
	}
	if now == 0 || peak < now {
		return 0, 0, fmt.Errorf("/proc/self/status says %d bytes resident, at most %d", now, peak)
	}
	return now, peak, nil
}
