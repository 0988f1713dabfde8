// Package convert makes scenario files of what people have already: the recording of
// a browser (HAR), an OpenAPI description, or curl commands.
//
// Secrets do not get into a file unless asked for: values of headers, parameters and
// fields whose name says that they are secret become secrets of the file, which the
// environment of the process that runs it has to have.
package convert

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/convert/shell"
	"github.com/opbeans/loadgen/internal/expr"
	"github.com/opbeans/loadgen/internal/secrets"
)

// Limits of what is read.
const (
	MaxInput = 64 << 20 // bytes; recordings hold the responses, too
	maxSteps = 100      // of a task
	maxTasks = 1000
	maxNotes = 100
)

// Options say what to make of the input.
type Options struct {
	Secrets bool   // write secrets into the file, as defaults of their variables
	Static  bool   // of a recording, also images, styles, scripts and fonts
	Hosts   bool   // also requests to other hosts than the first
	All     bool   // of an API description, give weight also to what changes data
	Flow    bool   // of curl commands, make one task of them, a step each
	Source  string // what the input is called, for the head of the file
}

// Scenario is what becomes a file.
type Scenario struct {
	Title   string // for its description
	BaseURL string // where it was recorded, or what is described; may be empty
	Vars    []Variable
	Tasks   []Task
	Notes   []string // what was left out, and what somebody should look at
	Setup   []Step   // of the job
	VUSetup []Step   // of each virtual user
	After   []string // comments at the end
	Left    int      // how many parts of a program were not converted
	source  string
	skipped int // notes beyond maxNotes

	dropped  []string // headers of a browser
	openBase string   // what stands for the target, as a script has it
}

// Variable is a variable of the file. One that stands for a secret has no value unless
// that was asked for.
type Variable struct {
	Name, Value string
	Secret      bool
	Number      bool // Value is written as the number that it is

	shell, known bool // of a script, and whether that gives it a value
}

// Task is a task of the file, with one step or several.
type Task struct {
	Name     string
	Weight   int      // -1: not said
	Share    string   // an expression instead of Weight
	When     string   // a condition
	Comments []string // lines before it
	Why      string
	Think    [2]time.Duration
	Steps    []Step
}

// Step is a request. Texts are templates: ${…} in them is an expression.
type Step struct {
	Method, Target string
	Header         []Field
	Without        []string   // headers that are not sent, which are otherwise
	Auth           *[2]string // user and password
	Body           any        // nil; form, parts, text, bodyFile, or a value of JSON
	Expect         int        // 0: not said
	Statuses       string     // instead of Expect
	Captures       []Field
	Checks         []string
	Think          string   // the pause after it
	Comments       []string // lines before it
	After          []string // lines after it
	NoRedirect     bool

	name string // for its task
}

// Field is a name with a template.
type Field struct{ Name, Value string }

type (
	form  []Field
	parts []part
	text  string

	// bodyFile is the name of a file in the folder of the scenario.
	bodyFile string
)

// part is one part of a multipart body.
type part struct {
	name, filename, contentType, content string

	named  bool // it has a filename, be it empty
	file   string
	header []Field
}

func (s *Scenario) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(s.Notes, n) {
		if len(s.Notes) == maxNotes {
			s.skipped++
			return
		}
		s.Notes = append(s.Notes, n)
	}
}

// finish gives tasks names that a file can have, and bounds their number.
func (s *Scenario) finish() error {
	if len(s.Tasks) == 0 {
		return fmt.Errorf("there is no request in it that a scenario can make%s", because(s.Notes))
	}
	if len(s.Tasks) > maxTasks {
		s.note("only the first %d of %d tasks are here", maxTasks, len(s.Tasks))
		s.Tasks = s.Tasks[:maxTasks]
	}
	seen := map[string]bool{}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		name := cleanName(t.Name)
		t.Name = name
		for n := 2; seen[t.Name]; n++ {
			t.Name = fmt.Sprintf("%s %d", name, n)
		}
		seen[t.Name] = true
		if len(t.Steps) > maxSteps {
			s.note("task %q: only the first %d of %d requests are here", t.Name, maxSteps, len(t.Steps))
			t.Steps = t.Steps[:maxSteps]
		}
	}
	return nil
}

func because(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return ": " + strings.Join(notes, "; ")
}

// cleanName is a name without control characters, of a fit length.
func cleanName(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))), " ")
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	if s == "" {
		return "request"
	}
	return s
}

// literal makes a text a template that gives the text itself, with variables for what a
// script has as its own.
func literal(s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	if !strings.ContainsRune(s, shell.Open) {
		return s
	}
	s = strings.ReplaceAll(s, "$"+string(shell.Open), `${"$"}`+string(shell.Open))
	return references.ReplaceAllStringFunc(s, func(ref string) string {
		name := strings.Trim(ref, string(shell.Open)+string(shell.Close))
		if expression, ok := expressionOf(name); ok {
			return "${" + expression + "}"
		}
		if strings.HasPrefix(name, "raw(") {
			return "${" + name + "}"
		}
		return "${" + variable(name) + "}"
	})
}

// computed is a reference to an expression, in letters that no URL or form takes apart.
func computed(expression string) string {
	return shell.Ref("=" + hex.EncodeToString([]byte(expression)))
}

// expressionOf is the expression of a name in a reference made by computed.
func expressionOf(name string) (expression string, ok bool) {
	digits, ok := strings.CutPrefix(name, "=")
	if !ok {
		return "", false
	}
	plain, err := hex.DecodeString(digits)
	return string(plain), err == nil
}

