// Package tracecontext has the ids and the header of W3C Trace Context
// (https://www.w3.org/TR/trace-context/), and the grammar of its companions tracestate and
// baggage.
package tracecontext

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/opbeans/loadgen/internal/textkit"
)

// TraceID identifies the trace that a request begins, as W3C Trace Context has it
// (https://www.w3.org/TR/trace-context/). The zero value means that there is none.
type TraceID [16]byte

// SpanID identifies one request within its trace: the parent of the server's span.
// The zero value means that there is none.
type SpanID [8]byte

// Context is what a request has said to its target in the header traceparent. It
// is the zero value for a request without one.
type Context struct {
	TraceID TraceID
	SpanID  SpanID
	Sampled bool
}

// IsZero tells whether there is no trace.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// IsZero tells whether there is no span.
func (id SpanID) IsZero() bool { return id == SpanID{} }

// String is the id in 32 hexadecimal digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// String is the id in 16 hexadecimal digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is String.
func (id TraceID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// MarshalText is String.
func (id SpanID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (id *TraceID) UnmarshalText(text []byte) error { return readID(id[:], text) }

// UnmarshalText reads 16 hexadecimal digits.
func (id *SpanID) UnmarshalText(text []byte) error { return readID(id[:], text) }

func readID(dst, text []byte) error {
	var b [len(TraceID{})]byte
	if len(text) != 2*len(dst) {
		return fmt.Errorf("the id of a trace or span must have %d hexadecimal digits, not %d bytes", 2*len(dst), len(text))
	}
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("the id of a trace or span must be hexadecimal: %w", err)
	}
	copy(dst, b[:])
	return nil
}

// AppendTraceparent writes the value of a traceparent header, version 00.
func AppendTraceparent(dst []byte, t *Context) []byte {
	dst = hex.AppendEncode(append(dst, "00-"...), t.TraceID[:])
	dst = hex.AppendEncode(append(dst, '-'), t.SpanID[:])
	if t.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}

var errTraceparent = errors.New("not a traceparent")

// ParseTraceparent reads the value of a traceparent header, also of a version that is
// newer than 00, as the standard asks for. There, letters must be lower-case.
func ParseTraceparent(s []byte) (t Context, err error) {
	if len(s) < TraceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return t, errTraceparent
	}
	for i, c := range s[:TraceparentLen] {
		if i != 2 && i != 35 && i != 52 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return t, errTraceparent
		}
	}
	switch version := string(s[:2]); {
	case version == "ff", version == "00" && len(s) > TraceparentLen, len(s) > TraceparentLen && s[TraceparentLen] != '-':
		return t, errTraceparent
	}
	var flags [1]byte
	_, _ = hex.Decode(t.TraceID[:], s[3:35]) // digits all
	_, _ = hex.Decode(t.SpanID[:], s[36:52])
	_, _ = hex.Decode(flags[:], s[53:55])
	if t.TraceID.IsZero() || t.SpanID.IsZero() {
		return Context{}, errTraceparent
	}
	t.Sampled = flags[0]&sampledFlag != 0
	return t, nil
}

// CheckState holds text against the grammar of a tracestate header.
func CheckState(s string) error {
	seen := map[string]bool{}
	return checkMembers(s, maxTraceState, maxTraceStateMembers, func(key, value string) error {
		for i, c := range []byte(key) {
			first := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
			if !first && (i == 0 || !strings.ContainsRune("_-*/@", rune(c))) {
				return fmt.Errorf("key %q must have lower-case letters, digits and _-*/@ alone", key)
			}
		}
		if len(key) > 256 || len(value) > 256 {
			return errors.New("keys and values must be at most 256 bytes long")
		}
		if value == "" || strings.Contains(value, "=") {
			return fmt.Errorf("the value of %q must not be empty or have an equals sign", key)
		}
		if seen[key] {
			return fmt.Errorf("has the key %q twice", key)
		}
		seen[key] = true
		return nil
	})
}

// CheckBaggage holds text against the grammar of a baggage header.
func CheckBaggage(s string) error {
	return checkMembers(s, maxBaggage, maxBaggageMembers, func(key, value string) error {
		if key = strings.TrimSpace(key); !textkit.IsToken(key) {
			return fmt.Errorf("key %q must be a token", key)
		}
		value, _, _ = strings.Cut(value, ";") // properties
		if strings.ContainsAny(strings.TrimSpace(value), " \"\\") {
			return fmt.Errorf("the value of %q must escape spaces, quotes and backslashes, as %%20, %%22 and %%5C", key)
		}
		return nil
	})
}

// checkMembers holds text against the form KEY=VALUE,KEY=VALUE.
func checkMembers(s string, most, members int, check func(key, value string) error) error {
	if s == "" {
		return nil
	}
	if len(s) > most {
		return fmt.Errorf("must be at most %d bytes long, not %d", most, len(s))
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return errors.New("must be printable ASCII")
		}
	}
	list := strings.Split(s, ",")
	if len(list) > members {
		return fmt.Errorf("must have at most %d members, not %d", members, len(list))
	}
	for _, member := range list {
		key, value, ok := strings.Cut(strings.TrimSpace(member), "=")
		if !ok || key == "" {
			return fmt.Errorf("must be KEY=VALUE, or several of that with commas in between, not %s", textkit.Shorten(s))
		}
		if err := check(key, value); err != nil {
			return err
		}
	}
	return nil
}

// TraceparentLen is the length of a traceparent of version 00, in bytes.
const TraceparentLen = len("00-") + 32 + 1 + 16 + len("-00")

const sampledFlag = 1

// Limits of the standards: W3C Trace Context, section 3.3, and W3C Baggage, section 3.3.
const (
	maxTraceState        = 512
	maxTraceStateMembers = 32
	maxBaggage           = 8192
	maxBaggageMembers    = 64
)
