// Package pace is the arithmetic of schedules: rates, stages, and the segments of a job
// that several processes run. It has no clock and no state.
package pace

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Pacer is a schedule: when, counted from its start, iteration n (from 0) is
// due. ok is false when the schedule has no iteration n. Due times never
// decrease with n, and come from n alone, so that nothing drifts. A Pacer holds
// no clock and no state; it is safe for concurrent use.
type Pacer interface {
	Due(n uint64) (at time.Duration, ok bool)
}

// Rate is a number of iterations per time, kept as a ratio of whole numbers so
// that schedules made of it are exact. The zero Rate means none. As text it is
// "100/s", "6000/m", "0.5/h", "50000/d", or a bare number of iterations per second.
type Rate struct {
	Count uint64        // iterations
	Per   time.Duration // in this time
}

// The bounds of a Rate.
const (
	MaxRatePerSecond = 1_000_000
	minRatePer       = 365 * 24 * time.Hour // the slowest is one iteration a year
)

// PerSecond is a rate of n iterations a second.
func PerSecond(n uint64) Rate { return Rate{Count: n, Per: time.Second} }

// PerMinute is a rate of n iterations a minute.
func PerMinute(n uint64) Rate { return Rate{Count: n, Per: time.Minute} }

// IsZero tells whether r is no rate at all.
func (r Rate) IsZero() bool { return r.Count == 0 && r.Per == 0 }

// Hz is the rate in iterations per second.
func (r Rate) Hz() float64 {
	if r.Per <= 0 {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// String is the text form that [ParseRate] reads.
func (r Rate) String() string {
	if r.IsZero() {
		return "0"
	}
	for _, u := range rateUnits() {
		if r.Per == u.per {
			return fmt.Sprintf("%d/%s", r.Count, u.name)
		}
	}
	for _, u := range rateUnits() {
		if tens := r.Per / u.per; r.Per%u.per == 0 && isPowerOfTen(uint64(tens)) {
			return decimalFraction(r.Count, uint64(tens)) + "/" + u.name
		}
	}
	return fmt.Sprintf("%d/%s", r.Count, r.Per)
}

// Validate reports what is wrong with the rate. No rate is valid.
func (r Rate) Validate() error {
	switch {
	case r.IsZero():
		return nil
	case r.Count == 0 || r.Per <= 0:
		return fmt.Errorf("must be above zero, for instance \"100/s\", not %d per %s", r.Count, r.Per)
	case r.Hz() > MaxRatePerSecond:
		return fmt.Errorf("must be at most %d/s, not %s", MaxRatePerSecond, r)
	case float64(r.Per)/float64(r.Count) > float64(minRatePer):
		return fmt.Errorf("must be at least one a year, not %s", r)
	}
	return nil
}

type rateUnit struct {
	name string
	per  time.Duration
}

func rateUnits() [4]rateUnit {
	return [4]rateUnit{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}
}

var errRate = errors.New(`must be a number of iterations per second, minute, hour or day, for instance 50, "100/s", "0.5/m" or "1/d"`)

// ParseRate reads a rate: a decimal number with up to nine decimals, then
// optionally a slash and a time, which is s, m, h, d or a Go duration such as
// 10s. Without a time it is per second. "0" is the zero Rate. The error says what can
// be read.
func ParseRate(s string) (Rate, error) {
	number, unit, slashed := strings.Cut(strings.TrimSpace(s), "/")
	per := time.Second
	if slashed {
		var err error
		if per, err = parsePer(unit); err != nil {
			return Rate{}, err
		}
	}
	whole, frac, _ := strings.Cut(number, ".")
	if len(frac) > 9 || whole+frac == "" || len(whole) > 12 {
		return Rate{}, errRate
	}
	digits := whole + frac
	if strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return Rate{}, errRate
	}
	count, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return Rate{}, errRate
	}
	if count == 0 {
		return Rate{}, nil
	}
	for range frac {
		if count%10 == 0 { // 1.50 is 15 in 10, not 150 in 100
			count /= 10
			continue
		}
		if per > math.MaxInt64/10 {
			return Rate{}, errRate
		}
		per *= 10
	}
	r := Rate{Count: count, Per: per}
	return r, r.Validate()
}

func parsePer(unit string) (time.Duration, error) {
	for _, u := range rateUnits() {
		if unit == u.name {
			return u.per, nil
		}
	}
	d, err := time.ParseDuration(unit)
	if err != nil || d <= 0 {
		return 0, errRate
	}
	return d, nil
}

func isPowerOfTen(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// decimalFraction writes n/tens, tens being a power of ten above one.
func decimalFraction(n, tens uint64) string {
	width := len(strconv.FormatUint(tens, 10)) - 1
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%0*d", n/tens, width, n%tens), "0"), ".")
}

// MarshalText gives the form of String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what [ParseRate] reads.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// UnmarshalJSON reads a string as [ParseRate] does, or a number of iterations
// per second.
func (r *Rate) UnmarshalJSON(data []byte) error {
	var n json.Number
	if json.Unmarshal(data, &n) != nil {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return errRate
		}
		n = json.Number(s)
	}
	return r.UnmarshalText([]byte(n))
}

// Pacer returns the schedule of a constant rate that is reached after ramp: until
// then the rate grows linearly from zero. Iteration 0 is due at the start.
func (r Rate) Pacer(ramp time.Duration) Pacer {
	if r.Count == 0 || r.Per <= 0 {
		return legs{} // never
	}
	if ramp <= 0 {
		return NewPacer(r, []Stage{{Duration: math.MaxInt64, Rate: r, Step: true}}, false)
	}
	return NewPacer(Rate{}, []Stage{{Duration: ramp, Rate: r}}, true)
}
