package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/opbeans/loadgen/internal/convert/curlcmd"
	"github.com/opbeans/loadgen/internal/convert/shell"
	"github.com/opbeans/loadgen/internal/secrets"
)

// postmanStep is a request with what its folders say about it.
type postmanStep struct {
	postmanItem
	path   []string // names of its folders
	auth   *postmanAuth
	script []string // of its tests
	before []string // scripts that run before it
	raw    string   // all of it as JSON
}

// Postman makes a scenario of a Postman collection (v2.1): a task for each request, or one
// of all, a step each, if Flow is set or a request takes a value from the response of one
// before it. Simple checks of tests become expect and check; the rest of the scripts is
// kept as comments, and counted in Scenario.Left.
func Postman(src []byte, o Options) (*Scenario, error) {
	src = utf8Text(src)
	var wrapped struct {
		Collection json.RawMessage `json:"collection"` // as Postman's API has it
	}
	if json.Unmarshal(src, &wrapped) == nil && len(wrapped.Collection) > 0 {
		src = wrapped.Collection
	}
	src = []byte(strings.NewReplacer(string(shell.Open), "", string(shell.Close), "").Replace(string(src)))
	var in postmanFile
	if err := json.Unmarshal(src, &in); err != nil {
		return nil, fmt.Errorf("this is no Postman collection: %w", err)
	}
	if len(in.Item) == 0 {
		return nil, errors.New("this is no Postman collection, or an empty one: it has no item")
	}
	if v := in.Info.Schema; v != "" && !strings.Contains(v, "/v2.") {
		return nil, fmt.Errorf("this is a Postman collection of another version than 2.1 (%s): export it as v2.1", short(cleanNote(v)))
	}
	s := &Scenario{Title: in.Info.Name, source: o.Source}
	o.Hosts = true
	if s.Title == "" {
		s.Title = "a Postman collection"
	}
	var steps []postmanStep
	in.postmanItem.Name = ""
	s.flatten(&steps, in.postmanItem, nil, nil, nil, nil, 0)
	probe := &Scenario{} // what cannot be sent gives later requests nothing either
	probe.postmanVariables(&o, in.Variable, steps, nil)
	steps = slices.DeleteFunc(steps, func(p postmanStep) bool {
		_, err := probe.postmanStep(&o, &p, nil, 0)
		if err != nil {
			s.note("the request %q was left out: %s", short(cleanName(p.Name)), readable(err.Error()))
		}
		return err != nil
	})
	taken := captured(steps)
	s.postmanVariables(&o, in.Variable, steps, taken)
	flow := Task{Name: s.Title, Weight: -1}
	for i := range steps {
		step, err := s.postmanStep(&o, &steps[i], taken, i)
		if err != nil {
			return nil, err
		}
		flow.Steps = append(flow.Steps, step)
	}
	if o.Flow || len(taken) > 0 {
		if !o.Flow && len(flow.Steps) > 1 {
			s.note("all requests are one task, because some take values from the responses of others")
		}
		for i := range flow.Steps {
			flow.Steps[i].Comments = append([]string{flow.Steps[i].name}, flow.Steps[i].Comments...)
		}
		if len(flow.Steps) > 0 {
			s.Tasks = append(s.Tasks, flow)
		}
	} else {
		for _, step := range flow.Steps {
			s.Tasks = append(s.Tasks, Task{Name: step.name, Weight: -1, Steps: []Step{step}})
		}
	}
	if s.Left > 0 {
		s.note("not converted: %d; see the comments that say so", s.Left)
	}
	s.prune()
	return s, s.finish()
}

// flatten lists the requests of an item with what its folders say.
func (s *Scenario) flatten(out *[]postmanStep, item postmanItem, path []string, auth *postmanAuth, tests, before []string, depth int) {
	if item.Auth != nil {
		auth = item.Auth
	}
	for _, e := range item.Event {
		switch {
		case e.Disabled:
		case e.Listen == "test":
			tests = append(slices.Clone(tests), e.Script.Exec...)
		case e.Listen == "prerequest":
			before = append(slices.Clone(before), e.Script.Exec...)
		}
	}
	if item.Request != nil {
		if item.Request.Auth != nil {
			auth = item.Request.Auth
		}
		raw, _ := json.Marshal(item.Request)
		*out = append(*out, postmanStep{postmanItem: item, path: path, auth: auth, script: tests, before: before, raw: string(raw)})
	}
	if depth > maxDepth {
		s.note("folders deeper than %d were left out", maxDepth)
		return
	}
	if item.Name != "" {
		path = append(slices.Clone(path), item.Name)
	}
	for _, inner := range item.Item {
		s.flatten(out, inner, path, auth, tests, before, depth+1)
	}
}

var placeholder = regexp.MustCompile(`\{\{\s*([^{}]+?)\s*\}\}`)

// identifier is a variable's name as a scenario can have it.
func identifier(name string) string {
	name = regexp.MustCompile(`[^A-Za-z0-9_]+`).ReplaceAllString(name, "_")
	if name == "" || '0' <= name[0] && name[0] <= '9' {
		name = "V" + name
	}
	return name[:min(len(name), 60)]
}

