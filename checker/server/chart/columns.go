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
	rows := c.rows()
	lines := 0
	for _, row := range rows {
		lines = max(lines, row+1)
	}
	room := 1 - float64(lines*ruleLine)/float64(c.Height)
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
		c.rules(s, rows)
	})
}

// rows stacks the words of rules that are too close to stand side by side.
func (c Columns) rows() []int {
	rows := make([]int, len(c.Rules))
	var ends []float64
	for i, r := range c.Rules {
		half := (float64(len([]rune(r.Text)))*letter/2 + 4) / narrow
		row := 0
		for row < len(ends) && ends[row] > r.At-half {
			row++
		}
		if row == len(ends) {
			ends = append(ends, 0)
		}
		rows[i], ends[row] = row, r.At+half
	}
	return rows
}

func (c Columns) rules(s *svg, rows []int) {
	for i, r := range c.Rules {
		y := headroom + rows[i]*ruleLine + 10
		s.add(markup(`<line class="rule" x1="`), percent(r.At), markup(`" x2="`), percent(r.At), markup(`" y1="`), y+4, markup(`" y2="`), headroom+c.Height, markup(`"/>`))
		s.add(markup(`<text aria-hidden="true" class="ruled `), markup(anchor(r)), markup(`" x="`), percent(r.At), markup(`" y="`), y, markup(`">`), r.Text, markup(`</text>`))
	}
}
