package wire

import (
	"bytes"
	"strings"
)

// even rewrites a head that is odd, and that everybody reads alike: lines that end in LF alone,
// and lengths that are given more than once and equal (RFC 9112, 2.2, and RFC 9110, 8.6). It
// returns nil if the lengths differ.
func even(head []byte) []byte {
	out := make([]byte, 0, len(head)+64)
	var length string
	for line := range bytes.Lines(head) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !equalLower(name, "content-length") {
			out = append(append(out, line...), "\r\n"...)
			continue
		}
		for one := range strings.SplitSeq(string(value), ",") {
			switch one = strings.Trim(one, " \t"); {
			case length == "":
				length = one
				out = append(append(append(out, "Content-Length: "...), one...), "\r\n"...)
			case one != length:
				return nil
			}
		}
	}
	return out
}

// bare reports whether a line of the head ends in LF alone.
func bare(head []byte) bool {
	return bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n"))
}
