// Package chart draws charts as inline SVG. The caller scales, names and orders the
// values.
//
// Horizontal lengths are percentages and vertical lengths are pixels, so that a chart
// fills any width while its text keeps its size. Colors come from CSS classes because a
// strict Content-Security-Policy forbids inline styles. The exact values are in the
// title of each mark, where a pointer shows them. With the page's script, the arrow keys
// move between the marks.
package chart

import (
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Frame contains the axes of a chart.
type Frame struct {
	Label  string // accessible name
	Height int    // of the plot area, in pixels
	X, Y   []Tick
	Marks  []Tick // vertical lines over the whole height, with a label above
}

// Tick is a label on an axis.
type Tick struct {
	At         float64 // position from 0 (left or bottom) to 1
	Text       string
	Minor      bool // hidden in a narrow chart
	SecondLine bool // on a second line in a narrow chart
}

const (
	axisHeight       = 24  // pixels below the plot area for the labels of the X axis
	secondLineHeight = 14  // pixels for their second line
	topMargin        = 8   // pixels above the plot area, for half of the top label of the Y axis
	marksHeight      = 16  // pixels above the plot area for the labels of marks
	charWidth        = 7.4 // pixels per character, in the widest of the usual fonts
	narrowWidth      = 280 // pixels: the smallest width of the plot area; labels must fit into it
	wideWidth        = 720 // pixels: the smallest width at which minor labels are shown
	maxTickLength    = 18  // characters
)

type svg struct{ strings.Builder }

// add appends markup unchanged, numbers with at most two decimals, and strings escaped.
func (s *svg) add(pieces ...any) {
	for _, p := range pieces {
		switch p := p.(type) {
		case markup:
			s.WriteString(string(p))
		case float64:
			s.WriteString(number(p))
		case int:
			s.WriteString(strconv.Itoa(p))
		case string:
			s.WriteString(template.HTMLEscapeString(strings.Map(printable, p)))
		}
	}
}

// printable replaces characters that are not allowed in markup even if they are escaped.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
		return 0xfffd
	}
	return r
}

// markup is a string that add does not escape.
type markup string

func number(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}

func percent(f float64) markup { return markup(number(f*100) + "%") }

// draw draws the axes, and calls drawPlot to draw the plot area.
func (f Frame) draw(drawPlot func(*svg)) template.HTML {
	s := new(svg)
	s.add(markup(`<div class="plot">`))
	f.drawY(s)
	s.add(markup(`<svg class="area" width="100%" height="`), f.height(), markup(`" role="group" aria-label="`), f.Label, markup(`">`))
	for _, t := range f.Y {
		y := f.y(t.At)
		s.add(markup(`<line class="grid" x2="100%" y1="`), y, markup(`" y2="`), y, markup(`"/>`))
	}
	drawPlot(s)
	f.drawX(s)
	f.drawMarkLabels(s)
	s.add(markup(`</svg></div>`))
	return template.HTML(s.String())
}

func (f Frame) height() int {
	if slices.ContainsFunc(f.X, func(t Tick) bool { return t.SecondLine }) {
		return f.top() + f.Height + axisHeight + secondLineHeight
	}
	return f.top() + f.Height + axisHeight
}

// top returns the number of pixels above the plot area.
func (f Frame) top() int {
	if len(f.Marks) > 0 {
		return topMargin + marksHeight
	}
	return topMargin
}

// y converts a value from 0 to 1 to pixels from the top.
func (f Frame) y(value float64) float64 { return float64(f.top()) + float64(f.Height)*(1-value) }

