package convert

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Curl makes tasks of curl commands, as a browser's "copy as cURL" and documentation
// have them: one for each command, or with Flow one of all, a step each. The text may
// have several commands, comments, and lines that end in a backslash.
func Curl(src string, o Options) (*Scenario, error) {
	commands, err := shellCommands(src)
	if err != nil {
		return nil, err
	}
	s := &Scenario{Title: "curl commands", source: o.Source}
	o.Hosts = true // whoever writes a command means it
	flow := Task{Name: "flow", Weight: -1}
	for i, words := range commands {
		if len(words) == 0 || words[0] != "curl" && !strings.HasSuffix(words[0], "/curl") && words[0] != "curl.exe" {
			return nil, fmt.Errorf("command %d does not begin with curl: %q", i+1, short(strings.Join(words, " ")))
		}
		if all := strings.Join(words, ""); !utf8.ValidString(all) || strings.ContainsFunc(all, unfit) {
			return nil, fmt.Errorf("command %d has characters that a scenario file cannot hold", i+1)
		}
		c := &curlCommand{}
		if err := c.read(words[1:]); err != nil {
			return nil, fmt.Errorf("command %d: %w", i+1, err)
		}
		for _, at := range c.urls {
			step, name, err := s.curlStep(&o, c, at)
			if err != nil {
				return nil, fmt.Errorf("command %d: %w", i+1, err)
			}
			if flow.Steps = append(flow.Steps, step); !o.Flow {
				s.Tasks = append(s.Tasks, Task{Name: name, Weight: -1, Steps: []Step{step}})
			}
		}
	}
	if o.Flow && len(flow.Steps) > 0 {
		s.Tasks = append(s.Tasks, flow)
	}
	return s, s.finish()
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// curlCommand is what the options of one command say.
type curlCommand struct {
	urls    []string
	method  string
	header  []Field
	data    []string
	isJSON  bool
	parts   parts
	user    string
	get     bool
	head    bool
	unnamed []string // what has no meaning here
}

// ignored are options without and with an argument that say nothing about a request, or
// what a job says.
func ignored(flag string) (takes, known bool) {
	switch flag {
	case "-s", "--silent", "-S", "--show-error", "-L", "--location", "-k", "--insecure", "-v", "--verbose", "-i", "--include", "--show-headers",
		"--compressed", "-f", "--fail", "--fail-with-body", "-O", "--remote-name", "-N", "--no-buffer", "--http1.1", "--http2", "--http2-prior-knowledge",
		"-#", "--progress-bar", "--globoff", "-g", "--path-as-is", "-4", "-6", "--ipv4", "--ipv6", "--no-progress-meter", "--http1.0", "--http3":
		return false, true
	case "-o", "--output", "-m", "--max-time", "--connect-timeout", "-w", "--write-out", "--retry", "--retry-delay", "-x", "--proxy", "--cacert",
		"-E", "--cert", "--key", "-c", "--cookie-jar", "--resolve", "--connect-to", "--max-redirs", "-D", "--dump-header", "--limit-rate", "--noproxy",
		"--stderr", "--trace", "--ciphers", "--interface", "--unix-socket":
		return true, true
	}
	return false, false
}

func (c *curlCommand) read(words []string) error {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") || word == "-" {
			c.urls = append(c.urls, word)
			continue
		}
		flag, value, attached := word, "", false
		if strings.HasPrefix(word, "--") {
			flag, value, attached = strings.Cut(word, "=")
		} else if len(word) > 2 {
			flag, value, attached = word[:2], word[2:], true
		}
		takes, known := ignored(flag)
		if !known {
			takes = slices.Contains(strings.Fields("-X --request -H --header -d --data --data-raw --data-ascii --data-binary --data-urlencode --json -F --form --form-string "+
				"-u --user -b --cookie -A --user-agent -e --referer --url -T --upload-file"), flag)
			if !takes && !slices.Contains([]string{"-G", "--get", "-I", "--head"}, flag) {
				return fmt.Errorf("the option %s of curl is not known here", short(flag))
			}
		}
		switch {
		case takes && !attached:
			if i++; i == len(words) {
				return fmt.Errorf("the option %s needs a value", flag)
			}
			value = words[i]
		case !takes && attached && !strings.HasPrefix(word, "--"):
			words[i] = "-" + value // several short options in one word
			i--
		}
		if known {
			continue
		}
		if err := c.option(flag, value); err != nil {
			return err
		}
	}
	if len(c.urls) == 0 {
		return errors.New("it has no URL")
	}
	return nil
}

