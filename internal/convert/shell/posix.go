package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// heredoc is a text that follows a line, for a command of the line.
type heredoc struct {
	end    string
	tabs   bool // leading tabs are not part of it
	quoted bool // nothing is expanded in it
}

// posix reads a script of a POSIX shell, with $'…', ${X:-…} and <<< as in bash.
func (p *parser) posix(src string, depth int) error {
	if depth > maxDepth {
		return errors.New("substitutions are nested too deep")
	}
	var doc *heredoc
	for i := 0; i < len(src); i++ {
		c := src[i]
		rest := src[i:]
		switch {
		case c == '\\':
			if i++; i == len(src) {
				return errors.New("the text ends in a backslash")
			}
			if src[i] != '\n' {
				p.write(src[i : i+1])
			}
		case c == '\'' || c == '"' || strings.HasPrefix(rest, "$'") || strings.HasPrefix(rest, `$"`):
			n, err := p.quoted(rest, depth)
			if err != nil {
				return err
			}
			i += n - 1
		case c == '$' || c == '`':
			n, err := p.expand(rest, depth)
			if err != nil {
				return err
			}
			i += n - 1
		case c == '\n':
			if doc != nil {
				text, n, err := p.document(src[i+1:], doc, depth)
				if err != nil {
					return err
				}
				p.stdin, doc = &text, nil
				i += n
			}
			p.end(false)
		case c == ';' || c == '(' && !p.inWord || c == ')':
			p.end(false)
		case strings.HasPrefix(rest, "&>"):
			p.endWord()
			i += p.redirect(rest[1:]) + 1 // of the output
		case c == '&':
			if p.inWord && i+1 < len(src) && !strings.ContainsRune(" \t\n&;|", rune(src[i+1])) {
				p.note("the shell ends a command at an & without quotes: put a URL with & in quotes")
			}
			p.end(false)
		case strings.HasPrefix(rest, "||"):
			i++
			p.end(false)
			p.otherwise = true
		case c == '|':
			p.end(true)
		case c == ' ' || c == '\t':
			p.endWord()
		case c == '#' && !p.inWord:
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
		case strings.HasPrefix(rest, "<<<"):
			p.descriptor()
			n, text, err := p.argument(rest[3:], depth)
			if err != nil {
				return err
			}
			text += "\n"
			p.stdin = &text
			i += n + 2
		case strings.HasPrefix(rest, "<<"):
			p.descriptor()
			m := heredocs.FindStringSubmatch(rest)
			if m == nil {
				return errors.New("a << has no word that ends its text")
			}
			doc = &heredoc{end: m[2] + m[3] + m[4], tabs: m[1] != "", quoted: m[4] == ""}
			i += len(m[0]) - 1
		case c == '<':
			p.descriptor()
			n, file, err := p.argument(rest[1:], depth)
			if err != nil {
				return err
			}
			p.input = file
			i += n
		case c == '>':
			p.descriptor()
			i += p.redirect(rest)
		default:
			p.write(src[i : i+1])
		}
	}
	p.end(false)
	return nil
}

var heredocs = regexp.MustCompile(`^<<(-?)[ \t]*(?:'([^'\n]*)'|"([^"\n]*)"|([A-Za-z0-9_.-]+))`)

// descriptor drops the number of a file that is redirected.
func (p *parser) descriptor() {
	if _, err := strconv.Atoi(p.word.String()); err == nil && p.inWord {
		p.word.Reset()
		p.inWord = false
	}
	p.endWord()
}

// redirect returns the length of where output goes, which does not matter.
func (p *parser) redirect(s string) int {
	at := 0
	for at < len(s) && strings.IndexByte(">|&", s[at]) >= 0 {
		at++
	}
	for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
		at++
	}
	quote := byte(0)
	for ; at < len(s); at++ {
		switch {
		case quote != 0:
			if s[at] == quote {
				quote = 0
			}
		case s[at] == '\'' || s[at] == '"':
			quote = s[at]
		case strings.IndexByte(" \t\n;|&)<>", s[at]) >= 0:
			return at - 1
		}
	}
	return at - 1
}

// argument reads one word, and returns its length with the blanks before it.
func (p *parser) argument(s string, depth int) (n int, word string, err error) {
	q := &parser{script: p.script, known: p.known}
	for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
		n++
	}
	for n < len(s) && strings.IndexByte(" \t\n;|&)<>", s[n]) < 0 {
		used := 1
		switch c := s[n]; {
		case c == '\'' || c == '"' || strings.HasPrefix(s[n:], "$'"):
			used, err = q.quoted(s[n:], depth)
		case c == '$' || c == '`':
			used, err = q.expand(s[n:], depth)
		case c == '\\' && n+1 < len(s):
			q.write(s[n+1 : n+2])
			used = 2
		default:
			q.write(s[n : n+1])
		}
		if err != nil {
			return n, "", err
		}
		n += used
	}
	return n, q.word.String(), nil
}

// document reads a heredoc, and returns its length with the line that ends it, but without
// the line break of that.
func (p *parser) document(s string, d *heredoc, depth int) (text string, n int, err error) {
	var b strings.Builder
	for line := range strings.Lines(s) {
		n += len(line)
		bare := strings.TrimSuffix(line, "\n")
		if d.tabs {
			bare = strings.TrimLeft(bare, "\t")
		}
		if bare == d.end {
			break
		}
		b.WriteString(bare + "\n")
	}
	if d.quoted {
		return b.String(), n, nil
	}
	q := &parser{script: p.script, known: p.known}
	err = q.within(b.String(), depth, false)
	return q.word.String(), n, err
}

