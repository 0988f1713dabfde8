package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// style is how a piece of text looks, as the parameter of an ANSI sequence.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// span is a piece of a line.
type span struct {
	style style
	text  string
}

// line is one line of a terminal.
type line []span

// block is some lines of a terminal that are drawn again and again in the same place.
type block struct {
	w     io.Writer
	size  func() (width, height int)
	color bool
	drawn []int // how wide the lines are that stand there now
	width int   // of the terminal when they were drawn
}

// newBlock returns a block on w, or nil if that is no terminal on which lines can be
// drawn again.
func newBlock(w io.Writer, getenv func(string) string) *block {
	f, ok := w.(*os.File)
	if !ok || getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) || !understandsANSI(f) {
		return nil
	}
	return &block{w: w, color: getenv("NO_COLOR") == "", size: func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 1 || height < 1 {
			return 80, 24
		}
		return width, height
	}}
}

// draw replaces what was drawn before. Lines are cut to the width, and to what of them
// the height leaves room for.
func (b *block) draw(lines []line) {
	width, height := b.size()
	var out strings.Builder
	b.rewind(&out, width)
	if width != b.width {
		out.WriteString("\x1b[J") // terminals remember which rows they have wrapped, unless these are cleared
		b.width = width
	}
	b.drawn = b.drawn[:0]
	for _, l := range lines[:min(len(lines), max(height-1, 1))] {
		// The last column stays free: writing there makes some terminals wrap.
		b.drawn = append(b.drawn, b.write(&out, l, width-1))
		out.WriteString("\x1b[K\n")
	}
	out.WriteString("\x1b[J")
	_, _ = io.WriteString(b.w, out.String())
}

// clear removes what was drawn.
func (b *block) clear() {
	var out strings.Builder
	width, _ := b.size()
	b.rewind(&out, width)
	out.WriteString("\x1b[J")
	b.drawn = b.drawn[:0]
	_, _ = io.WriteString(b.w, out.String())
}

// rewind goes to the first line that was drawn. Where the terminal has become narrower
// since, lines take more rows than one.
func (b *block) rewind(out *strings.Builder, width int) {
	rows := 0
	for _, n := range b.drawn {
		rows += max(1, (n+width-1)/width)
	}
	out.WriteString("\r")
	if rows > 0 {
		fmt.Fprintf(out, "\x1b[%dA", rows)
	}
}

// write writes a line of at most room columns, and returns how many it took.
func (b *block) write(out *strings.Builder, l line, room int) int {
	used := 0
	for _, s := range l {
		text := s.text
		if n := utf8.RuneCountInString(text); used+n > room {
			text = string([]rune(text)[:max(room-used, 0)])
		}
		used += utf8.RuneCountInString(text)
		if b.color && s.style != plain && text != "" {
			fmt.Fprintf(out, "\x1b[%sm%s\x1b[0m", s.style, text)
		} else {
			out.WriteString(text)
		}
	}
	return used
}

// String is the line without style.
func (l line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}
