package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/opbeans/loadgen/internal/textkit"
)

// maxNumberLen bounds the text of a number, which listings echo.
const maxNumberLen = 64

// readObject reads a body that is one JSON object. Numbers stay as they are
// spelled. A key that is there twice, at any depth, is an error: one of the two
// would silently not count.
func readObject(body json.RawMessage) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, badRequest(CodeBadJSON, "", `a body is required, for instance {"job":"opbeans-python","port":"8000"}`)
	case !utf8.Valid(body):
		return nil, badRequest(CodeBadJSON, "", "the body must be UTF-8")
	case body[0] != '{' && json.Valid(body):
		return nil, badRequest(CodeBadJSON, "", `the body must be a JSON object like {"job":"opbeans-python"}, not %s`, textkit.Shorten(string(body)))
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, badRequest(CodeBadJSON, "", "the body is not valid JSON: %s", syntaxFault(body, err))
	}
	if key, twice := duplicateKey(body); twice {
		return nil, badRequest(CodeBadJSON, textkit.Shorten(key), "the body has %q twice", textkit.Shorten(key))
	}
	return object, nil
}

// syntaxFault says what is wrong with a text that is no JSON, and where.
func syntaxFault(body []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(body)) {
		return err.Error()
	}
	at := int(syntax.Offset)
	if err.Error() == "unexpected end of JSON input" {
		return fmt.Sprintf("it ends too early, after %q: a quote or a bracket is not closed", tail(body))
	}
	before := body[:at-1]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	what := fmt.Sprintf("line %d, column %d: %s", line, column, err)
	if len(bytes.TrimSpace(before)) > 0 {
		what += fmt.Sprintf(", after %q", tail(before))
	}
	switch body[at-1] {
	case '\'':
		what += "; names and texts need double quotes"
	case '}', ']':
		if bytes.HasSuffix(bytes.TrimSpace(before), []byte(",")) {
			what += "; there is a comma too many"
		}
	}
	return what
}

// tail is the end of what was read, for a message.
func tail(text []byte) string {
	const most = 20
	if len(text) <= most {
		return string(text)
	}
	return "…" + strings.ToValidUTF8(string(text[len(text)-most:]), "")
}

// duplicateKey finds a key that an object of a valid JSON text has twice.
func duplicateKey(body []byte) (string, bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	type level struct {
		keys  map[string]bool // nil in an array
		value bool            // the next token of the object is a value
	}
	var levels []level
	for {
		token, err := dec.Token()
		if err != nil { // the end
			return "", false
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			continue
		}
		if top != nil && top.keys != nil && !top.value {
			key, _ := token.(string)
			if top.keys[key] {
				return key, true
			}
			top.keys[key], top.value = true, true
			continue
		}
		if top != nil {
			top.value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{keys: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		}
	}
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// text is what a JSON string holds, or a number as it is spelled.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), len(n) <= maxNumberLen
	}
	return "", false
}

// number reads a number, or text that holds one, from least to most.
func number(raw json.RawMessage, least, most float64) (float64, error) {
	s, ok := text(raw)
	if ok && len(s) <= maxNumberLen && s != "" && strings.Trim(s, "0123456789+-.eE") == "" {
		if x, err := strconv.ParseFloat(s, 64); err == nil && x >= least && x <= most {
			return math.Abs(x), nil // -0 is 0
		}
	}
	return 0, fmt.Errorf("must be a number from %s to %s, not %s", plain(least), plain(most), textkit.Shorten(string(raw)))
}

func plain(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
