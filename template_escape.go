package loadgen

import (
	"errors"

	"github.com/opbeans/loadgen/internal/textkit"
)

// escape says how a computed value is written into a text, so that no value can
// become more than a value.
type escape uint8

const (
	escapeNone   escape = iota
	escapePath          // a segment of a path: / and ? are percent-escaped too
	escapeQuery         // a component of a query: & and = too
	escapeTarget        // a whole URL: only what a URL cannot hold at all
	escapeForm          // a component of a form
	escapeJSON          // a JSON value
	escapeQuoted        // within the quotes of a JSON string
	escapeName          // within the quotes of a multipart header
	escapeHeader        // a header's value: no control characters
)

// Characters that stand for themselves, besides letters and digits.
const (
	plainQuery  = "-._~"
	plainPath   = plainQuery + "$&+=:@"
	plainTarget = plainPath + "!'()*,;/?[]"
	plainForm   = "-._*"
)

var errControl = errors.New("the value holds a control character, such as a line break")

// append writes a value.
func (e escape) append(dst []byte, v any) ([]byte, error) {
	switch e {
	case escapeNone:
		return appendText(dst, v)
	case escapeJSON:
		return appendJSON(dst, v)
	}
	var text string
	switch v := v.(type) {
	case string:
		text = v
	default:
		var room [32]byte
		b, err := appendText(room[:0], v)
		if err != nil {
			return dst, err
		}
		text = string(b)
	}
	if len(text) > maxRendered {
		return dst, errTooLarge
	}
	return e.appendString(dst, text)
}

// appendBytes writes a text.
func (e escape) appendBytes(dst, s []byte) ([]byte, error) {
	if e == escapeJSON {
		dst = append(appendJSONEscaped(append(dst, '"'), s), '"')
		return dst, nil
	}
	return appendEscapedText(e, dst, s)
}

func (e escape) appendString(dst []byte, s string) ([]byte, error) {
	return appendEscapedText(e, dst, s)
}

func appendEscapedText[T string | []byte](e escape, dst []byte, s T) ([]byte, error) {
	switch e {
	case escapePath:
		return appendPercent(dst, s, plainPath), nil
	case escapeQuery:
		return appendPercent(dst, s, plainQuery), nil
	case escapeTarget:
		return appendTarget(dst, s), nil
	case escapeForm:
		from := len(dst)
		dst = appendPercent(dst, s, plainForm+" ")
		for i, c := range dst[from:] {
			if c == ' ' {
				dst[from+i] = '+'
			}
		}
		return dst, nil
	case escapeQuoted:
		return appendJSONEscaped(dst, s), nil
	case escapeName:
		return appendName(dst, s), nil
	case escapeHeader:
		if hasControl(s) {
			return dst, errControl
		}
	}
	return append(dst, s...), nil
}

func appendPercent[T string | []byte](dst []byte, s T, plain string) []byte {
	for i := range len(s) {
		if c := s[i]; textkit.IsPlain(c, plain) {
			dst = append(dst, c)
		} else {
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

func appendEscaped(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&0xf])
}

// appendTarget keeps what can be part of a URL, and escapes already made.
func appendTarget[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case textkit.IsPlain(c, plainTarget), c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			dst = append(dst, c)
		default:
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// appendName escapes as browsers do in the names of multipart fields and files.
func appendName[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c == '"' || c < ' ' || c == 0x7f {
			dst = appendEscaped(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// hasControl tells whether a text must not be a header's value.
func hasControl[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}
