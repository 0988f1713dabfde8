package convert

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/convert/shell"
	"github.com/opbeans/loadgen/internal/secrets"
)

// site is a URL in parts, as curl takes it apart. References to variables may be anywhere.
type site struct {
	base        string // scheme and authority without the user
	open        bool   // base has a variable without a value, and is that of the job
	user        string // NAME:PASSWORD, decoded
	path, query string
	hasQuery    bool
}

func (w *site) addQuery(q string) {
	if w.hasQuery && w.query != "" {
		q = w.query + "&" + q
	}
	w.query, w.hasQuery = q, true
}

// locate takes a URL apart. asIs keeps dot segments.
func (s *Scenario) locate(at string, asIs bool) (site, error) {
	var w site
	given := at
	for at != "" && strings.HasPrefix(at, string(shell.Open)) { // the URL begins with a variable
		end := strings.IndexRune(at, shell.Close)
		value, known := s.shellValue(at[len(string(shell.Open)):end])
		if !known || value == "" {
			break
		}
		at = value + at[end+len(string(shell.Close)):]
	}
	if rest, ok := strings.CutPrefix(at, string(shell.Open)); ok && !strings.Contains(strings.SplitN(rest, "/", 2)[0], "://") {
		end := strings.IndexAny(at, "/?#")
		if end < 0 {
			end = len(at)
		}
		w.base, w.open, at = at[:end], true, at[end:]
	} else {
		scheme, rest, ok := strings.Cut(at, "://")
		if !ok {
			scheme, rest = "http", at // as curl does
		}
		if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
			return w, fmt.Errorf("%q is not a URL of http or https", short(given))
		}
		end := strings.IndexAny(rest, `/?#\`)
		if end < 0 {
			end = len(rest)
		}
		authority := rest[:end]
		at = rest[end:]
		if i := strings.LastIndex(authority, "@"); i >= 0 {
			user, err := url.PathUnescape(authority[:i])
			if err != nil {
				return w, fmt.Errorf("%q is not a URL: its user cannot be read", short(given))
			}
			if w.user, authority = user, authority[i+1:]; !strings.Contains(user, ":") {
				w.user += ":"
			}
		}
		authority = s.resolve(authority)
		if w.base = scheme + "://" + authority; strings.ContainsRune(authority, shell.Open) {
			w.open = true
		} else {
			u, err := url.Parse(w.base)
			if err != nil || u.Host == "" || u.Hostname() == "" || strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`<>"^{}|\`+"`", r) }) {
				return w, fmt.Errorf("%q is not a URL", short(given))
			}
			w.base = origin(u)
		}
	}
	at, _, _ = strings.Cut(at, "#")
	w.path, w.query, w.hasQuery = strings.Cut(at, "?")
	if !strings.HasPrefix(w.path, "/") {
		w.path = "/" + w.path
	}
	if !asIs {
		w.path = withoutDots(w.path)
	}
	return w, nil
}

// origin is the scheme and authority of a URL in the one spelling of it.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	scheme := strings.ToLower(u.Scheme)
	if port := map[string]string{"http": ":80", "https": ":443"}[scheme]; strings.HasSuffix(host, port) {
		host = strings.TrimSuffix(host, port)
	}
	host = strings.TrimSuffix(host, ":")
	return (&url.URL{Scheme: scheme, Host: host}).String()
}

// siteTarget is the template of the target.
func (s *Scenario) siteTarget(o *Options, w site) string {
	target := s.segments(w.path)
	if w.hasQuery {
		target += "?" + s.query(o, w.query)
	}
	if w.open {
		s.note("%s stands for the target of the job here: -url says it", short(readable(w.base)))
		if s.openBase == "" {
			s.openBase = w.base
		} else if s.openBase != w.base {
			s.note("requests to %s go to the same target as those to %s", short(readable(w.base)), short(readable(s.openBase)))
		}
		return target
	}
	if s.BaseURL == "" {
		s.BaseURL = w.base
	}
	if w.base == s.BaseURL && s.openBase == "" {
		return target
	}
	return literal(w.base) + target
}

// segments is the template of a path. The value of a variable with a slash stays one.
func (s *Scenario) segments(path string) string {
	for i := range s.Vars {
		if v := &s.Vars[i]; v.shell && v.known && url.PathEscape(v.Value) != v.Value {
			path = strings.ReplaceAll(path, shell.Ref(v.Name), string(shell.Open)+"raw("+variable(v.Name)+")"+string(shell.Close))
		}
	}
	return literal(sendable(path))
}

func (s *Scenario) shellValue(name string) (value string, known bool) {
	for _, v := range s.Vars {
		if v.shell && v.Name == name {
			return v.Value, v.known
		}
	}
	return "", false
}

// resolve puts the values of variables in, as far as they are known.
func (s *Scenario) resolve(text string) string {
	for _, v := range s.Vars {
		if v.shell && v.known {
			text = strings.ReplaceAll(text, shell.Ref(v.Name), v.Value)
		}
	}
	return text
}

// withoutDots takes dot segments out of a path (RFC 3986, 5.2.4).
func withoutDots(path string) string {
	var out []string
	segments := strings.Split(path, "/")
	for i, seg := range segments {
		last := i == len(segments)-1
		switch seg {
		case ".", "..":
			if seg == ".." && len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, seg)
		}
	}
	return strings.Join(out, "/")
}

// maxGlob bounds the URLs that one word stands for.
const maxGlob = 100

// glob expands {a,b} and [1-3] of a URL, as curl does.
func glob(at string) []string {
	out := []string{at}
	for range 10 {
		var next []string
		changed := false
		for _, u := range out {
			from, to, values, err := firstGlob(u)
			if err != nil {
				next = append(next, u)
				continue
			}
			changed = true
			for _, v := range values {
				next = append(next, u[:from]+v+u[to:])
			}
		}
		if out = next; !changed || len(out) > maxGlob {
			break
		}
	}
	return out[:min(len(out), maxGlob)]
}

var errNoGlob = errors.New("there is none")

// firstGlob finds the first pattern of a URL.
func firstGlob(u string) (from, to int, values []string, err error) {
	for i := range len(u) {
		switch u[i] {
		case '{':
			if end := strings.IndexByte(u[i:], '}'); end > 0 && !strings.ContainsRune(u[i+1:i+end], '{') {
				return i, i + end + 1, strings.Split(u[i+1:i+end], ","), nil
			}
		case '[':
			if end := strings.IndexByte(u[i:], ']'); end > 0 {
				if values := span(u[i+1 : i+end]); len(values) > 0 {
					return i, i + end + 1, values, nil
				}
			}
		}
	}
	return 0, 0, nil, errNoGlob
}

// span is the values of 1-3, 01-10:2 or a-c.
func span(s string) []string {
	s, by, _ := strings.Cut(s, ":")
	step, err := strconv.Atoi(by)
	if err != nil || step < 1 {
		step = 1
	}
	low, high, ok := strings.Cut(s, "-")
	if !ok || low == "" || high == "" {
		return nil
	}
	var out []string
	first, err := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	switch {
	case err == nil && err2 == nil && first >= 0 && first <= last:
		width := 0
		if low[0] == '0' {
			width = len(low)
		}
		for n := first; n <= last && len(out) < maxGlob; n += step {
			out = append(out, fmt.Sprintf("%0*d", width, n))
		}
	case len(low) == 1 && len(high) == 1 && 'a' <= low[0]|0x20 && high[0]|0x20 <= 'z' && low[0] <= high[0]:
		for c := int(low[0]); c <= int(high[0]); c += step {
			out = append(out, string(rune(c)))
		}
	}
	return out
}

// headerValue is the template of a header: for a secret one with a variable.
func (s *Scenario) headerValue(o *Options, name, value string) string {
	if kind, rest, ok := strings.Cut(value, " "); name == "Authorization" && ok {
		if strings.ContainsRune(rest, shell.Open) {
			s.guard(rest)
			return literal(value)
		}
		return literal(kind) + " ${" + s.secret(o, name, rest) + "}"
	}
	if secrets.Named(name) {
		return s.value(o, name, value)
	}
	return literal(value)
}
