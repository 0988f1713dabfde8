package exemplar

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opbeans/loadgen/internal/secrets"
)

// Redacted returns a copy of e without secrets.
func (e Exemplar) Redacted() Exemplar {
	e.Header = secrets.RedactHeader(e.Header)
	e.URL = secrets.RedactURL(e.URL)
	e.Body = secrets.RedactBody(e.Body, e.Header.Get("Content-Type") == "application/x-www-form-urlencoded")
	return e
}

// Curl is a line for a shell that sends the request again, without the headers that
// curl writes itself, without the trace that it belonged to, and with REDACTED where there was a secret.
func (e *Exemplar) Curl() string {
	var b strings.Builder
	b.WriteString("curl -sS")
	hasBody := e.BodySize != 0
	switch {
	case e.Method == http.MethodHead:
		b.WriteString(" -I")
	case e.Method == http.MethodGet && !hasBody, e.Method == http.MethodPost && e.Body != "":
	default:
		b.WriteString(" -X " + e.Method)
	}
	b.WriteString(" " + shellQuote(e.URL))
	u, _ := url.Parse(e.URL)
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		for _, value := range e.Header[name] {
			switch name {
			case "Content-Length", "Connection", "Transfer-Encoding", "User-Agent", "Expect":
				continue
			case "Traceparent", "Tracestate": // a second request is not the same span
				continue
			case "Host":
				if u != nil && value == u.Host {
					continue
				}
			case "Accept-Encoding":
				b.WriteString(" --compressed")
				continue
			}
			b.WriteString(" -H " + shellQuote(name+": "+value))
		}
	}
	switch {
	case e.Body != "":
		if e.Header.Get("Content-Type") == "" {
			b.WriteString(" -H 'Content-Type:'") // else curl says that it is a form
		}
		b.WriteString(" --data-raw " + shellQuote(e.Body))
	case e.BodySize < 0:
		b.WriteString(" # and a body that was streamed")
	case hasBody:
		fmt.Fprintf(&b, " # and a body of %d bytes", e.BodySize)
	}
	return b.String()
}

// shellQuote quotes a text for a POSIX shell.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