// dynamic are the values that Postman makes up, as expressions.
func dynamic(name string) (expression string, known bool) {
	switch name {
	case "$guid", "$randomUUID":
		return "uuid()", true
	case "$timestamp":
		return "now().Unix()", true
	case "$isoTimestamp":
		return `now().Format("2006-01-02T15:04:05.000Z07:00")`, true
	case "$randomInt":
		return "randint(0, 1000)", true
	case "$randomBoolean":
		return "choice([true, false])", true
	case "$randomEmail", "$randomExampleEmail":
		return `"user" + string(randint(1, 100000)) + "@example.com"`, true
	case "$randomUserName":
		return `"user" + string(randint(1, 100000))`, true
	case "$randomFirstName":
		return `choice(["Ada", "Bruno", "Chiara", "Dilip", "Emeka", "Fatima"])`, true
	case "$randomLastName":
		return `choice(["Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi"])`, true
	case "$randomCity":
		return `choice(["Lagos", "Lima", "Lyon", "Osaka", "Pune"])`, true
	case "$randomPrice":
		return "randint(1, 100000) / 100", true
	case "$randomColor":
		return `choice(["red", "green", "blue"])`, true
	case "$randomWord":
		return `choice(["amber", "brook", "cedar", "delta", "ember"])`, true
	case "$randomAlphaNumeric":
		return `choice(["a", "b", "c", "1", "2", "3"])`, true
	}
	return "", false
}

// refs makes references of {{name}}.
func (s *Scenario) refs(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		if !strings.HasPrefix(name, "$") {
			return shell.Ref(identifier(name))
		}
		if e, ok := dynamic(name); ok {
			return computed(e)
		}
		s.note("{{%s}} is not known here: text stands for it", short(cleanNote(name)))
		return computed(`"` + identifier(name[1:]) + ` " + string(randint(1, 1000))`)
	})
}

// postmanVariables declares the variables that requests refer to.
func (s *Scenario) postmanVariables(o *Options, given []postmanPair, steps []postmanStep, taken map[string]int) {
	values, secret := map[string]string{}, map[string]bool{}
	for _, v := range given {
		if !v.Disabled {
			values[v.Key], secret[v.Key] = string(v.Value), v.Type == "secret"
		}
	}
	resolve := func(text string) string {
		for range 5 { // values may refer to others
			text = placeholder.ReplaceAllStringFunc(text, func(found string) string {
				if v, ok := values[placeholder.FindStringSubmatch(found)[1]]; ok {
					return v
				}
				return found
			})
		}
		return text
	}
	seen := map[string]bool{}
	for _, step := range steps {
		auth, _ := json.Marshal(step.auth)
		for _, m := range placeholder.FindAllStringSubmatch(step.raw+string(auth), -1) {
			name := identifier(m[1])
			if _, capture := taken[name]; capture || strings.HasPrefix(m[1], "$") || seen[name] {
				continue
			}
			seen[name] = true
			value, known := values[m[1]]
			value = resolve(value)
			if strings.ContainsFunc(value, unfit) || placeholder.MatchString(value) {
				value, known = "", false
			}
			hidden := secrets.Named(name) || secret[m[1]]
			s.Vars = append(s.Vars, Variable{Name: name, Value: value, Secret: hidden && (!o.Secrets || value == ""), shell: true, known: known && value != ""})
		}
	}
}

// postmanStep makes a step of a request. n is its place among all.
func (s *Scenario) postmanStep(o *Options, p *postmanStep, taken map[string]int, n int) (Step, error) {
	req := p.Request
	step := Step{Method: strings.ToUpper(req.Method)}
	if step.Method == "" {
		step.Method = "GET"
	}
	if !knownMethod(step.Method) {
		return step, fmt.Errorf("the method %s cannot be sent", short(step.Method))
	}
	if all := p.raw; strings.Contains(all, `\u0000`) {
		return step, errors.New("it has characters that a scenario file cannot hold")
	}
	where, err := s.locate(s.refs(req.URL.text()), true)
	if err != nil {
		return step, err
	}
	r := &curlcmd.Request{}
	for _, h := range req.Header {
		if !h.Disabled && h.Key != "" {
			r.Header = append(r.Header, curlcmd.Header{Name: s.refs(h.Key), Value: strings.TrimSpace(s.refs(string(h.Value)))})
		}
	}
	var user *[2]string
	if a := p.auth; a != nil {
		user = s.postmanAuth(a, r, &where)
	}
	step.Target = s.siteTarget(o, where)
	if b := req.Body; b != nil && b.Mode == "formdata" {
		r.Parts = []curlcmd.Part{{}} // the boundary is the client's
	}
	given := s.curlHeader(o, r, &step)
	if _, ok := given["Authorization"]; user != nil && !ok {
		password := literal(user[1])
		if !strings.ContainsRune(user[1], shell.Open) {
			password = s.value(o, "password", user[1])
		}
		s.guard(user[1])
		step.Auth = &[2]string{literal(user[0]), password}
	}
	if req.Body != nil && !req.Body.Disabled {
		s.postmanBody(o, req, &step, given)
	}
	if b := p.Behavior; b != nil && b.Follow != nil {
		step.NoRedirect = !*b.Follow
	}
	s.postmanScripts(p, &step, taken, n)
	step.name = cleanName(strings.Join(append(slices.Clone(p.path), p.Name), " / "))
	if p.Name == "" {
		step.name = step.Method + " " + readable(where.path)
	}
	return step, nil
}