// quoted reads what begins with a quote, and returns its length.
func (p *parser) quoted(s string, depth int) (n int, err error) {
	p.inWord = true
	ansi := strings.HasPrefix(s, "$'")
	if s[0] == '$' {
		s, n = s[1:], 1
	}
	if s[0] == '"' {
		end := p.closing(s)
		if end < 0 {
			return 0, errQuote
		}
		return n + end + 1, p.within(s[1:end], depth, true)
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			return n + i + 1, nil
		case c == '\\' && i+1 < len(s) && ansi:
			i += escape(&p.word, s[i:]) - 1
		default:
			p.word.WriteByte(c)
		}
	}
	return 0, errQuote
}

// closing is the position of the quote that closes the one at the beginning.
func (p *parser) closing(s string) int {
	nested := 0
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], "$("):
			nested++
		case s[i] == ')' && nested > 0:
			nested--
		case s[i] == '"' && nested == 0:
			return i
		}
	}
	if nested > 0 { // a $( without its end is text
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				return i
			}
		}
	}
	return -1
}

// within reads a text between double quotes, or a heredoc.
func (p *parser) within(s string, depth int, quote bool) error {
	p.inWord = true
	special := "\\$`\n"
	if quote {
		special += `"`
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(special, s[i+1]) >= 0:
			if i++; s[i] != '\n' {
				p.word.WriteByte(s[i])
			}
		case c == '$' || c == '`':
			n, err := p.expand(s[i:], depth)
			if err != nil {
				return err
			}
			i += n - 1
		default:
			p.word.WriteByte(c)
		}
	}
	return nil
}

var (
	plainName = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|([0-9@*#?!-]))`)
	bracedOne = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+)(?:(:?[-=])([^{}]*)|(:?[?+%#/^,][^{}]*|\[[^{}]*))?\}`)
)

// expand reads what begins with a $ or a backquote, and returns its length.
func (p *parser) expand(s string, depth int) (n int, err error) {
	p.inWord = true
	if m := plainName.FindStringSubmatch(s); m != nil {
		name := m[1]
		if name == "" {
			name = map[string]string{"@": "ARGS", "*": "ARGS", "#": "ARGC", "?": "STATUS", "!": "PID", "-": "FLAGS"}[m[2]]
			if name == "" {
				name = "ARG" + m[2]
			}
		}
		p.word.WriteString(p.reference(name, ""))
		return len(m[0]), nil
	}
	if m := bracedOne.FindStringSubmatch(s); m != nil {
		name := m[1]
		if name[0] <= '9' {
			name = "ARG" + name
		}
		if m[4] != "" {
			p.note(fmt.Sprintf("%s is here the variable %s as it is", m[0], name))
		}
		p.word.WriteString(p.reference(name, m[3]))
		return len(m[0]), nil
	}
	inner, n := substitution(s)
	if n == 0 {
		p.word.WriteByte(s[0])
		return 1, nil
	}
	// Of a command whose output is used, the requests are kept, and the output is a variable.
	q := &parser{script: p.script, known: p.known, inner: true}
	if !strings.HasPrefix(s, "$((") {
		if err := q.posix(inner, depth+1); err != nil {
			return 0, err
		}
	}
	name := "OUTPUT"
	if m := assignment.FindStringSubmatch(p.word.String()); m != nil && m[0] == p.word.String() {
		name = m[1]
		delete(p.known, name)
	}
	if name == "OUTPUT" {
		for i := 2; p.has(name); i++ {
			name = fmt.Sprintf("OUTPUT_%d", i)
		}
	}
	p.note(fmt.Sprintf("the output of %s is the variable %s: take it from a response by capture, or give it a value", clip(s[:n]), name))
	p.word.WriteString(p.reference(name, ""))
	return n, nil
}

// has tells whether there is a variable of a name already.
func (p *parser) has(name string) bool {
	for _, v := range p.script.Vars {
		if v.Name == name {
			return true
		}
	}
	return false
}

func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// substitution is the text of $(…) or `…`, and its length; 0 if it is neither.
func substitution(s string) (inner string, n int) {
	if s[0] == '`' {
		end := strings.IndexByte(s[1:], '`')
		if end < 0 {
			return "", 0
		}
		return s[1 : end+1], end + 2
	}
	if !strings.HasPrefix(s, "$(") {
		return "", 0
	}
	depth, quote := 0, byte(0)
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return s[2:i], i + 1
			}
		}
	}
	return "", 0
}

// escape reads an escape of $'…', and returns its length.
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
	if end := 1; '0' <= s[1] && s[1] <= '7' {
		for end < len(s) && end < 4 && '0' <= s[end] && s[end] <= '7' {
			end++
		}
		v, _ := strconv.ParseUint(s[1:end], 8, 16)
		word.WriteByte(byte(v))
		return end
	}
	if i := strings.IndexByte(`nrtabfve\'"?`, s[1]); i >= 0 {
		word.WriteByte("\n\r\t\a\b\f\v\x1b\\'\"?"[i])
		return 2
	}
	word.WriteString(s[:2])
	return 2
}
