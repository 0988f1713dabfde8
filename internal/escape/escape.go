// Package escape writes values as text, and as parts of URLs, forms, JSON and headers.
package escape

import (
	"errors"

	"github.com/opbeans/loadgen/internal/textkit"
)

// Mode says how a computed value is written into a text, so that no value can
// become more than a value.
type Mode uint8

// The modes; None writes the value as it is.
const (
	None   Mode = iota
	Path        // a segment of a path: / and ? are percent-escaped too
	Query       // a component of a query: & and = too
	Target      // a whole URL: only what a URL cannot hold at all
	Form        // a component of a form
	JSON        // a JSON value
	Quoted      // within the quotes of a JSON string
	Name        // within the quotes of a multipart header
	Header      // a header's value: no control characters
)

// Characters that stand for themselves, besides letters and digits.
const (
	plainQuery  = "-._~"
	plainPath   = plainQuery + "$&+=:@"
	plainTarget = plainPath + "!'()*,;/?[]"
	plainForm   = "-._*"
)

var errControl = errors.New("the value holds a control character, such as a line break")

// Append writes a value.
func (e Mode) Append(dst []byte, v any) ([]byte, error) {
	switch e {
	case None:
		return AppendText(dst, v)
	case JSON:
		return AppendJSON(dst, v)
	}
	var text string
	switch v := v.(type) {
	case string:
		text = v
	default:
		var room [32]byte
		b, err := AppendText(room[:0], v)
		if err != nil {
			return dst, err
		}
		text = string(b)
	}
	if len(text) > MaxRendered {
		return dst, ErrTooLarge
	}
	return e.AppendString(dst, text)
}

// AppendBytes writes a text.
func (e Mode) AppendBytes(dst, s []byte) ([]byte, error) {
	if e == JSON {
		dst = append(AppendJSONEscaped(append(dst, '"'), s), '"')
		return dst, nil
	}
	return appendEscapedText(e, dst, s)
}

// AppendString appends s, escaped as the mode says.
func (e Mode) AppendString(dst []byte, s string) ([]byte, error) {
	return appendEscapedText(e, dst, s)
}

func appendEscapedText[T string | []byte](e Mode, dst []byte, s T) ([]byte, error) {
	switch e {
	case Path:
		return AppendPercent(dst, s, plainPath), nil
	case Query:
		return AppendPercent(dst, s, plainQuery), nil
	case Target:
		return AppendTarget(dst, s), nil
	case Form:
		from := len(dst)
		dst = AppendPercent(dst, s, plainForm+" ")
		for i, c := range dst[from:] {
			if c == ' ' {
				dst[from+i] = '+'
			}
		}
		return dst, nil
	case Quoted:
		return AppendJSONEscaped(dst, s), nil
	case Name:
		return AppendName(dst, s), nil
	case Header:
		if HasControl(s) {
			return dst, errControl
		}
	}
	return append(dst, s...), nil
}

// AppendPercent appends s with all percent-encoded but letters, digits and the bytes of plain.
func AppendPercent[T string | []byte](dst []byte, s T, plain string) []byte {
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

// AppendTarget keeps what can be part of a URL, and escapes already made.
func AppendTarget[T string | []byte](dst []byte, s T) []byte {
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

// AppendName escapes as browsers do in the names of multipart fields and files.
func AppendName[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c == '"' || c < ' ' || c == 0x7f {
			dst = appendEscaped(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// HasControl tells whether a text must not be a header's value.
func HasControl[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}