var references = regexp.MustCompile(string(shell.Open) + "[^" + string(shell.Close) + "]*" + string(shell.Close))

// variable is a name that a variable of a file can have.
func variable(name string) string {
	if slices.Contains(expr.ReservedNames(), name) {
		return name + "_"
	}
	return name
}

// value is the template for a value: the value, or for a secret a variable.
func (s *Scenario) value(o *Options, name, value string) string {
	if secrets.Named(name) && strings.ContainsRune(value, shell.Open) {
		s.guard(value)
		return literal(value)
	}
	if !secrets.Named(name) || value == "" {
		return literal(value)
	}
	return "${" + s.secret(o, name, value) + "}"
}

// secret gives a secret a variable. The same value of the same name has the same one.
func (s *Scenario) secret(o *Options, name, value string) string {
	base := strings.Trim(regexp.MustCompile(`[^A-Z0-9]+`).ReplaceAllString(strings.ToUpper(name), "_"), "_")
	if base == "" || '0' <= base[0] && base[0] <= '9' {
		base = "SECRET_" + base
	}
	if len(base) > 60 {
		base = base[:60]
	}
	for n := 1; ; n++ {
		v := base
		if n > 1 {
			v = fmt.Sprintf("%s_%d", base, n)
		}
		i := slices.IndexFunc(s.Vars, func(x Variable) bool { return x.Name == v })
		if i >= 0 && s.Vars[i].Value == value {
			return v
		}
		if i < 0 {
			s.Vars = append(s.Vars, Variable{Name: v, Value: value, Secret: !o.Secrets || value == ""})
			return v
		}
	}
}

// fromEnvironment is a variable that a program takes from its environment.
func (s *Scenario) fromEnvironment(o *Options, name, value string, isText bool) Variable {
	v := Variable{Name: name, Value: value, Number: !isText}
	v.Secret = secrets.Named(name) && (!o.Secrets || value == "")
	return v
}

// multipartForm is the media type of a body in parts.
const multipartForm = "multipart/form-data"

// header keeps the headers that matter: not those that the client sees to itself, that
// a browser adds to everything, or that the body decides.
func (s *Scenario) header(o *Options, fields []Field, bodySays string) []Field {
	var out []Field
	for _, f := range fields {
		name := strings.ToLower(strings.TrimSpace(f.Name))
		switch {
		case name == "" || strings.HasPrefix(name, ":") || name == "content-length" || name == "host" || name == "connection":
			continue
		case strings.HasPrefix(name, "sec-"), boring(name):
			if name = http.CanonicalHeaderKey(name); token(name) && !slices.Contains(s.dropped, name) {
				s.dropped = append(s.dropped, name)
			}
			continue
		case !token(name) || strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			s.note("a header that is not valid was left out: %s", short(cleanNote(f.Name)))
			continue
		case name == "cookie" && !o.Secrets:
			s.note("cookies were left out: a virtual user keeps those that the target sets")
			continue
		case name == "content-type" && bodySays == multipartForm:
			if !strings.HasPrefix(strings.ToLower(f.Value), multipartForm) {
				s.note("the Content-Type %s of a multipart body was left out: the client sets it, with its boundary", short(f.Value))
			}
			continue
		case name == "content-type" && bodySays != "" && strings.EqualFold(f.Value, bodySays):
			continue
		}
		name = http.CanonicalHeaderKey(name)
		value := literal(f.Value)
		if kind, rest, ok := strings.Cut(f.Value, " "); name == "Authorization" && ok {
			value = literal(kind) + " ${" + s.secret(o, name, rest) + "}"
		} else if secrets.Named(name) {
			value = s.value(o, name, f.Value)
		}
		if i := slices.IndexFunc(out, func(x Field) bool { return x.Name == name }); i >= 0 && (name == "Content-Type" || name == "Authorization") {
			out[i].Value = value
			continue
		}
		out = append(out, Field{name, value})
	}
	return out
}

func boring(name string) bool {
	return slices.Contains([]string{
		"transfer-encoding", "user-agent", "accept-encoding", "accept-language", "cache-control",
		"pragma", "origin", "referer", "upgrade-insecure-requests", "if-none-match", "if-modified-since", "priority", "dnt", "te",
		"keep-alive", "proxy-connection", "purpose", "expect", "upgrade", "trailer", "save-data", "http2-settings",
	}, name)
}

func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// methods are what a scenario can send.
func knownMethod(m string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}, m)
}

// unsendable tells which bytes a target cannot hold as they are.
func unsendable(c byte) bool {
	return c <= ' ' || c == 0x7f || c == '#' || c == '"' || c == '<' || c == '>'
}

// sendable percent-encodes what a target cannot hold.
func sendable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if unsendable(s[i]) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// query keeps a query as it is spelled, but for secrets and for what cannot be sent.
func (s *Scenario) query(o *Options, raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		decoded, err2 := url.QueryUnescape(value)
		if secret := found && err == nil && err2 == nil && secrets.Named(plain) && value != ""; secret && strings.ContainsRune(value, shell.Open) {
			s.guard(value)
		} else if secret {
			pairs[i] = literal(sendable(name)) + "=${" + s.secret(o, plain, decoded) + "}"
			continue
		}
		pairs[i] = literal(sendable(pair))
	}
	return strings.Join(pairs, "&")
}
