package secrets

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/escape"
)

const (
	maskPrefix = 6 // bytes of a secret that are hidden also where the rest was cut off
)

// Mask hides the values of secrets in what is shown: messages, logs, samples. A nil
// Mask hides nothing.
type Mask struct {
	forms []string // longest first
	whole *strings.Replacer
}

// NewMask hides the given values, in every form that they take in URLs, JSON and
// quoted text.
func NewMask(values []string) *Mask {
	m := &Mask{}
	for _, v := range values {
		if v == "" {
			continue
		}
		quoted := strconv.Quote(v)
		forms := []string{
			v, url.QueryEscape(v), url.PathEscape(v), quoted[1 : len(quoted)-1],
			base64.StdEncoding.EncodeToString([]byte(v)), string(escape.AppendName(nil, v)), string(escape.AppendJSONEscaped(nil, v)),
		}
		for _, how := range []escape.Mode{escape.Path, escape.Query, escape.Target, escape.Form} {
			text, _ := how.AppendString(nil, v)
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
		pairs = append(pairs, form, Redacted)
	}
	m.whole = strings.NewReplacer(pairs...)
	return m
}

// Text hides the secrets in a text. Of a secret that was cut off, the beginning is
// hidden as well.
func (m *Mask) Text(s string) string {
	if m == nil || !m.holds(s) {
		return s
	}
	s = m.whole.Replace(s)
	var out strings.Builder
	for i := 0; i < len(s); {
		if n := m.match(s[i:]); n > 0 {
			out.WriteString(Redacted)
			i += n
			continue
		}
		out.WriteByte(s[i])
		i++
	}
	return out.String()
}

// holds tells whether there is anything to hide in a text.
func (m *Mask) holds(s string) bool {
	for _, form := range m.forms {
		if strings.Contains(s, form[:min(len(form), maskPrefix)]) {
			return true
		}
	}
	return false
}

// match is how many bytes at the beginning of a text are those of a secret that was
// cut off.
func (m *Mask) match(s string) int {
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

// Error hides the secrets in the message of an error.
func (m *Mask) Error(err error) error {
	if m == nil || err == nil {
		return err
	}
	return &MaskedError{err, m}
}

// MaskedError is an error whose text shows no secret. errors.Is and errors.As see the error within.
type MaskedError struct {
	Err  error
	mask *Mask
}

// Error implements error.
func (e *MaskedError) Error() string { return e.mask.Text(e.Err.Error()) }

// Unwrap keeps the class and the sentinels of the error within reach.
func (e *MaskedError) Unwrap() error { return e.Err }
