package escape

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Limits of what a value may become when it is written.
const (
	MaxRendered  = 16 << 20 // bytes of one body
	maxJSONDepth = 200
)

var (
	// ErrTooLarge is the error of a text beyond MaxRendered.
	ErrTooLarge = fmt.Errorf("the text is larger than %d bytes", MaxRendered)
	errNothing  = errors.New("the value is nil: there is nothing to write")
)

// AppendText writes a value as text: numbers in plain decimal notation, times as
// RFC 3339, lists and maps as JSON.
func AppendText(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, errNothing
	case string:
		dst = append(dst, v...)
	case []byte:
		dst = append(dst, v...)
	case json.Number: // with its digits
		dst = append(dst, v...)
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case float64:
		return appendNumber(dst, v)
	case bool:
		return strconv.AppendBool(dst, v), nil
	case time.Time:
		return v.AppendFormat(dst, time.RFC3339Nano), nil
	case time.Duration:
		return append(dst, v.String()...), nil
	default:
		return AppendJSON(dst, v)
	}
	if len(dst) > MaxRendered {
		return dst, ErrTooLarge
	}
	return dst, nil
}

// appendNumber writes a float as JSON does, which also reads well elsewhere: 0.5,
// 100000, and an exponent only where zeros would fill the line.
func appendNumber(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fmt.Errorf("%g is not a number that can be written", f)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64), nil
}

// AppendJSON writes a value as JSON, with the keys of maps in order. The result
// is always valid JSON: what JSON cannot say is an error.
func AppendJSON(dst []byte, v any) ([]byte, error) { return appendJSONAt(dst, v, 0) }

func appendJSONAt(dst []byte, v any, depth int) ([]byte, error) {
	if len(dst) > MaxRendered {
		return dst, ErrTooLarge
	}
	if depth > maxJSONDepth {
		return dst, fmt.Errorf("the value is nested deeper than %d", maxJSONDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case json.Number:
		return append(dst, v...), nil
	case string:
		return appendJSONString(dst, v), nil
	case time.Time:
		return appendJSONString(dst, v.Format(time.RFC3339Nano)), nil
	case time.Duration:
		return appendJSONString(dst, v.String()), nil
	}
	r := reflect.ValueOf(v)
	switch {
	case r.Kind() == reflect.Bool:
		return strconv.AppendBool(dst, r.Bool()), nil
	case r.CanInt():
		return strconv.AppendInt(dst, r.Int(), 10), nil
	case r.CanUint():
		return strconv.AppendUint(dst, r.Uint(), 10), nil
	case r.CanFloat():
		return appendNumber(dst, r.Float())
	case r.Kind() == reflect.String:
		return appendJSONString(dst, r.String()), nil
	case r.Kind() == reflect.Slice || r.Kind() == reflect.Array:
		return appendJSONList(dst, r, depth)
	case r.Kind() == reflect.Map:
		return appendJSONMap(dst, r, depth)
	}
	return dst, fmt.Errorf("a value of type %T cannot be written", v)
}

func appendJSONList(dst []byte, r reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := range r.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSONAt(dst, r.Index(i).Interface(), depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendJSONMap(dst []byte, r reflect.Value, depth int) ([]byte, error) {
	type pair struct {
		key   string
		value reflect.Value
	}
	pairs := make([]pair, 0, r.Len())
	for it := r.MapRange(); it.Next(); {
		key, err := AppendText(nil, it.Key().Interface())
		if err != nil {
			return dst, err
		}
		pairs = append(pairs, pair{string(key), it.Value()})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	dst = append(dst, '{')
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, p.key), ':')
		var err error
		if dst, err = appendJSONAt(dst, p.value.Interface(), depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = AppendJSONEscaped(dst, s)
	return append(dst, '"')
}

// AppendJSONEscaped writes what stands between the quotes of a JSON string. What
// is not UTF-8 becomes the replacement character.
func AppendJSONEscaped[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			var room [utf8.UTFMax]byte
			r, size = utf8.DecodeRune(room[:copy(room[:], s[i:])])
		}
		i += size
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r < ' ' || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// AsInt reads a whole number of any type.
func AsInt(v any) (int, bool) {
	if n, ok := v.(json.Number); ok {
		i, err := strconv.Atoi(n.String())
		return i, err == nil
	}
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return int(r.Int()), true
	case r.CanUint():
		return int(r.Uint()), r.Uint() <= math.MaxInt
	case r.CanFloat():
		f := r.Float()
		return int(f), f == math.Trunc(f) && math.Abs(f) <= textkit.MaxExactFloat
	}
	return 0, false
}

// AsFloat reads a number of any type.
func AsFloat(v any) (float64, bool) {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return f, err == nil
	}
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}
