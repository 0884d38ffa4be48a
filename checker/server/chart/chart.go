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
	"slices"
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
	Low   bool // on a line of its own there
}

const (
	axisHeight = 24  // pixels below the area, for the words of the X axis
	lowHeight  = 14  // pixels that their second line takes
	headroom   = 8   // pixels above it, for half of the topmost word of the Y axis
	letter     = 7.4 // pixels a letter takes, in the widest of the usual fonts
	narrow     = 280 // pixels: the least width of the area that words have to fit into
	wide       = 720 // pixels: the least width at which more of them are shown
	longest    = 18  // letters of a word on an axis
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
func (f Frame) height() int {
	if slices.ContainsFunc(f.X, func(t Tick) bool { return t.Low }) {
		return headroom + f.Height + axisHeight + lowHeight
	}
	return headroom + f.Height + axisHeight
}

// y is where a value from 0 to 1 is, in pixels from the top.
func (f Frame) y(value float64) float64 { return headroom + float64(f.Height)*(1-value) }

func (f Frame) drawY(s *svg) {
	most := 0
	for _, t := range f.Y {
		most = max(most, len([]rune(t.Text)))
	}
	width := int(float64(most)*letter) + 8
	s.add(markup(`<svg class="axis" aria-hidden="true" width="`), width, markup(`" height="`), f.height(), markup(`">`))
	for _, t := range f.Y {
		s.add(markup(`<text class="end" x="`), width-8, markup(`" y="`), f.y(t.At)+4, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</svg>`))
}

func (f Frame) drawX(s *svg) {
	s.add(markup(`<g class="axis" aria-hidden="true">`))
	for _, t := range fit(f.X) {
		s.add(markup(`<text class="`), markup(anchor(t)), markup(`" x="`), percent(t.At), markup(`" y="`), headroom+f.Height+18, markup(`">`), t.Text, markup(`</text>`))
	}
	s.add(markup(`</g>`))
}

// fit leaves out words that have no room beside others: first where there is
// little, then altogether. It shortens the longest.
func fit(all []Tick) []Tick {
	kept := make([]bool, len(all))
	all = slices.Clone(all)
	for i := range all {
		if text := []rune(all[i].Text); len(text) > longest {
			all[i].Text = string(text[:longest-1]) + "…"
		}
		kept[i] = !all[i].Minor && free(all, kept, i, narrow) && free(all, kept, i, wide)
	}
	for i := range all {
		if !kept[i] {
			all[i].Minor = true
			kept[i] = free(all, kept, i, wide)
		}
	}
	var left []Tick
	for i, t := range all {
		if kept[i] {
			left = append(left, t)
		}
	}
	return left
}

// free tells whether a word touches none of those kept, in an area of some width.
func free(all []Tick, kept []bool, i int, width float64) bool {
	const gap = 6 // pixels
	from, to := all[i].extent(width)
	for k, t := range all {
		if width == narrow && t.Low != all[i].Low {
			continue
		}
		if start, end := t.extent(width); kept[k] && from < end+gap && start < to+gap {
			return false
		}
	}
	return true
}

// extent is where a word begins and ends, in pixels.
func (t Tick) extent(width float64) (from, to float64) {
	at, size := t.At*width, float64(len([]rune(t.Text)))*letter
	switch class, _, _ := strings.Cut(anchor(t), " "); class {
	case "start":
		return at, at + size
	case "end":
		return at - size, at
	}
	return at - size/2, at + size/2
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
	if t.Low {
		class += " low"
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
