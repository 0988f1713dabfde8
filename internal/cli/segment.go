package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
)

// indexVariable is what an indexed Job of Kubernetes sets in each of its Pods.
const indexVariable = "JOB_COMPLETION_INDEX" // from 0

// parseSegment reads I/N, or N alone; then which of them it is has to come from the
// environment, and the Index is 0 until it does.
func parseSegment(s string) (loadgen.Segment, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return loadgen.ParseSegment(s)
	}
	if n < 1 || n > loadgen.MaxSegments {
		return loadgen.Segment{}, fmt.Errorf("must be from 1 to %d segments", loadgen.MaxSegments)
	}
	return loadgen.Segment{Count: n}, nil
}

// findSegment completes a segment of which only the number of all is known.
func findSegment(s *loadgen.Segment, getenv func(string) string) error {
	if s.Count == 0 || s.Index != 0 {
		return nil
	}
	text := getenv(indexVariable)
	if text == "" {
		return command.UsageErrorf("-segment %d does not say which of them: write for instance 1/%d, or set %s, from 0, as an indexed Job of Kubernetes does", s.Count, s.Count, indexVariable)
	}
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 || i >= s.Count {
		return command.UsageErrorf("%s must be from 0 to %d with -segment %d, not %q", indexVariable, s.Count-1, s.Count, text)
	}
	s.Index = i + 1
	return nil
}

// parseStart reads a time in the form of RFC 3339, or +TIME from now.
func parseStart(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if after, ok := strings.CutPrefix(s, "+"); ok {
		d, err := command.ParseSpan(after)
		return time.Now().Add(d), err
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New("must be a time with its zone such as 2026-11-26T12:00:00Z, or one from now such as +30s")
	}
	return at, nil
}
