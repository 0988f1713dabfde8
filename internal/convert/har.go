package convert

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
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
	Request struct {
		Method   string     `json:"method"`
		URL      string     `json:"url"`
		Headers  []harField `json:"headers"`
		PostData *struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
			Params   []struct {
				Name        string `json:"name"`
				Value       string `json:"value"`
				FileName    string `json:"fileName"`
				ContentType string `json:"contentType"`
			} `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status      int    `json:"status"`
		RedirectURL string `json:"redirectURL"`
		Content     struct {
			MimeType string `json:"mimeType"`
		} `json:"content"`
	} `json:"response"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HAR makes a flow of the recording of a browser: one task, with a step for each
// request in the order in which they were made, and pauses like those of the person
// who was recorded.
func HAR(src []byte, o Options) (*Scenario, error) {
	var in har
	if err := json.Unmarshal(src, &in); err != nil {
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
	var gaps []time.Duration
	var last time.Time
	followed := "" // what the client requests by itself
	for i := range in.Log.Entries {
		e := &in.Log.Entries[i]
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			s.note("a URL that cannot be read was left out")
			continue
		}
		skip := followed != "" && e.Request.URL == followed
		followed = ""
		if e.Response.Status >= 300 && e.Response.Status < 400 && e.Response.RedirectURL != "" {
			if to, err := u.Parse(e.Response.RedirectURL); err == nil {
				followed = to.String()
			}
		}
		if skip {
			continue // the redirect's request stands for it
		}
		step, ok := s.harStep(&o, e, u)
		if !ok {
			continue
		}
		if began := e.started(); !last.IsZero() && began.After(last) {
			gaps = append(gaps, began.Sub(last))
		}
		last = e.started().Add(time.Duration(max(0, min(e.Time, 3.6e6)) * float64(time.Millisecond)))
		task.Steps = append(task.Steps, step)
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

func (e *harEntry) started() time.Time {
	t, _ := time.Parse(time.RFC3339, e.Started)
	return t
}

func (s *Scenario) harStep(o *Options, e *harEntry, u *url.URL) (Step, bool) {
	step := Step{Method: strings.ToUpper(e.Request.Method)}
	switch {
	case !knownMethod(step.Method):
		s.note("a request of another method than those of HTTP was left out")
		return step, false
	case e.Response.Status == 101 || e.Type == "websocket":
		s.note("WebSocket connections were left out")
		return step, false
	case !o.Static && e.static(u):
		s.note("images, styles, scripts and fonts were left out (-static keeps them)")
		return step, false
	}
	var ok bool
	if step.Target, ok = s.target(o, u); !ok {
		return step, false
	}
	var fields []Field
	contentType := ""
	for _, h := range e.Request.Headers {
		fields = append(fields, Field(h))
		if strings.EqualFold(h.Name, "content-type") {
			contentType = h.Value
		}
	}
	says := ""
	if p := e.Request.PostData; p != nil && step.Method != "GET" && step.Method != "HEAD" {
		if contentType == "" {
			contentType = p.MimeType
		}
		switch {
		case strings.HasPrefix(contentType, multipartForm):
			var list parts
			for _, x := range p.Params {
				if x.Name == "" || strings.ContainsFunc(x.Name+x.FileName+x.Value+x.ContentType, unfit) {
					continue
				}
				if x.FileName != "" && x.Value == "" {
					s.note("the content of an uploaded file is not in the recording: give %s its content", x.Name)
				}
				list = append(list, part{x.Name, literal(x.FileName), x.ContentType, s.value(o, x.Name, x.Value)})
			}
			if says = multipartForm; len(list) > 0 {
				step.Body = list
			} else {
				s.note("a multipart body was left out: the recording does not have its parts")
			}
		case p.Text == "" && len(p.Params) > 0:
			values := url.Values{}
			for _, x := range p.Params {
				values.Add(x.Name, x.Value)
			}
			step.Body, says = s.body(o, "application/x-www-form-urlencoded", values.Encode())
		default:
			step.Body, says = s.body(o, contentType, p.Text)
		}
	}
	step.Header = s.header(o, fields, says)
	if e.Response.Status >= 400 && e.Response.Status < 600 {
		step.Expect = e.Response.Status
	}
	return step, true
}

// static tells what pages are made of besides content.
func (e *harEntry) static(u *url.URL) bool {
	if slices.Contains([]string{"image", "stylesheet", "script", "font", "media", "manifest", "preflight"}, e.Type) {
		return true
	}
	kind := e.Response.Content.MimeType
	for _, prefix := range []string{"image/", "font/", "video/", "audio/", "text/css", "text/javascript", "application/javascript", "application/x-javascript", "application/font"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	path := u.Path
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
