package convert

import (
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/convert/curlcmd"
	"github.com/opbeans/loadgen/internal/convert/shell"
	"github.com/opbeans/loadgen/internal/secrets"
)

// Curl makes tasks of the curl commands of a script, as a browser's "copy as cURL" and
// documentation have them: one for each request, or with Flow one of all, a step each.
// Quoting is that of a POSIX shell, of the Windows command prompt or of PowerShell, as
// the text has it. Variables of the script become variables of the file.
func Curl(src string, o Options) (*Scenario, error) {
	script, err := shell.Parse(src)
	if err != nil {
		return nil, err
	}
	s := &Scenario{Title: "curl commands", source: o.Source}
	o.Hosts = true // whoever writes a command means it
	s.Notes = append(s.Notes, script.Notes[:min(len(script.Notes), maxNotes)]...)
	if err := s.declare(&o, script.Vars); err != nil {
		return nil, err
	}
	flow := Task{Name: "flow", Weight: -1}
	found := 0
	for i, c := range script.Commands {
		if at := runner(c.Words); at > 0 {
			s.note("what runs curl was left out: %s", short(readable(strings.Join(c.Words[:at], " "))))
			c.Words = c.Words[at:]
		}
		if !isCurl(c.Words[0]) && c.Inner {
			continue // the note about its output is enough
		}
		if !isCurl(c.Words[0]) {
			if strings.HasPrefix(strings.ToLower(c.Words[0]), "invoke-") {
				return nil, fmt.Errorf("command %d is PowerShell's %s: copy the request as cURL instead", i+1, c.Words[0])
			}
			s.note("a command that is not curl was left out: %s", short(readable(strings.Join(c.Words, " "))))
			continue
		}
		found++
		if all := strings.Join(c.Words, ""); !utf8.ValidString(all) || strings.ContainsFunc(all, unfit) {
			return nil, fmt.Errorf("command %d has characters that a scenario file cannot hold", i+1)
		}
		requests, notes, err := curlcmd.Parse(c.Words[1:], c.Stdin, c.Input)
		if err != nil {
			return nil, fmt.Errorf("command %d: %w", i+1, err)
		}
		for _, n := range notes {
			s.note("%s", readable(n))
		}
		for _, r := range requests {
			steps, err := s.curlSteps(&o, r)
			if err != nil {
				return nil, fmt.Errorf("command %d: %s", i+1, readable(err.Error()))
			}
			for _, step := range steps {
				if flow.Steps = append(flow.Steps, step); !o.Flow {
					s.Tasks = append(s.Tasks, Task{Name: step.name, Weight: -1, Steps: []Step{step}})
				}
			}
		}
	}
	if found == 0 {
		if len(script.Commands) > 0 {
			return nil, fmt.Errorf("command 1 does not begin with curl: %q", short(readable(strings.Join(script.Commands[0].Words, " "))))
		}
		return nil, fmt.Errorf("there is no curl command in it")
	}
	if o.Flow && len(flow.Steps) > 0 {
		s.Tasks = append(s.Tasks, flow)
	}
	s.prune()
	return s, s.finish()
}

// runner is the place of curl in the command of a program that runs it; 0 for another.
func runner(words []string) int {
	if !slices.Contains([]string{
		"timeout", "watch", "xargs", "parallel", "nice", "retry", "strace", "stdbuf", "unbuffer", "winpty", "proxychains", "proxychains4", "torsocks",
		"kubectl", "docker", "podman", "oc", "ssh", "doas",
	}, words[0]) {
		return 0
	}
	return max(0, slices.IndexFunc(words[:len(words)-1], isCurl))
}

