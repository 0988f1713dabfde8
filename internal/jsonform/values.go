package jsonform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
)

// LeaveOut is nil for a zero value, unless that is always written.
func LeaveOut[T comparable](v T, always bool) any {
	var zero T
	if v == zero && !always {
		return nil
	}
	return v
}

// Scalar is the text of a JSON value: what a string holds, or a number, true or
// false as it is spelled. It is "" for an object, an array or null.
func Scalar(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n' {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// ParseWhole reads a whole number, also in a spelling like 4.0 or 4e2, which
// senders that know only floating point use.
func ParseWhole[T int64 | uint64](s string, parse func(string, int, int) (T, error)) (T, bool) {
	if n, err := parse(s, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !textkit.IsDecimal(s) || x != math.Trunc(x) || math.Abs(x) > textkit.MaxExactFloat {
		return 0, false
	}
	n := T(x)
	return n, float64(n) == x
}

// ParseSeconds reads a number of seconds ("0.600"), exact to the nanosecond, or a
// Go duration ("1m30s").
func ParseSeconds(s string) (time.Duration, error) {
	if !textkit.IsDecimal(s) {
		if d, err := time.ParseDuration(s); err == nil && len(s) <= textkit.MaxNumberLen {
			return d, nil
		}
		if err := textkit.MissingUnit(s); err != nil {
			return 0, err
		}
		return 0, errForm
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errRange
	case err != nil:
		return 0, errForm
	case math.Abs(x) < 1e-10:
		return 0, nil // and an exponent of any size is out of the way
	case math.Abs(x) > math.MaxInt64/float64(time.Second):
		return 0, errRange
	}
	exact, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, errForm
	}
	exact.Mul(exact, big.NewRat(int64(time.Second), 1))
	n, err := strconv.ParseInt(exact.FloatString(0), 10, 64)
	if err != nil {
		return 0, errRange
	}
	return time.Duration(n), nil
}

var (
	errForm  = errors.New(`must be a number of seconds or a duration, for instance 0.6 or "1m30s"`)
	errRange = errors.New("must be less than 9e9 seconds")
)

// FormatSeconds writes a duration in seconds, with as many decimals as it needs.
func FormatSeconds(d time.Duration) json.Number {
	sign, ns := "", uint64(d)
	if d < 0 {
		sign, ns = "-", -ns
	}
	s := fmt.Sprintf("%s%d.%09d", sign, ns/uint64(time.Second), ns%uint64(time.Second))
	return json.Number(strings.TrimRight(strings.TrimRight(s, "0"), "."))
}
