package expr

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// The expression language has no literals for durations. Those of a source, such
// as 500ms, are hidden from its parser as identifiers of the same length, so that
// positions in errors stay right: digits and the point become letters that nobody
// types. The compiler's patcher turns them into constants.
const (
	hiddenZero  = '\U0001D400' // a letter for the digit 0, then nine more
	hiddenPoint = hiddenZero + 10
)

// hideDurations rewrites the literals of durations outside of quoted text and
// comments.
func hideDurations(source string) string {
	in := []rune(source)
	out := make([]rune, 0, len(in))
	for i := 0; i < len(in); {
		n := skipQuoted(in[i:])
		if n == 0 {
			n = wordLen(in[i:])
			if d := durationLen(in[i:]); d > n || (d > 0 && d == n) {
				for _, r := range in[i : i+d] {
					out = append(out, hide(r))
				}
				i += d
				continue
			}
		}
		n = max(n, 1)
		out = append(out, in[i:i+n]...)
		i += n
	}
	return string(out)
}

func hide(r rune) rune {
	switch {
	case '0' <= r && r <= '9':
		return hiddenZero + r - '0'
	case r == '.':
		return hiddenPoint
	}
	return r
}

// showDurations undoes hideDurations, for messages.
func showDurations(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case hiddenZero <= r && r < hiddenPoint:
			return '0' + r - hiddenZero
		case r == hiddenPoint:
			return '.'
		}
		return r
	}, s)
}

// hiddenDuration is the duration that an identifier stands for, if it does.
func hiddenDuration(name string) (time.Duration, bool) {
	shown := showDurations(name)
	if shown == name {
		return 0, false
	}
	d, err := time.ParseDuration(shown)
	return d, err == nil
}

// hiddenNames lists the identifiers that hideDurations made.
func hiddenNames(source string) []string {
	words := strings.FieldsFunc(source, func(r rune) bool { return !isWord(r) })
	return slices.DeleteFunc(words, func(w string) bool {
		_, hidden := hiddenDuration(w)
		return !hidden
	})
}

// durationLen is the length in runes of the literal of a duration at the start of
// s, or 0: numbers with units, up to something that is no part of a word.
func durationLen(s []rune) int {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		n := end
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n+1 < len(s) && s[n] == '.' && '0' <= s[n+1] && s[n+1] <= '9' {
			for n++; n < len(s) && '0' <= s[n] && s[n] <= '9'; {
				n++
			}
		}
		unit := n
		for n < len(s) && unicode.IsLetter(s[n]) {
			n++
		}
		if n == unit {
			return 0
		}
		end = n
	}
	if end == 0 || (end < len(s) && isWord(s[end])) {
		return 0
	}
	if _, err := time.ParseDuration(string(s[:end])); err != nil {
		return 0
	}
	return end
}

// wordLen is the length of the word or number at the start of s, so that digits
// within a name are not taken for a number.
func wordLen(s []rune) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}

func isWord(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// skipQuoted is the length of the quoted text or comment at the start of s, with
// its ends, or 0. One that is not closed runs to the end.
func skipQuoted(s []rune) int {
	if len(s) == 0 {
		return 0
	}
	end := func(from int, closing string) int {
		if i := strings.Index(string(s[from:]), closing); i >= 0 {
			return from + len([]rune(string(s[from:])[:i])) + len([]rune(closing))
		}
		return len(s)
	}
	switch q := s[0]; {
	case q == '`':
		return end(1, "`")
	case q == '"' || q == '\'':
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == q {
				return i + 1
			}
		}
		return len(s)
	case q == '/' && len(s) > 1 && s[1] == '/':
		return end(2, "\n")
	case q == '/' && len(s) > 1 && s[1] == '*':
		return end(2, "*/")
	}
	return 0
}