func isCurl(word string) bool {
	word = strings.ToLower(word[strings.LastIndexAny(word, `/\`)+1:])
	return word == "curl" || word == "curl.exe"
}

// readable is a text with references to variables as people write them.
func readable(s string) string {
	return strings.NewReplacer(string(shell.Open), "$", string(shell.Close), "").Replace(s)
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// curlSteps makes a step for each URL of a request.
func (s *Scenario) curlSteps(o *Options, r *curlcmd.Request) ([]Step, error) {
	var steps []Step
	for i, given := range r.URLs {
		urls := []string{given}
		if !r.NoGlob {
			urls = glob(given)
		}
		for _, at := range urls {
			step, err := s.curlStep(o, r, i, at)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step)
		}
	}
	return steps, nil
}

func (s *Scenario) curlStep(o *Options, r *curlcmd.Request, n int, at string) (Step, error) {
	step := Step{Method: r.Method, NoRedirect: !r.Follow}
	file := ""
	if n < len(r.Uploads) {
		file = r.Uploads[n]
	}
	where, err := s.locate(at, r.AsIs)
	if err != nil {
		return step, err
	}
	if file != "" && strings.HasSuffix(where.path, "/") {
		where.path += curlcmd.Escape(path.Base(file))
	}
	for _, q := range r.Query {
		where.addQuery(q)
	}
	var data []curlcmd.Data
	if data = r.Data; r.Get {
		for _, d := range data {
			if d.File != "" {
				s.note("the content of %s was left out: it is a part of the query", short(d.File))
			} else {
				where.addQuery(d.Text)
			}
		}
		data = nil
	}
	if step.Method == "" {
		switch {
		case r.Head:
			step.Method = "HEAD"
		case file != "":
			step.Method = "PUT"
		case data != nil || len(r.Parts) > 0:
			step.Method = "POST"
		default:
			step.Method = "GET"
		}
	}
	if !knownMethod(step.Method) {
		return step, fmt.Errorf("the method %s cannot be sent", short(step.Method))
	}
	step.Target = s.siteTarget(o, where)
	step.name = step.Method + " " + readable(where.path)
	if plain, err := url.PathUnescape(where.path); err == nil {
		step.name = step.Method + " " + readable(plain)
	}
	head := s.curlHeader(o, r, &step)
	s.signIn(o, r, where, &step, head)
	s.curlBody(o, r, &step, head, data, file)
	return step, nil
}

// curlHeader adds the headers of -H and its kin, and returns which are given.
func (s *Scenario) curlHeader(o *Options, r *curlcmd.Request, step *Step) map[string]string {
	given := map[string]string{}
	for _, h := range r.Header {
		name := http.CanonicalHeaderKey(h.Name)
		_, again := given[name]
		switch {
		case !token(h.Name) || strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			s.note("a header that is not valid was left out: %s", short(readable(h.Name)))
		case h.Without && name == "Host":
			s.note("the header Host is sent here, which -H 'Host:' leaves out")
		case h.Without:
			if given[name] = ""; slices.Contains([]string{"Accept", "Accept-Encoding", "User-Agent", "Content-Type"}, name) && !slices.Contains(step.Without, name) {
				step.Without = append(step.Without, name)
			}
		case slices.Contains([]string{"Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade", "Http2-Settings", "Keep-Alive", "Proxy-Connection"}, name):
			s.note("the header %s was left out: the client decides about it", name)
		case again && (name == "Host" || name == "Content-Type" || name == "Authorization"):
			s.note("a second header %s was left out", name)
		case name == "Content-Type" && len(r.Parts) > 0:
			given[name] = h.Value
			if !strings.HasPrefix(strings.ToLower(h.Value), multipartForm) {
				s.note("the Content-Type %s of a multipart body was left out: the client sets it, with its boundary", short(h.Value))
			}
		case name == "Cookie" && !o.Secrets && !strings.ContainsRune(h.Value, shell.Open):
			given[name] = h.Value
			s.note("cookies were left out: a virtual user keeps those that the target sets (-secrets keeps them)")
		default:
			given[name] = h.Value
			step.Header = append(step.Header, Field{name, s.headerValue(o, name, h.Value)})
		}
	}
	step.Without = slices.DeleteFunc(step.Without, func(name string) bool {
		return slices.ContainsFunc(step.Header, func(f Field) bool { return f.Name == name })
	})
	return given
}

// signIn adds credentials, if no header has them.
func (s *Scenario) signIn(o *Options, r *curlcmd.Request, where site, step *Step, given map[string]string) {
	if _, ok := given["Authorization"]; ok {
		return
	}
	user := where.user
	if r.User != nil {
		if user = *r.User; !strings.Contains(user, ":") {
			s.note("the password of the user %s is not in the command: it is empty here", short(readable(user)))
			user += ":"
		}
	}
	switch {
	case r.Bearer != "":
		step.Header = append(step.Header, Field{"Authorization", s.headerValue(o, "Authorization", "Bearer "+r.Bearer)})
	case user == "":
	case strings.ContainsRune(user, shell.Open):
		name, password, _ := strings.Cut(user, ":")
		s.guard(password)
		step.Auth = &[2]string{literal(name), literal(password)}
	default:
		step.Header = append(step.Header, Field{"Authorization", s.headerValue(o, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user)))})
	}
}

// curlBody gives a step its body, with the Content-Type that curl gives it.
func (s *Scenario) curlBody(o *Options, r *curlcmd.Request, step *Step, given map[string]string, data []curlcmd.Data, file string) {
	contentType, typed := given["Content-Type"]
	say := func(kind string) {
		if !typed {
			step.Header = append(step.Header, Field{"Content-Type", kind})
		}
	}
	switch {
	case len(r.Parts) > 0:
		step.Body = s.curlParts(o, r.Parts)
		step.Without = slices.DeleteFunc(step.Without, func(name string) bool { return name == "Content-Type" })
		return
	case file != "" && !(file == "-" && len(data) > 0):
		step.Body = s.fileOf(file)
		if !typed {
			step.Without = append(step.Without, "Content-Type") // curl sends none
		}
		return
	case data == nil:
		return
	case file != "": // its content is known
		step.Body = text(literal(data[0].Text))
		if !typed {
			step.Without = append(step.Without, "Content-Type")
		}
		return
	}
	formType := "application/x-www-form-urlencoded"
	if r.JSON {
		formType = "application/json"
		if _, ok := given["Accept"]; !ok {
			step.Header = append(step.Header, Field{"Accept", "application/json"})
		}
	}
	if len(data) == 1 && data[0].File != "" && !data[0].Encoded {
		step.Body = s.fileOf(data[0].File)
		if !data[0].Lines {
			s.note("curl leaves the line breaks of %s out, which are sent here (curl sends them with --data-binary)", short(data[0].File))
		}
		say(formType)
		return
	}
	var texts []string
	for _, d := range data {
		if d.File != "" {
			s.note("the content of %s is still to be written: it is one part of a body", short(d.File))
			d.Text = strings.TrimPrefix(d.Name+"=", "=") + "TODO: the content of " + d.File
		}
		texts = append(texts, d.Text)
	}
	sent := strings.Join(texts, "&")
	if r.JSON {
		sent = strings.Join(texts, "")
	}
	if len(sent) > maxBody {
		s.note("a body was left out that is larger than %d KiB", maxBody>>10)
		return
	}
	if !typed {
		contentType = formType
	}
	body, says := s.exactBody(o, contentType, sent)
	if step.Body = body; says == "" {
		say(contentType)
	} else {
		step.Header = slices.DeleteFunc(step.Header, func(f Field) bool { return f.Name == "Content-Type" && f.Value == says })
	}
	if kind, _, _ := mime.ParseMediaType(contentType); kind == formType && !r.JSON && !typed {
		if _, ok := (&Scenario{}).json(&Options{Secrets: true}, sent); ok && strings.ContainsAny(sent, "{[") {
			s.note("a body that is JSON goes as a form, as curl sends it: give it -H 'Content-Type: application/json' if the target expects that")
		}
	}
}

func (s *Scenario) curlParts(o *Options, given []curlcmd.Part) parts {
	var list parts
	for _, p := range given {
		x := part{name: readable(p.Name), content: s.value(o, p.Name, p.Content)}
		if p.Filename != nil {
			x.filename, x.named = literal(*p.Filename), true
		}
		if p.File != "" {
			x.file = s.beside(p.File)
		}
		if p.ContentType != "" {
			if _, _, err := mime.ParseMediaType(p.ContentType); err == nil && strings.Contains(p.ContentType, "/") {
				x.contentType = p.ContentType
			} else {
				s.note("the type %s of a part was left out: it is not valid", short(p.ContentType))
			}
		}
		for _, h := range p.Header {
			name := http.CanonicalHeaderKey(h.Name)
			if !token(h.Name) || name == "Content-Type" || name == "Content-Disposition" {
				s.note("a header of a part was left out: %s", short(readable(h.Name)))
				continue
			}
			x.header = append(x.header, Field{h.Name, s.value(o, h.Name, h.Value)})
		}
		list = append(list, x)
	}
	return list
}

// fileOf is a body that is a file.
func (s *Scenario) fileOf(name string) any { return bodyFile(s.beside(name)) }

// beside is the path of a file in the folder of the scenario.
func (s *Scenario) beside(name string) string {
	if name == "stdin" || name == "-" {
		s.note("the body is what curl reads as its standard input: write it into the file stdin, beside the scenario")
		return "stdin"
	}
	plain := strings.ReplaceAll(readable(name), `\`, "/")
	clean := path.Clean(plain)
	if i := strings.Index(clean, ":/"); path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || i >= 0 || strings.HasPrefix(clean, "~") {
		clean = path.Base(clean)
	}
	clean = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`:*?"<>|`, r) {
			return '_'
		}
		return r
	}, clean)
	if clean == "." || clean == "/" || clean == ".." {
		clean = "file"
	}
	if clean != plain {
		s.note("the file %s has to be beside the scenario, as %s", short(plain), short(clean))
	} else {
		s.note("the file %s has to be beside the scenario", short(clean))
	}
	return clean
}

