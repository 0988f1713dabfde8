// Package shell reads the text of a script as a list of commands and their words, by the
// rules of a POSIX shell, of the Windows command prompt or of PowerShell. Nothing of the
// script is run.
package shell

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// A reference to a variable is its name between these two runes, in a word. They are for
// private use; a script that has them is read without them.
const (
	Open  = '\U000F0000'
	Close = '\U000F0001'
)

// Ref is a reference to a variable.
func Ref(name string) string { return string(Open) + name + string(Close) }

// Script is what a text consists of.
type Script struct {
	Commands []Command
	Vars     []Variable
	Notes    []string
}

// Command is a simple command.
type Command struct {
	Words []string
	Stdin *string // the text that it reads, if the script has it
	// Input is the file that it reads, or "".
	Input string
	// Inner tells that another command uses the output, as in $(…).
	Inner bool
}

// Variable is a variable of the script that a word refers to.
type Variable struct {
	Name, Value string
	Known       bool // the script gives it the value
}

// maxDepth is how deep substitutions of commands may be nested.
const maxDepth = 20

// Parse reads a script. The error says what of its quoting is wrong.
func Parse(src string) (*Script, error) {
	src = strings.Map(func(r rune) rune {
		if r == Open || r == Close {
			return -1
		}
		return r
	}, strings.TrimPrefix(src, "\uFEFF"))
	src = strings.ReplaceAll(src, "\r\n", "\n")
	p := &parser{script: &Script{}, known: map[string]string{}}
	var err error
	switch {
	case powershell.MatchString(src):
		err = p.powershell(src)
	case prompt.MatchString(src):
		err = p.prompt(src)
	default:
		err = p.posix(src, 0)
	}
	if err != nil {
		return nil, err
	}
	return p.script, nil
}

var (
	prompt     = regexp.MustCompile("(?m)(^|[ \t=])\\^\"|\\^$|[^'\" \t]\\^[&|<>%]")
	powershell = regexp.MustCompile("(?mi)[ \t]`$|\\$env:[A-Za-z_]|^[ \t]*(\\$[A-Za-z_]\\w*[ \t]*=)|\\bInvoke-(WebRequest|RestMethod)\\b|\\bcurl\\.exe\\b.*'\\s*[\\[{]\\s*\\\\\"")
)

var errQuote = errors.New("a quote is not closed")

// parser collects the commands of a script.
type parser struct {
	script *Script
	known  map[string]string // what the script's own assignments say
	words  []string
	word   strings.Builder
	inWord bool
	stdin  *string
	input  string
	piped  []string // the command whose output the next one reads
	before *Command // the one before a pipe
	pipe   bool

	inner     bool // within $(…)
	otherwise bool // the command runs only if the one before it fails
}

func (p *parser) note(s string) {
	if !slices.Contains(p.script.Notes, s) {
		p.script.Notes = append(p.script.Notes, s)
	}
}

func (p *parser) endWord() {
	if p.inWord {
		p.words = append(p.words, p.word.String())
		p.word.Reset()
		p.inWord = false
	}
}

func (p *parser) write(s string) {
	p.word.WriteString(s)
	p.inWord = true
}

// end ends a command. pipe tells whether the next one reads its output.
func (p *parser) end(pipe bool) {
	p.endWord()
	words := p.keywords(p.words)
	c := Command{Words: words, Stdin: p.stdin, Input: p.input, Inner: p.inner}
	if p.pipe && c.Stdin == nil && c.Input == "" && p.before != nil {
		c.Stdin, c.Input = output(p.before)
	}
	p.before, p.pipe = nil, pipe
	p.words, p.stdin, p.input = nil, nil, ""
	otherwise := p.otherwise
	p.otherwise = false
	if len(words) == 0 {
		return
	}
	if otherwise {
		p.note("a command after || was left out, which runs if the one before fails: " + clip(strings.Join(words, " ")))
		return
	}
	p.before = &c
	if pipe {
		if text, file := output(&c); text != nil || file != "" {
			return // it stands for its output alone
		}
	}
	p.script.Commands = append(p.script.Commands, c)
}

// output is what a command prints, as far as that is known without running it: a text, or
// the content of a file.
func output(c *Command) (text *string, file string) {
	args := c.Words[1:]
	switch c.Words[0] {
	case "echo":
		end := "\n"
		for len(args) > 0 && (args[0] == "-n" || args[0] == "-e" || args[0] == "-E") {
			if args[0] == "-n" {
				end = ""
			}
			args = args[1:]
		}
		s := strings.Join(args, " ") + end
		return &s, ""
	case "printf":
		switch {
		case len(args) == 1 && !strings.ContainsAny(args[0], `%\`):
			return &args[0], ""
		case len(args) == 2 && args[0] == "%s":
			return &args[1], ""
		}
	case "cat":
		switch {
		case len(args) == 0:
			return c.Stdin, c.Input
		case len(args) == 1 && !strings.HasPrefix(args[0], "-"):
			return nil, args[0]
		}
	}
	return nil, ""
}

var assignment = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=`)

// keywords takes the words of the shell's own language off a command, and learns from
// assignments.
func (p *parser) keywords(words []string) []string {
	for len(words) > 0 {
		if words[0] == "else" || words[0] == "elif" {
			p.note("an if is not here: the commands of all its branches are")
		}
		switch words[0] {
		case "then", "do", "else", "{", "!", "if", "elif", "while", "until", "time", "command", "exec", "sudo", "nohup", "$", "env":
			words = words[1:]
			continue
		case "done", "fi", "}", "esac", "set", "cd", "sleep", ":", "true", "wait", "exit":
			return nil
		case "for":
			if len(words) > 1 && name.MatchString(words[1]) {
				p.loop(words[1:])
			}
			return nil
		case "export", "local", "readonly", "declare":
			words = slices.DeleteFunc(slices.Clone(words[1:]), func(w string) bool { return strings.HasPrefix(w, "-") || !assignment.MatchString(w) })
			continue
		}
		m := assignment.FindStringSubmatch(words[0])
		if m == nil {
			return words
		}
		p.assign(m[1], strings.TrimPrefix(words[0], m[0]))
		words = words[1:]
	}
	return nil
}

var (
	name  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	rangy = regexp.MustCompile(`^\{(-?\d+)\.\.-?\d+\}$`)
)

// loop takes the first value of a loop's variable for its value.
func (p *parser) loop(words []string) {
	p.note("the loop over " + words[0] + " is not here: an iteration runs its commands once, with the first value")
	if len(words) > 2 && words[1] == "in" {
		if m := rangy.FindStringSubmatch(words[2]); m != nil {
			words[2] = m[1]
		}
		p.assign(words[0], words[2])
	}
}

func (p *parser) assign(name, value string) {
	if value == Ref(name) {
		return // by a substitution whose output nobody knows
	}
	p.known[name] = value
}

// reference is the text for a variable in a word.
func (p *parser) reference(name, otherwise string) string {
	value, known := p.known[name]
	if !known {
		value, known = otherwise, otherwise != ""
	}
	if strings.ContainsRune(value, Open) {
		return value // it consists of others
	}
	i := slices.IndexFunc(p.script.Vars, func(v Variable) bool { return v.Name == name })
	switch {
	case i < 0:
		p.script.Vars = append(p.script.Vars, Variable{name, value, known})
	case p.script.Vars[i].Value != value:
		return value // the script has changed it meanwhile
	}
	return Ref(name)
}
