package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/suggest"
	"golang.org/x/net/http/httpguts"
)

// sortedKeys makes the order of faults in a map the same each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// maxNameLen bounds names of all kinds in bytes.
const maxNameLen = 200

// maxNumberLen bounds the text of a number, which keeps the arithmetic on it cheap.
const maxNumberLen = 64

// marshalPlain leaves < and > as they are, which thresholds have. An encoder further out
// escapes them if it is to.
func marshalPlain(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// isDecimal tells numbers as people and JSON write them from what else Go takes for
// one: NaN, infinities, hexadecimals, underscores.
func isDecimal(s string) bool {
	return s != "" && len(s) <= maxNameLen && len(s) <= maxNumberLen && strings.Trim(s, "0123456789+-.eE") == ""
}

const maxSample = 200 // bytes of an error's sample message

// errorText is the message of an error, fit for display. It survives an Error
// method that panics.
func errorText(err error) string { return cutMessage(fmt.Sprint(err)) }

// cutMessage makes a message fit for display: one line of valid UTF-8, at most
// maxSample bytes.
func cutMessage(s string) string {
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

func listOf(intro string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return intro + strings.Join(names, ", ")
}

// didYouMean suggests the nearest of some names, as text to append, or "".
func didYouMean(name string, names []string) string { return suggest.DidYouMean(name, names) }

// abbreviate bounds what an error message quotes.
func abbreviate(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && !isPlain(c, "") || i == 0 && '0' <= c && c <= '9' {
			return false
		}
	}
	return s != "" && len(s) <= maxNameLen
}

func isPlain(c byte, plain string) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0
}

func validHeaderName(s string) bool { return httpguts.ValidHeaderFieldName(s) }
