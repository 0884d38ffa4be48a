package chart

import (
	"html/template"
	"slices"
)

// Columns draws a bar for each of some values.
type Columns struct {
	Frame
	End   float64 // the value at the upper end of the Y axis
	Bars  []Column
	Rules []Tick // lines from top to bottom, with a word above
}

// Column is one bar.
type Column struct {
	Value float64
	Class string // one of the page's own words
	Title string // its exact values
}

const ruleLine = 15 // pixels from one line of the rules' words to the next

// SVG draws them.
func (c Columns) SVG() template.HTML {
	room := 1 - float64(len(c.Rules)*ruleLine)/float64(c.Height)
	c.Y = slices.Clone(c.Y)
	for i := range c.Y {
		c.Y[i].At *= room
	}
	return c.draw(func(s *svg) {
		if len(c.Bars) == 0 {
			return
		}
		width := 1 / float64(len(c.Bars))
		titles := make([]string, len(c.Bars))
		for i, b := range c.Bars {
			height := float64(c.Height) * room * b.Value / c.End
			s.add(markup(`<rect class="column `), b.Class, markup(`" x="`), percent((float64(i)+0.06)*width), markup(`" width="`), percent(0.88*width),
				markup(`" y="`), headroom+float64(c.Height)-height, markup(`" height="`), height, markup(`"/>`))
			titles[i] = b.Title
		}
		c.marks(s, titles)
		c.rules(s)
	})
}

// rows are the lines that the words of rules stand on, from the top. Each word
// begins at its rule, below those further left; where the last one would have no
// room, each ends at its rule instead, below those further right. So no rule
// crosses a word.
func (c Columns) rows() (rows []int, left bool) {
	for i, r := range c.Rules {
		rows = append(rows, i)
		left = left || r.At+width(r.Text) > 1
	}
	if left {
		slices.Reverse(rows)
	}
	return rows, left
}

// width is the part of the least width that a text takes.
func width(text string) float64 { return (float64(len([]rune(text)))*letter + 8) / narrow }

func (c Columns) rules(s *svg) {
	rows, left := c.rows()
	class, shift := markup("start"), 5
	if left {
		class, shift = "end", -5
	}
	for i, r := range c.Rules {
		y := headroom + rows[i]*ruleLine + 10
		s.add(markup(`<line class="rule" x1="`), percent(r.At), markup(`" x2="`), percent(r.At), markup(`" y1="`), y-8, markup(`" y2="`), headroom+c.Height, markup(`"/>`))
		s.add(markup(`<text aria-hidden="true" class="ruled `), class, markup(`" dx="`), shift, markup(`" x="`), percent(r.At), markup(`" y="`), y, markup(`">`), r.Text, markup(`</text>`))
	}
}
