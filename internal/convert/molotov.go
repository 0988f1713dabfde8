package convert

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

//go:embed molotov.py
var molotovReader string

// readTime bounds the reading of a file.
const readTime = time.Minute

// molotovFile is what the reader prints.
type molotovFile struct {
	Error     string        `json:"error"`
	Variables [][2]any      `json:"variables"`
	Notes     []string      `json:"notes"`
	Tasks     []molotovTask `json:"tasks"`
	Setup     []molotovStep `json:"setup"`
	VUSetup   []molotovStep `json:"vu_setup"`
	Left      int           `json:"left"`
	Base      string        `json:"base"`
	Rest      []string      `json:"rest"`
}

type molotovTask struct {
	Name     string        `json:"name"`
	Weight   string        `json:"weight"`
	When     string        `json:"when"`
	Comments []string      `json:"comments"`
	Steps    []molotovStep `json:"steps"`
}

type molotovStep struct {
	Method    string        `json:"method"`
	Target    string        `json:"target"`
	Headers   [][2]string   `json:"headers"`
	Capture   [][2]string   `json:"capture"`
	Check     []string      `json:"check"`
	Before    []string      `json:"before"`
	After     []string      `json:"after"`
	Expect    string        `json:"expect"`
	Redirects bool          `json:"redirects"`
	Think     string        `json:"think"`
	Auth      *[2]string    `json:"auth"`
	JSON      *molotovValue `json:"json"`
	Form      [][2]string   `json:"form"`
	Body      *string       `json:"body"`
	Multipart []struct {
		Name     string  `json:"name"`
		Content  string  `json:"content"`
		Filename *string `json:"filename"`
		Type     string  `json:"type"`
	} `json:"multipart"`
}

// molotovValue is a value of JSON, whose texts are templates.
type molotovValue struct {
	Object *[]struct {
		Key   string
		Value molotovValue
	} `json:"object"`
	List  *[]molotovValue `json:"list"`
	Text  *string         `json:"text"`
	Value json.RawMessage `json:"value"`
}

// Molotov makes a scenario of a file of the Python load generator Molotov. It needs
// Python 3, which reads the file and runs nothing of it. What is not converted is a
// comment at its place, and counted in Scenario.Left.
func Molotov(ctx context.Context, src []byte, o Options) (*Scenario, error) {
	in, err := readMolotov(ctx, src)
	if err != nil {
		return nil, err
	}
	s := &Scenario{Title: "a Molotov scenario", source: o.Source, BaseURL: in.Base, Left: in.Left}
	for _, n := range in.Notes {
		s.note("%s", n)
	}
	for _, v := range in.Variables {
		name, _ := v[0].(string)
		value := fmt.Sprint(v[1])
		_, isText := v[1].(string)
		s.Vars = append(s.Vars, s.fromEnvironment(&o, name, value, isText))
	}
	s.Setup, s.VUSetup = s.molotovSteps(&o, in.Setup), s.molotovSteps(&o, in.VUSetup)
	for _, t := range in.Tasks {
		task := Task{Name: t.Name, Weight: -1, Share: t.Weight, When: t.When, Comments: t.Comments, Steps: s.molotovSteps(&o, t.Steps)}
		if task.Share == "1" {
			task.Share = ""
		}
		s.Tasks = append(s.Tasks, task)
	}
	s.After = in.Rest
	if s.Left > 0 {
		s.note("not converted: %d; see the comments that say so", s.Left)
	}
	return s, s.finish()
}

// readMolotov runs the reader.
func readMolotov(ctx context.Context, src []byte) (*molotovFile, error) {
	python := ""
	for _, name := range []string{"python3", "python", "py"} {
		if path, err := exec.LookPath(name); err == nil {
			python = path
			break
		}
	}
	if python == "" {
		return nil, errors.New("reading a Molotov file needs Python 3: there is no python3 on the PATH")
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-I", "-S", "-B", "-c", molotovReader) //nolint:gosec // the user's Python, with a program of ours
	cmd.Stdin = bytes.NewReader(src)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(faults.String()), "\n")
		return nil, fmt.Errorf("%s cannot read it: %w: %s", python, err, short(lines[len(lines)-1]))
	}
	in := &molotovFile{}
	if err := json.Unmarshal(out, in); err != nil {
		return nil, fmt.Errorf("%s cannot read it: %w", python, err)
	}
	if in.Error != "" {
		return nil, fmt.Errorf("this is no Python file: %s", in.Error)
	}
	return in, nil
}

