package jsonform

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Text is a field with text.
func Text[T any](name string, always bool, at func(*T) *string) Field[T] {
	return Field[T]{
		Name: name,
		Write: func(c *T) any {
			return LeaveOut(*at(c), always)
		},
		Read: func(c *T, raw json.RawMessage, f *Faults) {
			if json.Unmarshal(raw, at(c)) != nil {
				f.Add(name, "must be text, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

// Count is a field with a whole number.
func Count[T any, N int | int64](name string, always bool, at func(*T) *N) Field[T] {
	return Field[T]{
		Name:  name,
		Write: func(c *T) any { return LeaveOut(*at(c), always) },
		Read: func(c *T, raw json.RawMessage, f *Faults) {
			n, ok := ParseWhole(Scalar(raw), strconv.ParseInt)
			if *at(c) = N(n); !ok || int64(N(n)) != n {
				f.Add(name, "must be a whole number, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

// Seconds is a field with a duration.
func Seconds[T any](name string, always bool, at func(*T) *time.Duration) Field[T] {
	return Field[T]{
		Name: name,
		Write: func(c *T) any {
			if *at(c) == 0 && !always {
				return nil
			}
			return FormatSeconds(*at(c))
		},
		Read: func(c *T, raw json.RawMessage, f *Faults) {
			d, err := ParseSeconds(Scalar(raw))
			if *at(c) = d; err != nil {
				f.Add(name, "%v, not %s", err, textkit.Shorten(string(raw)))
			}
		},
	}
}

// SecondsOrOff is a field with a duration that is left out when zero, and of which -1 means
// none. 0 is refused, since it could mean either.
func SecondsOrOff[T any](name string, at func(*T) *time.Duration) Field[T] {
	const off = -1 // as a duration and as text
	field := Seconds(name, false, at)
	write := field.Write
	field.Write = func(c *T) any {
		if *at(c) == off {
			return off
		}
		return write(c)
	}
	field.Read = func(c *T, raw json.RawMessage, f *Faults) {
		text := Scalar(raw)
		d, err := ParseSeconds(text)
		switch {
		case text == "-1" || text == "-1s":
			*at(c) = off
		case err != nil || d < 0:
			f.Add(name, "must be a number of seconds, or -1 for none, not %s", textkit.Shorten(string(raw)))
		case d == 0:
			f.Add(name, "must not be 0: -1 is for none; leave it out for the default")
		default:
			*at(c) = d
		}
	}
	return field
}

// Flag is a field with true or false.
func Flag[T any](name string, at func(*T) *bool) Field[T] {
	return Field[T]{
		Name:  name,
		Write: func(c *T) any { return LeaveOut(*at(c), false) },
		Read: func(c *T, raw json.RawMessage, f *Faults) {
			switch text := Scalar(raw); text {
			case "true", "false":
				*at(c) = text == "true"
			default:
				f.Add(name, "must be true or false, not %s", textkit.Shorten(string(raw)))
			}
		},
	}
}

// Texts is a field with texts by name.
func Texts[T any](name string, at func(*T) *map[string]string) Field[T] {
	return Map(name, at,
		func(raw json.RawMessage) (text string, err error) {
			if json.Unmarshal(raw, &text) != nil {
				return "", errors.New("must be text")
			}
			return text, nil
		})
}

// Map is a field with values by name; value reads one. What is read is added to what is
// there, and null removes.
func Map[T, V any](name string, at func(*T) *map[string]V, value func(json.RawMessage) (V, error)) Field[T] {
	return Field[T]{
		Name: name,
		Write: func(c *T) any {
			if len(*at(c)) == 0 {
				return nil
			}
			return *at(c)
		},
		Read: func(c *T, raw json.RawMessage, f *Faults) {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				f.Add(name, "must be a JSON object, not %s", textkit.Shorten(string(raw)))
				return
			}
			for _, key := range textkit.SortedKeys(object) {
				if textkit.IsNull(object[key]) {
					delete(*at(c), key)
					continue
				}
				v, err := value(object[key])
				if err != nil {
					f.Add(name+"."+textkit.Shorten(key), "%v, not %s", err, textkit.Shorten(string(object[key])))
					continue
				}
				if *at(c) == nil {
					*at(c) = map[string]V{}
				}
				(*at(c))[key] = v
			}
		},
	}
}