func pair(list []postmanPair, key string) string {
	for _, p := range list {
		if p.Key == key {
			return string(p.Value)
		}
	}
	return ""
}

// postmanAuth adds credentials to a request, or returns a user with a password.
func (s *Scenario) postmanAuth(a *postmanAuth, r *curlcmd.Request, where *site) (user *[2]string) {
	switch a.Type {
	case "", "noauth", "inherit":
	case "basic":
		return &[2]string{s.refs(pair(a.Basic, "username")), s.refs(pair(a.Basic, "password"))}
	case "bearer":
		if !slices.ContainsFunc(r.Header, func(h curlcmd.Header) bool { return strings.EqualFold(h.Name, "Authorization") }) {
			r.Header = append(r.Header, curlcmd.Header{Name: "Authorization", Value: "Bearer " + s.refs(pair(a.Bearer, "token"))})
		}
	case "apikey":
		name, value := s.refs(pair(a.APIKey, "key")), s.refs(pair(a.APIKey, "value"))
		if pair(a.APIKey, "in") == "query" {
			where.addQuery(curlcmd.Escape(name) + "=" + curlcmd.Escape(value))
		} else {
			r.Header = append(r.Header, curlcmd.Header{Name: name, Value: value})
		}
	default:
		s.note("authorization of the kind %s was left out", short(cleanNote(a.Type)))
	}
	return nil
}

func (s *Scenario) postmanBody(o *Options, req *postmanRequest, step *Step, given map[string]string) {
	b := req.Body
	contentType, typed := given["Content-Type"]
	switch b.Mode {
	case "raw":
		if b.Raw == "" {
			return
		}
		if !typed {
			contentType = map[string]string{
				"json": "application/json", "xml": "application/xml", "html": "text/html", "javascript": "application/javascript",
			}[b.Options.Raw.Language]
			if contentType == "" {
				contentType = "text/plain"
			}
		}
		raw := s.refs(b.Raw)
		if len(raw) > maxBody || strings.ContainsFunc(raw, unfit) {
			s.note("the body of %s was left out, which is not text, or too large", readable(step.Target))
			return
		}
		body, says := s.exactBody(o, contentType, raw)
		if step.Body = body; says == "" && !typed {
			step.Header = append(step.Header, Field{"Content-Type", contentType})
		} else if says != "" {
			step.Header = slices.DeleteFunc(step.Header, func(f Field) bool { return f.Name == "Content-Type" && f.Value == says })
		}
	case "urlencoded":
		var f form
		for _, x := range b.URLEncoded {
			if !x.Disabled {
				f = append(f, Field{readable(s.refs(x.Key)), s.value(o, x.Key, s.refs(string(x.Value)))})
			}
		}
		if len(f) > 0 {
			step.Body = f
		}
	case "formdata":
		var list parts
		for _, x := range b.FormData {
			if x.Disabled {
				continue
			}
			p := part{name: readable(s.refs(x.Key)), content: s.value(o, x.Key, s.refs(string(x.Value)))}
			if _, _, err := mime.ParseMediaType(x.ContentType); err == nil && strings.Contains(x.ContentType, "/") {
				p.contentType = x.ContentType
			}
			if x.Type == "file" {
				if p.content = ""; len(x.Src) == 0 {
					s.note("the file of the field %s is not in the collection: give it its content", short(cleanNote(x.Key)))
					p.filename, p.named = "file", true
				}
				for i, src := range x.Src {
					p.file, p.named = s.beside(src), true
					if p.filename = literal(p.file[strings.LastIndexByte(p.file, '/')+1:]); i < len(x.Src)-1 {
						list = append(list, p)
					}
				}
			}
			list = append(list, p)
		}
		if len(list) > 0 {
			step.Body = list
		}
	case "file":
		if b.File.Src == "" {
			s.note("the body of %s is a file that is not in the collection", readable(step.Target))
			return
		}
		step.Body = s.fileOf(b.File.Src)
	case "graphql":
		obj := object{{"query", s.refs(b.GraphQL.Query)}}
		if v, ok := plainJSON(s.refs(string(b.GraphQL.Variables))); ok {
			obj = append(obj, member{"variables", v})
		}
		step.Body = s.hide(o, "", obj)
	case "":
	default:
		s.note("a body of the kind %s was left out", short(cleanNote(b.Mode)))
	}
}
