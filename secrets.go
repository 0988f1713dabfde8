package loadgen

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maskText   = "***"
	maskPrefix = 6 // bytes of a secret that are hidden also where the rest was cut off
)

// mask hides the values of secrets in what is shown: messages, logs, samples. A nil
// mask hides nothing.
type mask struct {
	forms []string // longest first
	whole *strings.Replacer
}

// newMask hides the given values, in every form that they take in URLs, JSON and
// quoted text.
func newMask(values []string) *mask {
	m := &mask{}
	for _, v := range values {
		if v == "" {
			continue
		}
		quoted := strconv.Quote(v)
		forms := []string{
			v, url.QueryEscape(v), url.PathEscape(v), quoted[1 : len(quoted)-1],
			base64.StdEncoding.EncodeToString([]byte(v)), string(appendName(nil, v)), string(appendJSONEscaped(nil, v)),
		}
		for _, how := range []escape{escapePath, escapeQuery, escapeTarget, escapeForm} {
			text, _ := how.appendString(nil, v)
			forms = append(forms, string(text))
		}
		m.forms = append(m.forms, forms...)
	}
	if len(m.forms) == 0 {
		return nil
	}
	slices.Sort(m.forms)
	m.forms = slices.Compact(m.forms)
	slices.SortStableFunc(m.forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range m.forms {
		pairs = append(pairs, form, maskText)
	}
	m.whole = strings.NewReplacer(pairs...)
	return m
}

// text hides the secrets in a text. Of a secret that was cut off, the beginning is
// hidden as well.
func (m *mask) text(s string) string {
	if m == nil || !m.holds(s) {
		return s
	}
	s = m.whole.Replace(s)
	var out strings.Builder
	for i := 0; i < len(s); {
		if n := m.match(s[i:]); n > 0 {
			out.WriteString(maskText)
			i += n
			continue
		}
		out.WriteByte(s[i])
		i++
	}
	return out.String()
}

// holds tells whether there is anything to hide in a text.
func (m *mask) holds(s string) bool {
	for _, form := range m.forms {
		if strings.Contains(s, form[:min(len(form), maskPrefix)]) {
			return true
		}
	}
	return false
}

// match is how many bytes at the beginning of a text are those of a secret that was
// cut off.
func (m *mask) match(s string) int {
	longest := 0
	for _, form := range m.forms {
		n := 0
		for n < len(form) && n < len(s) && form[n] == s[n] {
			n++
		}
		if n >= maskPrefix {
			longest = max(longest, n)
		}
	}
	return longest
}

// error hides the secrets in the message of an error.
func (m *mask) error(err error) error {
	if m == nil || err == nil {
		return err
	}
	return &maskedError{err, m}
}

// url hides the secrets in an address.
func (m *mask) url(u *SampleURL) {
	if m == nil {
		return
	}
	u.Host, u.Path, u.Query = m.text(u.Host), m.text(u.Path), m.text(u.Query)
}

// exemplar hides the secrets in a request that is kept. Credentials are hidden by the
// name of their header.
func (m *mask) exemplar(e *Exemplar) {
	if m == nil {
		return
	}
	e.URL, e.Body, e.Error = m.text(e.URL), m.text(e.Body), m.text(e.Error)
	for _, values := range e.Header {
		for i := range values {
			values[i] = m.text(values[i])
		}
	}
}

// faults hides the secrets in messages about a job's configuration.
func (m *mask) faults(f faults) {
	if m == nil {
		return
	}
	for i := range f {
		f[i].Message = m.text(f[i].Message)
	}
}

type maskedError struct {
	err  error
	mask *mask
}

// Error implements error.
func (e *maskedError) Error() string { return e.mask.text(e.err.Error()) }

// Unwrap keeps the class and the sentinels of the error within reach.
func (e *maskedError) Unwrap() error { return e.err }

// Secret declares names of environment variables whose values are secrets, and
// returns s: passwords, tokens, keys. Tasks get them with [VU.Secret]. A job with the
// scenario starts only where the environment (see [WithEnv]) has them all; a job's own
// variables cannot set them. Their values are left out of everything that is shown:
// error messages, logs, samples and their URLs have *** instead.
func (s *Scenario) Secret(names ...string) *Scenario {
	for _, name := range names {
		if !slices.Contains(s.secrets, name) {
			s.secrets = append(s.secrets, name)
		}
	}
	return s
}

// Secrets returns the names of the declared secrets, in the order of their
// declaration. Their values are nowhere to be had but in [VU.Secret].
func (s *Scenario) Secrets() []string { return slices.Clone(s.secrets) }

// Secret returns the value of a secret that the scenario declares, or "" if it
// declares none of that name. It is that of the start of this iteration.
func (vu *VU) Secret(name string) string { return vu.plan.secrets[name] }

var errSecretMissing = errors.New("is a secret of this scenario, and the environment does not have it")

// resolveSecrets takes the secrets from the environment. Without one, as for
// listings, they are empty.
func (s *Scenario) resolveSecrets(lookupEnv func(string) (string, bool)) (map[string]string, faults) {
	var f faults
	if len(s.secrets) == 0 {
		return nil, nil
	}
	values := map[string]string{}
	for _, name := range s.secrets {
		values[name] = ""
		if lookupEnv == nil {
			continue
		}
		if v, ok := lookupEnv(name); ok && v != "" {
			values[name] = v
		} else {
			f.add("secrets."+name, "%v", errSecretMissing)
		}
	}
	return values, f
}