// option takes one option that says something about the request.
func (c *curlCommand) option(flag, value string) error {
	file := func() error {
		if strings.HasPrefix(value, "@") {
			return fmt.Errorf("%s %s reads a file: write its content instead", flag, short(value))
		}
		return nil
	}
	switch flag {
	case "-X", "--request":
		c.method = strings.ToUpper(value)
	case "-H", "--header":
		name, v, ok := strings.Cut(value, ":")
		if !ok {
			if name, ok = strings.CutSuffix(value, ";"); !ok {
				return fmt.Errorf("the header %q has no colon", short(value))
			}
		}
		c.header = append(c.header, Field{strings.TrimSpace(name), strings.TrimSpace(v)})
	case "--data-raw", "--form-string":
		if flag == "--form-string" {
			name, v, _ := strings.Cut(value, "=")
			c.parts = append(c.parts, part{name: name, content: v})
			break
		}
		c.data = append(c.data, value)
	case "-d", "--data", "--data-ascii", "--data-binary", "--json":
		c.isJSON = c.isJSON || flag == "--json"
		c.data = append(c.data, value)
		return file()
	case "--data-urlencode":
		name, v, ok := strings.Cut(value, "=")
		switch {
		case ok && name != "":
			value = name + "=" + url.QueryEscape(v)
		case ok:
			value = url.QueryEscape(v)
		case strings.Contains(value, "@"):
			return fmt.Errorf("%s %s reads a file: write its content instead", flag, short(value))
		default:
			value = url.QueryEscape(value)
		}
		c.data = append(c.data, value)
	case "-F", "--form":
		name, v, ok := strings.Cut(value, "=")
		if !ok || name == "" {
			return fmt.Errorf("%s must be NAME=VALUE", flag)
		}
		if strings.HasPrefix(v, "@") || strings.HasPrefix(v, "<") {
			path, _, _ := strings.Cut(v[1:], ";")
			c.parts = append(c.parts, part{name: name, filename: path[strings.LastIndexAny(path, `/\`)+1:], content: "TODO: the content of " + path})
			c.unnamed = append(c.unnamed, path)
			break
		}
		v, _, _ = strings.Cut(v, ";type=")
		c.parts = append(c.parts, part{name: name, content: v})
	case "-u", "--user":
		c.user = value
	case "-b", "--cookie":
		if strings.Contains(value, "=") {
			c.header = append(c.header, Field{"Cookie", value})
		}
	case "-A", "--user-agent":
		c.header = append(c.header, Field{"User-Agent", value})
	case "-e", "--referer":
		c.header = append(c.header, Field{"Referer", value})
	case "--url":
		c.urls = append(c.urls, value)
	case "-G", "--get":
		c.get = true
	case "-I", "--head":
		c.head = true
	default:
		return fmt.Errorf("%s sends a file: write its content with --data-raw instead", flag)
	}
	return nil
}

func (s *Scenario) curlStep(o *Options, c *curlCommand, at string) (Step, string, error) {
	if !strings.Contains(at, "://") {
		at = "http://" + at // as curl does
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return Step{}, "", fmt.Errorf("%q is not a URL", short(at))
	}
	step := Step{Method: c.method}
	sent := strings.Join(c.data, "&")
	if c.isJSON {
		sent = strings.Join(c.data, "")
	}
	if c.get && sent != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+sent, "&")
		sent = ""
	}
	if step.Method == "" {
		switch {
		case c.head:
			step.Method = "HEAD"
		case sent != "" || len(c.parts) > 0:
			step.Method = "POST"
		default:
			step.Method = "GET"
		}
	}
	if !knownMethod(step.Method) {
		return step, "", fmt.Errorf("the method %s cannot be sent", short(step.Method))
	}
	if u.User != nil && c.user == "" {
		c.user = u.User.String()
		u.User = nil
	}
	var ok bool
	if step.Target, ok = s.target(o, u); !ok {
		return step, "", fmt.Errorf("%q is not a URL of http or https", short(at))
	}
	name := step.Method + " " + u.Path
	header, contentType, says := c.header, "", ""
	for _, h := range header {
		if strings.EqualFold(h.Name, "content-type") {
			contentType = h.Value
		}
	}
	switch {
	case c.isJSON:
		contentType = "application/json"
	case contentType == "" && sent != "":
		contentType = "application/x-www-form-urlencoded"
		if _, ok := s.json(&Options{}, sent); ok {
			s.note("a body that is JSON is sent as application/json, where curl would say that it is a form")
			contentType = "application/json"
		}
	}
	if c.user != "" {
		header = append(slices.Clone(header), Field{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(c.user))})
	}
	if len(c.parts) > 0 {
		for i := range c.parts {
			c.parts[i].content = s.value(o, c.parts[i].name, c.parts[i].content)
			c.parts[i].filename = literal(c.parts[i].filename)
		}
		step.Body, says = c.parts, multipartForm
		for _, path := range c.unnamed {
			s.note("the content of the file %s is still to be written", short(path))
		}
	} else {
		step.Body, says = s.body(o, contentType, sent)
		if says == "" && contentType != "" && sent != "" && !slices.ContainsFunc(header, func(f Field) bool { return strings.EqualFold(f.Name, "content-type") }) {
			header = append(slices.Clone(header), Field{"Content-Type", contentType})
		}
	}
	step.Header = s.header(o, header, says)
	return step, name, nil
}
