package convert

import (
	"errors"
	"strconv"
	"strings"
)

// shellCommands splits a text into commands and these into words, by the rules of a
// POSIX shell for quotes, backslashes and comments, and with $'…' as browsers write it.
// Nothing is expanded or run.
func shellCommands(src string) ([][]string, error) {
	var commands [][]string
	var words []string
	var word strings.Builder
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	end := func() {
		if endWord(); len(words) > 0 {
			commands = append(commands, words)
			words = nil
		}
	}
	src = strings.ReplaceAll(src, "\r\n", "\n")
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '\\' || c == '^' && i+1 < len(src) && src[i+1] == '\n': // ^: as on Windows
			if i++; i == len(src) {
				return nil, errors.New("the text ends in a backslash")
			}
			if src[i] != '\n' {
				word.WriteByte(src[i])
				inWord = true
			}
		case c == '\'' || c == '"' || c == '$' && i+1 < len(src) && src[i+1] == '\'':
			n, err := quoted(&word, src[i:])
			if err != nil {
				return nil, err
			}
			inWord = true
			i += n - 1
		case c == '\n' || c == ';' || c == '&' && !inWord:
			end()
		case c == ' ' || c == '\t':
			endWord()
		case c == '#' && !inWord:
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
		case c == '|' || c == '>' || c == '<':
			if !inWord || c == '|' { // what becomes of the output does not matter
				endWord()
				for i+1 < len(src) && src[i+1] != '\n' && src[i+1] != ';' {
					i++
				}
				break
			}
			word.WriteByte(c)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	if len(commands) == 0 {
		return nil, errors.New("there is no curl command in it")
	}
	return commands, nil
}

// quoted reads what begins with a quote, and returns how long it is.
func quoted(word *strings.Builder, s string) (n int, err error) {
	ansi := s[0] == '$'
	if ansi {
		s, n = s[1:], 1
	}
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return n + i + 1, nil
		case c == '\\' && i+1 < len(s) && quote == '"' && strings.IndexByte("\\\"$`\n", s[i+1]) >= 0:
			if i++; s[i] != '\n' {
				word.WriteByte(s[i])
			}
		case c == '\\' && i+1 < len(s) && ansi:
			i += escape(word, s[i:]) - 1
		default:
			word.WriteByte(c)
		}
	}
	return 0, errors.New("a quote is not closed")
}

// escape reads an escape of $'…', and returns how long it is.
func escape(word *strings.Builder, s string) int {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if end := 2; digits > 0 {
		for end < len(s) && end < 2+digits && strings.IndexByte("0123456789abcdefABCDEF", s[end]) >= 0 {
			end++
		}
		if v, err := strconv.ParseUint(s[2:end], 16, 32); err == nil {
			if s[1] == 'x' {
				word.WriteByte(byte(v))
			} else {
				word.WriteRune(rune(v))
			}
			return end
		}
	}
	if i := strings.IndexByte(`nrtabfve\'"?`, s[1]); i >= 0 {
		word.WriteByte("\n\r\t\a\b\f\v\x1b\\'\"?"[i])
		return 2
	}
	word.WriteString(s[:2])
	return 2
}
