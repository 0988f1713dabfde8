package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// screen is what a terminal shows of what was written to it: as much of ANSI as block
// uses. Like a real one, it wraps what is longer than it is wide.
type screen struct {
	width int
	rows  [][]rune
	wraps map[int]bool // rows that go on in the next one; until they are cleared
	row   int
	col   int
}

func (s *screen) Write(b []byte) (int, error) {
	text := string(b)
	for text != "" {
		if m := regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`).FindStringSubmatch(text); m != nil {
			s.control(m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			s.col = 0
		case '\n':
			s.row, s.col = s.row+1, 0
			s.at()
		default:
			if s.col == s.width {
				if s.wraps == nil {
					s.wraps = map[int]bool{}
				}
				s.wraps[s.row] = true
				s.row, s.col = s.row+1, 0
			}
			row := s.at()
			for len(*row) <= s.col {
				*row = append(*row, ' ')
			}
			(*row)[s.col] = r
			s.col++
		}
	}
	return len(b), nil
}

func (s *screen) control(n, what string) {
	row := s.at()
	switch what {
	case "A":
		up, _ := strconv.Atoi(n)
		s.row = max(s.row-up, 0)
	case "K":
		*row = (*row)[:min(s.col, len(*row))]
	case "J":
		*row = (*row)[:min(s.col, len(*row))]
		for i := s.row; i < len(s.rows); i++ {
			delete(s.wraps, i)
		}
		s.rows = s.rows[:s.row+1]
	case "m":
	default:
		panic("the test's screen does not know ESC[" + n + what)
	}
}

// at is the row of the cursor.
func (s *screen) at() *[]rune {
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, nil)
	}
	return &s.rows[s.row]
}

// resize wraps all lines anew, as terminals do; the cursor stands below them.
func (s *screen) resize(width int) {
	old, wraps := s.rows, s.wraps
	s.width, s.rows, s.wraps, s.row, s.col = width, nil, nil, 0, 0
	for i, line := range old {
		if i > 0 && !wraps[i-1] {
			_, _ = s.Write([]byte("\r\n"))
		}
		_, _ = s.Write([]byte(string(line)))
	}
}

func (s *screen) String() string {
	var lines []string
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestBlock(t *testing.T) {
	s := &screen{width: 20}
	height := 24
	b := &block{w: s, color: true, size: func() (int, int) { return s.width, height }}
	_, _ = s.Write([]byte("before\n"))

	b.draw([]line{{{bold, "one"}}, {{plain, "two "}, {red, "and more"}}, {{plain, "three"}}})
	assert.Equal(t, "before\none\ntwo and more\nthree", s.String())
	b.draw([]line{{{plain, "1"}}, {{plain, "2"}}})
	assert.Equal(t, "before\n1\n2", s.String(), "fewer lines leave nothing of the others")

	long := line{{plain, strings.Repeat("x", 30)}, {green, "tail"}}
	b.draw([]line{long, {{plain, "last"}}})
	assert.Equal(t, "before\n"+strings.Repeat("x", 19)+"\nlast", s.String(), "lines are cut, so that none wraps")

	for _, width := range []int{8, 3, 60, 20} {
		s.resize(width)
		b.draw([]line{long, {{plain, "last"}}})
		lines := strings.Split(s.String(), "\n")
		assert.Equal(t, fmt.Sprintf("%.*s", width-1, strings.Repeat("x", 30)+"tail"), lines[len(lines)-2], "width %d", width)
		assert.Equal(t, fmt.Sprintf("%.*s", width-1, "last"), lines[len(lines)-1], "width %d", width)
		assert.Equal(t, "before", strings.Join(lines[:len(lines)-2], ""), "what stood there before is there, and nothing twice")
	}

	height = 3
	b.draw([]line{{{plain, "1"}}, {{plain, "2"}}, {{plain, "3"}}, {{plain, "4"}}})
	assert.Equal(t, "before\n1\n2", s.String(), "a block is never taller than the terminal")
	b.clear()
	assert.Equal(t, "before", s.String())
}

func TestBlockColor(t *testing.T) {
	var out strings.Builder
	b := &block{w: &out, size: func() (int, int) { return 80, 24 }}
	b.draw([]line{{{red, "failed"}}})
	assert.NotContains(t, out.String(), "\x1b[31m", "NO_COLOR")
	b.color = true
	b.draw([]line{{{red, "failed"}}})
	assert.Contains(t, out.String(), "\x1b[31mfailed\x1b[0m")
}