// declare makes variables of the file of those of the script.
func (s *Scenario) declare(o *Options, vars []shell.Variable) error {
	for _, v := range vars {
		if !utf8.ValidString(v.Value) || strings.ContainsFunc(v.Value, unfit) {
			return fmt.Errorf("the variable %s has characters that a scenario file cannot hold", v.Name)
		}
		s.Vars = append(s.Vars, Variable{Name: v.Name, Value: v.Value, Secret: secrets.Named(v.Name) && (!o.Secrets || !v.Known), shell: true, known: v.Known})
	}
	return nil
}

// guard makes secrets of the variables that a secret consists of.
func (s *Scenario) guard(text string) {
	for i := range s.Vars {
		if v := &s.Vars[i]; v.shell && !v.known && strings.Contains(text, shell.Ref(v.Name)) {
			v.Secret = true
		}
	}
}

// prune drops variables that nothing refers to, and names those that have no value.
func (s *Scenario) prune() {
	all := &strings.Builder{}
	for i := range s.Tasks {
		s.Tasks[i].write(all)
	}
	s.Vars = slices.DeleteFunc(s.Vars, func(v Variable) bool {
		return v.shell && !strings.Contains(all.String(), "${"+variable(v.Name)+"}") && !strings.Contains(all.String(), "${raw("+variable(v.Name)+")}")
	})
	for i := range s.Vars {
		v := &s.Vars[i]
		if v.shell && !v.known && !v.Secret {
			s.note("the variable %s has no value in the script: give it one, here or by the environment", v.Name)
		}
		v.Name = variable(v.Name)
	}
}
