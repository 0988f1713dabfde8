package engine

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// codec packs packets into the body of an HTTP request or answer, and back.
type codec struct {
	encode func([]Frame) []byte
	decode func(string) ([]string, error)
}

// codecOf is the codec of a protocol version.
func codecOf(version int) codec {
	if version == 3 {
		return codec{encode: encode3, decode: decode3}
	}
	return codec{encode: encode4, decode: decode4}
}

// Protocol 4 separates packets by a character that JSON text never contains.
const separator = "\x1e"

func encode4(frames []Frame) []byte {
	parts := make([][]byte, len(frames))
	for i, f := range frames {
		parts[i] = f
	}
	return bytes.Join(parts, []byte(separator))
}

func decode4(body string) ([]string, error) {
	if body == "" {
		return nil, errEmptyPacket
	}
	return strings.Split(body, separator), nil
}

// Protocol 3 writes the length before each packet ("6:4hello"), in the units of
// JavaScript's strings: UTF-16.
func encode3(frames []Frame) []byte {
	var out []byte
	for _, f := range frames {
		out = strconv.AppendInt(out, int64(utf16Len(f)), 10)
		out = append(out, ':')
		out = append(out, f...)
	}
	return out
}

var errLength = errors.New("a packet whose length is not as announced")

func decode3(body string) ([]string, error) {
	if body == "" {
		return nil, errEmptyPacket
	}
	var packets []string
	for body != "" {
		digits, rest, ok := strings.Cut(body, ":")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil {
			return nil, errLength
		}
		end, ok := utf16Prefix(rest, int(n))
		if !ok {
			return nil, errLength
		}
		packets = append(packets, rest[:end])
		body = rest[end:]
	}
	return packets, nil
}

// utf16Len is the length of a text in UTF-16 units: one for each rune, two for
// those beyond the first 65536.
func utf16Len(text []byte) int {
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		n += units(r)
		text = text[size:]
	}
	return n
}

// utf16Prefix is how many bytes of a text make n UTF-16 units. It is not ok if the
// text is shorter, or has a rune across that border.
func utf16Prefix(text string, n int) (end int, ok bool) {
	for end < len(text) && n > 0 {
		r, size := utf8.DecodeRuneInString(text[end:])
		n -= units(r)
		end += size
	}
	return end, n == 0
}

func units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}
