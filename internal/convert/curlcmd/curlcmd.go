// Package curlcmd reads the options of the curl command as the requests that it would
// make. It reads no files.
package curlcmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Request is what one group of options says, for each of its URLs.
type Request struct {
	URLs    []string
	Method  string // of -X, or ""
	Header  []Header
	Data    []Data // of -d and its kin; not nil if there is a body of them
	Query   []string
	Parts   []Part
	Uploads []string // of -T, a file for each URL
	User    *string  // NAME:PASSWORD
	Bearer  string
	JSON    bool
	Get     bool // the data go into the query
	Head    bool
	Follow  bool // redirects
	NoGlob  bool
	AsIs    bool // dot segments stay in the path
	cookies []string
	escape  bool // names of parts are escaped with backslashes
	left    []string
}

// Header is one of -H.
type Header struct {
	Name, Value string
	Without     bool // the header is not sent
}

// Data is one of -d and its kin: a text, or the file that has it.
type Data struct {
	Text, File string
	Lines      bool   // line breaks of the file stay
	Name       string // with File: of the field, whose value is percent-encoded
	Encoded    bool   // with File
}

// Part is one of -F.
type Part struct {
	Name, Content string
	File          string // instead of Content
	Filename      *string
	ContentType   string
	Header        []Header
}

// Parse reads the words after curl: the requests, and what was left out. stdin is the
// text that the command reads, nil if it is not known; input the file that it reads.
func Parse(words []string, stdin *string, input string) (requests []*Request, notes []string, err error) {
	r := &Request{}
	var job, lostOnes []string
	in := source{stdin, input}
	finish := func() error {
		if len(r.URLs) == 0 {
			return errors.New("it has no URL")
		}
		if len(r.cookies) > 0 {
			if !slices.ContainsFunc(r.Header, func(h Header) bool { return strings.EqualFold(h.Name, "Cookie") }) {
				r.Header = append(r.Header, Header{Name: "Cookie", Value: strings.Join(r.cookies, ";")})
			}
		}
		requests = append(requests, r)
		return nil
	}
	err = each(words, func(k kind, given, value string) error {
		add := func(list *[]string) {
			if !slices.Contains(*list, given) {
				*list = append(*list, given)
			}
		}
		switch {
		case k.class == ofJob:
			add(&job)
		case k.long == "config" || strings.HasPrefix(k.long, "expand-"):
			return fmt.Errorf("%s takes options from elsewhere: write them instead", given)
		case k.class == lost:
			add(&lostOnes)
		case k.long == "next":
			err := finish()
			r = &Request{}
			return err
		case k.class == ofRequest:
			return r.option(k.long, given, value, in)
		}
		return nil
	})
	if err == nil {
		err = finish()
	}
	if err != nil {
		return nil, nil, err
	}
	if len(job) > 0 {
		notes = append(notes, fmt.Sprintf("%s of curl: left out, because a job says how connections are made and for how long", strings.Join(job, ", ")))
	}
	if len(lostOnes) > 0 {
		notes = append(notes, fmt.Sprintf("%s of curl: left out, because a scenario cannot do that", strings.Join(lostOnes, ", ")))
	}
	for _, r := range requests {
		for _, l := range r.left {
			if !slices.Contains(notes, l) {
				notes = append(notes, l)
			}
		}
	}
	return requests, notes, nil
}

// source is what the command reads as its standard input.
type source struct {
	text *string
	file string
}

// read is the text of a file name after @, or the name itself.
func (in source) read(file string) (text string, name string) {
	if file != "-" {
		return "", file
	}
	if in.text != nil {
		return *in.text, ""
	}
	if in.file != "" {
		return "", in.file
	}
	return "", "stdin"
}

func (r *Request) leave(format string, args ...any) {
	r.left = append(r.left, fmt.Sprintf(format, args...))
}