func (s *Scenario) molotovSteps(o *Options, in []molotovStep) (steps []Step) {
	for _, m := range in {
		if m.Auth != nil {
			m.Auth[1] = s.veil(o, "password", m.Auth[1])
		}
		step := Step{
			Method: m.Method, Target: m.Target, Auth: m.Auth, NoRedirect: !m.Redirects, Statuses: m.Expect, Checks: m.Check,
			Think: m.Think, Comments: m.Before, After: m.After,
		}
		if step.Statuses == "" {
			step.Statuses = "1xx, 2xx, 3xx, 4xx, 5xx" // Molotov minds none
		}
		for _, c := range m.Capture {
			step.Captures = append(step.Captures, Field{c[0], c[1]})
		}
		for _, h := range m.Headers {
			step.Header = append(step.Header, Field{h[0], s.veil(o, h[0], h[1])})
		}
		switch {
		case m.JSON != nil:
			step.Body = s.veilAll(o, "", m.JSON.value())
		case m.Form != nil:
			var f form
			for _, x := range m.Form {
				f = append(f, Field{x[0], s.veil(o, x[0], x[1])})
			}
			step.Body = f
		case m.Body != nil:
			step.Body = text(*m.Body)
		case m.Multipart != nil:
			var list parts
			for _, x := range m.Multipart {
				p := part{name: x.Name, content: s.veil(o, x.Name, x.Content), contentType: x.Type}
				if x.Filename != nil {
					p.filename, p.named = *x.Filename, true
				}
				list = append(list, p)
			}
			step.Body = list
		}
		steps = append(steps, step)
	}
	return steps
}

// veil makes a secret of a template that is one as text.
func (s *Scenario) veil(o *Options, name, template string) string {
	plain := strings.ReplaceAll(template, "$${", "${")
	switch {
	case strings.Contains(strings.ReplaceAll(template, "$${", ""), "${"), plain == "":
		return template // it is made of variables
	case http.CanonicalHeaderKey(name) == "Authorization":
		return s.headerValue(o, "Authorization", plain)
	}
	return s.value(o, name, plain)
}

// veilAll makes secrets of the texts of a value.
func (s *Scenario) veilAll(o *Options, name string, v any) any {
	switch v := v.(type) {
	case object:
		for i := range v {
			v[i].value = s.veilAll(o, v[i].name, v[i].value)
		}
	case []any:
		for i := range v {
			v[i] = s.veilAll(o, name, v[i])
		}
	case string:
		return s.veil(o, name, v)
	}
	return v
}

// UnmarshalJSON reads an object's [key, value] pairs, which keep their order.
func (v *molotovValue) UnmarshalJSON(src []byte) error {
	var in struct {
		Object *[][2]json.RawMessage `json:"object"`
		List   *[]molotovValue       `json:"list"`
		Text   *string               `json:"text"`
		Value  json.RawMessage       `json:"value"`
	}
	if err := json.Unmarshal(src, &in); err != nil {
		return err
	}
	v.List, v.Text, v.Value = in.List, in.Text, in.Value
	if in.Object == nil {
		return nil
	}
	list := make([]struct {
		Key   string
		Value molotovValue
	}, len(*in.Object))
	for i, pair := range *in.Object {
		if err := errors.Join(json.Unmarshal(pair[0], &list[i].Key), json.Unmarshal(pair[1], &list[i].Value)); err != nil {
			return err
		}
	}
	v.Object = &list
	return nil
}

func (v *molotovValue) value() any {
	switch {
	case v.Object != nil:
		obj := object{}
		for _, m := range *v.Object {
			obj = append(obj, member{strings.ReplaceAll(m.Key, "$${", "${"), m.Value.value()})
		}
		return obj
	case v.List != nil:
		list := []any{}
		for i := range *v.List {
			list = append(list, (*v.List)[i].value())
		}
		return list
	case v.Text != nil:
		return *v.Text
	}
	out, _ := plainJSON(string(v.Value))
	return out
}
