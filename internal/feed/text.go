package feed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// textCheck finds rows that are not UTF-8 text, so that nothing is sent damaged, and
// guesses what they are instead.
type textCheck struct {
	rows  int64
	multi bool // there was a character of several bytes, so that the file is UTF-8
}

// row says what is wrong with the next row of the file.
func (c *textCheck) row(row []byte) *rowError {
	c.rows++
	if c.rows == 1 {
		if n := bytes.IndexByte(row, 0); n >= 0 || bytes.HasPrefix(row, []byte("\xff\xfe")) || bytes.HasPrefix(row, []byte("\xfe\xff")) {
			return &rowError{max(n, 0), "expected UTF-8 text, found what looks like UTF-16: save the file as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8"}
		}
	}
	if onlyASCII(row) {
		return nil
	}
	if utf8.Valid(row) {
		c.multi = true
		return nil
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(row[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		c.multi = c.multi || size > 1
		at += size
	}
	if c.multi {
		return &rowError{at, fmt.Sprintf("the byte %#x is not UTF-8 text, which the file before it is", row[at])}
	}
	guess := ""
	if r := windows1252(row[at]); r > 0 {
		guess = fmt.Sprintf("; in Windows-1252 (Latin-1) it is %q: save the file as UTF-8, or convert it with iconv -f WINDOWS-1252 -t UTF-8", r)
	}
	return &rowError{at, fmt.Sprintf("the byte %#x is not UTF-8 text%s", row[at], guess)}
}

// onlyASCII looks at eight bytes at a time, because every row of a file comes by.
func onlyASCII(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if binary.LittleEndian.Uint64(s)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, b := range s {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// windows1252 is what a byte above ASCII means in the encoding of old spreadsheets, of
// which Latin-1 is a part; 0: nothing.
func windows1252(b byte) rune {
	if b >= 0xa0 {
		return rune(b)
	}
	table := []rune("€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ")
	if r := table[b&0x1f]; r != ' ' {
		return r
	}
	return 0
}