func (f Frame) drawY(s *svg) {
	length := 0
	for _, t := range f.Y {
		length = max(length, len([]rune(t.Text)))
	}
	width := int(float64(length)*charWidth) + 8
	s.add(markup(`<svg class="axis" aria-hidden="true" width="`), width, markup(`" height="`), f.height(), markup(`">`))
	for _, t := range f.Y {
		s.add(markup(`<text class="end" x="`), width-8, markup(`" y="`), f.y(t.At)+4, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</svg>`))
}

func (f Frame) drawX(s *svg) {
	s.add(markup(`<g class="axis" aria-hidden="true">`))
	for _, t := range fitTicks(f.X) {
		s.add(markup(`<text class="`), markup(tickClass(t)), markup(`" x="`), percent(t.At), markup(`" y="`), f.top()+f.Height+18, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</g>`))
}

// drawMarkLabels draws the marks, and those of their labels that have room.
func (f Frame) drawMarkLabels(s *svg) {
	for _, t := range f.Marks {
		s.add(markup(`<line class="release" x1="`), percent(t.At), markup(`" x2="`), percent(t.At), markup(`" y1="`), marksHeight, markup(`" y2="`), f.top()+f.Height, markup(`"/>`))
	}
	for _, t := range fitTicks(f.Marks) {
		s.add(markup(`<text aria-hidden="true" class="`), markup(tickClass(t)), markup(`" x="`), percent(t.At), markup(`" y="11">`), t.Text, markup(`</text>`))
	}
}

// fitTicks shortens long labels, makes labels minor if they overlap in a narrow chart, and
// removes labels if they overlap in a wide chart.
func fitTicks(all []Tick) []Tick {
	kept := make([]bool, len(all))
	all = slices.Clone(all)
	for i := range all {
		if text := []rune(all[i].Text); len(text) > maxTickLength {
			all[i].Text = string(text[:maxTickLength-1]) + "…"
		}
		kept[i] = !all[i].Minor && hasRoom(all, kept, i, narrowWidth) && hasRoom(all, kept, i, wideWidth)
	}
	for i := range all {
		if !kept[i] {
			all[i].Minor = true
			kept[i] = hasRoom(all, kept, i, wideWidth)
		}
	}
	var ticks []Tick
	for i, t := range all {
		if kept[i] {
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// hasRoom reports whether the i-th label overlaps no kept label at a width.
func hasRoom(all []Tick, kept []bool, i int, width float64) bool {
	const gap = 6 // pixels
	from, to := all[i].extent(width)
	for k, t := range all {
		if width == narrowWidth && t.SecondLine != all[i].SecondLine {
			continue
		}
		if start, end := t.extent(width); kept[k] && from < end+gap && start < to+gap {
			return false
		}
	}
	return true
}

// extent returns where a label begins and ends, in pixels.
func (t Tick) extent(width float64) (from, to float64) {
	at, size := t.At*width, float64(len([]rune(t.Text)))*charWidth
	switch class, _, _ := strings.Cut(tickClass(t), " "); class {
	case "start":
		return at, at + size
	case "end":
		return at - size, at
	}
	return at - size/2, at + size/2
}

// tickClass returns the CSS classes of a label. The first one is the text anchor, which
// keeps a label at the edge inside the chart.
func tickClass(t Tick) string {
	class := "middle"
	half := float64(len([]rune(t.Text))) * charWidth / 2 / narrowWidth
	if t.Minor {
		half *= float64(narrowWidth) / wideWidth
	}
	switch {
	case t.At < half:
		class = "start"
	case t.At > 1-half:
		class = "end"
	}
	if t.Minor {
		class += " wide"
	}
	if t.SecondLine {
		class += " low"
	}
	return class
}

// drawMarks divides the plot area into invisible columns that show the titles to pointer
// and keyboard. The first one can be reached with the Tab key.
func (f Frame) drawMarks(s *svg, titles []string) {
	width := 1 / float64(len(titles))
	for i, title := range titles {
		index := markup(`" tabindex="-1" role="img"><title>`)
		if i == 0 {
			index = `" tabindex="0" role="img"><title>`
		}
		s.add(markup(`<rect class="mark" x="`), percent(float64(i)*width), markup(`" y="`), f.top(), markup(`" width="`), percent(width),
			markup(`" height="`), f.Height, index, title, markup(`</title></rect>`))
	}
}
