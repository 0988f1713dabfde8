package convert

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/convert/shell"
)

// har is what is used of a recording (http://www.softwareishard.com/blog/har-12-spec/).
type har struct {
	Log struct {
		Pages []struct {
			Title string `json:"title"`
		} `json:"pages"`
		Entries []harEntry `json:"entries"`
	} `json:"log"`
}

type harEntry struct {
	Started string  `json:"startedDateTime"`
	Time    float64 `json:"time"` // ms
	Type    string  `json:"_resourceType"`

	FromCache string `json:"_fromCache"`
	Request   struct {
		Method   string     `json:"method"`
		URL      string     `json:"url"`
		Headers  []harField `json:"headers"`
		PostData *harPost   `json:"postData"`
	} `json:"request"`
	Response struct {
		Status      int    `json:"status"`
		RedirectURL string `json:"redirectURL"`
		Error       string `json:"_error"`
		Content     struct {
			MimeType string `json:"mimeType"`
		} `json:"content"`
	} `json:"response"`
}

// harPost is a request's body.
type harPost struct {
	MimeType  string `json:"mimeType"`
	Text      string `json:"text"`
	Encoding  string `json:"encoding"`
	Encoding2 string `json:"_encoding"`
	Params    []struct {
		Name        string `json:"name"`
		Value       string `json:"value"`
		FileName    string `json:"fileName"`
		ContentType string `json:"contentType"`
	} `json:"params"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HAR makes a flow of the recording of a browser: one task, with a step for each
// request in the order in which they were made, and pauses like those of the person
// who was recorded. The target is the site that most of them went to.
func HAR(src []byte, o Options) (*Scenario, error) {
	var in har
	if err := json.Unmarshal(utf8Text(src), &in); err != nil {
		return nil, fmt.Errorf("this is no HAR recording: %w", err)
	}
	if len(in.Log.Entries) == 0 {
		return nil, fmt.Errorf("this is no HAR recording, or an empty one: log.entries has nothing")
	}
	s := &Scenario{Title: "a browser's recording", source: o.Source}
	task := Task{Name: "recording", Weight: -1}
	if len(in.Log.Pages) > 0 && in.Log.Pages[0].Title != "" && !strings.Contains(in.Log.Pages[0].Title, "://") {
		task.Name = in.Log.Pages[0].Title
	}
	slices.SortStableFunc(in.Log.Entries, func(a, b harEntry) int { return a.started().Compare(b.started()) })
	sites := make([]site, len(in.Log.Entries))
	count := map[string]int{}
	for i := range in.Log.Entries {
		if w, why := s.harSite(&o, &in.Log.Entries[i]); why == "" {
			if sites[i] = w; s.BaseURL == "" {
				s.BaseURL = w.base
			}
			count[w.base]++
		} else {
			s.note("%s", why)
		}
	}
	for i := range sites {
		if count[sites[i].base] > count[s.BaseURL] {
			s.BaseURL = sites[i].base
		}
	}
	var gaps []time.Duration
	var last time.Time
	var others []string
	followed := "" // what the client requests by itself
	for i := range in.Log.Entries {
		e := &in.Log.Entries[i]
		if sites[i].base == "" {
			continue
		}
		skip := followed != "" && e.Request.URL == followed
		if followed = ""; sites[i].base != s.BaseURL && !o.Hosts {
			if !slices.Contains(others, sites[i].base) {
				others = append(others, sites[i].base)
			}
			continue
		}
		if e.Response.Status >= 300 && e.Response.Status < 400 && e.Response.RedirectURL != "" {
			if u, err := url.Parse(e.Request.URL); err == nil {
				if to, err := u.Parse(e.Response.RedirectURL); err == nil {
					followed = to.String()
				}
			}
		}
		if skip {
			continue // the redirect's request stands for it
		}
		step := s.harStep(&o, e, sites[i])
		if began := e.started(); !last.IsZero() && began.After(last) {
			gaps = append(gaps, began.Sub(last))
		}
		last = e.started().Add(time.Duration(max(0, min(e.Time, 3.6e6)) * float64(time.Millisecond)))
		task.Steps = append(task.Steps, step)
	}
	if len(others) > 0 {
		s.note("requests to other hosts than %s were left out (-hosts keeps them): %s", s.BaseURL, several(others))
	}
	if len(s.dropped) > 0 {
		slices.Sort(s.dropped)
		s.note("headers that a browser adds by itself were left out: %s", strings.Join(s.dropped, ", "))
	}
	if len(task.Steps) > 1 {
		task.Think = pauses(gaps)
	}
	if len(task.Steps) > 0 {
		s.Tasks = append(s.Tasks, task)
	}
	s.note("ids and tokens of the recording are written as they were: take those that change from a response by capture")
	return s, s.finish()
}

// several names the first few of a list.
func several(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// utf8Text takes a byte order mark off a text, and makes it UTF-8 if the mark says that it
// is UTF-16.
func utf8Text(src []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(src, []byte("\xef\xbb\xbf")):
		return src[3:]
	case bytes.HasPrefix(src, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(src, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return src
	}
	var units []uint16
	for src = src[2:]; len(src) > 1; src = src[2:] {
		units = append(units, order.Uint16(src))
	}
	return []byte(string(utf16.Decode(units)))
}

func (e *harEntry) started() time.Time {
	t, _ := time.Parse(time.RFC3339, e.Started)
	return t
}

// harSite is where a request goes, or why it is left out.
func (s *Scenario) harSite(o *Options, e *harEntry) (w site, why string) {
	scheme, _, _ := strings.Cut(e.Request.URL, ":")
	scheme = strings.ToLower(scheme)
	switch {
	case scheme == "ws" || scheme == "wss" || e.Response.Status == 101 || e.Type == "websocket":
		return w, "WebSocket connections were left out"
	case scheme != "http" && scheme != "https":
		return w, fmt.Sprintf("a URL of another kind than http and https was left out: %s:", short(cleanNote(scheme)))
	case !knownMethod(strings.ToUpper(e.Request.Method)):
		return w, fmt.Sprintf("a request of another method than those of HTTP was left out: %s", short(cleanNote(e.Request.Method)))
	case e.FromCache != "":
		return w, "requests that the browser answered from its cache were left out"
	case e.Response.Error != "" && e.Response.Status == 0:
		return w, fmt.Sprintf("requests that never went out were left out: %s", short(cleanNote(e.Response.Error)))
	case e.Type == "preflight":
		return w, "preflight requests of CORS were left out"
	case !o.Static && e.static():
		return w, "images, styles, scripts and fonts were left out (-static keeps them)"
	}
	w, err := s.locate(strings.Map(func(r rune) rune {
		if r == shell.Open || r == shell.Close {
			return -1
		}
		return r
	}, e.Request.URL), true)
	if err != nil {
		return w, fmt.Sprintf("a URL that cannot be read was left out: %s", short(cleanNote(e.Request.URL)))
	}
	return w, ""
}

func (s *Scenario) harStep(o *Options, e *harEntry, w site) Step {
	step := Step{Method: strings.ToUpper(e.Request.Method), Target: s.siteTarget(o, w)}
	var fields []Field
	contentType := ""
	for _, h := range e.Request.Headers {
		fields = append(fields, Field(h))
		if strings.EqualFold(h.Name, "content-type") {
			contentType = h.Value
		}
	}
	says := ""
	if p := e.Request.PostData; p != nil {
		if contentType == "" {
			contentType = p.MimeType
		}
		step.Body, says = s.harBody(o, p, contentType, &step)
	}
	step.Header = s.header(o, fields, says)
	if e.Response.Status >= 400 && e.Response.Status < 600 {
		step.Expect = e.Response.Status
	}
	return step
}

// harBody is the body of a request.
func (s *Scenario) harBody(o *Options, p *harPost, contentType string, step *Step) (body any, says string) {
	sent := p.Text
	if p.Encoding == "base64" || p.Encoding2 == "base64" {
		raw, err := base64.StdEncoding.DecodeString(sent)
		if err != nil {
			s.note("the body of %s %s was left out: it is no base64, as the recording says", step.Method, short(step.Target))
			return nil, ""
		}
		sent = string(raw)
	}
	kind := strings.ToLower(contentType)
	switch {
	case strings.HasPrefix(kind, multipartForm):
		list := s.harParts(o, p)
		if len(list) == 0 && sent != "" {
			list = s.splitParts(o, contentType, sent)
		}
		if len(list) > 0 {
			return list, multipartForm
		}
		if sent != "" || len(p.Params) > 0 {
			s.note("the body of %s %s was left out: the recording does not have its parts as text", step.Method, short(step.Target))
		}
		return nil, multipartForm
	case sent == "" && len(p.Params) > 0:
		var pairs []string
		for _, x := range p.Params {
			pairs = append(pairs, spell(x.Name)+"="+spell(x.Value))
		}
		return s.body(o, "application/x-www-form-urlencoded", strings.Join(pairs, "&"))
	}
	return s.body(o, contentType, sent)
}

func (s *Scenario) harParts(o *Options, p *harPost) (list parts) {
	for _, x := range p.Params {
		if x.Name == "" || strings.ContainsFunc(x.Name+x.FileName+x.Value+x.ContentType, unfit) {
			s.note("a part of a multipart body was left out, which is not text: %s", short(cleanNote(x.Name)))
			continue
		}
		if x.FileName != "" && x.Value == "" {
			s.note("the content of an uploaded file is not in the recording: give %s its content", x.Name)
		}
		list = append(list, s.recordedPart(o, x.Name, x.FileName, x.FileName != "", x.ContentType, x.Value))
	}
	return list
}

func (s *Scenario) recordedPart(o *Options, name, filename string, named bool, contentType, content string) part {
	if _, _, err := mime.ParseMediaType(contentType); err != nil || !strings.Contains(contentType, "/") {
		contentType = ""
	}
	return part{name: name, filename: literal(filename), named: named, contentType: contentType, content: s.value(o, name, content)}
}

// splitParts takes a multipart body apart that is recorded as text.
func (s *Scenario) splitParts(o *Options, contentType, sent string) (list parts) {
	_, params, _ := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if first, _, _ := strings.Cut(strings.TrimLeft(sent, "\r\n"), "\n"); boundary == "" || !strings.Contains(sent, "--"+boundary) {
		boundary = strings.TrimPrefix(strings.TrimSpace(first), "--")
	}
	if boundary == "" {
		return nil
	}
	r := multipart.NewReader(strings.NewReader(sent), boundary)
	for {
		p, err := r.NextRawPart()
		if err != nil {
			return list
		}
		content, err := io.ReadAll(p)
		if text := string(content); err != nil || p.FormName() == "" || !utf8.ValidString(text) || len(text) > maxBody ||
			strings.ContainsFunc(text+p.FormName()+p.FileName(), unfit) {
			s.note("a part of a multipart body was left out, which is not text: %s", short(cleanNote(p.FormName())))
			continue
		}
		_, disposition, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		_, named := disposition["filename"]
		list = append(list, s.recordedPart(o, p.FormName(), p.FileName(), named, p.Header.Get("Content-Type"), string(content)))
	}
}

// static tells what pages are made of besides content.
func (e *harEntry) static() bool {
	if slices.Contains([]string{"image", "stylesheet", "script", "font", "media", "manifest"}, e.Type) {
		return true
	}
	kind := e.Response.Content.MimeType
	for _, prefix := range []string{"image/", "font/", "video/", "audio/", "text/css", "text/javascript", "application/javascript", "application/x-javascript", "application/font"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	path, _, _ := strings.Cut(e.Request.URL, "?")
	for _, ext := range []string{".css", ".js", ".mjs", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".woff", ".woff2", ".ttf", ".map"} {
		if e.Type == "" && strings.HasSuffix(path, ext) {
			return true
		}
	}
	return false
}

// pauses is the middle half of the pauses that a person made: those of a browser between
// the parts of a page are not among them.
func pauses(gaps []time.Duration) [2]time.Duration {
	gaps = slices.DeleteFunc(gaps, func(d time.Duration) bool { return d < 200*time.Millisecond })
	if len(gaps) == 0 {
		return [2]time.Duration{}
	}
	slices.Sort(gaps)
	at := func(q int) time.Duration {
		return min(gaps[(len(gaps)-1)*q/4].Round(100*time.Millisecond), time.Minute)
	}
	return [2]time.Duration{at(1), at(3)}
}
