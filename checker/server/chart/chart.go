// Package chart draws figures as inline SVG. It knows nothing of what they mean:
// whoever calls has scaled, named and ordered them.
//
// All horizontal measures are percentages and all vertical ones pixels, so that a
// drawing fills whatever width it gets, and its text keeps its size. Colours come
// from classes, for a strict Content-Security-Policy allows no style in markup.
// Each mark has its exact values as its title: a pointer finds them there, and so
// does the keyboard, with the arrow keys where the page's script runs.
package chart

import (
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Frame is what all drawings with axes have.
type Frame struct {
	Label  string // what is shown, for those who do not see it
	Height int    // of the area inside the axes, in pixels
	X, Y   []Tick
}

// Tick is a word on an axis.
type Tick struct {
	At    float64 // from 0, left or bottom, to 1
	Text  string
	Minor bool // left out where there is little room
}

const (
	axisHeight = 24  // pixels below the area, for the words of the X axis
	headroom   = 8   // pixels above it, for half of the topmost word of the Y axis
	letter     = 7.4 // pixels a letter takes, in the widest of the usual fonts
	narrow     = 280 // pixels: the least width of the area that words have to fit into
	wide       = 720 // pixels: the least width at which all of them are shown
)

// svg collects markup.
type svg struct{ strings.Builder }

// add writes pieces of markup as they are, numbers with two decimals at most,
// and text with all escaped that could end it.
func (s *svg) add(pieces ...any) *svg {
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
	return s
}

// printable replaces what may not stand in markup, escaped or not.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
		return 0xfffd
	}
	return r
}

// markup is text that this package wrote; all other text is escaped.
type markup string

func number(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}

func percent(f float64) markup { return markup(number(f*100) + "%") }

// draw puts the axes around what inside draws.
func (f Frame) draw(inside func(*svg)) template.HTML {
	s := new(svg)
	s.add(markup(`<div class="plot">`))
	f.drawY(s)
	s.add(markup(`<svg class="area" width="100%" height="`), f.height(), markup(`" role="group" aria-label="`), f.Label, markup(`">`))
	for _, t := range f.Y {
		y := f.y(t.At)
		s.add(markup(`<line class="grid" x2="100%" y1="`), y, markup(`" y2="`), y, markup(`"/>`))
	}
	inside(s)
	f.drawX(s)
	s.add(markup(`</svg></div>`))
	return template.HTML(s.String())
}

// height is that of the whole drawing.
func (f Frame) height() int { return headroom + f.Height + axisHeight }

// y is where a value from 0 to 1 is, in pixels from the top.
func (f Frame) y(value float64) float64 { return headroom + float64(f.Height)*(1-value) }

func (f Frame) drawY(s *svg) {
	longest := 0
	for _, t := range f.Y {
		longest = max(longest, len([]rune(t.Text)))
	}
	width := int(float64(longest)*letter) + 8
	s.add(markup(`<svg class="axis" aria-hidden="true" width="`), width, markup(`" height="`), f.height(), markup(`">`))
	for _, t := range f.Y {
		s.add(markup(`<text class="end" x="`), width-8, markup(`" y="`), f.y(t.At)+4, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</svg>`))
}

func (f Frame) drawX(s *svg) {
	s.add(markup(`<g class="axis" aria-hidden="true">`))
	for _, t := range f.X {
		s.add(markup(`<text class="`), markup(anchor(t)), markup(`" x="`), percent(t.At), markup(`" y="`), headroom+f.Height+18, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</g>`))
}

// anchor keeps a word at the edge inside the drawing.
func anchor(t Tick) string {
	class := "middle"
	half := float64(len([]rune(t.Text))) * letter / 2 / narrow
	if t.Minor {
		half *= float64(narrow) / wide
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
	return class
}

// marks lets pointer and keyboard find values: a column of the drawing for each
// title. The first can be reached with the Tab key.
func (f Frame) marks(s *svg, titles []string) {
	width := 1 / float64(len(titles))
	for i, title := range titles {
		index := markup(`" tabindex="-1" role="img"><title>`)
		if i == 0 {
			index = `" tabindex="0" role="img"><title>`
		}
		s.add(markup(`<rect class="mark" x="`), percent(float64(i)*width), markup(`" y="`), headroom, markup(`" width="`), percent(width),
			markup(`" height="`), f.Height, index, title, markup(`</title></rect>`))
	}
}
