// Package textkit has checks and short forms of text that several packages need.
package textkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// SortedKeys makes the order of faults in a map the same each time.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// MaxNameLen bounds names of all kinds in bytes.
const MaxNameLen = 200

// MaxNumberLen bounds the text of a number, which keeps the arithmetic on it cheap.
const MaxNumberLen = 64

// MarshalPlain leaves < and > as they are, which thresholds have. An encoder further out
// escapes them if it is to.
func MarshalPlain(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// IsNull reports whether a JSON value is null.
func IsNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// IsDecimal tells numbers as people and JSON write them from what else Go takes for
// one: NaN, infinities, hexadecimals, underscores.
func IsDecimal(s string) bool {
	return s != "" && len(s) <= MaxNameLen && len(s) <= MaxNumberLen && strings.Trim(s, "0123456789+-.eE") == ""
}

const maxSample = 200 // bytes of an error's sample message

// ErrorMessage is the message of an error, fit for display. It survives an Error
// method that panics.
func ErrorMessage(err error) string { return Message(fmt.Sprint(err)) }

// Message makes a message fit for display: one line of valid UTF-8, at most
// maxSample bytes.
func Message(s string) string {
	long := len(s) > maxSample
	if long {
		s = s[:maxSample] // spares what follows a message of megabytes
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")) // which may make it longer, too
	if !long && len(s) <= maxSample {
		return s
	}
	end := min(len(s), maxSample-len("…"))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// List returns intro and names, separated by commas, or "" if there are none.
func List(intro string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return intro + strings.Join(names, ", ")
}

// Shorten bounds what an error message quotes.
func Shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// IsIdentifier reports whether s can name a variable: letters, digits, underscores, no digit first.
func IsIdentifier(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && !IsPlain(c, "") || i == 0 && '0' <= c && c <= '9' {
			return false
		}
	}
	return s != "" && len(s) <= MaxNameLen
}

// IsPlain reports whether c is an ASCII letter, a digit, or one of plain.
func IsPlain(c byte, plain string) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0
}

// CheckPort reports a port that is not a number from 1 to 65535.
func CheckPort(port string) error {
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q is not from 1 to 65535", port)
	}
	return nil
}

// StatusClass is the class of an HTTP status: "2xx" for 200, "other" beyond 100 to 599.
func StatusClass(status int) string {
	if status < 100 || status > 599 {
		return "other"
	}
	return string(rune('0'+status/100)) + "xx"
}

// IsToken reports whether s is a token of HTTP, such as the name of a header (RFC 9110, 5.6.2).
func IsToken(s string) bool { return httpguts.ValidHeaderFieldName(s) }

// Describe shows a value in a message.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return strconv.Quote(Shorten(v))
	case int, float64, bool:
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("a %T", v)
}

// Plural is a number with its noun: "1 row", "2 rows".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// MaxExactFloat is the largest number up to which every integer survives a float64.
const MaxExactFloat = 1 << 53

// IsASCII tells whether s has nothing but ASCII.
func IsASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// IsHost tells whether s can be a host in a URL or a Host header.
func IsHost(s string) bool { return s != "" && IsASCII(s) && httpguts.ValidHostHeader(s) }
