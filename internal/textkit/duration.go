package textkit

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// MissingUnit explains a duration whose last number has no unit: 1h30 may be an hour and
// a half, or an hour and 30 seconds. It is nil for any other text.
func MissingUnit(s string) error {
	number := strings.LastIndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }) + 1
	if number == 0 || number == len(s) || len(s) > MaxNumberLen {
		return nil
	}
	unit := s[len(strings.TrimRight(s[:number], "hmsnuµμ")):number]
	units := []string{"h", "m", "s", "ms", "us", "ns"}
	last := slices.Index(units, strings.NewReplacer("µ", "u", "μ", "u").Replace(unit))
	if last < 0 || last == len(units)-1 {
		return nil
	}
	var readings []string
	for _, u := range units[last+1 : min(last+3, len(units))] {
		if _, err := time.ParseDuration(s + u); err != nil {
			return nil
		}
		readings = append(readings, s+u)
	}
	return errors.New("must have a unit at its end: write " + strings.Join(readings, " or "))
}
