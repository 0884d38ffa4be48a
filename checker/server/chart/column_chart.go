package chart

import (
	"html/template"
	"slices"
)

// ColumnChart draws vertical bars.
type ColumnChart struct {
	Frame
	Max     float64 // value at the top of the Y axis
	Columns []Column
	Rules   []Tick // vertical lines, with a label above
	Scale   bool   // the X axis is a scale that the columns divide, so they have its full width
}

// Column is a vertical bar, with another one on top of it if Above is not 0.
type Column struct {
	Value      float64
	Class      string // CSS class
	Title      string // exact values
	Above      float64
	AboveClass string
}

const (
	ruleLineHeight = 15   // pixels
	maxColumnWidth = 0.16 // share of the width
)

// SVG draws the chart.
func (c ColumnChart) SVG() template.HTML {
	scale := 1 - float64(len(c.Rules)*ruleLineHeight)/float64(c.Height)
	c.Y = slices.Clone(c.Y)
	for i := range c.Y {
		c.Y[i].At *= scale
	}
	return c.draw(func(s *svg) {
		if len(c.Columns) == 0 {
			return
		}
		width := 1 / float64(len(c.Columns))
		thickness := 0.88 * width
		if !c.Scale {
			thickness = min(thickness, maxColumnWidth)
		}
		titles := make([]string, len(c.Columns))
		for i, b := range c.Columns {
			bottom := float64(c.top() + c.Height)
			draw := func(value float64, class string) {
				height := float64(c.Height) * scale * value / c.Max
				bottom -= height
				s.add(markup(`<rect class="column `), class, markup(`" x="`), percent((float64(i)+0.5)*width-thickness/2), markup(`" width="`), percent(thickness),
					markup(`" y="`), bottom, markup(`" height="`), height, markup(`"/>`))
			}
			draw(b.Value, b.Class)
			if b.Above > 0 {
				draw(b.Above, b.AboveClass)
			}
			titles[i] = b.Title
		}
		c.drawMarks(s, titles)
		c.drawRules(s)
	})
}

// ruleLines returns the lines, from the top, of the labels of the rules. A label begins
// at its rule, on a line below the labels of the rules to its left. If a label has no
// room there, left is true: all labels end at their rules, on lines below the labels to
// their right. Either way no rule crosses a label.
func (c ColumnChart) ruleLines() (lines []int, left bool) {
	for i, r := range c.Rules {
		lines = append(lines, i)
		left = left || r.At+textShare(r.Text) > 1
	}
	if left {
		slices.Reverse(lines)
	}
	return lines, left
}

// textShare returns the share of the narrowest width that a text takes.
func textShare(text string) float64 { return (float64(len([]rune(text)))*charWidth + 8) / narrowWidth }

func (c ColumnChart) drawRules(s *svg) {
	lines, left := c.ruleLines()
	class, shift := markup("start"), 5
	if left {
		class, shift = "end", -5
	}
	for i, r := range c.Rules {
		y := c.top() + lines[i]*ruleLineHeight + 10
		s.add(markup(`<line class="rule" x1="`), percent(r.At), markup(`" x2="`), percent(r.At), markup(`" y1="`), y-8, markup(`" y2="`), c.top()+c.Height, markup(`"/>`))
		s.add(markup(`<text aria-hidden="true" class="ruled `), class, markup(`" dx="`), shift, markup(`" x="`), percent(r.At), markup(`" y="`), y, markup(`">`), r.Text, markup(`</text>`))
	}
}
