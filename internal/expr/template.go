package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/escape"
)

// A template is text with embedded expressions, in three stages:
//
//	load: the text is split, and the expressions compiled (template)
//	bind: what depends on a job's variables only becomes text (boundTemplate)
//	render: what is left, mostly random draws, is written to a VU's buffer

// Template is a list of parts, each a piece of text or an expression. It is
// immutable.
type Template []part

type part struct {
	text   string      // already escaped; if expr is nil
	expr   *Expression // or nil
	escape escape.Mode
}

// Literal adds text that is already escaped.
func (t *Template) Literal(s string) {
	if n := len(*t); n > 0 && (*t)[n-1].expr == nil {
		(*t)[n-1].text += s
		return
	}
	if s != "" {
		*t = append(*t, part{text: s})
	}
}

// Expression adds an expression.
func (t *Template) Expression(e *Expression, how escape.Mode) {
	*t = append(*t, part{expr: e, escape: how})
}

// Add adds another template.
func (t *Template) Add(other Template) {
	for _, p := range other {
		if p.expr == nil {
			t.Literal(p.text)
		} else {
			*t = append(*t, p)
		}
	}
}

// Prefix is the text that the template begins with, or "".
func (t Template) Prefix() string {
	if len(t) == 0 || t[0].expr != nil {
		return ""
	}
	return t[0].text
}

// BoundTemplate is a template under one job's variables. It is immutable; any
// number of VUs render it at the same time.
type BoundTemplate struct{ parts []boundPart }

type boundPart struct {
	text   []byte // if neither drawn nor computed
	expr   *Expression
	escape escape.Mode
	draw   bool
	lo, hi int
	column *columnRef
}

// Bind computes every part that depends on the variables of b only.
func (t Template) Bind(b *Binding) (BoundTemplate, error) {
	var out BoundTemplate
	for _, p := range t {
		switch {
		case p.expr == nil:
			out.text([]byte(p.text))
		case p.expr.draw:
			out.parts = append(out.parts, boundPart{draw: true, lo: b.bound(p.expr.lo), hi: b.bound(p.expr.hi)})
		case p.expr.column != nil:
			out.parts = append(out.parts, boundPart{expr: p.expr, escape: p.escape, column: p.expr.column})
		case p.expr.pure:
			v, err := b.ev.Eval(p.expr)
			if err != nil {
				return out, err
			}
			text, err := p.escape.Append(nil, v)
			if err != nil {
				return out, p.expr.fail(err)
			}
			out.text(text)
		default:
			out.parts = append(out.parts, boundPart{expr: p.expr, escape: p.escape})
		}
	}
	return out, nil
}

func (t *BoundTemplate) text(s []byte) {
	if n := len(t.parts); n > 0 && t.parts[n-1].text != nil {
		t.parts[n-1].text = append(t.parts[n-1].text, s...)
		return
	}
	if len(s) > 0 {
		t.parts = append(t.parts, boundPart{text: s})
	}
}

// Static returns the whole text if nothing of it is left to compute. The caller
// must not change it.
func (t BoundTemplate) Static() ([]byte, bool) {
	switch {
	case len(t.parts) == 0:
		return []byte{}, true
	case len(t.parts) == 1 && t.parts[0].text != nil:
		return t.parts[0].text, true
	}
	return nil, false
}

// Render appends the text to dst. It allocates nothing for text and draws.
func (t BoundTemplate) Render(dst []byte, ev *Evaluator) ([]byte, error) {
	from := len(dst)
	for i := range t.parts {
		switch p := &t.parts[i]; {
		case p.draw:
			dst = strconv.AppendInt(dst, int64(DrawInt(ev.state.rand, p.lo, p.hi)), 10)
		case p.column != nil:
			row, err := ev.state.row(p.column.feeder)
			if err != nil {
				return dst, p.expr.fail(err)
			}
			if dst, err = p.escape.AppendBytes(dst, row.Field(p.column.column)); err != nil {
				return dst, p.expr.fail(err)
			}
		case p.expr != nil:
			v, err := ev.Eval(p.expr)
			if err != nil {
				return dst, err
			}
			if dst, err = p.escape.Append(dst, v); err != nil {
				return dst, p.expr.fail(err)
			}
		default:
			dst = append(dst, p.text...)
		}
	}
	if len(dst)-from > escape.MaxRendered {
		return dst, escape.ErrTooLarge
	}
	return dst, nil
}

// Segment is a piece of a template's source: text, or the source of an expression
// at an offset in runes.
type Segment struct {
	Text   string
	IsExpr bool
	Offset int
}

// SplitTemplate finds the ${…} in a text. $${ stands for ${ itself.
func SplitTemplate(s string) ([]Segment, *Error) {
	in := []rune(s)
	var out []Segment
	var text []rune
	flush := func() {
		if len(text) > 0 {
			out = append(out, Segment{Text: string(text)})
			text = text[:0]
		}
	}
	for i := 0; i < len(in); {
		rest := in[i:]
		switch {
		case hasRunes(rest, "$${"):
			text = append(text, '$', '{')
			i += 3
		case hasRunes(rest, "${"):
			n, err := exprEnd(rest[2:])
			if err != nil {
				return nil, &Error{Offset: i, Message: err.Error()}
			}
			flush()
			out = append(out, Segment{Text: string(rest[2 : 2+n]), IsExpr: true, Offset: i + 2})
			i += 2 + n + 1
		default:
			text = append(text, in[i])
			i++
		}
	}
	flush()
	return out, nil
}

func hasRunes(s []rune, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) { // ASCII
		if s[i] != rune(prefix[i]) {
			return false
		}
	}
	return true
}

// OnlyExpr returns the source of the expression in a text that is one ${…} and nothing
// else, and its offset in runes.
func OnlyExpr(s string) (source string, offset int, ok bool) {
	inner, ok := strings.CutPrefix(s, "${")
	if !ok {
		return "", 0, false
	}
	in := []rune(inner)
	if end, err := exprEnd(in); err != nil || end != len(in)-1 {
		return "", 0, false
	}
	return string(in[:len(in)-1]), 2, true
}

// exprEnd is the offset of the brace that closes an expression: not one within
// brackets, quoted text or a comment.
func exprEnd(s []rune) (int, error) {
	s = s[:min(len(s), maxExprLen+1)]
	depth := 0
	for i := 0; i < len(s); {
		if n := skipQuoted(s[i:]); n > 0 {
			i += n
			continue
		}
		switch s[i] {
		case '(', '[', '{':
			depth++
		case ')', ']':
			depth--
		case '}':
			if depth <= 0 {
				return i, nil
			}
			depth--
		}
		i++
	}
	if len(s) > maxExprLen {
		return 0, fmt.Errorf("the expression is longer than %d characters, or the ${ is not closed with }", maxExprLen)
	}
	return 0, errors.New("this ${ is not closed with }; write $${ for the text itself")
}