// option takes one option.
func (r *Request) option(long, given, value string, in source) error {
	switch long {
	case "request":
		r.Method = strings.ToUpper(value)
	case "header":
		return r.header(given, value)
	case "data", "data-ascii", "data-binary", "json":
		r.JSON = r.JSON || long == "json"
		if file, ok := strings.CutPrefix(value, "@"); ok {
			text, name := in.read(file)
			lines := long == "data-binary" || long == "json"
			if name == "" && !lines {
				text = strings.NewReplacer("\n", "", "\r", "").Replace(text)
			}
			r.Data = append(r.Data, Data{Text: text, File: name, Lines: lines})
			break
		}
		r.Data = append(r.Data, Data{Text: value})
	case "data-raw":
		r.Data = append(r.Data, Data{Text: value})
	case "data-urlencode":
		r.Data = append(r.Data, encoded(value, in))
	case "url-query":
		if plain, ok := strings.CutPrefix(value, "+"); ok {
			r.Query = append(r.Query, plain)
			break
		}
		d := encoded(value, in)
		if d.File != "" {
			r.leave("%s %s of curl: left out, because it reads a file", given, clip(value))
			break
		}
		r.Query = append(r.Query, d.Text)
	case "form", "form-string":
		return r.form(long == "form-string", given, value, in)
	case "form-escape":
		r.escape = true
	case "user":
		r.User = &value
	case "oauth2-bearer":
		r.Bearer = value
	case "cookie":
		if !strings.Contains(value, "=") && !strings.ContainsRune(value, '\U000F0000') {
			r.leave("%s %s of curl: left out, because a scenario does not read a file of cookies", given, clip(value))
			break
		}
		r.cookies = append(r.cookies, value)
	case "user-agent":
		r.Header = append(r.Header, Header{"User-Agent", value, value == ""})
	case "referer":
		value, auto := strings.CutSuffix(value, ";auto")
		if auto {
			r.leave("%s …;auto of curl: left out, a redirect does not set the referrer", given)
		}
		if value != "" {
			r.Header = append(r.Header, Header{"Referer", value, false})
		}
	case "range":
		r.Header = append(r.Header, Header{"Range", "bytes=" + value, false})
	case "upload-file":
		if value == "-" || value == "." {
			if _, name := in.read("-"); name != "" {
				value = name
			} else {
				r.Data = append(r.Data, Data{Text: *in.text, Lines: true})
			}
		}
		r.Uploads = append(r.Uploads, value)
	case "url":
		r.URLs = append(r.URLs, value)
	case "get":
		r.Get = true
	case "head":
		r.Head = true
	case "location", "location-trusted":
		r.Follow = true
	case "globoff":
		r.NoGlob = true
	case "path-as-is":
		r.AsIs = true
	}
	return nil
}

func (r *Request) header(given, value string) error {
	if file, ok := strings.CutPrefix(value, "@"); ok {
		r.leave("%s @%s of curl: left out, because it reads headers from a file", given, clip(file))
		return nil
	}
	name, v, ok := strings.Cut(value, ":")
	switch v = strings.TrimSpace(v); {
	case ok && v == "":
		r.Header = append(r.Header, Header{strings.TrimSpace(name), "", true})
	case ok:
		r.Header = append(r.Header, Header{strings.TrimSpace(name), v, false})
	case strings.HasSuffix(value, ";"):
		r.Header = append(r.Header, Header{strings.TrimSpace(strings.TrimSuffix(value, ";")), "", false})
	default:
		r.leave("%s %s of curl: left out, curl sends no header without a colon", given, clip(value))
	}
	return nil
}

// encoded reads the forms of --data-urlencode.
func encoded(value string, in source) Data {
	at := strings.IndexAny(value, "=@")
	switch {
	case at < 0:
		return Data{Text: plus(value)}
	case value[at] == '=' && at == 0:
		return Data{Text: plus(value[1:])}
	case value[at] == '=':
		return Data{Text: value[:at+1] + plus(value[at+1:])}
	}
	text, file := in.read(value[at+1:])
	name := value[:at]
	if name != "" {
		name += "="
	}
	if file == "" {
		return Data{Text: name + plus(text)}
	}
	return Data{File: file, Name: strings.TrimSuffix(name, "="), Encoded: true}
}

// plus percent-encodes, with a plus for a space, as curl does since 7.77.
func plus(s string) string { return strings.ReplaceAll(Escape(s), "%20", "+") }

// Escape percent-encodes as curl does: all but letters, digits and -._~. References to
// variables stay, with what is between their marks.
func Escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if strings.HasPrefix(s[i:], "\U000F0000") {
			if end := strings.Index(s[i:], "\U000F0001"); end > 0 {
				end += len("\U000F0001")
				b.WriteString(s[i : i+end])
				i += end - 1
				continue
			}
		}
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
