package shell

import (
	"regexp"
	"strings"
)

var percent = regexp.MustCompile(`^%([A-Za-z_][A-Za-z0-9_]*)%`)

// prompt reads a script of the Windows command prompt: ^ takes the meaning of the next
// character away, %NAME% is a variable, and a program takes quotes and backslashes of its
// command line apart by itself.
func (p *parser) prompt(src string) error {
	var line strings.Builder // the command line as the program gets it
	quoted := false
	end := func(pipe bool) error {
		text := strings.TrimPrefix(strings.TrimSpace(line.String()), "@")
		line.Reset()
		if lower := strings.ToLower(text); strings.HasPrefix(lower, "set ") {
			if name, value, ok := strings.Cut(strings.Trim(text[4:], `" `), "="); ok {
				p.known[strings.TrimSpace(name)] = value
			}
			return nil
		} else if strings.HasPrefix(lower, "rem ") || strings.HasPrefix(text, "::") {
			return nil
		}
		if err := p.arguments(text); err != nil {
			return err
		}
		p.end(pipe)
		return nil
	}
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '"':
			quoted = !quoted
			line.WriteByte(c)
		case c == '%':
			if m := percent.FindStringSubmatch(src[i:]); m != nil {
				line.WriteString(p.reference(m[1], ""))
				i += len(m[0]) - 1
			} else {
				line.WriteByte(c)
			}
		case quoted && c != '\n':
			line.WriteByte(c)
		case c == '^' && i+1 < len(src):
			if i++; src[i] == '\n' {
				for i+1 < len(src) && src[i+1] == '\n' { // an empty line is a line break
					line.WriteByte('\n')
					i++
				}
				continue
			}
			line.WriteByte(src[i])
		case c == '\n' || c == '&' || c == '|':
			quoted = false
			if err := end(c == '|' && !strings.HasPrefix(src[i:], "||")); err != nil {
				return err
			}
		case c == '>' || c == '<':
			text := line.String()
			if n := len(text); n > 1 && '0' <= text[n-1] && text[n-1] <= '9' && text[n-2] == ' ' {
				line.Reset()
				line.WriteString(text[:n-1])
			}
			n := p.redirect(src[i+1:]) + 1 // without the sign
			if c == '<' {
				p.input = strings.Trim(src[i+1:min(i+n+1, len(src))], ` "`)
			}
			i += n
		default:
			line.WriteByte(c)
		}
	}
	return end(false)
}

// arguments takes a command line apart as programs on Windows do.
func (p *parser) arguments(s string) error {
	quoted := false
	for i := 0; i < len(s); i++ {
		slashes := 0
		for i < len(s) && s[i] == '\\' {
			slashes++
			i++
		}
		if slashes > 0 {
			p.inWord = true
		}
		if i == len(s) || s[i] != '"' {
			p.word.WriteString(strings.Repeat(`\`, slashes))
			if i == len(s) {
				break
			}
			if c := s[i]; !quoted && (c == ' ' || c == '\t') {
				p.endWord()
			} else {
				p.write(s[i : i+1])
			}
			continue
		}
		p.write(strings.Repeat(`\`, slashes/2))
		switch {
		case slashes%2 == 1:
			p.word.WriteByte('"')
		case quoted && i+1 < len(s) && s[i+1] == '"':
			p.word.WriteByte('"')
			i++
		default:
			quoted = !quoted
		}
	}
	if quoted {
		return errQuote
	}
	p.endWord()
	return nil
}

var (
	psVariable = regexp.MustCompile(`^\$(?:\{(?:(?i:env):)?([A-Za-z_]\w*)\}|(?:(?i:env):)?([A-Za-z_]\w*))`)
	psAssign   = regexp.MustCompile(`^\$(?:(?i:env):)?([A-Za-z_]\w*)[ \t]*=[ \t]*`)
)

// powershell reads a script of PowerShell: a backquote takes the meaning of the next
// character away, and quotes are doubled within themselves.
func (p *parser) powershell(src string) error {
	assigned := ""
	end := func(pipe bool) {
		if p.endWord(); assigned != "" {
			if len(p.words) > 0 {
				p.known[assigned] = p.words[0]
			}
			p.words, assigned = nil, ""
			return
		}
		p.end(pipe)
	}
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '`' && i+1 < len(src):
			if i++; src[i] != '\n' {
				p.write(src[i : i+1])
			}
		case c == '\'' || c == '"':
			n, err := p.psQuoted(src[i:])
			if err != nil {
				return err
			}
			i += n - 1
		case c == '$' && !p.inWord && len(p.words) == 0 && psAssign.MatchString(src[i:]):
			m := psAssign.FindStringSubmatch(src[i:])
			assigned = m[1]
			i += len(m[0]) - 1
		case c == '$':
			i += p.psReference(src[i:]) - 1
		case c == '\n' || c == ';':
			end(false)
		case c == '|':
			end(true)
		case c == '&' && len(p.words) == 0 && !p.inWord: // the operator that calls
		case c == '&':
			end(false)
		case c == ' ' || c == '\t':
			p.endWord()
		case c == '#' && !p.inWord:
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
		case c == '>':
			p.descriptor()
			i += p.redirect(src[i:])
		case c == '\\' && i+1 < len(src) && src[i+1] == '"':
			i++
			p.write(`"`)
		default:
			p.write(src[i : i+1])
		}
	}
	end(false)
	return nil
}

// psReference reads what begins with a $, and returns its length.
func (p *parser) psReference(s string) int {
	m := psVariable.FindStringSubmatch(s)
	if m == nil {
		p.write("$")
		return 1
	}
	p.write(p.reference(m[1]+m[2], ""))
	return len(m[0])
}

// psQuoted reads what begins with a quote, and returns its length. A backslash before a
// double quote is for the program that gets it.
func (p *parser) psQuoted(s string) (int, error) {
	quote := s[0]
	p.inWord = true
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote && i+1 < len(s) && s[i+1] == quote:
			p.word.WriteByte(c)
			i++
		case c == quote:
			return i + 1, nil
		case c == '\\' && i+1 < len(s) && s[i+1] == '"' && quote == '\'':
			p.word.WriteByte('"')
			i++
		case c == '\\' && strings.HasPrefix(s[i+1:], "`\"") && quote == '"':
			p.word.WriteByte('"')
			i += 2
		case c == '\\' && strings.HasPrefix(s[i+1:], `""`) && quote == '"':
			p.word.WriteByte('"')
			i += 2
		case quote == '"' && c == '`' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				p.word.WriteByte('\n')
			case 'r':
				p.word.WriteByte('\r')
			case 't':
				p.word.WriteByte('\t')
			default:
				p.word.WriteByte(s[i])
			}
		case quote == '"' && c == '$':
			i += p.psReference(s[i:]) - 1
		default:
			p.word.WriteByte(c)
		}
	}
	return 0, errQuote
}
