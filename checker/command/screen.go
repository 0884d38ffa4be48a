package command

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// minWidth and maxWidth limit the width of the output in columns. A table with wide
	// gaps is hard to read.
	minWidth = 60
	maxWidth = 140
)

// screen formats text for people. Without a terminal, it has no bars and colors, and
// lines of any length.
type screen struct {
	out    *bufio.Writer
	fancy  bool // is a terminal
	colors bool
	width  int // in columns
}

func newScreen(w io.Writer) *screen {
	s := &screen{out: bufio.NewWriter(w), width: maxWidth}
	if !isTerminal(w) {
		return s
	}
	width, _, _ := term.GetSize(int(w.(*os.File).Fd()))
	s.width = min(max(cmp.Or(width, 80), minWidth), maxWidth)
	s.fancy = true
	// The older console of Windows prints escape sequences as text.
	able := runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != ""
	s.colors = able && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// text is a part of a line, with its width in columns. Every character that relcheck
// prints takes one column.
type text struct {
	string
	width int
}

func newText(s string) text { return text{s, utf8.RuneCountInString(s)} }

// block is a list of lines.
type block []text

func plain(lines ...string) (b block) {
	for _, line := range lines {
		b = append(b, newText(line))
	}
	return b
}

// style is a number of ECMA-48 for an attribute of text.
type style string

const (
	bold  style = "1"
	faint style = "2"
	blue  style = "34"
)

// styled does not style trailing spaces, so that print can remove them.
func (s *screen) styled(t text, as style) text {
	if seen := strings.TrimRight(t.string, " "); s.colors && seen != "" {
		t.string = "\x1b[" + string(as) + "m" + seen + "\x1b[0m" + t.string[len(seen):]
	}
	return t
}

func (t text) plus(other text) text { return text{t.string + other.string, t.width + other.width} }

// padded adds spaces up to a width: on the left if right is set.
func (t text) padded(width int, right bool) text {
	fill := newText(strings.Repeat(" ", max(0, width-t.width)))
	if right {
		return fill.plus(t)
	}
	return t.plus(fill)
}

func (b block) width() (w int) {
	for _, line := range b {
		w = max(w, line.width)
	}
	return w
}

// beside places two blocks next to each other.
func beside(a, b block, gap int) (both block) {
	width := a.width() + gap
	for i := range max(len(a), len(b)) {
		var line text
		if i < len(a) {
			line = a[i]
		}
		if i < len(b) {
			line = line.padded(width, false).plus(b[i])
		}
		both = append(both, line)
	}
	return both
}

func (s *screen) print(b block) {
	for _, line := range b {
		s.out.WriteString(strings.TrimRight(line.string, " ") + "\n")
	}
}

func (s *screen) flush() error { return s.out.Flush() }

var eighths = []rune(" ▏▎▍▌▋▊▉")

// eighthsOf returns a share of a number of characters, in eighths. It is 0 only for 0.
func eighthsOf(share float64, characters int) int {
	n := int(min(max(share, 0), 1)*float64(characters*8) + 0.5)
	if n == 0 && share > 0 {
		return 1
	}
	return n
}

// bar draws a share of a number of columns.
func bar(share float64, columns int) text {
	n := eighthsOf(share, columns)
	return newText(strings.TrimRight(strings.Repeat("█", n/8)+string(eighths[n%8]), " "))
}

var levels = []rune(" ▁▂▃▄▅▆▇█")

// columnsOf draws values from 0 to 1 as columns of a chart.
func columnsOf(values []float64, lines int) (b block) {
	for line := lines - 1; line >= 0; line-- {
		var s strings.Builder
		for _, v := range values {
			s.WriteRune(levels[min(max(eighthsOf(v, lines)-line*8, 0), 8)])
		}
		b = append(b, newText(s.String()))
	}
	return b
}
